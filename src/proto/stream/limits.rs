use std::time::Duration;

/// The limits of one raw stream. [`StreamConfig`](crate::StreamConfig) documents them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StreamLimits {
    /// The most bytes of input that may be left unused.
    pub(crate) kept: usize,
    pub(crate) connect_timeout: Duration,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) close_timeout: Duration,
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self {
            kept: 64 * 1024,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Some(Duration::from_secs(300)),
            close_timeout: Duration::from_secs(5),
        }
    }
}
