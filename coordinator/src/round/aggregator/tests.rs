//! Strategies as plans name them, against plain loops, and the laws that all of them keep.

use proptest::prelude::*;
use synod_common::blocks::{BlockKind, BlockSpec};
use synod_common::ids::SiteName;
use synod_common::plan::{AnyLoss, STRATEGIES, StrategyFamily, StrategyInfo};

use super::*;
use crate::aggregate::screen;

/// One update: samples, steps, loss of the received model, values.
type Sent = (u32, u64, f64, Vec<f32>);

fn plan(aggregate: &str) -> Arc<Plan> {
    let text = format!(
        "model = \"logistic\"\n[task.classification]\nclasses = 2\n[data]\nsource = \"digits\"\n\
         [train]\nloss_before = true\n[train.optimiser.sgd]\nlr = 0.5\n[round]\narrival.count.min = 50\n[aggregate]\n{aggregate}"
    );
    Arc::new(Plan::read(&text, &AnyLoss).unwrap_or_else(|e| panic!("{aggregate}: {e}")))
}

fn layout(lengths: &[usize], kind: BlockKind) -> Layout {
    let block = |(i, n): (usize, &usize)| {
        let kind = if i == 0 { BlockKind::Parameter } else { kind };
        BlockSpec { name: format!("b{i}"), shape: vec![*n], kind }
    };
    Layout::new(lengths.iter().enumerate().map(block).collect()).unwrap()
}

/// Sites of the run, of which few take part.
const POPULATION: usize = 20;

/// The round's updates, of sites that are numbered in the order of the slice, arriving in `order`.
fn round(
    plan: &Arc<Plan>,
    layout: &Layout,
    (state, model): (&State, &[f32]),
    sent: &[Sent],
    order: &[usize],
) -> Result<(Vec<f32>, State), StepError> {
    // Past the warm-up of principal_gradient.
    let mut aggregator = Aggregator::new(plan, RoundId(5), layout, sent.len(), POPULATION)?;
    for i in order {
        let (samples, steps, loss, delta) = &sent[*i];
        let contribution = Contribution {
            samples: NonZeroU32::new(*samples).unwrap(),
            steps: *steps,
            loss_before: Some(*loss),
            age: 0,
        };
        let id = SiteName::new(&format!("site-{i}")).unwrap().client_id();
        aggregator.push(id, contribution, delta.clone().into(), screen(delta)?, None)?;
    }
    let mut next = vec![f32::NAN; layout.len()];
    let step = aggregator.finish(state, model, &mut next)?;
    Ok((next, step.state))
}

/// Every strategy that a plan of a trained model can name without options.
fn listed() -> impl Iterator<Item = &'static StrategyInfo> {
    STRATEGIES.iter().filter(|info| !["fltrust", "sum"].contains(&info.name))
}

#[test]
fn the_sum_adds_updates_as_they_are_in_any_order_and_looks_at_no_weight() {
    let text = "rounds = 1\nmodel = \"ridge\"\n[task.classification]\nclasses = 2\n[data]\nsource = \"digits\"\n\
                [aggregate]\nstrategy = \"sum\"";
    let (plan, layout) = (Arc::new(Plan::read(text, &AnyLoss).unwrap()), layout(&[2], BlockKind::Parameter));
    let sent = [(7, 1, 1.0, vec![1.0, -3e7]), (1, 2, 1.0, vec![2.5, 1.0]), (100, 0, 1.0, vec![-4.0, 3e7])];
    for order in [[0, 1, 2], [2, 1, 0]] {
        let (model, state) = round(&plan, &layout, (&State::default(), &[0.0; 2]), &sent, &order).unwrap();
        assert_eq!((model, state), (vec![-0.5, 1.0], State::default()));
    }
}

