//! Waits with a time limit.

use std::fmt::Display;
use std::thread;
use std::time::{Duration, Instant};

/// A wait takes this long only if something is broken. A browser is slow to start.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// Attempts something until it succeeds, and returns the result.
pub(super) fn wait_for<T, E: Display>(mut attempt: impl FnMut() -> Result<T, E>) -> T {
    let start = Instant::now();
    loop {
        match attempt() {
            Ok(result) => return result,
            Err(error) => assert!(start.elapsed() < PATIENCE, "still after {PATIENCE:?}: {error}"),
        }
        thread::yield_now();
    }
}
