/// What the stream of a connection with a conflating subscription may hold unsent: newer messages
/// wait in the topic, where they replace older ones. Enough for some segments to be on their way
/// while the next ones are made.
const CONFLATING_BYTES_MAX: u32 = 16 * 1024;

/// How much the stream of a connection may hold unsent. What a stream has taken can be neither
/// dropped nor overtaken.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct UnsentLimit {
    /// How many bytes in any case; 0: no limit.
    pub(crate) bytes: u32,
    /// One of the connection's subscriptions conflates: only its latest message matters.
    pub(crate) conflates: bool,
}

impl UnsentLimit {
    /// The limit that applies, in bytes.
    pub(crate) fn get(self) -> Option<u32> {
        let own = Some(self.bytes).filter(|bytes| *bytes > 0);
        let conflating = self.conflates.then_some(CONFLATING_BYTES_MAX);
        own.into_iter().chain(conflating).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lower_limit_applies() {
        let limit = |bytes, conflates| UnsentLimit { bytes, conflates }.get();
        assert_eq!((limit(0, false), limit(5, false)), (None, Some(5)));
        assert_eq!(limit(0, true), Some(CONFLATING_BYTES_MAX));
        assert_eq!((limit(5, true), limit(u32::MAX, true)), (Some(5), Some(CONFLATING_BYTES_MAX)));
    }
}
