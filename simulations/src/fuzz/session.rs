//! The session machine under any sequence of events, also those that no driver gives.

use synod_client::session::{Fault, Finish, JobKey, Kept, Product, Rules, Session, SessionAction, SessionEvent};
use synod_common::ids::{Digest, RoundId};
use synod_common::time::Millis;
use synod_common::wire::{Answer, Progress, TaskKind};

use super::input::Input;

/// Each event is a few bytes.
pub(super) fn session(bytes: &[u8]) {
    let mut input = Input(bytes);
    let mut session = Session::new(Rules { unreachable_ms_max: input.long() % 100_000, spread: input.byte() });
    let (mut now, mut is_over, mut actions) = (0_u64, false, Vec::new());
    while !input.is_over() {
        now = match input.below(16) {
            0 => u64::MAX - 1_000,
            1 => now.saturating_add(60_000),
            ms => now.saturating_add(u64::from(ms) * 50),
        };
        let event = event(&mut input);
        let sent = if let SessionEvent::Answered { key, .. } = &event { Some(*key) } else { None };
        let in_hand = session.in_hand();
        session.step(Millis(now), event, &mut actions);
        for action in actions.drain(..) {
            assert!(!is_over, "{action:?} after the end");
            match action {
                SessionAction::End(_) => is_over = true,
                SessionAction::Upload(key) => assert_eq!(session.in_hand(), Some(key), "what is sent is in hand"),
                SessionAction::Start { key, .. } => {
                    assert_eq!(session.in_hand(), Some(key), "what is begun is in hand");
                }
                SessionAction::Forget(key) => {
                    assert!(sent.is_none_or(|sent| sent == key) && in_hand == Some(key), "forgets what is not in hand");
                }
                SessionAction::WakeAt(at) => assert!(at >= Millis(now), "a wake-up in the past"),
                SessionAction::Connect
                | SessionAction::Cancel(_)
                | SessionAction::Store(_)
                | SessionAction::Report(_)
                | SessionAction::SendMetrics(_)
                | SessionAction::Decline { .. }
                | SessionAction::Tell(_) => {}
            }
        }
    }
}

fn event(input: &mut Input<'_>) -> SessionEvent {
    let reason = String::new;
    let key = JobKey { round: RoundId(u64::from(input.below(3))), model: Digest([input.below(2); 32]) };
    let product = Product { key, loss: None };
    match input.below(32) {
        0 => SessionEvent::Start,
        1..=4 => SessionEvent::Tick,
        5..=8 => SessionEvent::Greeted {
            plan: Digest([input.below(2); 32]),
            kept: [Kept::Nothing, Kept::Begun(key), Kept::Update(product)][usize::from(input.below(3))],
        },
        9 | 10 => SessionEvent::Disconnected { fault: Fault::Passing, reason: reason() },
        11..=15 => SessionEvent::Task {
            key,
            kind: [TaskKind::Train, TaskKind::Evaluate][usize::from(input.below(2))],
            due: Millis(input.long()),
        },
        16 => SessionEvent::BadTask { round: key.round, reason: reason() },
        17 => SessionEvent::Progress {
            key,
            progress: Progress { round: key.round, step: input.long(), steps: input.long(), loss: 0.0 },
        },
        18..=20 => SessionEvent::Trained(product),
        21 => SessionEvent::Measured(key),
        22 => SessionEvent::Failed { key, reason: reason() },
        23 | 24 => SessionEvent::Stored(key),
        25 => SessionEvent::NotStored { key, reason: reason() },
        26..=28 => SessionEvent::Answered {
            key,
            answer: match input.below(3) {
                0 => Answer::Accepted,
                1 => Answer::Refused { reason: reason() },
                _ => Answer::Damaged { reason: reason() },
            },
        },
        29 => SessionEvent::UploadBroke { key, reason: reason() },
        30 => SessionEvent::Start,
        _ => match input.below(64) {
            0 => SessionEvent::Finished(Finish { completed: true, reason: reason(), model: key.model }),
            1 => SessionEvent::Interrupt,
            2 => SessionEvent::Unfit { reason: reason() },
            3 => SessionEvent::Disconnected { fault: Fault::Lasting, reason: reason() },
            _ => SessionEvent::Tick,
        },
    }
}
