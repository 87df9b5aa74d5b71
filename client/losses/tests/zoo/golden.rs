//! Golden files, evaluated through the public harness.

use std::path::Path;

use burn::tensor::Device;
use synod_losses::golden::{Case, CaseReport, File, GoldenError, Verdict};

const FEDLD: &[u8] = include_bytes!("../golden/17-fedld.json");

fn evaluate(case: &Case) -> Result<CaseReport, GoldenError> {
    File::parse(FEDLD).expect("the inputs are valid").evaluate_case(case, &Device::flex())
}

fn verdict(case: &Case) -> Verdict {
    evaluate(case).expect("the inputs are valid").verdict
}

/// Every case of every file must agree; what may be skipped is what the coordinator's strategies compute, and the
/// layers and optimisers that the zoo does not have.
#[test]
fn every_golden_file_agrees() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    let mut wrong = Vec::new();
    for path in files {
        let file = File::parse(&std::fs::read(&path).unwrap()).unwrap();
        let mut passed = 0;
        for report in file.evaluate(&Device::flex()).unwrap_or_else(|error| panic!("{}: {error}", path.display())) {
            match report.verdict {
                Verdict::Passed => passed += 1,
                Verdict::Skipped { .. } => {}
                Verdict::Failed => wrong.push(format!("{}: {report:#?}", path.display())),
            }
        }
        assert!(passed > 0, "{}: nothing was compared", path.display());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn margin_control_is_compared_on_both_paths_and_strategies_are_skipped() {
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
    let mut case = File::parse(FEDLD).unwrap().cases.remove(0);
    let loss = case.expected.loss.unwrap();
    case.expected.loss = Some(loss * 1.0002 + 1e-5);
    let report = evaluate(&case).unwrap();
    assert_eq!(report.verdict, Verdict::Failed);
    assert!(report.comparisons[0].tolerance_used > 1.0);

    case.expected.loss = Some(loss);
    assert_eq!(verdict(&case), Verdict::Passed);
    case.expected.grads.get_mut("logits").unwrap().data[0] += 1e-4;
    assert_eq!(verdict(&case), Verdict::Failed);
    case.expected.grads.get_mut("logits").unwrap().data[0] = f64::NAN;
    assert_eq!(verdict(&case), Verdict::Failed);
    case.expected.grads.clear();
    case.expected.other.insert("something_else".to_owned(), 1.0.into());
    assert_eq!(verdict(&case), Verdict::Failed, "what the zoo does not compute cannot agree");
}

#[test]
fn unknown_objectives_are_skipped() {
    let mut case = File::parse(FEDLD).unwrap().cases.remove(0);
    case.objective = "barlow-triplets".to_owned();
    assert!(matches!(verdict(&case), Verdict::Skipped { reason } if reason.contains("no such loss")));
}

#[test]
fn malformed_cases_are_errors_that_name_the_case() {
    let good = || File::parse(FEDLD).unwrap().cases.remove(0);
    let refused = |change: &dyn Fn(&mut Case)| {
        let mut case = good();
        change(&mut case);
        evaluate(&case).unwrap_err()
    };
    let input = |case: &mut Case, name: &str, value: f64| case.inputs.get_mut(name).unwrap().data[0] = value;

    let error = refused(&|case| input(case, "labels", 3.0));
    assert!(matches!(error, GoldenError::Loss { .. }));
    assert!(error.to_string().contains("`batch-4x3`: label 3 at position 0"), "{error}");
    let error = refused(&|case| case.inputs.get_mut("logits").unwrap().shape = vec![usize::MAX, 3]);
    assert!(error.to_string().contains("does not match its data"), "{error}");
    let error = refused(&|case| case.inputs.get_mut("logits").unwrap().shape = vec![12]);
    assert!(error.to_string().contains("has 1 dimensions where the objective takes 2"), "{error}");
    let error = refused(&|case| drop(case.inputs.remove("labels")));
    assert!(error.to_string().contains("is missing"), "{error}");
    let error = refused(&|case| input(case, "logits", f64::INFINITY));
    assert!(error.to_string().contains("inf at flat position 0"), "{error}");
    let error = refused(&|case| drop(case.params.insert("lambda".to_owned(), (-0.1).into())));
    assert!(error.to_string().contains("`lambda` is -0.1"), "{error}");
    let error = refused(&|case| drop(case.params.insert("lamda".to_owned(), 0.1.into())));
    assert!(error.to_string().contains("unknown field `lamda`"), "{error}");
    assert!(matches!(File::parse(b"{}"), Err(GoldenError::Format(_))));
}
