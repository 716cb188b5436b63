//! Data of the application that is attached to connections.

use std::any::Any;

use crate::engine::connection::Connection;
use crate::engine::connection_map::ConnectionMap;
use crate::engine::ids::ConnectionId;

/// What is attached to connections. One without costs nothing.
#[derive(Debug, Default)]
pub(crate) struct Attachments(ConnectionMap<Vec<Box<dyn Any>>>);

impl Attachments {
    pub(crate) const fn new() -> Self {
        Self(ConnectionMap::new())
    }

    fn attach<T: 'static>(&mut self, conn: ConnectionId, value: T) -> Option<T> {
        let former = self.detach(conn);
        self.0.entry(conn).or_default().push(Box::new(value));
        former
    }

    fn get<T: 'static>(&self, conn: ConnectionId) -> Option<&T> {
        self.0.get(conn)?.iter().find_map(|value| value.downcast_ref())
    }

    fn get_mut<T: 'static>(&mut self, conn: ConnectionId) -> Option<&mut T> {
        self.0.get_mut(conn)?.iter_mut().find_map(|value| value.downcast_mut())
    }

    fn detach<T: 'static>(&mut self, conn: ConnectionId) -> Option<T> {
        let values = self.0.get_mut(conn)?;
        let index = values.iter().position(|value| value.is::<T>())?;
        let value = values.swap_remove(index);
        if values.is_empty() {
            self.0.remove(conn);
        }
        value.downcast().ok().map(|value| *value)
    }

    /// Removes what is attached to a connection that has ended.
    pub(crate) fn remove(&mut self, conn: ConnectionId) -> Vec<Box<dyn Any>> {
        self.0.remove(conn).unwrap_or_default()
    }
}

impl Connection<'_> {
    /// Attaches a value to the connection: who its user is, for instance. Returns the former value
    /// of the same type. A connection has one value of each type.
    ///
    /// Every handler of the connection can use it, from [`on_upgrade`] or a client's [`on_response`]
    /// on, until [`on_close`] or [`on_connect_error`] has returned. Then it is dropped. A connection
    /// without data takes no memory for this. To find the data of all connections, keep it in a
    /// [`ConnectionMap`](crate::ConnectionMap).
    ///
    /// On a connection that is gone, the value is returned at once.
    ///
    /// ```
    /// use eventwire::proto::handshake::UpgradeRequest;
    /// use eventwire::{Connection, Message, Upgrade, WebSocketHandler};
    ///
    /// struct User(String);
    /// struct Chat;
    ///
    /// impl WebSocketHandler<()> for Chat {
    ///     fn on_upgrade(
    ///         &mut self,
    ///         conn: &mut Connection<'_>,
    ///         request: &UpgradeRequest<'_>,
    ///         _: &mut (),
    ///     ) -> Upgrade {
    ///         let Some(name) = request.header("X-User") else {
    ///             return Upgrade::refuse(401);
    ///         };
    ///         conn.attach(User(name.to_owned()));
    ///         Upgrade::accept()
    ///     }
    ///
    ///     fn on_message(&mut self, conn: &mut Connection<'_>, _: Message<'_>, _: &mut ()) {
    ///         let greeting = conn.data().map(|User(name)| format!("hello {name}"));
    ///         conn.send(greeting.unwrap_or_default());
    ///     }
    /// }
    /// ```
    ///
    /// [`on_upgrade`]: crate::WebSocketHandler::on_upgrade
    /// [`on_response`]: crate::WebSocketHandler::on_response
    /// [`on_close`]: crate::WebSocketHandler::on_close
    /// [`on_connect_error`]: crate::WebSocketHandler::on_connect_error
    pub fn attach<T: 'static>(&mut self, value: T) -> Option<T> {
        let (id, core) = (self.id(), &mut *self.context.core);
        match core.sockets.get(id.0) {
            Some(_) => core.attachments.attach(id, value),
            None => Some(value),
        }
    }

    /// The [attached](Self::attach) value of this type.
    #[must_use]
    pub fn data<T: 'static>(&self) -> Option<&T> {
        self.context.core.attachments.get(self.id())
    }

    /// The [attached](Self::attach) value of this type, mutable.
    #[must_use]
    pub fn data_mut<T: 'static>(&mut self) -> Option<&mut T> {
        let id = self.id();
        self.context.core.attachments.get_mut(id)
    }

    /// Removes the [attached](Self::attach) value of this type and returns it.
    pub fn detach<T: 'static>(&mut self) -> Option<T> {
        let id = self.id();
        self.context.core.attachments.detach(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_has_one_value_of_each_type() {
        let (mut attachments, conn) = (Attachments::new(), ConnectionId::from_bits(7));
        assert_eq!(attachments.attach(conn, 1_u8), None);
        assert_eq!(attachments.attach(conn, "text"), None);
        assert_eq!(attachments.attach(conn, 2_u8), Some(1));
        assert_eq!(attachments.get_mut(conn).map(|value: &mut u8| std::mem::take(value)), Some(2));
        assert_eq!((attachments.get(conn), attachments.get(conn)), (Some(&0_u8), Some(&"text")));
        assert_eq!(attachments.get::<u16>(conn), None);
        assert_eq!(attachments.detach::<u16>(conn), None);
        assert_eq!((attachments.detach(conn), attachments.detach::<u8>(conn)), (Some(0_u8), None));
        assert_eq!(attachments.remove(conn).len(), 1);
        assert_eq!((attachments.get::<&str>(conn), attachments.0.len()), (None, 0));
        attachments.attach(conn, 1_u8);
        assert_eq!((attachments.detach(conn), attachments.0.len()), (Some(1_u8), 0));
    }
}