/// Several rounds with the same plan on one block, from the model 0.
fn rounds(aggregate: &str, sent: &[Vec<Sent>]) -> (Vec<f32>, State) {
    let (plan, length) = (plan(aggregate), sent[0][0].3.len());
    let layout = layout(&[length], BlockKind::Parameter);
    sent.iter().fold((vec![0.0; length], State::default()), |(model, state), sent| {
        let order: Vec<usize> = (0..sent.len()).collect();
        round(&plan, &layout, (&state, &model), sent, &order).unwrap()
    })
}

fn of(delta: &[f32]) -> Sent {
    (1, 1, 1.0, delta.to_vec())
}

fn any_sent(sites: impl Into<proptest::collection::SizeRange>, length: usize) -> impl Strategy<Value = Vec<Sent>> {
    let value = (-400i32..400).prop_map(|v| v as f32 / 64.0);
    let one = (1u32..50, 1u64..20, 0.01f64..4.0, prop::collection::vec(value, length));
    prop::collection::vec(one, sites)
}

#[test]
fn momentum_adds_up_over_rounds() {
    // Means 1, then 3: velocities 1, then 3.5; the model 1, then 4.5.
    let sent = [vec![of(&[0.0]), of(&[2.0])], vec![of(&[3.0])]];
    let (model, state) = rounds("strategy = { fedavgm = { momentum = 0.5 } }", &sent);
    assert_eq!((model, state.vector("momentum")), (vec![4.5], Some([3.5].as_slice())));
}

#[test]
fn feddyn_is_named_once_and_the_coordinator_leads_on() {
    let text = "strategy = { fedavg = { weighting = \"uniform\" } }\n[train.algorithm.feddyn]\nalpha = 0.1";
    let sent = [vec![(9, 1, 1.0, vec![1.0]), (1, 1, 1.0, vec![3.0])], vec![of(&[-5.0])]];
    // Means 2 of 2 sites of 20, then -5 of one: movements 0.2, then -0.05; steps 2.2, then -5.05.
    let (model, state) = rounds(text, &sent);
    assert!((model[0] + 2.85).abs() < 1e-6, "{model:?}");
    assert!((state.vector("movement").unwrap()[0] + 0.05).abs() < 1e-7);
}

#[test]
fn fednova_by_hand_and_with_equal_steps() {
    // Shares 1/4 and 3/4, steps 4 and 1: t_eff = 7/4; 7/4 (1/4 * 8 / 4 + 3/4 * 2 / 1) = 3.5.
    let sent = [vec![(1, 4, 1.0, vec![8.0]), (3, 1, 1.0, vec![2.0])]];
    assert_eq!(rounds("strategy = \"fednova\"", &sent).0, [3.5]);
    let equal = [vec![(1, 4, 1.0, vec![8.0]), (3, 4, 1.0, vec![2.0])]];
    assert_eq!(rounds("strategy = \"fednova\"", &equal), rounds("strategy = \"fedavg\"", &equal));
}

#[test]
fn qfedavg_takes_lipschitz_from_the_local_learning_rate() {
    // L = 1 / 0.5 = 2, q = 1: (1 * 1 + 3 * 2) / (1 + 3 + 2 (1 + 4)) = 1/2.
    let sent = [vec![(1, 1, 1.0, vec![1.0]), (1, 1, 3.0, vec![2.0])]];
    let (model, _) = rounds("strategy = { qfedavg = { q = 1.0 } }", &sent);
    assert!((model[0] - 0.5).abs() < 1e-6, "{model:?}");
    let (half, _) = rounds("strategy = { qfedavg = { q = 1.0, lipschitz = 7.2 } }", &sent);
    assert!((half[0] - 7.0 / 40.0).abs() < 1e-6, "{half:?}");
}

#[test]
fn fedgh_follows_the_steps_it_took() {
    // Updates that agree give the mean; h is 1, then 0.99 * 1 + 0.01 * 1, then moves towards 3.
    let sent = [vec![of(&[0.5]), of(&[1.5])], vec![of(&[3.0])]];
    let (model, state) = rounds("strategy = \"fedgh\"", &sent);
    assert_eq!(model, [4.0]);
    assert!((state.vector("past").unwrap()[0] - 1.02).abs() < 1e-6);
}

