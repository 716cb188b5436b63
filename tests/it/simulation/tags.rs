//! Every connection has a tag from its `on_open` on, which the loop must find as long as it lives.

use std::collections::BTreeSet;

use eventwire::{ConnectionId, Context, Tag};

use super::app::App;

/// Connections share so many tags.
const TAGS: usize = 5;

/// Which connections have which tag.
#[derive(Debug, Default)]
pub(super) struct Tagged([BTreeSet<u64>; TAGS]);

impl Tagged {
    pub(super) fn remove(&mut self, conn: ConnectionId) {
        for conns in &mut self.0 {
            conns.remove(&conn.to_bits());
        }
    }
}

impl App {
    /// A connection has opened.
    pub(super) fn tag(&mut self, conn: ConnectionId, cx: &mut Context<'_>) {
        let tag = self.known(conn).link % TAGS;
        assert_eq!(cx.connection(conn).tags().len(), 0, "{conn:?} has a tag already");
        assert_eq!(cx.connection(conn).tag(tag as u64), Ok(true));
        self.tagged.0[tag].insert(conn.to_bits());
    }

    /// A connection has lost its tags, since it has ended.
    pub(super) fn untagged(&mut self, conn: ConnectionId, cx: &mut Context<'_>) {
        assert_eq!(cx.connection(conn).tags().len(), 0, "{conn:?} has a tag in its on_close");
        self.tagged.remove(conn);
    }

    /// The loop finds those that have a tag, and no others.
    pub(super) fn check_tags(&self, cx: &mut Context<'_>) {
        // A loop that ends closes everything before it calls on_close.
        if self.stopping {
            return;
        }
        for (tag, conns) in (0_u64..).zip(&self.tagged.0) {
            let found: BTreeSet<u64> = cx.tagged(tag).map(ConnectionId::to_bits).collect();
            assert_eq!(found, *conns, "tag {tag}");
            if let Some(conn) = conns.first().copied().map(ConnectionId::from_bits) {
                assert!(cx.connection(conn).tags().eq([Tag::Number(tag)]));
            }
        }
    }
}
