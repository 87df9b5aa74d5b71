//! Messages between client and coordinator, and raw streams of blocks.
//!
//! ```text
//! frame        = version u8 | kind u8 | length u32 LE | body (bincode, exactly `length` bytes)
//! block stream = values as little-endian f32, exactly `layout.len() * 4` bytes | BLAKE3 digest of them, 32 bytes
//! ```
//!
//! Streams of one connection:
//!
//! | stream | opened by | carries |
//! |---|---|---|
//! | control, bidirectional | client, once | up: `Hello`, `Ready`, `Progress`, `Evaluated`, `Declined` · down: `Welcome`, `Finished` |
//! | task, one way | coordinator, one a task | `Task`, then the model as a block stream; with SCAFFOLD the control variate as another |
//! | update, bidirectional | client, one an update | up: `Offer`; after the grant `UpdateHeader`, then the values of the delta, with SCAFFOLD those of the change of the site's control variate after them, from the granted offset on and without a digest, which the offer has · down: `Grant`, `Answer` |
//!
//! Connections that enrol or administrate have one bidirectional stream a question: `Probe`, `Join` or `Renew`, and
//! `AdminRequest`, each with its answer. A client may send `Renew` on the connection of its run, too.
//!
//! This is the only module that names the encoding crate. Every kind has a size limit that is checked before anything is
//! allocated, and a body with leftover bytes is refused.

mod enrolment;
mod frame;
mod intake;
mod messages;
mod offer;
mod values;

#[cfg(test)]
mod enrolment_tests;
#[cfg(test)]
mod tests;

pub use enrolment::{
    ADMIN_VERSION, AdminAnswer, AdminRequest, Enrolled, JOIN_VERSION, Join, MEMBERS_MAX, MemberRole, MemberRow,
    Presence, Probe, Renew,
};
pub use frame::{FRAME_HEADER_BYTES, FrameError, FrameHeader, PROTOCOL_VERSION, decode, encode};
pub use intake::Intake;
pub use messages::{
    Answer, Declined, Evaluated, Finished, Hello, Kind, Message, Progress, REASON_BYTES_MAX, Ready, Task, TaskKind,
    Welcome, shorten,
};
pub use offer::{Grant, Offer};
pub use values::{CHUNK_BYTES, DIGEST_BYTES, ValueReader, ValuesError, chunks};
