//! Each rule as a story: what goes in, what comes out.

use synod_common::ids::{Digest, RoundId};
use synod_common::time::Millis;
use synod_common::wire::{Answer, Progress, TaskKind};

use super::super::actions::{
    Begin, Fault, Finish, JobKey, Kept, Product, SessionAction, SessionEnd, SessionEvent, SiteEvent,
};
use super::{Rules, Session};

const PLAN: Digest = Digest([7; 32]);
const DUE: Millis = Millis(60_000);

pub(super) fn key(round: u64) -> JobKey {
    JobKey { round: RoundId(round), model: Digest([round as u8; 32]) }
}

pub(super) fn product(round: u64) -> Product {
    Product { key: key(round), loss: Some(0.5) }
}

fn session() -> Session {
    Session::new(Rules { unreachable_ms_max: 10_000, spread: 255 })
}

struct Story(Session, u64);

impl Story {
    fn begin() -> Self {
        let mut story = Self(session(), 0);
        assert_eq!(story.step(SessionEvent::Start), [SessionAction::Connect]);
        story
    }

    fn online(kept: Kept) -> Self {
        let mut story = Self::begin();
        assert_eq!(story.step(SessionEvent::Greeted { plan: PLAN, kept }), []);
        story
    }

    fn step(&mut self, event: SessionEvent) -> Vec<SessionAction> {
        let mut out = Vec::new();
        self.0.step(Millis(self.1), event, &mut out);
        out
    }

    fn task(&mut self, round: u64, kind: TaskKind) -> Vec<SessionAction> {
        self.step(SessionEvent::Task { key: key(round), kind, due: DUE })
    }

    fn lose(&mut self) -> Vec<SessionAction> {
        self.step(SessionEvent::Disconnected { fault: Fault::Passing, reason: "gone".to_owned() })
    }

    /// Waits out the pause and is greeted again.
    fn return_at(&mut self, at: u64) -> Vec<SessionAction> {
        self.1 = at;
        assert_eq!(self.step(SessionEvent::Tick), [SessionAction::Connect]);
        self.step(SessionEvent::Greeted { plan: PLAN, kept: Kept::Nothing })
    }

    fn answer(&mut self, round: u64, answer: Answer) -> Vec<SessionAction> {
        self.step(SessionEvent::Answered { key: key(round), answer })
    }

    /// Online with the update of round 1 on its way.
    fn sending() -> Self {
        let mut story = Self::online(Kept::Nothing);
        story.task(1, TaskKind::Train);
        story.step(SessionEvent::Trained(product(1)));
        assert_eq!(story.step(SessionEvent::Stored(key(1))), [SessionAction::Upload(key(1))]);
        story
    }
}

fn started(round: u64, begin: Begin) -> [SessionAction; 2] {
    [
        SessionAction::Tell(SiteEvent::TaskStarted { round: RoundId(round), trains: true }),
        SessionAction::Start { key: key(round), kind: TaskKind::Train, begin },
    ]
}

fn refused(reason: &str) -> Answer {
    Answer::Refused { reason: reason.to_owned() }
}

#[test]
fn a_quiet_round_is_trained_made_durable_sent_and_forgotten_with_the_next_task() {
    let mut story = Story::online(Kept::Nothing);
    assert_eq!(story.task(1, TaskKind::Train), started(1, Begin::Anew));
    let progress = Progress { round: RoundId(1), step: 1, steps: 2, loss: 0.7 };
    let moved = SessionEvent::Progress { key: key(1), progress: progress.clone() };
    assert_eq!(story.step(moved), [SessionAction::Report(progress)]);
    assert_eq!(story.step(SessionEvent::Trained(product(1))), [SessionAction::Store(key(1))]);
    assert_eq!(story.step(SessionEvent::Stored(key(1))), [SessionAction::Upload(key(1))]);
    let accepted = SiteEvent::Accepted { round: RoundId(1), loss: Some(0.5) };
    assert_eq!(story.answer(1, Answer::Accepted), [SessionAction::Tell(accepted)]);
    let next = story.task(2, TaskKind::Train);
    assert_eq!(next[0], SessionAction::Forget(key(1)));
    assert_eq!(next[1..], started(2, Begin::Anew));
}