#[test]
fn fedgh_joins_pairs_along_the_past_direction_of_each_block() {
    let plan = plan("strategy = \"fedgh\"");
    let layout = layout(&[2, 1], BlockKind::Parameter);
    let mut state = State::default();
    state.set_vector("past", vec![1.0, 0.0, 1.0]);
    // The first block is the second example of the function's own tests; the second one agrees everywhere.
    let sent = [of(&[2.0, 0.0, 1.0]), of(&[-1.0, 1.0, 2.0]), of(&[3.0, 1.0, 3.0]), of(&[1.0, 0.0, 2.0])];
    let (model, _) = round(&plan, &layout, (&state, &[0.0; 3]), &sent, &[3, 1, 0, 2]).unwrap();
    assert!((model[0] - 1.15).abs() < 1e-5 && (model[1] - 0.8).abs() < 1e-5, "{model:?}");
    assert_eq!(model[2], 2.0);
}

#[test]
fn long_updates_are_clipped_before_they_are_combined() {
    let sent = [vec![of(&[3.0, 4.0]), of(&[0.0, 1.0])]];
    assert_eq!(rounds("clip_norm = 1.0", &sent).0, [0.3, 0.9]);
    assert_eq!(rounds("clip_norm = 1e6", &sent), rounds("", &sent));
}

#[test]
fn robust_rules_withstand_a_hostile_site_and_its_running_means() {
    let layout = layout(&[1, 1], BlockKind::State);
    let honest = (0..7).map(|i| of(&[1.0 + 0.01 * i as f32, 2.0]));
    let sent: Vec<Sent> = honest.chain([of(&[1e3, -1e3])]).collect();
    let order: Vec<usize> = (0..sent.len()).collect();
    for info in listed().filter(|i| i.family == StrategyFamily::Robust) {
        let plan = plan(&format!(
            "strategy = {{ {} = {} }}",
            info.name,
            if info.name == "trimmed_mean" { "{ trim = 0.2 }" } else { "{}" }
        ));
        let (model, _) = round(&plan, &layout, (&State::default(), &[0.0; 2]), &sent, &order).unwrap();
        // norm_clipping promises a bound only: a hostile site counts like an ordinary one.
        let most = if info.name == "norm_clipping" { 0.6 } else { 0.06 };
        assert!((model[0] - 1.03).abs() < most && (model[1] - 2.0).abs() < most, "{}: {model:?}", info.name);
    }
}

/// Two honest sites, one that sends the opposite and one that shouts; site-1 is the root, of length 5.
#[test]
fn fltrust_counts_what_agrees_with_its_root() {
    let sent = [of(&[6.0, 8.0]), of(&[3.0, 4.0]), of(&[-300.0, -400.0]), of(&[0.0, 1e6])];
    let (model, _) = rounds("strategy = { fltrust = { root = \"site-1\" } }", &[sent.to_vec()]);
    // Trust 1 and cos = 0.8, each brought to the length 5: ((3, 4) + 0.8 (0, 5)) / 1.8.
    assert!((model[0] - 3.0 / 1.8).abs() < 1e-5 && (model[1] - 8.0 / 1.8).abs() < 1e-5, "{model:?}");
    let plan = plan("strategy = { fltrust = { root = \"site-9\" } }");
    let layout = layout(&[2], BlockKind::Parameter);
    let error = round(&plan, &layout, (&State::default(), &[0.0; 2]), &sent, &[0, 1]).unwrap_err();
    assert!(matches!(error, StepError::NoRoot) && error.to_string().contains("trusted site"), "{error}");
}

#[test]
fn too_few_updates_for_a_rule_are_an_error_that_says_what_is_needed() {
    let (plan, layout) = (plan("strategy = \"krum\""), layout(&[1], BlockKind::Parameter));
    let sent = [of(&[1.0]), of(&[2.0]), of(&[3.0])];
    let error = round(&plan, &layout, (&State::default(), &[0.0]), &sent, &[0, 1, 2]).unwrap_err();
    assert!(matches!(&error, StepError::Aggregate(AggregateError::TooFew { .. })), "{error}");
}

