//! What the wire costs: headers through the encoder, values as raw blocks, against a plain copy of the same bytes.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use synod_common::ids::{Digest, RoundId};
use synod_common::metrics::Metrics;
use synod_common::update::UpdateHeader;
use synod_common::wire::{FRAME_HEADER_BYTES, ValueReader, chunks, decode, encode};

/// Parameters of the FedAvg CNN on 28 x 28 images.
const PARAMETERS: usize = 1_663_370;

fn header() -> UpdateHeader {
    let values = ["accuracy", "auroc", "balanced_accuracy", "loss", "macro_f1"];
    let metrics = Metrics { samples: 600, values: values.iter().map(|n| ((*n).to_owned(), 0.5)).collect() };
    UpdateHeader {
        round: RoundId(7),
        plan: Digest([1; 32]),
        layout: Digest([2; 32]),
        samples: 600,
        steps: 20,
        loss_before: None,
        before: Some(metrics.clone()),
        train: metrics.clone(),
        after: Some(metrics),
        train_ms: 1234,
    }
}

fn wire(c: &mut Criterion) {
    let header = header();
    let frame = encode(&header).unwrap_or_default();
    c.bench_function("update header, encode", |b| b.iter(|| encode(black_box(&header))));
    let body = frame[FRAME_HEADER_BYTES..].to_vec();
    c.bench_function("update header, decode", |b| b.iter(|| decode::<UpdateHeader>(black_box(&body))));
    let values: Vec<f32> = (0..PARAMETERS).map(|i| i as f32 * 1e-6).collect();
    let bytes: Vec<u8> = chunks(&values).flat_map(|c| c.to_vec()).collect();
    let mut out = vec![0.0_f32; PARAMETERS];
    let mut group = c.benchmark_group("values of the cnn");
    group.throughput(Throughput::Bytes(bytes.len() as u64)).sample_size(20);
    group.bench_function("plain copy (yardstick)", |b| b.iter(|| out.copy_from_slice(black_box(&values))));
    group.bench_function("read into a reused buffer, with digest", |b| {
        b.iter(|| {
            let mut reader = ValueReader::new(&mut out);
            for chunk in bytes.chunks(64 * 1024) {
                let _ = reader.push(black_box(chunk));
            }
            black_box(reader.missing_bytes())
        });
    });
    group.finish();
}

criterion_group!(benches, wire);
criterion_main!(benches);
