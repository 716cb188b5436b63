//! What handlers do with the data that is attached to connections.

use crate::engine::connection::Connection;

impl Connection<'_> {
    /// Attaches a value to the connection: who its user is, for instance. Returns the former value
    /// of the same type. A connection has one value of each type.
    ///
    /// Every handler of the connection can use it, from [`on_upgrade`] or a client's
    /// [`on_response`] on, until [`on_close`] or [`on_connect_error`] has returned. Then it is
    /// dropped. A connection without data takes no memory for this. To find the data of all
    /// connections, keep it in a [`ConnectionMap`](crate::ConnectionMap).
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
            Some(socket) if !socket.life.is_over() => core.attachments.attach(id, value),
            _ => Some(value),
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