#[test]
fn a_server_optimiser_goes_with_any_rule() {
    let sent = [vec![(9, 3, 2.0, vec![3.0]), (1, 5, 1.0, vec![1.0])], vec![(2, 1, 1.0, vec![-1.0])]];
    for strategy in ["fednova", "qfedavg", "fedgh", "principal_gradient"] {
        let with = |server: &str| rounds(&format!("strategy = \"{strategy}\"\nserver_lr = 1.0\n{server}"), &sent);
        let (plain, (momentum, state)) = (with(""), with("server = { sgd = { momentum = 0.5 } }"));
        assert_ne!(plain.0, momentum, "{strategy}");
        assert!(state.vector("momentum").is_some(), "{strategy}");
    }
}

#[test]
fn what_training_leaves_behind_is_averaged_and_not_optimised() {
    let layout = layout(&[1, 1], BlockKind::State);
    let sent = [(1, 2, 1.0, vec![1.0, 2.0]), (3, 1, 1.0, vec![1.0, 6.0])];
    for strategy in ["fedavg", "fednova", "qfedavg", "fedgh", "principal_gradient", "pcgrad", "cagrad", "fedmgda_plus"]
    {
        let plan = plan(&format!("strategy = \"{strategy}\"\nserver = \"adam\"\nserver_lr = 0.25"));
        let (model, state) = round(&plan, &layout, (&State::default(), &[0.0, 1.0]), &sent, &[1, 0]).unwrap();
        // The mean of 2 and 6 by samples is 5.
        assert_eq!(model[1], 6.0, "{strategy}");
        assert_eq!(state.vector("first_moment").unwrap()[1], 0.0, "{strategy}");
    }
}

#[test]
fn a_state_of_another_model_is_refused() {
    let (plan, layout) = (plan("strategy = \"fedavgm\""), layout(&[2], BlockKind::Parameter));
    let mut state = State::default();
    state.set_vector("momentum", vec![1.0]);
    let error = round(&plan, &layout, (&state, &[0.0; 2]), &[of(&[1.0, 1.0])], &[0]).unwrap_err();
    assert!(matches!(error, StepError::State(StateError::Length { found: 1, expected: 2, .. })), "{error}");
}

