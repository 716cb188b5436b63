use std::fmt;

use crate::engine::context::Context;
use crate::engine::event_loop::EventLoop;
use crate::engine::handle::{LoopHandle, News};
use crate::reactor::Reactor;

/// Keeps a loop that shuts down from ending, until it is dropped or the deadline passes.
///
/// It is for work that an application has given to threads of its own: while a hold exists, a
/// [shutdown](LoopHandle::shutdown) goes on handling events, and publishers are accepted. A clone
/// is a further hold. [`Workers`](crate::Workers) need none: shutdown waits for their jobs.
///
/// A hold delays no [`stop`](LoopHandle::stop) and no deadline. Those that exist when the loop ends
/// are counted in [`RunSummary::unreleased_holds`](crate::RunSummary).
///
/// ```
/// use std::{thread, time::Duration};
/// use eventwire::{Config, EventLoop};
///
/// struct Report(u32);
///
/// let mut event_loop = EventLoop::new(Config::default())?;
/// event_loop.on(|_, report: &Report, sum: &mut u32| *sum += report.0);
/// let reports = event_loop.publisher();
/// let hold = event_loop.hold();
/// thread::spawn(move || {
///     let report = Report((1..=10).sum());
///     // The hold is dropped after the report is published.
///     let _hold = hold;
///     reports.publish(report)
/// });
/// event_loop.handle().shutdown(Duration::from_secs(10));
/// let mut sum = 0;
/// let summary = event_loop.run(&mut sum)?;
/// assert_eq!((sum, summary.unreleased_holds), (55, 0));
/// # Ok::<(), eventwire::Error>(())
/// ```
#[must_use = "a hold ends when it is dropped"]
pub struct Hold {
    handle: LoopHandle,
}

impl Hold {
    fn new(handle: LoopHandle) -> Self {
        handle.holds().add();
        Self { handle }
    }
}

impl Clone for Hold {
    /// A further hold on the same loop.
    fn clone(&self) -> Self {
        Self::new(self.handle.clone())
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if self.handle.holds().remove() {
            self.handle.tell(News::Released);
        }
    }
}

impl fmt::Debug for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hold").finish_non_exhaustive()
    }
}

impl LoopHandle {
    /// Keeps the loop from ending while it shuts down, until the hold is dropped or the deadline
    /// passes.
    pub fn hold(&self) -> Hold {
        Hold::new(self.clone())
    }
}

impl<S, R: Reactor> EventLoop<S, R> {
    /// Keeps the loop from ending while it shuts down, until the hold is dropped or the deadline
    /// passes.
    pub fn hold(&self) -> Hold {
        self.core.handle.hold()
    }
}

impl Context<'_> {
    /// Keeps the loop from ending while it shuts down, until the hold is dropped or the deadline
    /// passes. A handler makes one for work that it gives to a thread of the application.
    pub fn hold(&self) -> Hold {
        self.core.handle.hold()
    }
}
