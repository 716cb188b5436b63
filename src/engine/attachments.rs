//! Data of the application that is attached to connections.

use std::any::Any;

use crate::engine::connection_map::ConnectionMap;
use crate::engine::ids::ConnectionId;

/// What is attached to connections. One without costs nothing.
#[derive(Debug, Default)]
pub(crate) struct Attachments(ConnectionMap<Vec<Box<dyn Any>>>);

impl Attachments {
    pub(crate) const fn new() -> Self {
        Self(ConnectionMap::new())
    }

    pub(crate) fn attach<T: 'static>(&mut self, conn: ConnectionId, value: T) -> Option<T> {
        let former = self.detach(conn);
        self.0.entry(conn).or_default().push(Box::new(value));
        former
    }

    pub(crate) fn get<T: 'static>(&self, conn: ConnectionId) -> Option<&T> {
        self.0.get(conn)?.iter().find_map(|value| value.downcast_ref())
    }

    pub(crate) fn get_mut<T: 'static>(&mut self, conn: ConnectionId) -> Option<&mut T> {
        self.0.get_mut(conn)?.iter_mut().find_map(|value| value.downcast_mut())
    }

    pub(crate) fn detach<T: 'static>(&mut self, conn: ConnectionId) -> Option<T> {
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
