//! Sockets that join a namespace, and those that a durable namespace remembers.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::changes::Changes;
use super::deadlines::{Due, Kind};
use super::entry::{Claim, Flow, SocketEntry};
use super::namespace::{EventLog, Namespace, Room};
use super::rooms::Rooms;
use super::state::Hub;
use crate::logging::log_line;
use crate::slots::Key;
use crate::socketio::ids::{Secret, SocketId};
use crate::socketio::record::{AwaySocket, Record};
use crate::{Context, Position};

/// Lets sockets join namespaces.
pub(in crate::socketio) struct Joins<'a>(pub(in crate::socketio) &'a mut Hub);

impl Joins<'_> {
    /// Adds a socket of a session to a namespace.
    pub(in crate::socketio) fn add_socket(
        &mut self,
        cx: &mut Context<'_>,
        session: Key,
        namespace: Key,
        auth: Option<&str>,
    ) -> Key {
        let place = self.0.config.place;
        let events = self.0.namespaces.get(namespace).and_then(|namespace| namespace.events);
        let secret = events.map(|_| Secret::random(place, cx));
        let newest = events.and_then(|events| cx.position(events.topic));
        let socket = self.insert_socket(SocketEntry {
            id: SocketId::random(place, cx),
            namespace,
            session: Some(session),
            flow: Flow::Live,
            rooms: Vec::new(),
            claim: secret.map(|secret| {
                let since = newest.unwrap_or(Position::new(0, 0));
                Box::new(Claim { secret, since, changes: Changes::from(since), times_away: 0 })
            }),
            asks: None,
            auth: auth.map(Rc::from),
            is_recovered: false,
        });
        self.connect_socket(cx, socket, session);
        socket
    }

    pub(in crate::socketio) fn insert_socket(&mut self, entry: SocketEntry) -> Key {
        let (id, namespace) = (entry.id, entry.namespace);
        let socket = self.0.sockets.insert(entry);
        self.0.by_id.insert(id, socket);
        if let Some(namespace) = self.0.namespaces.get_mut(namespace) {
            namespace.sockets += 1;
        }
        socket
    }

    /// Makes a socket that is in the list a member of its namespace and its rooms.
    pub(in crate::socketio) fn connect_socket(
        &mut self,
        cx: &mut Context<'_>,
        socket: Key,
        session: Key,
    ) {
        if let Some(session) = self.0.sessions.get_mut(session) {
            let name = self.0.sockets.get(socket).map(|entry| entry.namespace);
            let name = name.and_then(|key| self.0.namespaces.get(key)).map(|it| &it.name);
            if let (Some(left), Some(name)) = (&mut session.left, name) {
                left.0.remove(name);
            }
            // Most sessions have one socket.
            session.sockets.reserve_exact(1);
            session.sockets.push(socket);
            session.has_joined = true;
        }
        self.0.stats.sockets += 1;
        self.0.stats.connected += 1;
        Rooms(self.0).enter(cx, socket, None);
    }

    /// The namespace of that name, made if it does not exist.
    pub(in crate::socketio) fn namespace(&mut self, cx: &mut Context<'_>, name: &str) -> Key {
        if let Some(key) = self.0.by_name.get(name) {
            return *key;
        }
        let topic = format!("{}{name}", self.0.path);
        let everyone = Room::new(cx, &topic);
        let events = self.0.config.recovery.and_then(|recovery| {
            let topic = cx.topic_with(&format!("{topic}!events"), &recovery.topic());
            match topic {
                Ok(topic) => EventLog::open(cx, topic),
                Err(error) => {
                    log_line!(error, "no recovery in the namespace {name:?}: {error}");
                    None
                }
            }
        });
        let name: Rc<str> = name.into();
        let namespace = Namespace {
            name: Rc::clone(&name),
            everyone,
            rooms: BTreeMap::new(),
            sockets: 0,
            events,
        };
        let key = self.0.namespaces.insert(namespace);
        self.0.by_name.insert(name, key);
        self.restore(cx, key);
        key
    }

    /// Brings back what a durable namespace remembers of sockets that were away.
    pub(in crate::socketio) fn restore(&mut self, cx: &mut Context<'_>, namespace: Key) {
        let events = self.0.namespaces.get(namespace).and_then(|namespace| namespace.events);
        let Some(events) = events.filter(|events| events.is_durable) else {
            return;
        };
        let (epoch, mut floor) = (events.epoch(), None);
        for message in cx.history(events.topic, ..) {
            match Record::read(message.message.as_bytes()) {
                Some(Record::Away(away)) if !self.0.by_id.contains_key(&away.id) => {
                    let socket = self.insert_socket(SocketEntry {
                        id: away.id,
                        namespace,
                        session: None,
                        flow: Flow::Away,
                        rooms: away.rooms.iter().map(Rc::from).collect(),
                        claim: Some(Box::new(Claim {
                            secret: away.secret,
                            since: Position::new(epoch, away.since),
                            changes: changes_of(&away, epoch),
                            times_away: 0,
                        })),
                        asks: None,
                        auth: away.auth().map(Rc::from),
                        is_recovered: false,
                    });
                    self.0.away.insert(away.secret, socket);
                }
                Some(Record::Back(id)) => self.drop_restored(id),
                Some(Record::Floor(stored)) => floor = Some(stored),
                _ => {}
            }
        }
        let found = self.0.namespaces.get_mut(namespace);
        if let (Some(found), Some(floor)) = (found, floor) {
            found.events.iter_mut().for_each(|events| events.set_stored_floor(floor));
        }
        let restored: Vec<Key> = self.0.away.values().copied().collect();
        for key in restored {
            self.0.deadlines.begin(cx, Due { kind: Kind::Away, key, number: 0 });
        }
    }

    /// A socket was recovered before the program ended.
    fn drop_restored(&mut self, id: SocketId) {
        let Some(entry) = self.0.by_id.remove(&id).and_then(|key| self.0.sockets.remove(key))
        else {
            return;
        };
        if let Some(claim) = entry.claim {
            self.0.away.remove(&claim.secret);
        }
        if let Some(namespace) = self.0.namespaces.get_mut(entry.namespace) {
            namespace.sockets -= 1;
        }
    }
}

/// The changes of rooms that a record has.
fn changes_of(away: &AwaySocket<'_>, epoch: u64) -> Changes {
    let mut changes = Changes::from(Position::new(epoch, away.floor));
    for (room, behind, entered) in away.changes.iter() {
        changes.push(room.into(), Position::new(epoch, behind), entered);
    }
    changes
}