#[test]
fn a_training_outlives_the_line_and_its_update_is_sent_at_the_return() {
    let mut story = Story::online(Kept::Nothing);
    story.task(1, TaskKind::Train);
    let lost = story.lose();
    assert!(matches!(&lost[..], [SessionAction::Tell(SiteEvent::Retrying { .. }), SessionAction::WakeAt(Millis(200))]));
    let progress = Progress { round: RoundId(1), step: 1, steps: 2, loss: 0.7 };
    assert_eq!(story.step(SessionEvent::Progress { key: key(1), progress }), [], "nobody to tell");
    story.step(SessionEvent::Trained(product(1)));
    assert_eq!(story.step(SessionEvent::Stored(key(1))), []);
    assert_eq!(story.return_at(200), [SessionAction::Upload(key(1))], "without waiting for the model to come again");
    assert_eq!(story.task(1, TaskKind::Train), [], "it is on its way");
}

#[test]
fn an_upload_that_the_line_ended_goes_on_over_the_next_one() {
    let mut story = Story::sending();
    story.lose();
    assert_eq!(story.return_at(200), [SessionAction::Upload(key(1))]);
}

#[test]
fn an_upload_that_broke_over_a_line_that_stands_goes_on_after_growing_pauses() {
    let mut story = Story::sending();
    let broke = || SessionEvent::UploadBroke { key: key(1), reason: "too slow".to_owned() };
    for (at, until) in [(0, 200), (200, 600), (600, 1400)] {
        story.1 = at;
        assert_eq!(story.step(broke())[1], SessionAction::WakeAt(Millis(until)));
        assert_eq!(story.step(SessionEvent::Tick), [SessionAction::WakeAt(Millis(until))], "not yet");
        story.1 = until;
        assert_eq!(story.step(SessionEvent::Tick), [SessionAction::Upload(key(1))]);
    }
}

#[test]
fn after_a_restart_a_task_is_answered_from_disk_without_training() {
    let mut story = Story::online(Kept::Update(product(1)));
    let answered = SessionAction::Tell(SiteEvent::AnsweredFromKept { round: RoundId(1) });
    assert_eq!(story.task(1, TaskKind::Train), [answered, SessionAction::Upload(key(1))]);
}

#[test]
fn after_a_restart_a_training_that_had_begun_goes_on() {
    let mut story = Story::online(Kept::Begun(key(1)));
    assert_eq!(story.task(1, TaskKind::Train), started(1, Begin::Continued));
}

#[test]
fn what_was_kept_for_another_round_or_model_is_dropped_with_a_line() {
    let other_model = Product { key: JobKey { model: Digest([9; 32]), ..key(2) }, loss: None };
    for kept in [Kept::Update(product(1)), Kept::Begun(key(1)), Kept::Update(other_model)] {
        let mut story = Story::online(kept);
        let said = story.task(2, TaskKind::Train);
        assert!(matches!(&said[0], SessionAction::Tell(SiteEvent::Dropped { .. })), "{said:?}");
        assert!(matches!(&said[1], SessionAction::Forget(_)), "{said:?}");
        assert_eq!(said[2..], started(2, Begin::Anew));
    }
}

#[test]
fn a_refused_update_is_dropped_but_not_before_this_coordinator_asked_for_it() {
    let mut story = Story::sending();
    let told = SessionAction::Tell(SiteEvent::Refused { round: RoundId(1), reason: "too late".to_owned() });
    assert_eq!(story.answer(1, refused("too late")), [told, SessionAction::Forget(key(1))]);
    let mut story = Story::sending();
    story.lose();
    story.return_at(200);
    assert_eq!(story.answer(1, refused("no round is open")), [], "it was started again and will ask");
    let said = story.task(1, TaskKind::Train);
    assert_eq!(said[1], SessionAction::Upload(key(1)), "{said:?}");
}

