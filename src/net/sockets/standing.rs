//! Where connections stand: notes what changes it, and ends those who make room.

use super::Sockets;
use crate::net::aside::End;
use crate::net::disconnect::ConnectError;
use crate::net::places::Standing;
use crate::proto::WebSocket;
use crate::slots::Key;

impl Sockets {
    /// Notes where a connection stands, after that may have changed; `is_flushed`: its stream has
    /// sent whatever it took.
    pub(crate) fn note_standing(&mut self, conn: Key, is_flushed: bool) {
        let Some(socket) = self.slots.get(conn) else {
            return;
        };
        let standing = match socket.standing() {
            Standing::Idle | Standing::Leaving if !is_flushed => Standing::Answering,
            standing => standing,
        };
        self.stand(conn, standing);
    }

    pub(crate) fn stand(&mut self, conn: Key, standing: Standing) {
        let now = self.now;
        if let Some(socket) = self.slots.get_mut(conn) {
            self.places.change(conn, &mut socket.place, standing, now);
        }
    }

    /// Ends a connection that is kept alive and asks for nothing: in order, so that a request that
    /// is on its way is passed over and not reset.
    pub(crate) fn end_idle(&mut self, conn: Key) {
        self.answer(conn, WebSocket::terminate, |()| false);
        self.end(conn, End::Connect(ConnectError::Cancelled));
    }

    /// Ends a connection whose request was under way for too long while others waited.
    pub(crate) fn end_asking(&mut self, conn: Key) {
        self.end(conn, End::Connect(ConnectError::TimedOut));
        self.kill(conn);
    }
}
