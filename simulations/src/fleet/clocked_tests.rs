//! Fleets on a virtual clock, and sites that come, go and change.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use synod_client::device::DeviceChoice;
use synod_client::train::Trainer;
use synod_common::event::{EventSink, Outcome, RunEvent, Stamped};
use synod_common::plan::Plan;
use synod_coordinator::round::Ended;
use synod_coordinator::server::NoHost;

use super::tests::{plan, run, samples};
use super::{Fleet, FleetOptions, Population};

/// Keeps events with their time on the run's clock.
#[derive(Default)]
struct Log(Mutex<Vec<Stamped>>);

impl EventSink for Log {
    fn publish(&self, event: &RunEvent) {
        panic!("a run on a virtual clock stamps its events: {event:?}");
    }

    fn publish_at(&self, at_ms: u64, event: &RunEvent) {
        self.0.lock().unwrap().push(Stamped { at_ms, event: event.clone() });
    }
}

fn clocked(plan: &Arc<Plan>, threads: usize) -> (Ended, Vec<Stamped>) {
    let population = Population::new(plan, &samples(120)).unwrap();
    let trainer = Arc::new(Trainer::new(Arc::clone(plan), &DeviceChoice::Cpu).unwrap());
    let (log, stop) = (Log::default(), AtomicBool::new(false));
    let fleet =
        Fleet { plan: Arc::clone(plan), trainer, population: &population, host: &NoHost, sink: &log, stop: &stop };
    let ended = fleet.run(FleetOptions { threads }).unwrap();
    (ended, log.0.into_inner().unwrap())
}

fn rounds_of(plan: &Arc<Plan>, rounds: u32) -> Arc<Plan> {
    let mut plan = plan.as_ref().clone();
    plan.rounds = rounds;
    Arc::new(plan)
}

const FAST_AND_SLOW: &str = "[round.updates]\ntime.max = \"30s\"\ncount.min = 2\ngrace = \"5s\"\n[simulation]\nclients = 4\n\
    [[simulation.profile]]\nsamples_per_second = 10.0\nlatency = \"0s\"\nshare = 3.0\n\
    [[simulation.profile]]\nname = \"slow\"\nsamples_per_second = 1.0\nlatency = \"0s\"\n";

#[test]
fn who_is_late_on_the_clock_is_left_out_and_times_are_those_of_the_profiles() {
    // 30 samples a site, a quarter held out: 2.2 to 2.3 s of work for fast sites and 22 to 23 s for the slow one, beyond the
    // 5 s of grace after the second update.
    let (ended, events) = clocked(&plan(FAST_AND_SLOW), 2);
    assert_eq!(ended.outcome, Outcome::Completed);
    let rounds: Vec<_> = events
        .iter()
        .filter_map(|s| match &s.event {
            RunEvent::RoundCommitted { took_part, left_out, ms, .. } => Some((took_part.len(), left_out.len(), *ms)),
            _ => None,
        })
        .collect();
    assert_eq!(rounds.len(), 2);
    for (took_part, left_out, ms) in rounds {
        assert_eq!((took_part, left_out), (3, 1));
        assert!((7200..7400).contains(&ms), "the second fast update and the grace: {ms}");
    }
    let trained =
        |s: &Stamped| matches!(&s.event, RunEvent::UpdateAccepted { train_ms, .. } if (2200..2400).contains(train_ms));
    assert_eq!(events.iter().filter(|s| trained(s)).count(), 6);
    assert!(events.windows(2).all(|pair| pair[0].at_ms <= pair[1].at_ms));
}

#[test]
fn a_round_without_grace_waits_for_the_slow_one() {
    let text = FAST_AND_SLOW.replace("count.min = 2\n", "").replace("grace = \"5s\"\n", "");
    let (_, events) = clocked(&plan(&text), 2);
    let slow = |s: &&Stamped| matches!(&s.event, RunEvent::RoundCommitted { took_part, ms, .. } if took_part.len() == 4 && *ms > 20_000);
    assert_eq!(events.iter().filter(slow).count(), 2);
}

/// Everything that a profile can do at once.
const CHAOS: &str = "[round]\ncohort = 5\n[round.updates]\ntime.max = \"2m\"\ncount.min = 2\ngrace = \"20s\"\n\
    on_too_few.retry.times = 50\n[simulation]\nclients = 12\n[simulation.partition.dirichlet]\nsamples_min = 2\n\
    [[simulation.profile]]\nsigma = 0.8\nsamples_per_second = 0.5\ndropout = 0.1\ncrash = 0.2\nrestart = \"10s\"\n\
    [simulation.profile.availability.markov]\non = \"5m\"\noff = \"2m\"\n\
    [[simulation.profile]]\nsamples_per_second = 20.0\nup_mbit = 0.001\n";