#[test]
fn an_update_on_its_way_is_let_through_before_another_task_begins() {
    for answer in [Answer::Accepted, refused("too late")] {
        let mut story = Story::sending();
        assert_eq!(story.task(2, TaskKind::Train), []);
        assert_eq!(story.0.next_task(), Some(key(2)));
        let said = story.answer(1, answer);
        assert!(said.contains(&SessionAction::Forget(key(1))), "{said:?}");
        assert_eq!(said[said.len() - 2..], started(2, Begin::Anew));
    }
    // One that does not get through is dropped for it.
    let mut story = Story::sending();
    story.task(2, TaskKind::Train);
    let said = story.step(SessionEvent::UploadBroke { key: key(1), reason: "too slow".to_owned() });
    assert!(matches!(&said[0], SessionAction::Tell(SiteEvent::Dropped { .. })), "{said:?}");
    assert_eq!(said[said.len() - 2..], started(2, Begin::Anew));
    // A line that breaks brings the task again.
    let mut story = Story::sending();
    story.task(2, TaskKind::Train);
    story.lose();
    assert_eq!(story.0.next_task(), None);
    assert_eq!(story.return_at(200), [SessionAction::Upload(key(1))]);
    assert_eq!(story.task(2, TaskKind::Train), []);
}

/// An answer that is about nothing in hand made a task that waited begin, and dropped the update that was being made durable
/// before it. Found by fuzzing.
#[test]
fn an_answer_about_something_else_does_not_begin_the_next_task() {
    let mut story = Story::online(Kept::Nothing);
    story.task(1, TaskKind::Train);
    story.step(SessionEvent::Trained(product(1)));
    assert_eq!(story.task(2, TaskKind::Train), [], "the update of round 1 goes first");
    assert_eq!(story.answer(3, Answer::Accepted), []);
    assert_eq!(story.step(SessionEvent::Stored(key(1))), [SessionAction::Upload(key(1))]);
}

#[test]
fn a_damaged_update_is_sent_three_times() {
    let mut story = Story::sending();
    let damaged = || Answer::Damaged { reason: "bits".to_owned() };
    assert_eq!(story.answer(1, damaged()), [SessionAction::Upload(key(1))]);
    assert_eq!(story.answer(1, damaged()), [SessionAction::Upload(key(1))]);
    let said = story.answer(1, damaged());
    assert_eq!(said[0], SessionAction::Forget(key(1)));
    assert!(matches!(&said[1], SessionAction::Decline { .. }));
}

#[test]
fn a_round_that_is_tried_again_gets_the_update_that_counted_before() {
    let mut story = Story::sending();
    story.answer(1, Answer::Accepted);
    let said = story.task(1, TaskKind::Train);
    assert_eq!(said[1], SessionAction::Upload(key(1)), "{said:?}");
}

#[test]
fn an_update_that_cannot_be_kept_is_sent_all_the_same() {
    let mut story = Story::online(Kept::Nothing);
    story.task(1, TaskKind::Train);
    story.step(SessionEvent::Trained(product(1)));
    let said = story.step(SessionEvent::NotStored { key: key(1), reason: "the disk is full".to_owned() });
    assert!(matches!(&said[0], SessionAction::Tell(SiteEvent::NotKept { .. })));
    assert_eq!(said[1..], [SessionAction::Upload(key(1))]);
}

