//! Golden vectors of FedLD's released code: principal-gradient aggregation and FedGH, at the file's tolerances.

use serde_json::Value;

use super::*;

struct Case(Value);

impl Case {
    fn number(&self, pointer: &str) -> f64 {
        self.0.pointer(pointer).and_then(Value::as_f64).unwrap_or_else(|| panic!("{pointer}"))
    }

    fn text(&self, pointer: &str) -> &str {
        self.0.pointer(pointer).and_then(Value::as_str).unwrap()
    }

    fn numbers(&self, pointer: &str) -> Vec<f64> {
        let data = self.0.pointer(&format!("{pointer}/data")).unwrap_or_else(|| panic!("{pointer}"));
        data.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
    }

    fn rows(&self, pointer: &str) -> Vec<Vec<f32>> {
        let columns = self.number(&format!("{pointer}/shape/1")) as usize;
        self.numbers(pointer).chunks(columns).map(|row| row.iter().map(|x| *x as f32).collect()).collect()
    }

    fn close(&self, found: impl IntoIterator<Item = f64>, pointer: &str) {
        let (rtol, atol) = (self.number("/rtol"), self.number("/atol"));
        let (found, expected): (Vec<f64>, Vec<f64>) = (found.into_iter().collect(), self.numbers(pointer));
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            let name = self.text("/name");
            assert!((found - expected).abs() <= atol + rtol * expected.abs(), "{name} {pointer}: {found} {expected}");
        }
    }
}

fn cases(objective: &str) -> Vec<Case> {
    let file: Value = serde_json::from_str(include_str!("../../tests/golden/17-fedld.json")).unwrap();
    let cases = file["cases"].as_array().unwrap().iter().cloned().map(Case);
    cases.filter(|case| case.text("/objective") == objective).collect()
}

fn slices(rows: &[Vec<f32>]) -> Vec<&[f32]> {
    rows.iter().map(Vec::as_slice).collect()
}

#[test]
fn principal_gradient_aggregation_equals_the_released_code() {
    let cases = cases("principal-gradient-aggregation");
    assert_eq!(cases.len(), 6);
    for case in cases {
        let config = Principal {
            keep: Keep::new(case.number("/params/keep")).unwrap(),
            orientation: match case.text("/params/orientation") {
                "own" => Orientation::Own,
                "majority" => Orientation::Majority,
                other => panic!("{other}"),
            },
            ..Principal::default()
        };
        let blocks: Vec<Vec<Vec<f32>>> = (0..)
            .map(|b| format!("/inputs/block{b}"))
            .take_while(|pointer| case.0.pointer(pointer).is_some())
            .map(|pointer| case.rows(&pointer))
            .collect();
        let clients = blocks[0].len();
        let updates: Vec<Vec<f32>> = (0..clients).map(|i| blocks.iter().flat_map(|b| b[i].clone()).collect()).collect();
        let layout = Layout::new(blocks.iter().map(|b| b[0].len())).unwrap();
        let shares = Shares::uniform(clients).unwrap();

        let mut out = vec![0.0; layout.parameters()];
        principal(&slices(&updates), &layout, &shares, &config, &mut out).unwrap();
        for ((block, range), gram) in
            layout.ranges().iter().enumerate().zip(gram_blocks(&slices(&updates), &layout).unwrap())
        {
            let expected = format!("/expected/other/block{block}");
            case.close(out[range.clone()].iter().map(|x| f64::from(*x)), &format!("{expected}/aggregate"));
            let coefficients = principal_coefficients(&gram, &shares, &config).unwrap();
            case.close(coefficients, &format!("{expected}/coefficients"));
        }
    }
}

#[test]
fn fedgh_equals_the_released_code() {
    let cases = cases("fedgh");
    assert_eq!(cases.len(), 2);
    for case in cases {
        let updates = case.rows("/inputs/block");
        let previous: Vec<f32> = case.numbers("/inputs/previous").iter().map(|x| *x as f32).collect();
        let mut out = vec![0.0; previous.len()];
        fedgh(&slices(&updates), &previous, &mut out).unwrap();
        case.close(out.iter().map(|x| f64::from(*x)), "/expected/other/aggregate");
    }
}
