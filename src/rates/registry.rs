//! All limits of a loop, and the connections that count for them.

use std::net::IpAddr;
use std::sync::Arc;

use super::entry::{Entry, Opening};
use super::key::{Prefixes, RateKey};
use super::limits::RateLimits;
use super::pauses::Pauses;
use super::scope::{Denied, LimitScope};
use super::table::Table;
use crate::slots::Key;
use crate::time::Time;

/// The limits of each address.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AddressRules {
    pub(crate) limits: RateLimits,
    pub(crate) prefixes: Prefixes,
    /// The most addresses whose counts are kept.
    pub(crate) max: usize,
}

/// All limits of a loop.
///
/// Invariant: an entry has as many connections as members name it.
#[derive(Debug)]
pub(crate) struct Rates {
    addresses: Table,
    /// The limits of each address, if there are any.
    address_limits: Option<Arc<RateLimits>>,
    prefixes: Prefixes,
    tags: Table,
    /// By the slot of the connection. Empty while nothing is limited.
    members: Vec<Member>,
    pauses: Pauses,
}

/// What a connection counts for.
#[derive(Debug)]
struct Member {
    /// The connection, since its slot is reused.
    conn: Key,
    address: Option<Admitted>,
    tags: Vec<Key>,
    pause: Pause,
}

/// Whether a connection is not read from because of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pause {
    None,
    Until(Time),
    /// Its limits allow nothing.
    Endless,
}

/// A connection that was counted for its address, or refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Admitted {
    entry: Key,
    /// Why it was refused.
    pub(crate) denied: Option<Denied>,
}

/// Why a connection does not join a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TagDenied {
    Limit(Denied),
    /// There is no room for another tag with limits.
    Full,
}

impl Rates {
    pub(crate) fn new(addresses: Option<AddressRules>, max_tags: usize) -> Self {
        let prefixes = Prefixes { v4: 32, v6: 64 };
        Self {
            addresses: Table::new(addresses.map_or(0, |rules| rules.max)),
            address_limits: addresses.map(|rules| Arc::new(rules.limits)),
            prefixes: addresses.map_or(prefixes, |rules| rules.prefixes),
            tags: Table::new(max_tags),
            members: Vec::new(),
            pauses: Pauses::new(),
        }
    }

    /// Whether addresses have limits.
    pub(crate) const fn limits_addresses(&self) -> bool {
        self.address_limits.is_some()
    }

    /// How many addresses have an entry.
    pub(crate) fn addresses_len(&self) -> usize {
        self.addresses.len()
    }

    /// How many tags have an entry.
    pub(crate) fn tags_len(&self) -> usize {
        self.tags.len()
    }

    #[cfg(test)]
    pub(super) fn tables(&self) -> [&Table; 2] {
        [&self.addresses, &self.tags]
    }

    // Addresses.

    /// Counts a new connection from an address, or one that is refused and gets a response. Either
    /// [`join`](Self::join) or [`abandon`](Self::abandon) follows. `None` if addresses have no
    /// limits.
    ///
    /// # Errors
    ///
    /// If it is not counted at all: too many that were refused wait for their response.
    pub(crate) fn admit(&mut self, address: IpAddr, now: Time) -> Result<Option<Admitted>, Denied> {
        let Some(key) = self.address_entry(address, now) else {
            return Ok(None);
        };
        let Some(entry) = self.addresses.get_mut(key) else {
            return Ok(None);
        };
        let opening = entry.open_or_refuse(now);
        self.addresses.note_use(key);
        match opening {
            Opening::Counted => Ok(Some(Admitted { entry: key, denied: None })),
            Opening::Refused(denied) => Ok(Some(Admitted { entry: key, denied: Some(denied) })),
            Opening::Cut(denied) => Err(denied),
        }
    }

