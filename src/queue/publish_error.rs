use std::fmt;

/// Why an event was not published. It returns the event, so that nothing is lost silently.
///
/// It implements [`std::error::Error`] for every type of event, and converts into
/// [`Error`](crate::Error), which drops the event.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PublishError<E> {
    /// The queue has reached the limit of [`Config::inbox`](crate::Config::inbox), because the loop
    /// is too slow or does not run. For a timer: the limit of
    /// [`Config::max_timers`](crate::Config::max_timers) is reached. For a job: as many are in hand
    /// as the capacity of its [`Workers`](crate::Workers).
    Full(E),
    /// The loop has ended, or has almost completed its shutdown.
    Closed(E),
    /// No handler and no subscriber is registered for the event's type. Only handlers and timers
    /// get this error: creating a [`Publisher`](crate::Publisher) registers its type.
    NoHandler(E),
}

impl<E> PublishError<E> {
    /// Returns the event.
    pub fn into_event(self) -> E {
        match self {
            Self::Full(event) | Self::Closed(event) | Self::NoHandler(event) => event,
        }
    }
}

impl<E> fmt::Display for PublishError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the event queue is full",
            Self::Closed(_) => "the event loop has ended",
            Self::NoHandler(_) => "no handler is registered for the event type",
        })
    }
}

/// Shows only the variant: an event need not implement `Debug`.
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
