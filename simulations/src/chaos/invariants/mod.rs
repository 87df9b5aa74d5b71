//! What must hold after every step, whatever happened.

mod cohort;
mod counts_once;
mod journal_first;
mod ledger;
mod memory;
mod oracle;
mod own_round;
mod revoked;
mod version;

use std::fmt::Debug;

use synod_coordinator::journal::Entry;

use super::fact::Fact;
use super::scenario::Scenario;
use ledger::Ledger;

/// Something that must hold.
trait Invariant: Debug {
    /// An attempt of a round begins; what came for another is of no use any more.
    fn begins(&mut self) {}

    /// Looks at an entry that is durable now, with its values.
    fn durable(&mut self, _entry: &Entry, _values: &[f32]) -> Result<(), String> {
        Ok(())
    }

    /// Looks at anything else.
    fn observe(&mut self, _fact: &Fact) -> Result<(), String> {
        Ok(())
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct Invariants {
    ledger: Ledger,
    all: Vec<Box<dyn Invariant>>,
}

impl Invariants {
    pub(super) fn new(scenario: &Scenario) -> Self {
        Self {
            ledger: Ledger::default(),
            all: vec![
                Box::new(counts_once::CountsOnce::default()),
                Box::new(own_round::OwnRound::new(scenario)),
                Box::new(cohort::Cohort::new(scenario)),
                Box::new(version::Version::new(scenario)),
                Box::new(journal_first::JournalFirst::default()),
                Box::new(oracle::Oracle::new(scenario)),
                Box::new(memory::Memory::new(scenario)),
                Box::new(revoked::Revoked::default()),
            ],
        }
    }

    pub(super) fn observe(&mut self, fact: &Fact) -> Result<(), String> {
        for (entry, values) in self.ledger.observe(fact)? {
            if self.ledger.begins(&entry) {
                self.all.iter_mut().for_each(|invariant| invariant.begins());
            }
            self.all.iter_mut().try_for_each(|invariant| invariant.durable(&entry, &values))?;
        }
        self.all.iter_mut().try_for_each(|invariant| invariant.observe(fact))
    }

    /// A run that says it is complete has all its rounds.
    pub(super) fn at_the_end(&self, rounds: u64) -> Result<(), String> {
        match self.ledger.rounds() {
            committed if committed == rounds => Ok(()),
            committed => Err(format!("the run is complete with {committed} of {rounds} rounds")),
        }
    }
}