proptest! {
    #[test]
    fn no_strategy_sees_the_order_of_arrival(
        (sent, order) in any_sent(7..11, 6).prop_flat_map(|sent| {
            let order = Just((0..sent.len()).collect::<Vec<usize>>()).prop_shuffle();
            (Just(sent), order)
        }),
    ) {
        let sorted: Vec<usize> = (0..sent.len()).collect();
        let layout = layout(&[4, 2], BlockKind::Parameter);
        for info in listed() {
            let plan = plan(&format!("strategy = \"{}\"\nclip_norm = 5.0", info.name));
            let of = |order: &[usize]| round(&plan, &layout, (&State::default(), &[1.0; 6]), &sent, order).unwrap();
            let ((a, a_state), (b, b_state)) = (of(&sorted), of(&order));
            prop_assert_eq!(a.iter().map(|v| v.to_bits()).collect::<Vec<_>>(), b.iter().map(|v| v.to_bits()).collect::<Vec<_>>(), "{}", info.name);
            prop_assert_eq!(a_state, b_state, "{}", info.name);
        }
    }

    #[test]
    fn equal_updates_come_back(one in any_sent(1, 5), sites in 7usize..12) {
        let sent = [vec![one[0].clone(); sites]];
        for info in listed().filter(|i| i.family != StrategyFamily::ServerOptimiser) {
            let name = info.name;
            let options = match name {
                // Steps shrink with the size of the updates.
                "qfedavg" => "q = 0.0",
                // Steps are 1 + c times the update.
                "cagrad" => "c = 0.0",
                _ => "",
            };
            let (model, _) = rounds(&format!("strategy = {{ {name} = {{ {options} }} }}"), &sent);
            for (found, expected) in model.iter().zip(&one[0].3) {
                prop_assert!((found - expected).abs() <= 1e-5 * expected.abs().max(1e-2), "{name}: {found} {expected}");
            }
        }
    }

    #[test]
    fn settings_that_make_one_rule_another(sent in prop::collection::vec(any_sent(1..5, 3), 1..4)) {
        let plain = rounds("", &sent).0;
        for same in [
            "strategy = { fedavgm = { momentum = 0.0 } }",
            "strategy = { fedavg = { weighting = { capped = 50 } } }",
            "clip_norm = 1e6",
        ] {
            prop_assert_eq!(&rounds(same, &sent), &(plain.clone(), State::default()), "{}", same);
        }
        let uniform = rounds("strategy = { fedavg = { weighting = \"uniform\" } }", &sent).0;
        prop_assert_eq!(&rounds("strategy = { fedavg = { weighting = { capped = 1 } } }", &sent).0, &uniform);
        for (found, expected) in rounds("strategy = { qfedavg = { q = 0.0 } }", &sent).0.iter().zip(&uniform) {
            prop_assert!((found - expected).abs() <= 1e-5 * (1.0 + expected.abs()));
        }
        // With a divisor that is nearly constant, adaptive steps are the mean.
        let near = rounds("strategy = { fedadam = { beta1 = 0.0, beta2 = 0.0, tau = 1.0 } }\nserver_lr = 2.0", &[vec![of(&[1e-4])]]).0;
        prop_assert!((near[0] - 2e-4).abs() < 1e-7, "{:?}", near);
    }

    #[test]
    fn adaptive_strategies_equal_a_plain_loop(sent in prop::collection::vec(any_sent(1..5, 2), 1..5), kind in 0..3usize) {
        let (beta1, beta2, tau, lr) = (0.9, 0.99, 1e-3, 0.1);
        let name = ["fedadagrad", "fedadam", "fedyogi"][kind];
        let (found, _) = rounds(&format!("strategy = {{ {name} = {{ beta1 = {beta1}, tau = {tau} }} }}"), &sent);
        for at in 0..2 {
            let (mut x, mut m, mut v) = (0.0, 0.0, tau * tau);
            for sent in &sent {
                let weight: f64 = sent.iter().map(|s| f64::from(s.0)).sum();
                let d = sent.iter().map(|s| f64::from(s.0) * f64::from(s.3[at])).sum::<f64>() / weight;
                m = beta1 * m + (1.0 - beta1) * d;
                v = match kind {
                    0 => v + d * d,
                    1 => beta2 * v + (1.0 - beta2) * d * d,
                    _ => v - (1.0 - beta2) * d * d * (v - d * d).signum(),
                };
                x += lr * m / (v.sqrt() + tau);
            }
            prop_assert!((f64::from(found[at]) - x).abs() <= 1e-4 * (1.0 + x.abs()), "{name} {found:?} {x}");
        }
    }

    #[test]
    fn a_run_goes_on_from_saved_bytes_as_if_it_had_never_stopped(sent in prop::collection::vec(any_sent(7..9, 4), 2..4)) {
        for info in listed() {
            let (plan, layout) = (plan(&format!("strategy = \"{}\"", info.name)), layout(&[4], BlockKind::Parameter));
            let (mut model, mut state, mut saved) = (vec![0.5; 4], State::default(), State::default().to_bytes());
            for sent in &sent {
                let order: Vec<usize> = (0..sent.len()).collect();
                let restored = State::from_bytes(&saved, 2 * layout.len()).unwrap();
                let again = round(&plan, &layout, (&restored, &model), sent, &order).unwrap();
                (model, state) = round(&plan, &layout, (&state, &model), sent, &order).unwrap();
                prop_assert_eq!(&again, &(model.clone(), state.clone()), "{}", info.name);
                saved = state.to_bytes();
            }
            prop_assert_eq!(state.is_empty(), info.state == "nothing", "{}", info.name);
        }
    }
}
