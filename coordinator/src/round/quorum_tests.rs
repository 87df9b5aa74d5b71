//! Counts and times of rounds, rule by rule: what keeps a round open, what closes it, and what is said of those left out.

use synod_common::event::{Outcome, RunEvent};
use synod_common::ids::RoundId;

use super::tests::{Rig, closed, refusal, site, tasks};
use super::{Action, Event, Millis};

impl Rig {
    fn tick(&mut self, ms: u64) -> Vec<Action> {
        self.now = Millis(ms);
        self.step(Event::Tick)
    }

    fn stopped(&self) -> &str {
        match self.machine.outcome() {
            Some(Outcome::Stopped { reason }) => reason,
            other => panic!("the run should have stopped, not {other:?}"),
        }
    }

    /// What the last round says of who was left out.
    fn left_out(&self) -> Vec<String> {
        let last = self.events.iter().rev().find_map(|e| match e {
            RunEvent::RoundCommitted { left_out, .. } => Some(left_out),
            _ => None,
        });
        last.expect("a round was committed").iter().map(|l| format!("{}: {}", l.site, l.reason)).collect()
    }
}

#[test]
fn the_first_round_waits_for_more_sites_until_its_time_or_its_count() {
    let arrival = "[round.arrival]\ncount = { min = 2, max = 4 }\ntime = { min = \"5s\", max = \"9s\" }\n";
    let mut rig = Rig::new(arrival, &["a", "b", "c"]);
    assert!(tasks(&rig.tick(4_999)).is_empty(), "three are there, one more may come");
    assert_eq!(tasks(&rig.tick(5_000)).len(), 3);
    let mut rig = Rig::new(arrival, &["a", "b", "c"]);
    assert_eq!(tasks(&rig.arrive("d")).len(), 4, "no more are waited for");
    let mut rig = Rig::new(arrival, &["a"]);
    rig.tick(5_000);
    assert_eq!(tasks(&rig.arrive("b")).len(), 2, "the second comes late, and is enough");
}

#[test]
fn a_full_round_that_must_stay_open_refuses_what_comes_then() {
    let rules = "[round]\narrival.count.min = 3\nupdates.count = { min = 1, max = 2 }\nupdates.time = { min = \"2s\", max = \"9s\" }\nupdates.grace = \"9s\"\n";
    let mut rig = Rig::new(rules, &["a", "b", "c"]);
    assert!(!closed(&rig.update("a", 1, 1, &[1.0, 0.0])));
    assert!(!closed(&rig.update("b", 1, 1, &[3.0, 0.0])), "full, but not two seconds old");
    assert!(refusal(&rig.update("c", 1, 1, &[9.0, 9.0])).contains("takes 2 updates and has them"));
    assert!(!closed(&rig.tick(1_999)));
    let actions = rig.tick(2_000);
    rig.commit(&actions);
    assert_eq!(&rig.machine.model().values[..], [2.0, 10.0]);
    assert_eq!(rig.left_out().len(), 1, "{:?}", rig.left_out());
}

#[test]
fn a_count_closes_a_round_before_its_grace_is_over() {
    let rules = "[round]\narrival.count.min = 3\nupdates.count = { min = 1, max = 2 }\nupdates.grace = \"9s\"\n";
    let mut rig = Rig::new(rules, &["a", "b", "c"]);
    rig.update("a", 1, 1, &[1.0, 0.0]);
    let actions = rig.update("b", 1, 1, &[3.0, 0.0]);
    assert!(closed(&actions));
    rig.commit(&actions);
    assert_eq!(rig.left_out(), ["c: no update after 0.0 s"]);
}

#[test]
fn a_round_does_not_close_before_its_time_also_when_everyone_answered() {
    let mut rig = Rig::new("[round]\nupdates.time.min = \"3s\"\n", &["a", "b"]);
    rig.update("a", 1, 1, &[1.0, 0.0]);
    assert!(!closed(&rig.update("b", 1, 1, &[1.0, 0.0])));
    assert!(!closed(&rig.tick(2_999)));
    assert!(closed(&rig.tick(3_000)));
}

#[test]
fn shrink_goes_on_with_fewer_and_says_so_down_to_its_floor() {
    let rules =
        "[round]\narrival.count.min = 3\nupdates.time.max = \"5s\"\nupdates.on_too_few = { shrink = { floor = 2 } }\n";
    let mut rig = Rig::new(rules, &["a", "b", "c"]);
    rig.update("a", 1, 1, &[1.0, 0.0]);
    rig.update("b", 1, 1, &[3.0, 0.0]);
    let actions = rig.tick(5_000);
    let shrunk = rig.events.iter().find(|e| matches!(e, RunEvent::RoundShrunk { .. }));
    let Some(RunEvent::RoundShrunk { updates: 2, updates_min: 3, left_out, .. }) = shrunk else {
        panic!("the round should say that it shrinks: {shrunk:?}")
    };
    assert_eq!(left_out[0].site, site("c"));
    rig.commit(&actions);
    assert_eq!(rig.left_out(), ["c: no update after 5.0 s"]);
    rig.update("a", 2, 1, &[1.0, 0.0]);
    rig.tick(10_000);
    insta::assert_snapshot!(rig.stopped(), @"round 2 has 1 of the 3 updates it needs (b: no update after 5.0 s; c: no update after 5.0 s); the model of round 1 is kept");
}

#[test]
fn wait_keeps_the_round_open_for_late_and_new_sites_and_ends() {
    let rules = "[round]\nupdates.time.max = \"5s\"\nupdates.on_too_few = { wait = { longer = \"10s\" } }\n";
    let mut rig = Rig::new(rules, &["a", "b"]);
    rig.update("a", 1, 1, &[1.0, 0.0]);
    assert!(tasks(&rig.arrive("c")).is_empty(), "a round with time left takes nobody new");
    let actions = rig.tick(5_000);
    assert_eq!(tasks(&actions).len(), 1, "now c is asked as well");
    assert!(rig.events.iter().any(|e| matches!(e, RunEvent::RoundExtended { deadline_ms: 10_000, updates: 1, .. })));
    rig.now = Millis(9_000);
    let actions = rig.update("c", 1, 1, &[3.0, 0.0]);
    rig.commit(&actions);
    assert_eq!(&rig.machine.model().values[..], [2.0, 10.0]);
    // In the next round nobody comes, and the waiting has an end.
    for ms in [14_000, 23_999] {
        rig.tick(ms);
        assert!(rig.machine.outcome().is_none());
    }
    rig.tick(24_000);
    assert!(rig.stopped().starts_with("round 2 has 0 of the 3 updates it needs"), "{}", rig.stopped());
}

#[test]
fn a_round_that_nobody_can_fill_waits_for_someone_to_come() {
    let rules = "[round]\nupdates.count.min = 2\nupdates.on_too_few = { wait = { longer = \"10s\" } }\n";
    let mut rig = Rig::new(rules, &["a", "b"]);
    rig.update("a", 1, 1, &[1.0, 0.0]);
    rig.step(Event::Declined { site: site("b"), round: RoundId(1), reason: "no samples".into() });
    assert!(rig.machine.outcome().is_none(), "everyone answered, and one more is waited for");
    assert_eq!(tasks(&rig.arrive("c")).len(), 1);
    assert!(closed(&rig.update("c", 1, 1, &[1.0, 0.0])));
}
