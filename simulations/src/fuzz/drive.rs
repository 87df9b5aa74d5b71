//! Inputs for targets: random bytes, and valid inputs that are changed a little.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha12Rng;

use super::Target;

/// Longest input that is made.
const BYTES_MAX: usize = 4_096;
/// Longest input of random bytes; most targets refuse these early, and machines take one event of a few bytes.
const RANDOM_BYTES_MAX: usize = 600;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fuzzed {
    /// Inputs that the target took.
    pub executions: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Gives `executions` inputs to `target`, the same for the same `seed`. It panics where the target does.
pub fn fuzz(target: &Target, executions: u64, seed: u64) -> Fuzzed {
    let corpus = (target.corpus)();
    let mut rng = ChaCha12Rng::seed_from_u64(seed);
    let (mut input, mut bytes) = (Vec::new(), 0);
    for _ in 0..executions {
        input.clear();
        if corpus.is_empty() || rng.random_bool(0.1) {
            input.resize(rng.random_range(0..=RANDOM_BYTES_MAX), 0);
            rng.fill(&mut input[..]);
        } else {
            input.extend_from_slice(&corpus[rng.random_range(0..corpus.len())]);
            for _ in 0..rng.random_range(0..4) {
                change(&mut input, &corpus, &mut rng);
            }
        }
        bytes += input.len() as u64;
        (target.run)(&input);
    }
    Fuzzed { executions, bytes }
}

/// One small change, of the kinds that parsers stumble over.
fn change(input: &mut Vec<u8>, corpus: &[Vec<u8>], rng: &mut ChaCha12Rng) {
    let at = rng.random_range(0..=input.len());
    match rng.random_range(0..8) {
        0 => input.truncate(at),
        1 => input.insert(at, rng.random()),
        2 if at < input.len() => drop(input.remove(at)),
        3 if at < input.len() => input[at] ^= 1 << rng.random_range(0..8),
        4 if at < input.len() => input[at] = [0, 1, 0x7f, 0x80, 0xff, b'"', b'[', b'\n'][rng.random_range(0..8)],
        5 => {
            // A length that lies.
            let end = (at + 8).min(input.len());
            let value = [0, 1, u64::from(u32::MAX), u64::MAX, 1 << 31][rng.random_range(0..5)];
            input[at..end].iter_mut().zip(value.to_le_bytes()).for_each(|(byte, new)| *byte = new);
        }
        6 => {
            let end = rng.random_range(at..=input.len());
            let copied = input[at..end].to_vec();
            input.extend(copied);
        }
        _ => {
            let other = &corpus[rng.random_range(0..corpus.len())];
            let from = rng.random_range(0..=other.len());
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
    }
    input.truncate(BYTES_MAX);
}