#[test]
fn the_number_of_threads_changes_no_event_and_no_bit() {
    for train in ["", "algorithm = { scaffold = {} }\n"] {
        let plan = rounds_of(&plan(&format!("{train}{CHAOS}")), 8);
        let (one, events) = clocked(&plan, 1);
        assert_eq!(one.outcome, Outcome::Completed, "{train}");
        let crashed =
            |s: &Stamped| matches!(&s.event, RunEvent::RoundCommitted { left_out, .. } if !left_out.is_empty());
        assert!(events.iter().any(crashed), "nothing failed, so nothing is tested");
        for threads in [2, 5] {
            let (other, others) = clocked(&plan, threads);
            assert_eq!(other.model.digest, one.model.digest, "{threads} threads {train}");
            assert!(others == events, "{threads} threads {train}");
        }
    }
}

#[test]
fn nights_make_a_week_of_a_few_rounds() {
    // Each night has time for a round of an hour, and who is asked in the morning is late.
    let text = "[round.arrival]\ncount.min = 3\n[round.updates]\ntime.max = \"20h\"\ncount.min = 3\non_too_few = \"retry\"\n[simulation]\nclients = 4\n\
        [[simulation.profile]]\nsamples_per_second = 0.005\n[simulation.profile.availability.day_night]\nfrom = 22.0\nuntil = 4.0\n";
    let plan = rounds_of(&plan(text), 14);
    let (ended, events) = clocked(&plan, 2);
    assert_eq!(ended.outcome, Outcome::Completed);
    let days = events.last().unwrap().at_ms as f64 / 86_400_000.0;
    assert!((3.0..12.0).contains(&days), "{days} days");
}

#[test]
fn nobody_there_ends_the_run_by_the_plan() {
    let text = "[round.arrival]\ntime.max = \"1h\"\n[simulation]\nclients = 3\n[[simulation.profile]]\n\
        [simulation.profile.availability.day_night]\nfrom = 9.0\nuntil = 17.0\n";
    let (ended, events) = clocked(&plan(text), 1);
    assert!(matches!(ended.outcome, Outcome::Stopped { reason } if reason.contains("0 of 2 sites")));
    assert_eq!(events.last().unwrap().at_ms, 3_600_000);
}

#[test]
fn sites_come_and_go_by_rounds_with_and_without_a_clock() {
    let arrival = "[simulation]\nclients = 10\n[simulation.arrival]\nlate = 0.5\nfrom = 2\nuntil = 3\nleaving = 0.2\n\
        leave_from = 4\n";
    let cohorts = |events: &[RunEvent]| {
        events
            .iter()
            .filter_map(|event| match event {
                RunEvent::RoundStarted { cohort, .. } => Some(cohort.len()),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    let (outcome, model, events) = run(&rounds_of(&plan(arrival), 4), 2);
    assert_eq!((outcome, cohorts(&events)), (Outcome::Completed, vec![5, 8, 10, 8]));
    let (ended, stamped) = clocked(&rounds_of(&plan(&format!("{arrival}[[simulation.profile]]\n")), 4), 2);
    let events: Vec<RunEvent> = stamped.into_iter().map(|s| s.event).collect();
    assert_eq!(cohorts(&events), [5, 8, 10, 8]);
    assert!(ended.model.digest == model, "where nobody is late the clock changes no bit");
    assert_eq!(events.iter().filter(|event| matches!(event, RunEvent::SiteLeft { .. })).count(), 2);
}

#[test]
fn samples_that_drift_change_later_rounds_alone() {
    let first_two = |extra: &str| {
        let plan = plan(&format!("[simulation]\nclients = 3\n{extra}"));
        let one = run(&plan, 1);
        assert_eq!(run(&plan, 3).1, one.1, "{extra}");
        one.2
            .iter()
            .filter_map(|event| match event {
                RunEvent::RoundCommitted { model, .. } => Some(*model),
                _ => None,
            })
            .collect::<Vec<_>>()
    };
    let still = first_two("");
    let concept = first_two("[simulation.drift]\nwhat = \"concept\"\nfrom = 1\n");
    assert!(concept[0] == still[0] && concept[1] != still[1]);
    assert_ne!(
        first_two("[simulation.drift]\nwhat = \"labels\"\nfrom = 1\n")[0],
        still[0],
        "half of the classes at first"
    );
    let noise = "[simulation.shift.scanner]\nbias = 3.0\n";
    let inputs = first_two(&format!("{noise}[simulation.drift]\nwhat = \"inputs\"\nfrom = 1\n"));
    assert!(inputs[0] == still[0] && inputs[1] != still[1]);
    assert_ne!(first_two(noise)[0], still[0]);
}
