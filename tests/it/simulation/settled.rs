//! What must hold once nothing is under way: whatever is still missing was lost, or is waited
//! for in vain. Every family's run checks all of it; a family names what its invariant consists of.

use super::app::{Job, Link, Phase};
use super::world::World;

impl World {
    /// Checks everything below.
    pub(super) fn check_quiet(&mut self) {
        self.assert_peers_served();
        self.assert_ended_in_order();
        self.assert_topic_changes_published();
        self.assert_delivered();
        self.assert_opened();
        self.assert_answered();
    }

    /// Whether no fault loses anything, and everybody is let in.
    fn is_lossless(&self) -> bool {
        self.app.lossless && !self.crowded
    }

    /// The links that neither faults nor a peer without manners disturb.
    fn undisturbed(&self) -> impl Iterator<Item = (usize, &Link)> {
        let links = self.app.links.iter().enumerate();
        links.filter(|(_, link)| self.is_lossless() && !link.rude)
    }

    /// Each scripted peer received what it must receive: all messages, or a refusal, or the close
    /// code of its violation.
    pub(super) fn assert_peers_served(&mut self) {
        if !self.is_lossless() {
            return;
        }
        let reactor = self.event_loop.reactor_mut();
        for peer in &self.peers {
            let complaint = peer.complaint(reactor, &self.app);
            assert!(complaint.is_none(), "{}", complaint.unwrap_or_default());
        }
    }

    /// Only connections that are open take a place.
    fn assert_ended_in_order(&self) {
        if self.is_lossless() && self.app.links.iter().all(|link| !link.rude) {
            let open = self.app.conns.values().filter(|conn| conn.phase == Phase::Open).count();
            assert_eq!(self.event_loop.connections(), open, "connections do not end");
        }
    }

    /// A `TopicChanged` was published whenever a topic gained its first subscriber or lost its
    /// last one.
    pub(super) fn assert_topic_changes_published(&self) {
        for topic in &self.app.topics {
            let has_subscribers = !topic.subscribers.is_empty();
            assert_eq!(topic.occupied, has_subscribers, "no TopicChanged of {:?}", topic.id);
        }
    }

    /// Where both ends are open, every message has arrived or is part of a reported gap, and
    /// `on_drained` was called.
    pub(super) fn assert_delivered(&self) {
        for (number, link) in self.app.links.iter().enumerate() {
            let both = self.app.is_open(link.client) && self.app.is_open(link.server);
            let all = link.up.is_complete() && link.down.is_complete();
            assert!(all || !both, "messages of link {number} are missing: {}", link.progress());
            let waits = self.app.waits(link.client) || self.app.waits(link.server);
            assert!(!waits || !both, "on_drained of link {number} was not called");
        }
    }

    /// No undisturbed connection is still opening.
    fn assert_opened(&self) {
        for (number, link) in self.undisturbed() {
            let phase = link.client.and_then(|client| self.app.phase(client));
            assert_ne!(phase, Some(Phase::Connecting), "link {number} does not open");
        }
    }

    /// Every undisturbed client that opened has closed, and has got an answer to each of its
    /// questions before.
    pub(super) fn assert_answered(&self) {
        for (number, link) in self.undisturbed() {
            let (Job::Echo(asks) | Job::Fetch(asks)) = &link.job else { continue };
            let phase = link.client.and_then(|client| self.app.phase(client));
            let opened = phase == Some(Phase::Closed) && link.server.is_some();
            let all = asks.answered == asks.lens.len();
            assert!(all || !opened, "link {number}: {asks:?}");
        }
    }
}
