use std::fmt;

/// Why an event was not published. The event is given back: nothing is lost silently.
///
/// It is an error whatever the type of the event, and turns into an [`Error`](crate::Error), which
/// leaves the event behind.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PublishError<E> {
    /// The queue holds as many events as [`Config::inbox`](crate::Config::inbox) allows: the loop
    /// is too slow, or does not run. For a timer: as many timers are set as
    /// [`Config::max_timers`](crate::Config::max_timers) allows.
    Full(E),
    /// The loop has ended, or is at the end of its shutdown.
    Closed(E),
    /// No handler and no subscriber is registered for the event's type. It concerns the events of
    /// handlers and timers: a [`Publisher`](crate::Publisher) makes the queue of its type itself.
    NoHandler(E),
}

impl<E> PublishError<E> {
    /// The event.
    pub fn into_event(self) -> E {
        match self {
            Self::Full(event) | Self::Closed(event) | Self::NoHandler(event) => event,
        }
    }
}

impl<E> fmt::Display for PublishError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the queue of events is full",
            Self::Closed(_) => "the event loop has ended",
            Self::NoHandler(_) => "no handler is registered for the type of the event",
        })
    }
}

/// The variant alone: an event need not be `Debug`.
impl<E> fmt::Debug for PublishError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(_)",
            Self::Closed(_) => "Closed(_)",
            Self::NoHandler(_) => "NoHandler(_)",
        })
    }
}

impl<E> std::error::Error for PublishError<E> {}
