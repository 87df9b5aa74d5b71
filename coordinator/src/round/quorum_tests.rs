//! Counts and times of rounds, rule by rule: what keeps a round open, what closes it, and what is said of those left out.

use proptest::prelude::*;
use synod_common::event::{Outcome, RunEvent};
use synod_common::ids::RoundId;
use synod_common::status::RunPhase;

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

#[test]
fn the_status_names_what_is_waited_for() {
    let rules = "[round]\nupdates.time.max = \"5s\"\nupdates.on_too_few = { wait = { longer = \"10s\" } }\n";
    let mut rig = Rig::new(rules, &["a"]);
    let status = rig.machine.status(rig.now);
    assert_eq!(status.phase, RunPhase::Assembling);
    insta::assert_snapshot!(status.waits[0].what, @"sites: 1 of the 2 that are needed are there");
    rig.arrive("b");
    rig.update("a", 1, 1, &[1.0, 0.0]);
    rig.step(Event::Left { site: site("b"), reason: "timed out".into() });
    let status = rig.machine.status(Millis(77));
    let [wait] = status.waits.as_slice() else { panic!("{status:?}") };
    assert_eq!((&wait.who[..], wait.until, status.at), (&[site("b")][..], Millis(5_000), Millis(77)));
    insta::assert_snapshot!(format!("{}; then {}", wait.what, wait.then), @"updates of round 1: 1 of the 2 that are needed count; then with too few updates the round stays open for 10s more");
    let states: Vec<_> = status.sites.iter().map(|s| format!("{} {}", s.site, s.state)).collect();
    assert_eq!(states, ["a its update of round 1 counts", "b is not connected: timed out"]);
    rig.tick(5_000);
    assert_eq!(rig.machine.status(rig.now).waits[0].until, Millis(15_000));
}

/// What a site or the clock does next.
#[derive(Debug, Clone)]
enum Move {
    Update(usize),
    Decline(usize),
    Leave(usize),
    Come(usize),
    Pass(u64),
}

fn any_move() -> impl Strategy<Value = Move> {
    prop_oneof![
        4 => (0..5_usize).prop_map(Move::Update),
        1 => (0..5_usize).prop_map(Move::Decline),
        1 => (0..5_usize).prop_map(Move::Leave),
        1 => (0..5_usize).prop_map(Move::Come),
        3 => (1..4_000_u64).prop_map(Move::Pass),
    ]
}

/// A clock that ticks where the machine asked for it, as the drivers do.
struct Clock {
    rig: Rig,
    wake_at: Option<Millis>,
}

impl Clock {
    fn take(&mut self, actions: &[Action]) {
        for action in actions {
            match action {
                Action::WakeAt(at) => self.wake_at = Some(*at),
                Action::Commit { .. } => {
                    let next = self.rig.commit(actions);
                    return self.take(&next);
                }
                _ => {}
            }
        }
    }

    fn pass(&mut self, ms: u64) {
        let until = self.rig.now.plus(ms);
        while let Some(at) = self.wake_at.filter(|at| *at <= until) {
            self.wake_at = None;
            let actions = self.rig.tick(at.0.max(self.rig.now.0));
            self.take(&actions);
        }
        self.rig.now = until;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever sites do: a round never takes more than it may, never closes early, never stays open longer than the plan says,
    /// and at every moment something with a time limit is waited for, or something is being done.
    #[test]
    fn counts_and_times_hold_whatever_happens(
        moves in prop::collection::vec(any_move(), 0..80),
        min in 1..4_u64,
        more in 0..3_u64,
        shortest in 0..3_u64,
        rule in 0..4_usize,
        late: bool,
    ) {
        let rule = ["\"stop\"", "{ retry = { times = 2 } }", "{ wait = { longer = \"4s\" } }", "\"shrink\""][rule];
        let late = if late && !rule.contains("retry") { "\"fold\"" } else { "\"drop\"" };
        let max = min + more;
        let text = format!(
            "[round]\narrival.count.min = 3\nupdates.count = {{ min = {min}, max = {max} }}\nupdates.time = {{ min = \"{shortest}s\", max = \"6s\" }}\n\
             updates.grace = \"1s\"\nupdates.on_too_few = {rule}\nupdates.late = {late}\n"
        );
        let names = ["a", "b", "c", "d", "e"];
        let mut clock = Clock { rig: Rig::new(&text, &[]), wake_at: None };
        for name in &names[..4] {
            let actions = clock.rig.arrive(name);
            clock.take(&actions);
        }
        // A round that was open when nothing new happened keeps its beginning.
        let (mut round, mut opened, mut seen) = (1, Millis(0), 0);
        for step in moves {
            let now = clock.rig.now;
            let task = clock.rig.machine.status(now).round;
            match step {
                Move::Update(who) => {
                    let actions = clock.rig.update(names[who], task, 1, &[0.5, 0.0]);
                    clock.take(&actions);
                }
                Move::Decline(who) => {
                    let event = Event::Declined { site: site(names[who]), round: RoundId(task), reason: "no".into() };
                    let actions = clock.rig.step(event);
                    clock.take(&actions);
                }
                Move::Leave(who) => {
                    let actions = clock.rig.step(Event::Left { site: site(names[who]), reason: "gone".into() });
                    clock.take(&actions);
                }
                Move::Come(who) => {
                    let actions = clock.rig.arrive(names[who]);
                    clock.take(&actions);
                }
                Move::Pass(ms) => clock.pass(ms),
            }
            for event in &clock.rig.events[seen..] {
                match event {
                    RunEvent::RoundStarted { round: next, .. } => round = next.0,
                    RunEvent::RoundCommitted { took_part, ms, .. } => {
                        let folded = clock.rig.events.iter().filter(|e| matches!(e, RunEvent::UpdateLate { weight: Some(_), .. })).count();
                        prop_assert!(took_part.len() as u64 <= max + folded as u64);
                        prop_assert!(*ms >= shortest * 1000, "closed after {ms} ms");
                        prop_assert!(*ms <= 10_000, "open for {ms} ms");
                    }
                    _ => {}
                }
            }
            seen = clock.rig.events.len();
            let status = clock.rig.machine.status(clock.rig.now);
            if status.phase != RunPhase::Done {
                prop_assert!(!status.waits.is_empty() || !status.doing.is_empty(), "{status:?}");
                prop_assert!(status.waits.iter().all(|w| w.until > clock.rig.now), "overdue: {status:?}");
                opened = status.waits.first().map_or(opened, |w| w.since);
                prop_assert!(status.round >= round);
            }
        }
        prop_assert!(opened <= clock.rig.now);
        // Left alone, it ends.
        for _ in 0..20 {
            clock.pass(700_000);
        }
        prop_assert!(clock.rig.machine.outcome().is_some() || clock.rig.machine.status(clock.rig.now).doing.len() == 1);
    }
}
