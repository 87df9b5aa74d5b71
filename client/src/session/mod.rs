//! The client's side of a run over the network: connect, say what data there is, train when asked, send the update,
//! connect again when the line breaks.
//!
//! ```text
//! line (connection) ──┐                                   ┌──► connect, upload, words
//! job (a thread) ─────┼──► edge (run) ── step ──► Session ┼──► job, keeper (a thread)
//! keeper (the disk) ──┘                                   └──► wake up, tell, end
//! ```
//!
//! [`Session`] decides, without sockets, clocks, threads or files; the edge carries out. Training outlives connections: a client
//! that loses its line goes on training, connects again with growing pauses, and sends the finished update in the same round.
//! What is finished, and how far a training is, also outlives the process.

mod actions;
mod backoff;
mod job;
mod line;
mod machine;
mod prepare;
mod run;
mod upload;

pub use actions::{Begin, Fault, Finish, JobKey, Kept, Product, SessionAction, SessionEnd, SessionEvent, SiteEvent};
pub use machine::{Rules, Session};
pub use prepare::{Loaded, Loader, load_folder};
pub use run::{SessionError, SessionOptions, run};
