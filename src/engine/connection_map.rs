use crate::engine::ids::ConnectionId;
use crate::slots::Key;

/// A map from connections to the application's own data. Lookups index by slot and do not hash.
///
/// The loop reuses the slots of connections that have ended. So the map grows to the largest number
/// of simultaneous connections, and no further. Data stays until it is [removed](Self::remove), or
/// replaced by that of a later connection in the same slot: remove it in `on_close`.
///
/// ```
/// use eventwire::{Connection, ConnectionMap, Disconnect, WebSocketHandler};
///
/// #[derive(Default)]
/// struct App {
///     names: ConnectionMap<String>,
/// }
///
/// struct Chat;
///
/// impl WebSocketHandler<App> for Chat {
///     fn on_open(&mut self, conn: &mut Connection<'_>, app: &mut App) {
///         app.names.insert(conn.id(), "guest".to_owned());
///     }
///
///     fn on_close(&mut self, conn: &mut Connection<'_>, _: &Disconnect, app: &mut App) {
///         app.names.remove(conn.id());
///     }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct ConnectionMap<T> {
    /// By slot. An entry belongs only to the connection of its generation.
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

    /// How many connections have data, including ended ones whose data was not removed.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether no connection has data.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Sets a connection's data and returns its previous data. Drops data that an earlier
    /// connection left in the same slot.
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

    /// A connection's data, mutable.
    #[must_use]
    pub fn get_mut(&mut self, conn: ConnectionId) -> Option<&mut T> {
        let (owner, value) = self.entries.get_mut(conn.0.index())?.as_mut()?;
        (*owner == conn.0.generation()).then_some(value)
    }

    /// Removes a connection's data and returns it.
    #[inline]
    pub fn remove(&mut self, conn: ConnectionId) -> Option<T> {
        if self.is_empty() {
            return None;
        }
        self.get(conn)?;
        self.len -= 1;
        self.entries[conn.0.index()].take().map(|(_, value)| value)
    }

    /// All connections with their data, by slot.
    pub fn iter(&self) -> impl Iterator<Item = (ConnectionId, &T)> {
        self.entries.iter().enumerate().filter_map(|(index, entry)| {
            let (generation, value) = entry.as_ref()?;
            Some((id(index, *generation), value))
        })
    }

    /// All connections with their mutable data, by slot.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (ConnectionId, &mut T)> {
        self.entries.iter_mut().enumerate().filter_map(|(index, entry)| {
            let (generation, value) = entry.as_mut()?;
            Some((id(index, *generation), value))
        })
    }

    /// Removes the data for which `keep` is false.
    pub fn retain(&mut self, mut keep: impl FnMut(ConnectionId, &mut T) -> bool) {
        for (index, entry) in self.entries.iter_mut().enumerate() {
            let removed = entry.take_if(|(generation, value)| !keep(id(index, *generation), value));
            self.len -= usize::from(removed.is_some());
        }
    }

    /// A connection's entry, occupied or vacant. Drops data that an earlier connection left in the
    /// same slot.
    ///
    /// ```
    /// use eventwire::{ConnectionId, ConnectionMap};
    ///
    /// fn count(messages: &mut ConnectionMap<u64>, id: ConnectionId) {
    ///     *messages.entry(id).or_default() += 1;
    /// }
    /// # let (mut messages, id) = (ConnectionMap::new(), ConnectionId::from_bits(0));
    /// # count(&mut messages, id);
    /// # count(&mut messages, id);
    /// # assert_eq!(messages.get(id), Some(&2));
    /// ```
    pub fn entry(&mut self, conn: ConnectionId) -> ConnectionEntry<'_, T> {
        let (index, generation) = (conn.0.index(), conn.0.generation());
        if self.entries.len() <= index {
            self.entries.resize_with(index + 1, || None);
        }
        let stale = self.entries[index].take_if(|(owner, _)| *owner != generation);
        self.len -= usize::from(stale.is_some());
        ConnectionEntry { generation, place: &mut self.entries[index], len: &mut self.len }
    }
}

/// A connection's entry in a [`ConnectionMap`], occupied or vacant.
#[derive(Debug)]
pub struct ConnectionEntry<'a, T> {
    generation: u32,
    /// Vacant, or the connection's own data.
    place: &'a mut Option<(u32, T)>,
    len: &'a mut usize,
}

impl<'a, T> ConnectionEntry<'a, T> {
    /// The connection's data. Inserts `value` if there is none.
    pub fn or_insert(self, value: T) -> &'a mut T {
        self.or_insert_with(|| value)
    }

    /// The connection's data. Inserts the result of `make` if there is none.
    pub fn or_insert_with(self, make: impl FnOnce() -> T) -> &'a mut T {
        let Self { generation, place, len } = self;
        let is_empty = place.is_none();
        let (_, value) = place.get_or_insert_with(|| (generation, make()));
        *len += usize::from(is_empty);
        value
    }

    /// The connection's data. Inserts the default if there is none.
    pub fn or_default(self) -> &'a mut T
    where
        T: Default,
    {
        self.or_insert_with(T::default)
    }

    /// Changes the connection's data, if there is any.
    #[must_use]
    pub fn and_modify(self, modify: impl FnOnce(&mut T)) -> Self {
        if let Some((_, value)) = &mut *self.place {
            modify(value);
        }
        self
    }
}

/// The id of the connection with that slot and generation.
fn id(index: usize, generation: u32) -> ConnectionId {
    ConnectionId(Key::from_bits(u64::from(generation) << 32 | index as u64))
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
    fn entries_belong_to_one_connection_and_are_counted() {
        let mut slots = Slots::with_capacity(1);
        let mut map = ConnectionMap::new();
        let first = ConnectionId(slots.insert(()));
        assert_eq!(*map.entry(first).or_insert(1), 1);
        assert_eq!(*map.entry(first).and_modify(|value| *value += 1).or_insert(7), 2);
        slots.remove(first.0);
        let second = ConnectionId(slots.insert(()));
        assert_eq!(*map.entry(second).and_modify(|value| *value += 1).or_default(), 0);
        assert_eq!((map.len(), map.get(first)), (1, None));
        // A vacant entry does not count.
        let third = ConnectionId(slots.insert(()));
        let _ = map.entry(third);
        assert_eq!(map.len(), 1);
    }

    #[test]
    fn all_data_can_be_changed_and_some_removed() {
        let mut slots = Slots::with_capacity(3);
        let mut map = ConnectionMap::new();
        let conns: Vec<_> = (0..3).map(|_| ConnectionId(slots.insert(()))).collect();
        for (&conn, number) in conns.iter().zip(0..) {
            assert_eq!(map.insert(conn, number), None);
        }
        map.iter_mut().for_each(|(conn, number)| *number += 10 * u64::from(conn == conns[1]));
        map.retain(|conn, number| conn != conns[0] || *number > 0);
        assert_eq!(map.iter().collect::<Vec<_>>(), [(conns[1], &11), (conns[2], &2)]);
        assert_eq!(map.len(), 2);
    }

    #[test]
    fn a_map_holds_no_more_than_the_most_connections_at_one_time() {
        let (mut slots, mut map) = (Slots::with_capacity(0), ConnectionMap::new());
        let mut open = std::collections::VecDeque::new();
        for number in 0..10_000 {
            if open.len() == 10 {
                // Leave every other one in the map.
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
