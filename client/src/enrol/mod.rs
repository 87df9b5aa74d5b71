//! A member's side of enrolment: joining with an invitation, and keeping the certificate fresh.
//!
//! ```text
//!   preflight ─► join ─► folder: client.json, identity/ ─► Wallet ─► session
//!                                      ▲                     │ at two thirds of the certificate's life
//!                                      └──── renewal ◄───────┘
//! ```

mod folder;
mod join;
mod wallet;

pub use folder::{FolderError, Membership, identity_folder, state_folder};
pub use join::{Check, Invited, JoinError, JoinEvent, join, preflight};
pub use wallet::{NextKey, RenewError, Wallet};
