//! Between an update's arrival and the word that it is durable.

use synod_common::event::{Outcome, RunEvent};
use synod_common::wire::Answer;

use super::tests::{Rig, refusal, site};
use super::{Action, Event, Millis, Received, Record};
use crate::journal::Entry;

impl Rig {
    /// One step, whose records wait.
    fn raw(&mut self, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        self.machine.step(self.now, event, &mut actions);
        actions
    }

    /// An update that waits to be durable.
    fn arrives(&mut self, name: &str, delta: &[f32]) -> Box<Record> {
        let received = Received::screen(self.update_of(1, 5, delta.to_vec()));
        let mut actions = self.raw(Event::Update { site: site(name), received });
        match (actions.pop(), actions.is_empty()) {
            (Some(Action::Journal(record)), true) => record,
            other => panic!("a record and nothing else was expected, not {other:?}"),
        }
    }
}

fn accepted(actions: &[Action]) -> bool {
    actions.iter().any(|a| matches!(a, Action::Answer { answer: Answer::Accepted, .. }))
}

fn committed(actions: &[Action]) -> bool {
    actions.iter().any(|a| matches!(a, Action::Commit { .. }))
}

#[test]
fn an_update_counts_and_is_acknowledged_when_it_is_durable() {
    let mut rig = Rig::new("", &["a", "b"]);
    let (first, second) = (rig.arrives("a", &[1.0, 1.0]), rig.arrives("b", &[3.0, 1.0]));
    assert_eq!(first.values().collect::<Vec<_>>(), [[1.0, 1.0]], "the record has the update's values");
    let actions = rig.raw(Event::Journalled(second));
    assert!(accepted(&actions) && !committed(&actions));
    let actions = rig.raw(Event::Journalled(first));
    assert!(accepted(&actions) && committed(&actions));
}

#[test]
fn a_round_does_not_close_over_an_update_that_is_being_written() {
    let mut rig =
        Rig::new("[round]\nupdates.count.min = 1\nupdates.time.max = \"10s\"\nupdates.grace = \"1s\"\n", &["a", "b"]);
    rig.update("a", 1, 5, &[1.0, 1.0]);
    let record = rig.arrives("b", &[3.0, 1.0]);
    rig.now = Millis(11_000);
    assert!(!committed(&rig.raw(Event::Tick)), "it came in time, and the disk is not the site's fault");
    let actions = rig.raw(Event::Journalled(record));
    let part =
        actions.iter().find_map(|a| if let Action::Commit { entry, .. } = a { Some(&entry.took_part) } else { None });
    assert_eq!(part, Some(&vec![site("a"), site("b")]));
}

#[test]
fn a_site_that_leaves_or_sends_again_while_it_is_written_counts_once() {
    let mut rig = Rig::new("", &["a", "b"]);
    let record = rig.arrives("a", &[1.0, 1.0]);
    rig.raw(Event::Left { site: site("a"), reason: "timed out".into() });
    let back = rig.raw(Event::Arrived { site: site("a"), samples: 5, class_counts: vec![] });
    assert!(!back.iter().any(|a| matches!(a, Action::Send { .. })), "its work is there");
    let received = Received::screen(rig.update_of(1, 5, vec![9.0, 9.0]));
    assert!(rig.raw(Event::Update { site: site("a"), received }).is_empty(), "the answer comes with the first");
    assert!(accepted(&rig.raw(Event::Journalled(record))));
    let closed = rig.update("b", 1, 5, &[1.0, 1.0]);
    rig.commit(&closed);
    assert_eq!(&rig.machine.model().values[..], &[1.0, 11.0]);
}

#[test]
fn a_journal_that_fails_refuses_the_update_and_ends_the_run_with_what_is_durable() {
    let mut rig = Rig::new("", &["a", "b"]);
    let record = rig.arrives("a", &[1.0, 1.0]);
    let actions = rig.raw(Event::JournalFailed { record, reason: "no space left".into() });
    assert!(refusal(&actions).contains("was not saved and does not count"), "{actions:?}");
    assert!(!actions.iter().any(|a| matches!(a, Action::Journal(_))), "nothing more is asked of it");
    assert!(matches!(rig.machine.outcome(), Some(Outcome::Stopped { reason }) if reason.contains("no space left")));
}

#[test]
fn the_end_is_said_when_it_is_durable() {
    let mut rig = Rig::new("[round]\narrival.count.min = 3\narrival.time.max = \"5s\"\n", &["a"]);
    rig.now = Millis(5_000);
    let mut actions = rig.raw(Event::Tick);
    assert!(rig.machine.outcome().is_none());
    let Some(Action::Journal(record)) = actions.pop() else { panic!("the end is recorded: {actions:?}") };
    // A person who is impatient now changes nothing: it is decided.
    rig.raw(Event::Interrupt);
    let actions = rig.raw(Event::Journalled(record));
    assert!(actions.iter().any(|a| matches!(a, Action::Publish(RunEvent::RunFinished { .. }))));
    assert!(matches!(rig.machine.outcome(), Some(Outcome::Stopped { .. })));
}

/// Updates of a round that is tried again are of no use in the next try, neither now nor after a crash.
#[test]
fn a_record_of_an_earlier_attempt_counts_nowhere() {
    let mut rig =
        Rig::new("[round]\nupdates.on_too_few = { retry = { times = 1 } }\nupdates.time.max = \"1s\"\n", &["a", "b"]);
    rig.update("a", 1, 5, &[1.0, 1.0]);
    rig.now = Millis(1_000);
    rig.raw(Event::Tick);
    let again = rig.arrives("a", &[1.0, 1.0]);
    let mut stale = rig.arrives("b", &[1.0, 1.0]);
    let crate::journal::Entry::UpdateAccepted(entry) = &mut stale.entry else { panic!("an update") };
    assert_eq!(entry.attempt, 1);
    entry.attempt = 0;
    assert!(rig.raw(Event::Journalled(stale)).is_empty());
    assert!(accepted(&rig.raw(Event::Journalled(again))));
}

/// A site was revoked while its update was on its way to the journal. The machine put the member out and closed the round
/// without the update, but the journal had it: a coordinator that died before the commit would have counted it. Found by seed
/// 3438 of the fault simulation.
#[test]
fn what_a_revoked_site_has_on_its_way_to_the_journal_counts() {
    let mut rig = Rig::new("", &["a", "b"]);
    let record = rig.arrives("a", &[1.0, 1.0]);
    assert!(!committed(&rig.update("b", 1, 5, &[3.0, 1.0])));
    let expelled = rig.raw(Event::Expelled { site: site("a"), reason: "it was revoked".into() });
    assert!(!committed(&expelled), "the journal may have it already");
    let actions = rig.raw(Event::Journalled(record));
    let part =
        actions.iter().find_map(|a| if let Action::Commit { entry, .. } = a { Some(&entry.took_part) } else { None });
    assert_eq!(part, Some(&vec![site("a"), site("b")]));
}

#[test]
fn a_revoked_site_without_an_update_is_out_here_and_in_the_journal() {
    let mut rig = Rig::new("", &["a", "b"]);
    let actions = rig.raw(Event::Expelled { site: site("a"), reason: "it was revoked".into() });
    let is_out = |a: &Action| matches!(a, Action::Journal(record) if matches!(record.entry(), Entry::MemberOut { .. }));
    assert!(actions.iter().any(is_out), "a coordinator that is started again does not wait for it");
}
