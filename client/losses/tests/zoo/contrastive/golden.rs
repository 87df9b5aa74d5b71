//! Nothing in the family's golden files is left out.

use burn::tensor::Device;
use synod_losses::golden::{File, Verdict};

#[test]
fn every_case_of_the_family_is_compared_in_full() {
    let files: [&[u8]; 11] = [
        include_bytes!("../../golden/04-amcl.json"),
        include_bytes!("../../golden/14-spn4cir.json"),
        include_bytes!("../../golden/23-barlow-twins.json"),
        include_bytes!("../../golden/27-hard-patches-mining.json"),
        include_bytes!("../../golden/28-isogclr.json"),
        include_bytes!("../../golden/38-groco.json"),
        include_bytes!("../../golden/39-rtd.json"),
        include_bytes!("../../golden/45-g-simclr.json"),
        include_bytes!("../../golden/46-mixed-barlow-twins.json"),
        include_bytes!("../../golden/52-hydra.json"),
        include_bytes!("../../golden/61-contrastive-behaviour.json"),
    ];
    for bytes in files {
        let file = File::parse(bytes).unwrap();
        for (case, report) in file.cases.iter().zip(file.evaluate(&Device::flex()).unwrap()) {
            assert_eq!(report.verdict, Verdict::Passed, "{report:#?}");
            let stated =
                usize::from(case.expected.loss.is_some()) + case.expected.grads.len() + case.expected.other.len();
            assert_eq!(report.comparisons.len(), stated, "{}", case.name);
        }
    }
}
