//! Fuzz targets: one for every parser of bytes that come from elsewhere, and one for each machine. A target takes any bytes and
//! panics if something is wrong. The same targets run for a moment in the tests, for as long as one likes by
//! `synod chaos --fuzz`, and guided by coverage in the folder `fuzz`.

mod corpus;
mod drive;
mod formats;
mod frames;
mod input;
mod round;
mod session;

pub use drive::{Fuzzed, fuzz};

/// One target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, as the folder `fuzz` has it.
    pub name: &'static str,
    /// Takes any bytes.
    pub run: fn(&[u8]),
    /// Valid inputs, which are changed a little.
    pub corpus: fn() -> Vec<Vec<u8>>,
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "frames", run: frames::frames, corpus: corpus::frames },
    Target { name: "values", run: formats::values, corpus: corpus::values },
    Target { name: "journal_entry", run: formats::journal_entry, corpus: corpus::journal_entries },
    Target { name: "state", run: formats::state, corpus: corpus::states },
    Target { name: "plan", run: formats::plan, corpus: corpus::plans },
    Target { name: "certificate", run: formats::certificate, corpus: corpus::certificates },
    Target { name: "request", run: formats::request, corpus: corpus::requests },
    Target { name: "invitation", run: formats::invitation, corpus: corpus::invitations },
    Target { name: "round_machine", run: round::round_machine, corpus: corpus::none },
    Target { name: "session", run: session::session, corpus: corpus::none },
];

/// Gives `bytes` to the target `name`. It panics where the target does, and for a name that is none.
pub fn run(name: &str, bytes: &[u8]) {
    let target =
        TARGETS.iter().find(|target| target.name == name).expect("the folder fuzz names targets that are there");
    (target.run)(bytes);
}

#[cfg(test)]
mod tests;
