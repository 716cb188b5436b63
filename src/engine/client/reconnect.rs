//! Reconnection: whether and when a link tries again.

use std::time::Duration;

use crate::config::Backoff;
use crate::engine::connection::Connection;
use crate::engine::context::Context;
use crate::engine::core::Core;
use crate::engine::ids::{ConnectionId, LinkId};
use crate::error::Error;
use crate::logging::log_line;
use crate::net::disconnect::{ConnectError, Disconnect};
use crate::net::rare_state::End;
use crate::net::streams::Transmit;

/// How many links try again in one turn, at most. Each begins a connection, which takes the system
/// some tens of microseconds.
const RETRIES_PER_TURN_MAX: usize = 64;

impl Connection<'_> {
    /// The link that this connection belongs to, if its client reconnects
    /// ([`ClientConfig::reconnect`](crate::ClientConfig::reconnect)). All connections of a link
    /// have the same one. `None` once the link was stopped, and in `on_close` and
    /// `on_connect_error` if it does not try again.
    #[must_use]
    pub fn link(&self) -> Option<LinkId> {
        self.context.core.links.of(self.id())
    }

    /// In `on_close` and `on_connect_error`: the time until the link tries again. `None` if it does
    /// not, and while the connection is open.
    #[must_use]
    pub fn retry_in(&self) -> Option<Duration> {
        let core = &self.context.core;
        core.links.retry_at(self.id()).map(|until| until.since(core.now()))
    }
}

impl Context<'_> {
    /// Stops a link: it makes no further connection. A connection that it has stays, and belongs to
    /// no link any more. Returns `false` if it was stopped before, or does not try again.
    ///
    /// ```
    /// use eventwire::{ConnectError, Connection, WebSocketHandler};
    ///
    /// struct Feed;
    ///
    /// impl<S> WebSocketHandler<S> for Feed {
    ///     fn on_connect_error(
    ///         &mut self,
    ///         conn: &mut Connection<'_>,
    ///         error: &ConnectError,
    ///         _: &mut S,
    ///     ) {
    ///         eprintln!("{error}, next attempt in {:?}", conn.retry_in());
    ///         let is_refused = matches!(error, ConnectError::Refused(it) if it.status() == 401);
    ///         if let (true, Some(link)) = (is_refused, conn.link()) {
    ///             // The token is no longer valid.
    ///             conn.stop_reconnecting(link);
    ///         }
    ///     }
    /// }
    /// ```
    pub fn stop_reconnecting(&mut self, link: LinkId) -> bool {
        self.core.remove_link(link)
    }

    /// The connection that a link has, which is open or being made. `None` while the link waits to
    /// try again, and once it is gone.
    #[must_use]
    pub fn link_connection(&self, link: LinkId) -> Option<ConnectionId> {
        self.core.links.connection(link)
    }
}

impl Core<dyn Transmit + '_> {
    /// Decides whether the link of a connection that has ended tries again, and when.
    pub(crate) fn plan_retry(&mut self, conn: ConnectionId, end: &End) {
        let Some(id) = self.links.of(conn) else {
            return;
        };
        match backoff(self, id).filter(|_| !is_wanted(end)) {
            Some(backoff) => self.wait_to_retry(id, &backoff),
            None => drop(self.remove_link(id)),
        }
    }

    fn wait_to_retry(&mut self, id: LinkId, backoff: &Backoff) {
        let now = self.now();
        let has_held = self.links.open_for(id, now).is_some_and(|open| backoff.has_held(open));
        let failures = self.links.get(id).map_or(0, |link| link.failures);
        let failures = if has_held { 0 } else { failures };
        let random = u32::from_ne_bytes(self.sockets.output.mask_keys.next_key());
        let delay = backoff.delay(failures, random);
        self.links.wait(id, failures.saturating_add(1), now + delay);
    }

    /// Lets the links try again whose delay is over.
    #[inline(never)]
    pub(crate) fn serve_links(&mut self) {
        for _ in 0..RETRIES_PER_TURN_MAX {
            let Some(id) = self.links.next_retry(self.now()) else {
                return;
            };
            self.retry(id);
        }
    }

    fn retry(&mut self, id: LinkId) {
        let Some(link) = self.links.get(id) else {
            return;
        };
        let (endpoint, url) = (link.endpoint, link.url.clone());
        match self.connect_once(endpoint, &url) {
            Ok(conn) => self.links.reconnect(id, ConnectionId(conn)),
            Err(error) => {
                log_line!(info, "{url}: not connected again: {error}");
                match backoff(self, id).filter(|_| matches!(error, Error::ConnectionLimit)) {
                    Some(backoff) => self.wait_to_retry(id, &backoff),
                    None => drop(self.remove_link(id)),
                }
            }
        }
    }

    fn remove_link(&mut self, id: LinkId) -> bool {
        let Some(link) = self.links.remove(id) else {
            return false;
        };
        self.leave_endpoint(link.endpoint.0.index());
        true
    }
}

/// How the link tries again, if it may.
fn backoff(core: &Core<dyn Transmit + '_>, id: LinkId) -> Option<Backoff> {
    let link = core.links.get(id).filter(|_| core.ending.check_serving().is_ok())?;
    core.endpoints.for_connecting(link.endpoint).ok()?.config.reconnect
}

/// Whether the application wanted the connection to end.
const fn is_wanted(end: &End) -> bool {
    matches!(
        end,
        End::Disconnect(Disconnect::ClosedByApplication { .. })
            | End::Connect(ConnectError::Cancelled)
    )
}
