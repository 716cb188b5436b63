//! Messages for durable topics, with what belongs to them.

use crate::engine::ids::ConnectionId;
use crate::engine::journal::outcome::{NotStored, Then};
use crate::journal::TableChange;
use crate::proto::{AsOutgoing, Outgoing};
use crate::slots::Key;
use crate::topics::Position;

/// A message for a durable topic, with what belongs to it.
///
/// ```
/// use eventwire::{CommitError, Connection, DurableMessage, NotStored, Position, TopicId};
///
/// /// An event: an order is stored, or is not.
/// struct OrderSettled(Result<Position, NotStored>);
///
/// fn place(conn: &mut Connection<'_>, orders: TopicId, order: &str) -> Result<(), CommitError> {
///     conn.commit(orders, DurableMessage::new(order).then(OrderSettled))
/// }
/// ```
#[derive(Debug)]
#[must_use = "an entry does nothing before `Context::commit`"]
pub struct DurableMessage<'a> {
    pub(crate) outgoing: Outgoing<'a>,
    pub(crate) key: &'a str,
    pub(crate) except: Option<Key>,
    pub(crate) tables: Option<TableChange>,
    pub(crate) then: Option<Then>,
}

impl<'a> DurableMessage<'a> {
    /// A message.
    pub fn new(message: &'a (impl AsOutgoing + ?Sized)) -> Self {
        let outgoing = message.as_outgoing();
        Self { outgoing, key: "", except: None, tables: None, then: None }
    }

    /// The key of the message, as in
    /// [`broadcast_keyed`](crate::Context::broadcast_keyed).
    pub const fn key(mut self, key: &'a str) -> Self {
        self.key = key;
        self
    }

    /// The connection that does not get the message, as in
    /// [`broadcast_except`](crate::Context::broadcast_except).
    pub const fn except(mut self, conn: ConnectionId) -> Self {
        self.except = Some(conn.0);
        self
    }

    /// Changes the application's own tables in the transaction that stores the message: both are
    /// stored, or neither.
    pub fn with(mut self, tables: TableChange) -> Self {
        self.tables = Some(tables);
        self
    }

    /// Publishes an event once the journal has the message, or has failed: with its position if it
    /// is stored, and after its delivery. The handlers of the event's type get it; if there are
    /// none, it is dropped. There is no event if the loop ends before.
    pub fn then<E: 'static>(
        mut self,
        event: impl FnOnce(Result<Position, NotStored>) -> E + 'static,
    ) -> Self {
        self.then = Some(Then::publish(event));
        self
    }
}
