//! How clients recover what they missed.

use std::time::Duration;

use crate::{History, TopicConfig};

/// How clients that lost their connection recover: for how long, and from how much.
///
/// Each namespace keeps its events in the history of one topic, `{path}{namespace}!events`:
/// `/socket.io/!events` for the namespace `/` of a server at `/socket.io/`. The offset that a
/// client gets with each event is the event's position there. A client that comes back in time is
/// a member of its rooms again, and gets every event that it missed, once and in order: by the
/// rooms in which it was when the event was sent. If that cannot be said with certainty, it begins
/// anew, and knows it: its `recovered` is false. That is so if the history is too short, and if the
/// client has entered and left rooms more than 64 times since its last event.
///
/// A client that has got no event yet recovers from the time at which it joined.
///
/// The topic's history is configured here, or by a pattern of
/// [`Config::topics`](crate::Config::topics) that matches its name. Such a topic can be
/// [durable](TopicConfig::durable): then clients also recover from a restart of the program, if it
/// ended in order. The topic has to [deliver first](crate::Durability::DeliverFirst); without that
/// there is no recovery in its namespace, and a line in the log says so.
///
/// ```
/// use std::time::Duration;
/// use eventwire::socketio::{Recovery, SocketIoConfig};
/// use eventwire::History;
///
/// let recovery = Recovery::within(Duration::from_secs(120)).history(History::of(10_000));
/// let config = SocketIoConfig::default().recovery(recovery);
/// # let _ = config;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Recovery {
    window: Duration,
    history: History,
}

impl Recovery {
    /// Clients may come back within this time. Two minutes are usual. The default history keeps the
    /// last 100,000 events, at most 16 MiB, for that time.
    #[must_use]
    pub const fn within(window: Duration) -> Self {
        let history = History::of(100_000).bytes(16 * 1024 * 1024).age(window);
        Self { window, history }
    }

    /// The history of each namespace.
    #[must_use]
    pub const fn history(mut self, history: History) -> Self {
        self.history = history;
        self
    }

    pub(super) const fn window(&self) -> Duration {
        self.window
    }

    pub(super) fn topic(&self) -> TopicConfig {
        TopicConfig::default().history(self.history)
    }
}

impl Default for Recovery {
    /// Two minutes.
    fn default() -> Self {
        Self::within(Duration::from_secs(120))
    }
}
