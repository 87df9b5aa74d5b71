//! Who is a member of a federation: invitations, keys, revocation.
//!
//! ```text
//!   operator's command ─► Office::admin ─┐
//!   who joins or renews ─► Office::join ─┼─► Registry (pure) ─► Home (files of one folder)
//!   each connection ─► Office::admit ────┘        │
//!                                                 └─ signs through synod_certs::Authority
//! ```
//!
//! [`Registry`] decides and has neither clock nor files; [`Home`] is the folder of a coordinator, locked by whoever works on it;
//! [`Office`] joins the two with the authority and the time. Not here: sockets, see [`server`](crate::server).

mod admin;
mod command;
mod error;
mod home;
mod limiter;
mod member;
mod notice;
mod office;
mod registry;
#[cfg(test)]
mod registry_laws;
mod rotation;
#[cfg(test)]
mod tests;

pub use admin::permitted;
pub use command::{Effects, Expelled};
pub use error::{HomeError, JoinRefusal, RegistryError};
pub use home::{Home, NewHome, Settings, operator_folder, serving};
pub use limiter::Limiter;
pub use member::{Approval, Claim, Invitation, Member, Seen, Standing, UnixSeconds};
pub use notice::Notice;
pub use office::{Admitted, Office, PolicyRefusal};
pub use registry::{CLAIM_RETRY_MAX, Claimed, Registry};
