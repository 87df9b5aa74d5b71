//! The client's side of a run over the network: connect, say what data there is, train when asked, send the update,
//! connect again when the line breaks.
//!
//! Training runs on a thread of its own and outlives connections: a client that loses its line goes on training, connects
//! again with growing pauses, and sends the finished update in the same round.

mod backoff;
mod job;
mod run;
mod talk;

pub use run::{Finish, Loaded, Loader, SessionError, SessionOptions, SiteEvent, load_folder, run};
