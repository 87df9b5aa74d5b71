//! The journal under crashes, damage and full disks.

mod damage;
mod double;
mod entries;
mod folder;
mod resume;
mod retention;
mod script;
