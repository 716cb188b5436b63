//! Messages for durable topics, with what belongs to them.

use std::fmt;

use crate::engine::context::Context;
use crate::engine::ids::{ConnectionId, TopicId};
use crate::journal::{StorageError, TableChange};
use crate::proto::{AsOutgoing, Outgoing};
use crate::slots::Key;
use crate::topics::Position;

/// A message for a durable topic, with what belongs to it.
///
/// ```
/// use eventwire::{CommitError, Connection, DurableMessage, TopicId};
///
/// /// Acknowledges an order once it is stored.
/// fn place(conn: &mut Connection<'_>, orders: TopicId, order: &str) -> Result<(), CommitError> {
///     let customer = conn.id();
///     conn.commit(orders, DurableMessage::new(order).then(move |cx, stored| {
///         cx.send_to(customer, match stored {
///             Ok(position) => format!("placed at {position}"),
///             Err(error) => format!("not placed: {error}"),
///         });
///     }))
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

/// What is called once an entry is settled.
pub(crate) struct Then(pub(crate) Box<ThenFunction>);

type ThenFunction = dyn FnOnce(&mut Context<'_>, Result<Position, NotStored>);

impl fmt::Debug for Then {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Then").finish_non_exhaustive()
    }
}

/// Why an entry was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CommitError {
    /// There is no such topic.
    TopicGone,
    /// The topic is not [durable](crate::TopicConfig::durable).
    NotDurable,
    /// The entry changes tables, and the topic
    /// [delivers first](crate::Durability::DeliverFirst): its message would be delivered though the
    /// change may fail.
    NotCommitFirst,
    /// As much waits for the journal as it may ([`JournalConfig`](crate::JournalConfig)),
    /// or the topics' limits for a [broadcast](crate::Context::broadcast) are reached.
    Full,
    /// The loop has ended.
    Ended,
}

/// Why an entry was not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotStored {
    /// The change of the application's tables failed, with that message. Nothing is stored.
    Refused(String),
    /// The storage failed. It is not known whether the entry is stored.
    Failed(StorageError),
    /// The entry is stored, and the topic was removed before that.
    TopicGone,
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

    /// Calls a closure once the entry is settled: with its position if it is stored, and after its
    /// delivery. It is not called if the loop ends before that.
    pub fn then(
        mut self,
        then: impl FnOnce(&mut Context<'_>, Result<Position, NotStored>) + 'static,
    ) -> Self {
        self.then = Some(Then(Box::new(then)));
        self
    }
}

impl Context<'_> {
    /// Broadcasts a message to a durable topic, as [`broadcast`](Self::broadcast), with what
    /// belongs to it: a change of the application's tables, and what happens once it is stored.
    ///
    /// # Errors
    ///
    /// [`CommitError`]: nothing is stored or delivered.
    pub fn commit(&mut self, topic: TopicId, entry: DurableMessage<'_>) -> Result<(), CommitError> {
        self.core.commit(topic.0, entry)
    }
}

impl fmt::Display for CommitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TopicGone => "the topic was removed",
            Self::NotDurable => "the topic is not durable",
            Self::NotCommitFirst => "the topic delivers messages before they are stored",
            Self::Full => "too much waits for the journal",
            Self::Ended => "the loop has ended",
        })
    }
}

impl std::error::Error for CommitError {}

impl fmt::Display for NotStored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => write!(f, "refused: {why}"),
            Self::Failed(error) => error.fmt(f),
            Self::TopicGone => f.write_str("the topic was removed"),
        }
    }
}

impl std::error::Error for NotStored {}
