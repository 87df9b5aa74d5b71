//! What holds whatever happens in whatever order.

use std::collections::BTreeSet;

use proptest::prelude::*;
use synod_common::ids::Digest;
use synod_common::time::Millis;
use synod_common::wire::{Answer, Progress, TaskKind};

use super::super::actions::{Fault, Finish, JobKey, Kept, SessionAction, SessionEvent};
use super::transcripts::{key, product};
use super::{Delivery, Hand, Line, Rules, Session};

fn kind() -> impl Strategy<Value = TaskKind> {
    prop_oneof![4 => Just(TaskKind::Train), 1 => Just(TaskKind::Evaluate)]
}

fn event() -> impl Strategy<Value = SessionEvent> {
    let round = || 1..4_u64;
    let text = String::new;
    prop_oneof![
        1 => Just(SessionEvent::Start),
        6 => Just(SessionEvent::Tick),
        6 => (prop_oneof![9 => Just(1_u8), 1 => Just(2)], 0..3_u8, round()).prop_map(|(plan, kept, round)| SessionEvent::Greeted {
            plan: Digest([plan; 32]),
            kept: match kept {
                0 => Kept::Nothing,
                1 => Kept::Begun(key(round)),
                _ => Kept::Update(product(round)),
            },
        }),
        3 => Just(SessionEvent::Disconnected { fault: Fault::Passing, reason: text() }),
        8 => (round(), kind(), 0..100_000_u64)
            .prop_map(|(round, kind, due)| SessionEvent::Task { key: key(round), kind, due: Millis(due) }),
        1 => round().prop_map(|round| SessionEvent::BadTask { round: key(round).round, reason: String::new() }),
        2 => round().prop_map(|round| SessionEvent::Progress {
            key: key(round),
            progress: Progress { round: key(round).round, step: 1, steps: 2, loss: f64::NAN },
        }),
        4 => round().prop_map(|round| SessionEvent::Trained(product(round))),
        2 => round().prop_map(|round| SessionEvent::Measured(key(round))),
        1 => round().prop_map(|round| SessionEvent::Failed { key: key(round), reason: String::new() }),
        4 => round().prop_map(|round| SessionEvent::Stored(key(round))),
        1 => round().prop_map(|round| SessionEvent::NotStored { key: key(round), reason: String::new() }),
        6 => (round(), 0..5_u8).prop_map(|(round, answer)| SessionEvent::Answered {
            key: key(round),
            answer: match answer {
                0 => Answer::Refused { reason: String::new() },
                1 => Answer::Damaged { reason: String::new() },
                _ => Answer::Accepted,
            },
        }),
        2 => round().prop_map(|round| SessionEvent::UploadBroke { key: key(round), reason: String::new() }),
    ]
}

fn last() -> impl Strategy<Value = SessionEvent> {
    let finish = Finish { completed: true, reason: String::new(), model: Digest([0; 32]) };
    prop_oneof![
        Just(SessionEvent::Finished(finish)),
        Just(SessionEvent::Interrupt),
        Just(SessionEvent::Unfit { reason: String::new() }),
        Just(SessionEvent::Disconnected { fault: Fault::Lasting, reason: String::new() }),
    ]
}

/// What a driver knows.
#[derive(Default)]
struct Driver {
    connecting: bool,
    uploading: Option<JobKey>,
    working: Option<(JobKey, TaskKind)>,
    storing: Option<JobKey>,
    /// Since another task came.
    accepted: BTreeSet<JobKey>,
    wake_at: Option<Millis>,
    plan: Option<Digest>,
    ended: bool,
}

impl Driver {
    /// What the event is to a driver that does not invent results: whether it can happen at all.
    fn allows(&self, event: &SessionEvent) -> bool {
        match event {
            SessionEvent::Trained(product) => self.working == Some((product.key, TaskKind::Train)),
            SessionEvent::Measured(key) => self.working == Some((*key, TaskKind::Evaluate)),
            SessionEvent::Failed { key, .. } => self.working.is_some_and(|(working, _)| working == *key),
            SessionEvent::Stored(key) | SessionEvent::NotStored { key, .. } => self.storing == Some(*key),
            SessionEvent::Answered { key, .. } | SessionEvent::UploadBroke { key, .. } => self.uploading == Some(*key),
            SessionEvent::Greeted { .. } => self.connecting,
            _ => true,
        }
    }

