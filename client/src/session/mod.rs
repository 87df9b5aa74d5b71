//! The client's side of a run over the network: connect, say what data there is, train when asked, send the update,
//! connect again when the line breaks.
//!
//! Training runs on a thread of its own and outlives connections: a client that loses its line goes on training, connects
//! again with growing pauses, and sends the finished update in the same round.

mod actions;
mod backoff;
mod job;
mod machine;
mod run;
mod talk;

pub use actions::{Begin, Fault, Finish, JobKey, Kept, Product, SessionAction, SessionEnd, SessionEvent, SiteEvent};
pub use machine::{Rules, Session};
pub use run::{Loaded, Loader, SessionError, SessionOptions, load_folder, run};