    /// The connection has that slot.
    pub(crate) fn join(&mut self, conn: Key, admitted: Admitted) {
        let member = self.member_or_add(conn);
        debug_assert!(member.address.is_none(), "it counts once");
        member.address = Some(admitted);
    }

    /// There is no connection after all.
    pub(crate) fn abandon(&mut self, admitted: Admitted) {
        if let Some(entry) = self.addresses.get_mut(admitted.entry) {
            match admitted.denied {
                None => entry.close(),
                Some(_) => entry.close_refused(),
            }
            self.addresses.note_use(admitted.entry);
        }
    }

    /// Whether the connection counts for an address, or was refused for one.
    pub(crate) fn counts_address(&self, conn: Key) -> bool {
        self.member(conn).is_some_and(|member| member.address.is_some())
    }

    /// Why the connection was refused, if it was.
    pub(crate) fn denied(&self, conn: Key) -> Option<Denied> {
        self.member(conn)?.address.as_ref()?.denied
    }

    /// Takes a request of a client with that address, with so many bytes.
    ///
    /// # Errors
    ///
    /// If it exceeds a limit. Then it is not counted.
    pub(crate) fn request(&mut self, client: IpAddr, bytes: u64, now: Time) -> Result<(), Denied> {
        let Some(key) = self.address_entry(client, now) else {
            return Ok(());
        };
        let taken = self.addresses.get_mut(key).map_or(Ok(()), |entry| entry.request(bytes, now));
        self.addresses.note_use(key);
        taken
    }

    /// Takes more bytes of a request that was taken.
    pub(crate) fn request_bytes(&mut self, client: IpAddr, bytes: u64, now: Time) {
        let key = self.address_entry(client, now);
        if let Some(entry) = key.and_then(|key| self.addresses.get_mut(key)) {
            entry.charge(0, bytes, now);
        }
    }

    /// The entry of an address. Those for which there is no room share one.
    fn address_entry(&mut self, address: IpAddr, now: Time) -> Option<Key> {
        let limits = self.address_limits.as_ref()?;
        let key = self.prefixes.key(address);
        let entry = self.addresses.find_or_add(&key, limits, now);
        let others = &RateKey::OtherAddresses;
        Some(entry.unwrap_or_else(|| self.addresses.find_or_force(others, limits)))
    }

    // Tags.

    /// Counts a connection for a tag, which has these limits from now on. Returns whether it had
    /// others.
    ///
    /// # Errors
    ///
    /// If the limits do not allow another connection, or there is no room for the tag. Then the
    /// connection does not count for it.
    pub(crate) fn join_tag(
        &mut self,
        conn: Key,
        key: &RateKey,
        limits: &RateLimits,
        now: Time,
    ) -> Result<bool, TagDenied> {
        let found = self.tags.find_or_add(key, &Arc::new(*limits), now);
        let (tag, entry) =
            found.and_then(|tag| Some((tag, self.tags.get_mut(tag)?))).ok_or(TagDenied::Full)?;
        let has_changed = entry.set_limits(limits, now);
        let has_joined = match self.members.get(conn.index()) {
            Some(member) => member.conn == conn && member.tags.contains(&tag),
            None => false,
        };
        if !has_joined {
            let opened = entry.check_opening(now);
            if opened.is_ok() {
                entry.open(now);
            }
            self.tags.note_use(tag);
            opened.map_err(TagDenied::Limit)?;
            self.member_or_add(conn).tags.push(tag);
        }
        Ok(has_changed)
    }

    /// The connection does not count for the tag any more; `false` if it did not.
    pub(crate) fn leave_tag(&mut self, conn: Key, key: &RateKey) -> bool {
        let Some(tag) = self.tags.find(key) else {
            return false;
        };
        let Some(member) = self.member_mut(conn) else {
            return false;
        };
        let Some(position) = member.tags.iter().position(|own| *own == tag) else {
            return false;
        };
        member.tags.swap_remove(position);
        self.close_tag(tag);
        true
    }

