//! Golden vectors of FedLD's released code, at the file's tolerances, and files that are wrong.

use super::*;

const FEDLD: &str = include_str!("../../tests/golden/17-fedld.json");

fn verdicts(text: &str) -> Vec<CaseReport> {
    File::parse(text.as_bytes()).unwrap().evaluate()
}

#[test]
fn the_released_codes_numbers_come_out() {
    let reports = verdicts(FEDLD);
    let of = |objective: &str| reports.iter().filter(|r| r.objective == objective).collect::<Vec<_>>();
    for (objective, cases) in [("principal-gradient-aggregation", 6), ("fedgh", 2)] {
        assert_eq!(of(objective).len(), cases);
        for report in of(objective) {
            assert_eq!(report.verdict, Verdict::Passed, "{report:?}");
            assert!(!report.comparisons.is_empty());
        }
    }
    // Two blocks with an aggregate and coefficients each.
    assert_eq!(of("principal-gradient-aggregation")[0].comparisons.len(), 4);
    let losses = of("margin-control");
    assert!(losses.len() == 5 && losses.iter().all(|r| matches!(r.verdict, Verdict::Skipped { .. })));
}

#[test]
fn a_number_that_is_off_fails_its_case_alone() {
    let mut file: Value = serde_json::from_str(FEDLD).unwrap();
    let at = |case: usize, pointer: &str| format!("/cases/{case}/expected/other/{pointer}/data/0");
    for pointer in [at(5, "block1/coefficients"), at(7, "block0/aggregate"), at(11, "aggregate")] {
        let number = file.pointer_mut(&pointer).unwrap();
        *number = Value::from(number.as_f64().unwrap() + 1e-3);
    }
    let failed: Vec<usize> = (0..)
        .zip(verdicts(&file.to_string()))
        .filter_map(|(i, report)| (report.verdict == Verdict::Failed).then_some(i))
        .collect();
    assert_eq!(failed, [5, 7, 11]);
}

/// The verdict of a FedGH case with these parts.
fn fedgh(params: &str, inputs: &str, other: &str) -> Verdict {
    let text = format!(
        "{{\"cases\": [{{\"name\": \"x\", \"objective\": \"fedgh\", \"params\": {params}, \"inputs\": {inputs}, \
         \"expected\": {{\"other\": {other}}}, \"rtol\": 0, \"atol\": 0}}]}}"
    );
    verdicts(&text).remove(0).verdict
}

#[test]
fn a_case_that_cannot_be_computed_says_why() {
    let inputs = r#"{"block": {"shape": [2, 1], "data": [1, 3]}, "previous": {"shape": [1], "data": [1]}}"#;
    let right = r#"{"aggregate": {"shape": [1], "data": [2]}}"#;
    assert_eq!(fedgh("{}", inputs, right), Verdict::Passed);
    assert_eq!(fedgh("{}", inputs, &right.replace("[2]", "[2.5]")), Verdict::Failed);
    let broken = |params, inputs: &str, other: &str, expected: &str| match fedgh(params, inputs, other) {
        Verdict::Broken { reason } => assert!(reason.contains(expected), "{reason}"),
        other => panic!("{other:?}"),
    };
    broken("{\"k\": 1}", inputs, right, "option `k` is 1");
    broken("{}", "{}", right, "`block` is missing");
    broken("{}", &inputs.replace("[2, 1]", "[2, 2]"), right, "does not match");
    broken("{}", &inputs.replace("[2, 1]", "[1, 2]"), right, "parameters where 1 are expected");
    broken("{}", inputs, "{}", "states nothing");
    broken("{}", inputs, &right.replace("aggregate", "sum"), "`sum` is expected");
    broken("{}", inputs, &right.replace("[2]", "[2, 2]"), "another number of entries");
}

#[test]
fn what_is_no_golden_file_is_refused() {
    assert!(matches!(File::parse(b"{}"), Err(GoldenError::Format(_))));
    assert!(matches!(File::parse(&vec![b' '; FILE_BYTES_MAX + 1]), Err(GoldenError::TooLarge { .. })));
}
