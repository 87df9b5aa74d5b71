//! The thread that writes the journal.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use super::error::JournalError;
use super::store::{Journal, Write};
use crate::round::Event;

/// Most writes of one transaction. Everything that waits goes together, for one sync costs as much as one alone.
const GROUP_MAX: usize = 64;

/// Writes in the order given, on a thread of its own. Dropped, it ends when all that was given is durable.
#[derive(Debug)]
pub struct JournalWriter {
    writes: Option<Sender<Write>>,
    thread: Option<JoinHandle<Journal>>,
}

impl JournalWriter {
    /// Begins; `tell` takes what the machine is to be told. The machine has no more writes under way than a round has members,
    /// so the queue is bounded by it.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(journal: Journal, tell: impl FnMut(Event) + Send + 'static) -> Result<Self, JournalError> {
        let (writes, queue) = channel();
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || run(journal, &queue, tell))
            .map_err(JournalError::io("start the journal's thread"))?;
        Ok(Self { writes: Some(writes), thread: Some(thread) })
    }

    /// Gives something to write.
    pub fn write(&self, write: Write) {
        if let Some(writes) = &self.writes {
            // The thread ends only when this is dropped.
            let _ = writes.send(write);
        }
    }

    /// Waits until all that was given is durable, and gives the journal back.
    pub fn finish(mut self) -> Option<Journal> {
        self.writes = None;
        self.thread.take().and_then(|thread| thread.join().ok())
    }
}

impl Drop for JournalWriter {
    fn drop(&mut self) {
        self.writes = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(mut journal: Journal, queue: &Receiver<Write>, mut tell: impl FnMut(Event)) -> Journal {
    while let Ok(first) = queue.recv() {
        let mut group = vec![first];
        while group.len() < GROUP_MAX
            && let Ok(next) = queue.try_recv()
        {
            group.push(next);
        }
        for event in journal.write(group) {
            tell(event);
        }
    }
    journal
}
