//! How far a connection is, as the application sees it.

/// How far a connection is, as the application sees it.
///
/// ```text
///            response               on_open            on_close
///  Opening ───────────► Served ───────────────► Open ───────────► Closed
///   │   │                  │                     ▲
///   │   └──────────────────┼─────────────────────┘
///   │                      │      on_open
///   └──────────────────────┴─────────────────► Unopened
///                  on_connect_error, or nothing
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// The opening handshake is under way, or a first request is.
    Opening,
    /// Requests got responses that opened nothing; the next request may open it.
    Served,
    /// `on_open` was called, so `on_close` must be.
    Open,
    /// `on_close` was called. The closing handshake may still be under way.
    Closed,
    /// It has ended before it was open, and the application knows if it asked for it.
    Unopened,
}

impl Life {
    /// A request got a response that opens nothing.
    pub(crate) fn serve(&mut self) {
        debug_assert!(!self.was_open(), "requests come before a connection is open");
        if *self == Self::Opening {
            *self = Self::Served;
        }
    }

    /// `on_open` is called.
    pub(crate) fn open(&mut self) {
        debug_assert!(matches!(self, Self::Opening | Self::Served), "it opens once");
        *self = Self::Open;
    }

    /// The application learns of the end.
    pub(crate) fn end(&mut self) {
        *self = if self.was_open() { Self::Closed } else { Self::Unopened };
    }

    /// Whether `on_open` was called.
    pub(crate) const fn was_open(self) -> bool {
        matches!(self, Self::Open | Self::Closed)
    }

    /// Whether the application has learned of the end.
    pub(crate) const fn is_over(self) -> bool {
        matches!(self, Self::Closed | Self::Unopened)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_opens_at_once_or_after_responses_and_ends_as_what_it_was() {
        for responses in 0..3 {
            let mut life = Life::Opening;
            (0..responses).for_each(|_| life.serve());
            assert_eq!(life == Life::Served, responses > 0);
            let mut unopened = life;
            unopened.end();
            assert_eq!((unopened, unopened.was_open()), (Life::Unopened, false));
            life.open();
            assert!(life.was_open() && !life.is_over());
            life.end();
            assert!(life.was_open() && life.is_over());
        }
    }
}