#[test]
fn another_task_ends_the_job_and_what_it_still_says_is_not_heard() {
    let mut story = Story::online(Kept::Nothing);
    story.task(1, TaskKind::Train);
    let said = story.task(2, TaskKind::Evaluate);
    assert!(said.contains(&SessionAction::Cancel(key(1))) && said.contains(&SessionAction::Forget(key(1))));
    assert_eq!(story.step(SessionEvent::Trained(product(1))), []);
    assert_eq!(story.step(SessionEvent::Failed { key: key(1), reason: "x".to_owned() }), []);
    assert_eq!(story.step(SessionEvent::Measured(key(2))), [SessionAction::SendMetrics(key(2))]);
    assert_eq!(story.task(2, TaskKind::Evaluate), [SessionAction::SendMetrics(key(2))], "asked again");
}

#[test]
fn a_job_that_fails_is_declined_and_may_be_asked_for_again() {
    let mut story = Story::online(Kept::Nothing);
    story.task(1, TaskKind::Train);
    let said = story.step(SessionEvent::Failed { key: key(1), reason: "diverged".to_owned() });
    assert_eq!(said[0], SessionAction::Decline { round: RoundId(1), reason: "diverged".to_owned() });
    assert_eq!(story.task(1, TaskKind::Train), started(1, Begin::Anew));
}

#[test]
fn the_session_gives_up_after_its_patience_but_not_before_a_task_in_hand_is_due() {
    let mut idle = Story::online(Kept::Nothing);
    idle.1 = 1000;
    idle.lose();
    let mut at_work = Story::online(Kept::Nothing);
    at_work.task(1, TaskKind::Train);
    at_work.lose();
    for (story, end) in [(&mut idle, 11_000), (&mut at_work, DUE.0)] {
        let ended = loop {
            story.1 = match story.step(SessionEvent::Tick)[..] {
                [SessionAction::WakeAt(until)] => until.0,
                _ => story.1,
            };
            if let [SessionAction::End(ended)] | [_, SessionAction::End(ended)] = &story.lose()[..] {
                break ended.clone();
            }
        };
        assert!(matches!(ended, SessionEnd::Unreachable { .. }));
        assert_eq!(story.1, end);
    }
}

#[test]
fn what_will_not_get_better_ends_the_session_at_once() {
    let mut story = Story::begin();
    let refusal = SessionEvent::Disconnected { fault: Fault::Lasting, reason: "unknown authority".to_owned() };
    let reason = "unknown authority".to_owned();
    assert_eq!(story.step(refusal), [SessionAction::End(SessionEnd::Refused { reason })]);
    let mut story = Story::begin();
    let reason = "no samples".to_owned();
    let unfit = SessionEvent::Unfit { reason: reason.clone() };
    assert_eq!(story.step(unfit), [SessionAction::End(SessionEnd::Unfit { reason })]);
    assert_eq!(story.step(SessionEvent::Start), [], "over is over");
}

#[test]
fn a_run_that_is_done_leaves_nothing_and_one_that_was_stopped_leaves_the_update() {
    for completed in [true, false] {
        let mut story = Story::sending();
        let finish = Finish { completed, reason: "so".to_owned(), model: PLAN };
        let said = story.step(SessionEvent::Finished(finish.clone()));
        assert_eq!(said.contains(&SessionAction::Forget(key(1))), completed);
        assert_eq!(said.last(), Some(&SessionAction::End(SessionEnd::Finished(finish))));
    }
    let mut story = Story::online(Kept::Nothing);
    story.task(1, TaskKind::Train);
    let said = story.step(SessionEvent::Interrupt);
    assert_eq!(said, [SessionAction::Cancel(key(1)), SessionAction::End(SessionEnd::Interrupted)]);
}

#[test]
fn another_plan_ends_what_belongs_to_the_old_one_and_leaves_its_files() {
    let mut story = Story::online(Kept::Nothing);
    story.task(1, TaskKind::Train);
    story.lose();
    story.1 = 200;
    story.step(SessionEvent::Tick);
    let said = story.step(SessionEvent::Greeted { plan: Digest([8; 32]), kept: Kept::Update(product(3)) });
    assert_eq!(said, [SessionAction::Cancel(key(1))]);
    assert_eq!(story.task(3, TaskKind::Train)[1], SessionAction::Upload(key(3)));
}
