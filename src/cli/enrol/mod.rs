//! `synod coordinator init|invite|approve|sites|…`, `synod client join`, `synod client service`.

pub(crate) mod args;
mod init;
mod join;
mod members;
mod reach;
mod service;

pub(crate) use init::passphrase;
pub(crate) use join::join;
pub(crate) use members::members;
pub(crate) use service::service;

/// This program's release, for the other side's eyes.
pub(crate) const RELEASE: &str = env!("CARGO_PKG_VERSION");
