//! The thread that writes a site's work, so that neither training nor the line waits for the disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use synod_common::state::State;
use synod_common::update::Update;

use super::folder::KeepError;
use super::work::WorkFolder;
use crate::session::JobKey;

enum Command {
    Update(JobKey, Arc<Update>),
    Progress(JobKey, State),
    Forget,
    /// Says so when all before it is done.
    Flush(Sender<()>),
}

/// Hears when an update is durable, or why it is not.
pub type Stored = Box<dyn Fn(JobKey, Result<(), KeepError>) + Send>;

/// Writes what it is handed, in order. Dropping it waits until all is written.
#[derive(Debug)]
pub struct Keeper {
    folder: WorkFolder,
    commands: Option<Sender<Command>>,
    /// Whether a progress waits to be written: another one is of no use before it is.
    busy: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Begins to keep work in `folder`.
    ///
    /// # Errors
    /// When there is no thread.
    pub fn new(folder: WorkFolder, stored: Stored) -> std::io::Result<Self> {
        let (commands, queue) = channel();
        let busy = Arc::new(AtomicBool::new(false));
        let (place, flag) = (folder.clone(), Arc::clone(&busy));
        let thread = std::thread::Builder::new().name("keeper".to_owned());
        let thread = thread.spawn(move || write(&place, &queue, &flag, &stored))?;
        Ok(Self { folder, commands: Some(commands), busy, thread: Some(thread) })
    }

    /// What is on disk.
    #[must_use]
    pub fn folder(&self) -> &WorkFolder {
        &self.folder
    }

    /// Makes an update durable.
    pub fn store(&self, key: JobKey, update: Arc<Update>) {
        self.hand_over(Command::Update(key, update));
    }

    /// Whether the disk has kept up with the progress handed over so far.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        !self.busy.load(Ordering::Acquire)
    }

    /// Makes a progress durable. One that cannot be written costs no more than training anew after a restart.
    pub fn keep(&self, key: JobKey, progress: State) {
        self.busy.store(true, Ordering::Release);
        self.hand_over(Command::Progress(key, progress));
    }

    /// Removes what is kept.
    pub fn forget(&self) {
        self.hand_over(Command::Forget);
    }

    /// Waits until all is written that was handed over.
    pub fn flush(&self) {
        let (done, waiting) = channel();
        self.hand_over(Command::Flush(done));
        let _ = waiting.recv();
    }

    fn hand_over(&self, command: Command) {
        if let Some(commands) = &self.commands {
            let _ = commands.send(command);
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write(folder: &WorkFolder, queue: &Receiver<Command>, busy: &AtomicBool, stored: &Stored) {
    for command in queue {
        match command {
            Command::Update(key, update) => stored(key, folder.save_update(key, &update)),
            Command::Progress(key, progress) => {
                let _ = folder.save_progress(key, &progress);
                busy.store(false, Ordering::Release);
            }
            Command::Forget => folder.forget(),
            Command::Flush(done) => drop(done.send(())),
        }
    }
}
