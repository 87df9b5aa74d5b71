//! The wall clock, by which certificates are dated and judged.

/// Now.
#[expect(clippy::disallowed_methods, reason = "the command line is the edge that reads the wall clock")]
pub(crate) fn now() -> std::time::SystemTime {
    std::time::SystemTime::now()
}
