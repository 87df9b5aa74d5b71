//! Ctrl-C and SIGTERM: the first finishes cleanly, the second stops at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::exit::{Exit, Failure};
use super::out;

/// Waits for the first signal, then arms the second to end the process.
pub(crate) async fn signal(what_is_saved: &'static str) {
    first_signal().await;
    out::note(format!("stopping: {what_is_saved}; once more to stop at once"));
    tokio::spawn(async {
        first_signal().await;
        std::process::exit(130);
    });
}

async fn first_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

/// The runtime of commands that use the network or wait for signals.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::new(Exit::Unexpected, format!("cannot start: {e}"), None))
}

/// A flag that the first signal sets, for work on threads. The runtime must be kept while the flag is of use.
pub(crate) fn flag(runtime: &tokio::runtime::Runtime, what_is_saved: &'static str) -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&flag);
    runtime.spawn(async move {
        signal(what_is_saved).await;
        set.store(true, Ordering::Relaxed);
    });
    flag
}
