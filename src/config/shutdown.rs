use std::time::Duration;

use crate::proto::CloseCode;

/// How a loop is shut down: [`LoopHandle::shutdown`](crate::LoopHandle::shutdown) and
/// [`Context::shutdown`](crate::Context::shutdown). A [`Duration`] converts into one with this
/// deadline.
///
/// ```
/// use std::time::Duration;
/// use eventwire::{CloseCode, Config, EventLoop, RunEnd, Shutdown};
///
/// let mut event_loop = EventLoop::new(Config::default())?;
/// let deploy = Shutdown::within(Duration::from_secs(60))
///     .code(CloseCode::RESTART, "a new version is deployed")
///     .spread(Duration::from_secs(30));
/// event_loop.handle().shutdown(deploy);
/// assert_eq!(event_loop.run(&mut ())?.end, RunEnd::ShutDown);
/// # Ok::<(), eventwire::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shutdown {
    pub(crate) deadline: Duration,
    pub(crate) code: CloseCode,
    pub(crate) reason: String,
    pub(crate) spread: Duration,
}

impl Shutdown {
    /// A shutdown that ends within `deadline` from when the loop notices the request. Whatever is
    /// left then is cut.
    #[must_use]
    pub const fn within(deadline: Duration) -> Self {
        Self {
            deadline,
            code: CloseCode::GOING_AWAY,
            reason: String::new(),
            spread: Duration::ZERO,
        }
    }

    /// The code and reason with which open connections are closed. Default: 1001 (going away) and
    /// no reason. The reason is truncated to 123 bytes. A code that must not be sent (RFC 6455
    /// §7.4.1) is omitted.
    #[must_use]
    pub fn code(mut self, code: CloseCode, reason: impl Into<String>) -> Self {
        self.code = code;
        self.reason = reason.into();
        self
    }

    /// Closes the open connections one after another, evenly spread over this time, so that their
    /// clients do not all connect elsewhere at once. Those that are not closed are served as
    /// before. Default: zero, which closes all of them at once. The deadline should be later.
    #[must_use]
    pub const fn spread(mut self, time: Duration) -> Self {
        self.spread = time;
        self
    }
}

impl From<Duration> for Shutdown {
    fn from(deadline: Duration) -> Self {
        Self::within(deadline)
    }
}
