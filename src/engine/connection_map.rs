use super::ConnectionId;
use crate::slots::Key;

/// The application's own data for each connection, found by slot without hashing.
///
/// A slot belongs to one connection at a time, and the next connection has one that is free. So a
/// map has room for as many connections as there were at one time, and does not grow beyond that
/// however many come and go. Data stays until it is [removed](Self::remove), or replaced by that of
/// a later connection in the same slot: remove it in `on_close`.
///
/// ```
/// use eventwire::{ConnectionMap, Context, ConnectionId, Disconnect, WebSocketHandler};
///
/// #[derive(Default)]
/// struct App {
///     names: ConnectionMap<String>,
/// }
///
/// struct Chat;
///
/// impl WebSocketHandler<App> for Chat {
///     fn on_open(&mut self, conn: ConnectionId, _: &mut Context<'_>, app: &mut App) {
///         app.names.insert(conn, "guest".to_owned());
///     }
///
///     fn on_close(
///         &mut self,
///         conn: ConnectionId,
///         _: &Disconnect,
///         _: &mut Context<'_>,
///         app: &mut App,
///     ) {
///         app.names.remove(conn);
///     }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct ConnectionMap<T> {
    /// By slot: as many as there were connections at one time. An entry belongs to the connection
    /// of its generation alone.
    entries: Vec<Option<(u32, T)>>,
    len: usize,
}

impl<T> Default for ConnectionMap<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> ConnectionMap<T> {
    /// An empty map.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new(), len: 0 }
    }

    /// How many connections have data, those included that ended and were not removed.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether no connection has data.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Sets a connection's data and returns what it was. Data that an earlier connection left in
    /// the same slot is dropped.
    pub fn insert(&mut self, conn: ConnectionId, value: T) -> Option<T> {
        let (index, generation) = (conn.0.index(), conn.0.generation());
        if self.entries.len() <= index {
            self.entries.resize_with(index + 1, || None);
        }
        let former = self.entries[index].replace((generation, value));
        self.len += usize::from(former.is_none());
        former.filter(|(owner, _)| *owner == generation).map(|(_, value)| value)
    }

    /// A connection's data.
    #[must_use]
    pub fn get(&self, conn: ConnectionId) -> Option<&T> {
        let (owner, value) = self.entries.get(conn.0.index())?.as_ref()?;
        (*owner == conn.0.generation()).then_some(value)
    }

    /// A connection's data, to be changed.
    #[must_use]
    pub fn get_mut(&mut self, conn: ConnectionId) -> Option<&mut T> {
        let (owner, value) = self.entries.get_mut(conn.0.index())?.as_mut()?;
        (*owner == conn.0.generation()).then_some(value)
    }

    /// Removes a connection's data and returns it.
    pub fn remove(&mut self, conn: ConnectionId) -> Option<T> {
        self.get(conn)?;
        self.len -= 1;
        self.entries[conn.0.index()].take().map(|(_, value)| value)
    }

    /// All connections with their data, by slot.
    pub fn iter(&self) -> impl Iterator<Item = (ConnectionId, &T)> {
        self.entries.iter().enumerate().filter_map(|(index, entry)| {
            let (generation, value) = entry.as_ref()?;
            let bits = u64::from(*generation) << 32 | index as u64;
            Some((ConnectionId(Key::from_bits(bits)), value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slots::Slots;

    #[test]
    fn data_belongs_to_one_connection_not_to_its_slot() {
        let mut slots = Slots::with_capacity(1);
        let mut map = ConnectionMap::new();
        let first = ConnectionId(slots.insert(()));
        assert_eq!(map.insert(first, "first"), None);
        assert_eq!(map.insert(first, "again"), Some("first"));
        slots.remove(first.0);
        let second = ConnectionId(slots.insert(()));
        assert_eq!(map.get(second), None);
        assert_eq!(map.insert(second, "second"), None);
        assert_eq!(map.get(first), None);
        assert_eq!(map.remove(first), None);
        assert_eq!(map.len(), 1);
        assert_eq!(map.iter().collect::<Vec<_>>(), [(second, &"second")]);
        assert_eq!(map.remove(second), Some("second"));
        assert!(map.is_empty());
    }

    #[test]
    fn a_map_holds_no_more_than_the_most_connections_at_one_time() {
        let (mut slots, mut map) = (Slots::with_capacity(0), ConnectionMap::new());
        let mut open = std::collections::VecDeque::new();
        for number in 0..10_000 {
            if open.len() == 10 {
                // Every other one is not removed.
                let ended: ConnectionId = open.pop_front().unwrap();
                if number % 2 == 0 {
                    map.remove(ended);
                }
                slots.remove(ended.0);
            }
            let conn = ConnectionId(slots.insert(()));
            map.insert(conn, number);
            open.push_back(conn);
        }
        assert!(map.entries.len() <= 10 && map.len() <= 10);
        assert!(map.entries.capacity() <= 32, "{}", map.entries.capacity());
    }
}