    /// The connection does not count for any tag any more.
    #[inline]
    pub(crate) fn leave_tags(&mut self, conn: Key) {
        if self.member(conn).is_some() {
            self.leave_all_tags(conn);
        }
    }

    #[inline(never)]
    fn leave_all_tags(&mut self, conn: Key) {
        let tags = self.member_mut(conn).map(|member| std::mem::take(&mut member.tags));
        for tag in tags.into_iter().flatten() {
            self.close_tag(tag);
        }
    }

    fn close_tag(&mut self, tag: Key) {
        if let Some(entry) = self.tags.get_mut(tag) {
            entry.close();
            self.tags.note_use(tag);
        }
    }

    // Connections.

    /// The connection has ended.
    #[inline]
    pub(crate) fn leave(&mut self, conn: Key) {
        if self.member(conn).is_some() {
            self.leave_everything(conn);
        }
    }

    #[inline(never)]
    fn leave_everything(&mut self, conn: Key) {
        self.leave_all_tags(conn);
        self.end_pause(conn);
        let Some(member) = self.member_mut(conn) else {
            return;
        };
        let address = member.address.take();
        *member = Member::NONE;
        if let Some(admitted) = address {
            self.abandon(admitted);
        }
    }

    /// The entry at that index among those that the connection counts for.
    pub(super) fn entry_of(&mut self, conn: Key, index: usize) -> Option<(LimitScope, &mut Entry)> {
        let member = self.member(conn)?;
        let address = member.address.filter(|admitted| admitted.denied.is_none());
        match (index, address) {
            (0, Some(admitted)) => {
                Some((LimitScope::Address, self.addresses.get_mut(admitted.entry)?))
            }
            _ => {
                let tag = *member.tags.get(index - usize::from(address.is_some()))?;
                Some((LimitScope::Tag, self.tags.get_mut(tag)?))
            }
        }
    }

    /// The connection is not read from until then; `None`: until its limits change.
    pub(crate) fn begin_pause(&mut self, conn: Key, until: Option<Time>) {
        self.end_pause(conn);
        let pause =
            until.filter(|until| *until != Time::NEVER).map_or(Pause::Endless, Pause::Until);
        self.member_or_add(conn).pause = pause;
        if let Pause::Until(until) = pause {
            self.pauses.insert(conn, until);
        }
    }

    /// The connection is read from again.
    pub(crate) fn end_pause(&mut self, conn: Key) {
        let Some(member) = self.member_mut(conn) else {
            return;
        };
        if let Pause::Until(until) = std::mem::replace(&mut member.pause, Pause::None) {
            self.pauses.remove(conn, until);
        }
    }

    /// When the first pause ends.
    #[inline]
    pub(crate) const fn next_due(&self) -> Time {
        self.pauses.next()
    }

    /// Ends a pause whose time has come.
    pub(crate) fn expire(&mut self, now: Time) -> Option<Key> {
        let conn = self.pauses.expire(now)?;
        if let Some(member) = self.member_mut(conn) {
            member.pause = Pause::None;
        }
        Some(conn)
    }

    #[inline]
    fn member(&self, conn: Key) -> Option<&Member> {
        self.members.get(conn.index()).filter(|member| member.conn == conn)
    }

    fn member_mut(&mut self, conn: Key) -> Option<&mut Member> {
        self.members.get_mut(conn.index()).filter(|member| member.conn == conn)
    }

    fn member_or_add(&mut self, conn: Key) -> &mut Member {
        if self.members.len() <= conn.index() {
            self.members.resize_with(conn.index() + 1, || Member::NONE);
        }
        let member = &mut self.members[conn.index()];
        if member.conn != conn {
            debug_assert!(member.conn == Key::NONE, "connections leave");
            *member = Member { conn, ..Member::NONE };
        }
        member
    }
}

impl Member {
    const NONE: Self =
        Self { conn: Key::NONE, address: None, tags: Vec::new(), pause: Pause::None };
}