    fn before(&mut self, event: &SessionEvent) {
        match event {
            SessionEvent::Greeted { plan, .. } => {
                self.connecting = false;
                if self.plan.replace(*plan) != Some(*plan) {
                    // What is written of the old plan is of no interest to the new one.
                    (self.storing, self.accepted) = (None, BTreeSet::new());
                }
            }
            SessionEvent::Disconnected { .. } => (self.connecting, self.uploading) = (false, None),
            SessionEvent::Answered { key, answer } => {
                self.uploading = None;
                if *answer == Answer::Accepted {
                    self.accepted.insert(*key);
                }
            }
            SessionEvent::UploadBroke { .. } => self.uploading = None,
            SessionEvent::Trained(_) | SessionEvent::Measured(_) | SessionEvent::Failed { .. } => self.working = None,
            SessionEvent::Stored(_) | SessionEvent::NotStored { .. } => self.storing = None,
            SessionEvent::Task { key, .. } => self.accepted.retain(|accepted| accepted == key),
            _ => {}
        }
    }

    fn after(&mut self, action: &SessionAction) {
        assert!(!self.ended, "{action:?} after the end");
        match action {
            SessionAction::Connect => {
                assert!(!self.connecting, "connects twice at once");
                (self.connecting, self.wake_at) = (true, None);
            }
            SessionAction::Upload(key) => {
                assert_eq!(self.uploading, None, "two uploads at once");
                assert_eq!(self.storing, None, "an update is durable before it is sent");
                self.uploading = Some(*key);
            }
            SessionAction::Start { key, kind, .. } => {
                assert_eq!(self.working, None, "two jobs at once");
                assert!(*kind == TaskKind::Evaluate || !self.accepted.contains(key), "trains what was accepted");
                self.working = Some((*key, *kind));
            }
            SessionAction::Cancel(key) => {
                assert_eq!(self.working.take().map(|(key, _)| key), Some(*key), "cancels what does not run");
            }
            SessionAction::Store(key) => {
                assert_eq!(self.storing, None);
                self.storing = Some(*key);
            }
            SessionAction::Forget(key) => {
                self.uploading = self.uploading.filter(|uploading| uploading != key);
                self.storing = self.storing.filter(|storing| storing != key);
                self.accepted.remove(key);
            }
            SessionAction::WakeAt(at) => self.wake_at = Some(*at),
            SessionAction::End(_) => self.ended = true,
            SessionAction::Report(_)
            | SessionAction::SendMetrics(_)
            | SessionAction::Decline { .. }
            | SessionAction::Tell(_) => {}
        }
    }
}

/// Whatever the session waits for ends by itself: an attempt and a line by QUIC's limits, a pause by the wake-up.
fn waits_for_something(session: &Session, driver: &Driver) -> bool {
    match &session.line {
        Line::None => true,
        Line::Over => driver.ended,
        Line::Connecting(_) => driver.connecting,
        Line::Waiting { until, .. } => driver.wake_at == Some(*until),
        Line::Online { .. } => match &session.hand {
            Hand::Update { delivery: Delivery::Sending { .. }, product, .. } => driver.uploading == Some(product.key),
            Hand::Update { delivery: Delivery::Paused { until, .. }, .. } => driver.wake_at == Some(*until),
            Hand::Working { key, kind, .. } => driver.working == Some((*key, *kind)),
            Hand::Storing { product, .. } => driver.storing == Some(product.key),
            Hand::Update { .. } | Hand::Nothing | Hand::Begun(_) | Hand::Metrics { .. } => true,
        },
    }
}

fn play(events: impl IntoIterator<Item = (u64, SessionEvent)>, strict: bool) {
    let mut session = Session::new(Rules { unreachable_ms_max: 20_000, spread: 0 });
    let (mut driver, mut now) = (Driver::default(), 0);
    for (passed, event) in std::iter::once((0, SessionEvent::Start)).chain(events) {
        now += passed;
        let mut actions = Vec::new();
        if !strict {
            session.step(Millis(now), event, &mut actions);
            continue;
        }
        if driver.ended || !driver.allows(&event) {
            continue;
        }
        driver.before(&event);
        session.step(Millis(now), event.clone(), &mut actions);
        actions.iter().for_each(|action| driver.after(action));
        assert!(waits_for_something(&session, &driver), "after {event:?}: {session:?}");
    }
}

proptest! {
    #[test]
    fn one_upload_and_one_job_at_a_time_nothing_twice_and_always_something_to_wait_for(
        events in proptest::collection::vec((0..3000_u64, event()), 0..120),
        end in last(),
    ) {
        play(events.into_iter().chain([(1, end.clone()), (1, end)]), true);
    }

    #[test]
    fn no_events_in_any_order_make_it_panic(
        events in proptest::collection::vec((0..u64::MAX / 1000, prop_oneof![20 => event(), 1 => last()]), 0..100),
    ) {
        play(events, false);
    }
}
