//! Golden files, evaluated through the public harness.

use burn::tensor::Device;
use synod_losses::golden::{File, GoldenError, Verdict};

const FEDLD: &[u8] = include_bytes!("../golden/17-fedld.json");

#[test]
fn margin_control_agrees_with_its_golden_file_and_strategies_are_skipped() {
    let reports = File::parse(FEDLD).unwrap().evaluate(&Device::flex()).unwrap();
    let (mut passed, mut skipped) = (0, 0);
    for report in &reports {
        match &report.verdict {
            Verdict::Passed => {
                // Composed and fused, each with loss and gradient.
                assert_eq!(report.comparisons.len(), 4, "{report:?}");
                passed += 1;
            }
            Verdict::Skipped { reason } => {
                assert!(reason.contains("strategies"), "{report:?}");
                skipped += 1;
            }
            Verdict::Failed => panic!("{report:?}"),
        }
    }
    let of_margin_control = reports.iter().filter(|report| report.objective == "margin-control").count();
    assert_eq!((passed, skipped), (of_margin_control, reports.len() - of_margin_control));
    assert!(passed >= 5);
}

/// A check that never fails proves nothing: the golden numbers are moved by a little more than the tolerance.
#[test]
fn numbers_outside_the_tolerance_fail() {
    let mut file = File::parse(FEDLD).unwrap();
    let case = &mut file.cases[0];
    let loss = case.expected.loss.unwrap();
    case.expected.loss = Some(loss * 1.0002 + 1e-5);
    let report = case.evaluate(&Device::flex()).unwrap();
    assert_eq!(report.verdict, Verdict::Failed);
    assert!(report.comparisons[0].tolerance_used > 1.0);

    case.expected.loss = Some(loss);
    case.expected.grads.get_mut("logits").unwrap().data[0] += 1e-4;
    assert_eq!(case.evaluate(&Device::flex()).unwrap().verdict, Verdict::Failed);
    case.expected.grads.get_mut("logits").unwrap().data[0] = f64::NAN;
    assert_eq!(case.evaluate(&Device::flex()).unwrap().verdict, Verdict::Failed);
}

#[test]
fn unknown_objectives_are_skipped() {
    let mut file = File::parse(FEDLD).unwrap();
    file.cases[0].objective = "barlow-triplets".to_owned();
    let report = file.cases[0].evaluate(&Device::flex()).unwrap();
    assert!(matches!(report.verdict, Verdict::Skipped { reason } if reason.contains("no such loss")));
}

#[test]
fn malformed_cases_are_errors_that_name_the_case() {
    let good = || File::parse(FEDLD).unwrap().cases.remove(0);
    let evaluate = |case: synod_losses::golden::Case| case.evaluate(&Device::flex()).unwrap_err();

    let mut case = good();
    case.inputs.get_mut("labels").unwrap().data[0] = 3.0;
    let error = evaluate(case);
    assert!(matches!(error, GoldenError::Loss { .. }));
    assert!(error.to_string().contains("`batch-4x3`: label 3 at position 0"), "{error}");

    let mut case = good();
    case.inputs.get_mut("logits").unwrap().shape = vec![usize::MAX, 3];
    assert!(evaluate(case).to_string().contains("does not match its data"));
    let mut case = good();
    case.inputs.remove("labels");
    assert!(evaluate(case).to_string().contains("is missing"));
    let mut case = good();
    case.inputs.get_mut("logits").unwrap().data[0] = f64::INFINITY;
    assert!(evaluate(case).to_string().contains("logits is inf"));
    let mut case = good();
    case.params.insert("lambda".to_owned(), (-0.1).into());
    assert!(evaluate(case).to_string().contains("`lambda` is -0.1"));
    assert!(matches!(File::parse(b"{}"), Err(GoldenError::Format(_))));
}
