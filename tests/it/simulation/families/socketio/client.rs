//! A client that joins namespaces, leaves, and comes back with what it remembers.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use eventwire::reactor::SimReactor;
use eventwire::socketio::packet::{Kind, Packet};
use serde_json::{Value, json};

use super::app::{App, NAMESPACES, VisitNote, contents};
use super::packets::{Part, event, packet, values};
use super::session::{Came, Manner, Session};
use super::truth::State;
use crate::shared::Random;

/// Where a client acts.
pub(super) struct Place<'a> {
    pub(super) app: &'a mut App,
    pub(super) random: &'a mut Random,
    pub(super) reactor: &'a mut SimReactor,
    pub(super) address: SocketAddr,
}

#[derive(Debug)]
pub(super) struct Client {
    number: usize,
    session: Option<Session>,
    /// The number of its session.
    visit: usize,
    members: BTreeMap<&'static str, Member>,
    /// An event whose attachments have not all come.
    partial: Option<Partial>,
    /// Acknowledgements that it waits for.
    acks: BTreeMap<u64, (&'static str, u64)>,
    next_ack: u64,
    has_joined: bool,
}

/// A client in a namespace, or what it remembers of that.
#[derive(Debug, Default)]
struct Member {
    stage: Stage,
    life: Option<usize>,
    pid: Option<String>,
    offset: Option<String>,
    /// How many events it has sent since it joined.
    events: u64,
    /// It has left the namespace in this session, so that something may still come.
    has_left: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Out,
    Joining,
    In,
}

#[derive(Debug)]
struct Partial {
    text: String,
    count: usize,
    attachments: Vec<Vec<u8>>,
}

impl Client {
    pub(super) fn new(number: usize) -> Self {
        Self {
            number,
            session: None,
            visit: 0,
            members: BTreeMap::new(),
            partial: None,
            acks: BTreeMap::new(),
            next_ack: 0,
            has_joined: false,
        }
    }

    pub(super) fn step(&mut self, place: &mut Place<'_>) {
        if self.session.is_none() && place.random.percent(10) {
            self.begin(place);
        }
        self.receive(place);
        if self.session.is_some() {
            self.act(place);
        }
        self.pump(place);
    }

    /// Does nothing but what the protocol asks for.
    pub(super) fn rest(&mut self, place: &mut Place<'_>) {
        if let Some(session) = &mut self.session {
            session.read_on(place.reactor);
        }
        self.receive(place);
        self.pump(place);
    }

    fn pump(&mut self, place: &mut Place<'_>) {
        if let Some(session) = &mut self.session {
            let was_upgraded = session.is_upgraded();
            session.pump(place.reactor, place.random);
            if session.is_upgraded() && !was_upgraded {
                place.app.outcomes.count("upgraded");
            }
        }
    }

    fn begin(&mut self, place: &mut Place<'_>) {
        self.visit = place.app.visits.len();
        place.app.visits.push(VisitNote::default());
        self.has_joined = false;
        let manner = place.random.pick(&[
            Manner::KeepsConnections,
            Manner::KeepsConnections,
            Manner::ConnectsAnew,
            Manner::WebSocket,
        ]);
        let query = format!("client={}&visit={}", self.number, self.visit);
        self.session = Some(Session::begin(place.address, (manner, query), place.reactor));
    }

    fn note<'a>(&self, app: &'a mut App) -> &'a mut VisitNote {
        &mut app.visits[self.visit]
    }

    // What it does.

    fn act(&mut self, place: &mut Place<'_>) {
        let Some(session) = &mut self.session else { return };
        let random = &mut *place.random;
        if random.percent(5) {
            session.upgrade(place.reactor);
        } else if random.percent(6) {
            session.abandon_upgrade(place.reactor, random, &mut place.app.outcomes);
        } else if random.percent(3) {
            session.toggle(place.reactor);
            if session.is_paused() {
                self.note(place.app).stopped_reading = true;
            }
        }
        let Some(session) = &self.session else { return };
        if session.is_open() && !session.is_silent {
            let is_anywhere = self.members.values().any(|member| member.stage != Stage::Out);
            if place.random.percent(if is_anywhere { 3 } else { 40 }) {
                self.join(place);
            }
            self.send_some(place);
        }
        match place.random.below(300) {
            0 => self.leave(place, |session, reactor| session.reset(reactor)),
            1 => self.leave(place, |session, reactor| session.finish(reactor)),
            2 => self.leave(place, |session, reactor| session.vanish(reactor)),
            3 => self.leave(place, Session::close),
            4 => {
                self.note(place.app).is_silent = true;
                if let Some(session) = &mut self.session {
                    session.is_silent = true;
                }
            }
            _ => {}
        }
    }

    /// Joins a namespace, or comes back to it.
    fn join(&mut self, place: &mut Place<'_>) {
        let Some(session) = &mut self.session else { return };
        let namespace = place.random.pick(&NAMESPACES);
        let member = self.members.entry(namespace).or_default();
        if member.stage != Stage::Out {
            return;
        }
        member.stage = Stage::Joining;
        let auth = match (&member.pid, member.life) {
            (Some(pid), Some(life)) if place.random.percent(90) => {
                let wrong = place.random.below(30);
                let pid = if wrong == 0 { "AAAQIDBAUGBwgJCgsMDQ4PEA" } else { pid };
                let mut auth = json!({"pid": pid, "life": life, "is_right": wrong > 2});
                match (wrong, &member.offset) {
                    (1, _) => auth["offset"] = "zzz".into(),
                    (2, _) => auth["offset"] = 1.into(),
                    (_, Some(offset)) => auth["offset"] = offset.as_str().into(),
                    (_, None) => {}
                }
                if matches!(wrong, 1 | 2) {
                    // It cannot try again.
                    member.pid = None;
                }
                auth.to_string()
            }
            _ => String::new(),
        };
        let connect = Packet { data: &auth, ..Packet::new(Kind::Connect, namespace) };
        session.out.push_back(packet(connect));
    }

    /// Sends events, or leaves a namespace.
    fn send_some(&mut self, place: &mut Place<'_>) {
        let Some(session) = &mut self.session else { return };
        let random = &mut *place.random;
        for (namespace, member) in &mut self.members {
            if member.stage != Stage::In {
                continue;
            }
            let name = match random.below(500) {
                0..100 => "act",
                100 => "leave-me",
                101 => "close-me",
                102 => {
                    session.out.push_back(packet(Packet::new(Kind::Disconnect, namespace)));
                    forget(member, &mut self.acks, namespace);
                    continue;
                }
                _ => continue,
            };
            for _ in 0..if name == "act" { random.pick(&[1, 1, 1, 5]) } else { 1 } {
                let number = member.events;
                member.events += 1;
                let ack = random.percent(40).then_some(self.next_ack);
                if let Some(ack) = ack {
                    self.next_ack += 1;
                    self.acks.insert(ack, (namespace, number));
                }
                let attachment = random.percent(20).then(|| contents(number));
                session.out.extend(event((namespace, name), (number, ack), attachment));
            }
            if name != "act" {
                // Nothing else is for the namespace.
                forget(member, &mut self.acks, namespace);
            }
            if name == "close-me" {
                break;
            }
        }
    }

    fn leave(&mut self, place: &mut Place<'_>, how: impl FnOnce(&mut Session, &mut SimReactor)) {
        if let Some(session) = &mut self.session {
            how(session, place.reactor);
        }
        self.end(place);
    }

    /// The session is over for this client. What it remembers may bring it back.
    fn end(&mut self, place: &mut Place<'_>) {
        let Some(session) = self.session.take() else { return };
        session.finish(place.reactor);
        self.note(place.app).is_silent = true;
        self.partial = None;
        for member in self.members.values_mut() {
            if member.has_left && member.stage != Stage::In {
                *member = Member::default();
            }
            member.stage = Stage::Out;
            member.has_left = false;
            member.events = 0;
        }
        self.acks.clear();
    }
}

/// A client leaves a namespace for good.
fn forget(member: &mut Member, acks: &mut BTreeMap<u64, (&'static str, u64)>, namespace: &str) {
    *member = Member { has_left: true, ..Member::default() };
    acks.retain(|_, (held, _)| *held != namespace);
}

impl Client {
    // What comes.

    fn receive(&mut self, place: &mut Place<'_>) {
        let Some(session) = &mut self.session else { return };
        for came in session.receive(place.reactor) {
            match came {
                _ if self.session.is_none() => return,
                Came::Part(part) => self.take(part, place),
                Came::End(why) => {
                    let is_sure = place.app.rules.is_lossless && why == "refused";
                    assert!(!is_sure || self.may_end(place.app), "{why}: {self:?}");
                    self.end(place);
                }
            }
        }
    }

    /// Whether the server may have ended the session: the handler knows, or the client has joined
    /// nothing in time.
    fn may_end(&self, app: &mut App) -> bool {
        let note = self.note(app);
        let is_known = note.has_ended || note.is_silent || !self.has_joined;
        is_known || app.outcomes.total("stillborn") > 0
    }

    fn take(&mut self, part: Part, place: &mut Place<'_>) {
        let text = match (part, &mut self.partial) {
            (Part::Binary(bytes), Some(partial)) => {
                partial.attachments.push(bytes);
                if partial.attachments.len() == partial.count {
                    let Partial { text, attachments, .. } =
                        self.partial.take().expect("it is there");
                    self.take_packet(&text, &attachments, place);
                }
                return;
            }
            (Part::Binary(_), None) => panic!("an attachment without its event"),
            (Part::Text(text), partial) => {
                assert!(partial.is_none(), "{text} between an event and its attachments");
                text
            }
        };
        let session = self.session.as_mut().expect("it goes on");
        match text.split_at(1) {
            ("0", open) => {
                let open: Value = serde_json::from_str(open).expect("JSON");
                session.open(open["sid"].as_str().expect("an id"));
            }
            ("1", "") => {
                assert!(self.may_end(place.app), "{self:?}");
                self.end(place);
            }
            ("2", "") if session.is_silent => {}
            ("2", "") => session.out.push_back(Part::Text("3".to_owned())),
            ("6", "") => {}
            ("4", packet) => {
                let count = Packet::parse(packet).expect("a packet").attachments;
                match count {
                    0 => self.take_packet(packet, &[], place),
                    count => {
                        let (text, attachments) = (packet.to_owned(), Vec::new());
                        self.partial = Some(Partial { text, count, attachments });
                    }
                }
            }
            other => panic!("{other:?}"),
        }
    }

    fn take_packet(&mut self, text: &str, attachments: &[Vec<u8>], place: &mut Place<'_>) {
        let packet = Packet::parse(text).expect("a packet");
        let namespace = NAMESPACES.into_iter().find(|name| *name == packet.namespace);
        let namespace = namespace.expect("a namespace that it has named");
        let member = self.members.entry(namespace).or_default();
        match packet.kind {
            Kind::Connect => self.welcome(namespace, packet.data, place),
            Kind::ConnectError => {
                assert_eq!((namespace, member.stage), ("/x-no", Stage::Joining));
                member.stage = Stage::Out;
            }
            Kind::Disconnect => {
                assert!(member.stage == Stage::In || member.has_left);
                if member.stage == Stage::In {
                    // Its connection is closed for another namespace's sake.
                    forget(member, &mut self.acks, namespace);
                }
            }
            Kind::Event | Kind::BinaryEvent if member.stage == Stage::In => {
                self.take_event(namespace, packet, attachments, place);
            }
            // It was sent before the client left.
            _ if member.has_left => {}
            Kind::Ack | Kind::BinaryAck => {
                let data = values(packet.data);
                if let Some((held, number)) = self.acks.remove(&packet.id.expect("a number")) {
                    assert_eq!((held, data), (namespace, vec![json!(number)]));
                    place.app.outcomes.count("acknowledged");
                }
            }
            Kind::Event | Kind::BinaryEvent => panic!("{packet:?} outside of the namespace"),
        }
    }

    fn welcome(&mut self, namespace: &'static str, data: &str, place: &mut Place<'_>) {
        let data: Value = serde_json::from_str(data).expect("JSON");
        let id = data["sid"].as_str().and_then(|id| id.parse().ok()).expect("an id");
        let (app, member) = (&mut *place.app, self.members.get_mut(namespace).expect("it joins"));
        assert_eq!(member.stage, Stage::Joining);
        let life = app.life(id);
        assert_eq!(app.lives[life].client, self.number);
        let pid = data["pid"].as_str().map(str::to_owned);
        assert_eq!(pid.is_some(), app.rules.window.is_some());
        if member.life == Some(life) {
            assert_eq!(member.pid, pid, "it has recovered");
        } else {
            (member.life, member.offset) = (Some(life), None);
        }
        (member.pid, member.stage, member.events) = (pid, Stage::In, 0);
        member.has_left = false;
        self.has_joined = true;
    }

    fn take_event(
        &mut self,
        namespace: &str,
        packet: Packet<'_>,
        attachments: &[Vec<u8>],
        place: &mut Place<'_>,
    ) {
        let data = values(packet.data);
        let member = self.members.get_mut(namespace).expect("it is in there");
        let life = member.life.expect("it is in there");
        let number = data[1].as_u64().expect("a number");
        if let (Some(ask), "ask") = (packet.id, data[0].as_str().expect("a name")) {
            assert_eq!(number, life as u64, "the question is for another one");
            let session = self.session.as_mut().expect("it goes on");
            if place.random.percent(70) && !session.is_silent {
                let data = format!("[{life}]");
                let (kind, id) = (Kind::Ack, Some(ask));
                let answer = Packet { kind, namespace, id, attachments: 0, data: &data };
                session.out.push_back(super::packets::packet(answer));
            }
            return;
        }
        assert_eq!((data[0].as_str(), packet.id), (Some("news"), None));
        assert!(attachments.iter().all(|bytes| *bytes == contents(number)), "another's attachment");
        let is_volatile = place.app.emissions[number as usize].is_volatile;
        place.app.lives[life].get(number, is_volatile);
        if let (Some(text), true) = (data.last().and_then(Value::as_str), member.pid.is_some()) {
            member.offset = Some(text.to_owned());
        }
    }

    // The end.

    /// Checks that everything has come, if it is connected. Returns in how many namespaces it is.
    pub(super) fn conclude(&self, app: &mut App) -> usize {
        if self.session.as_ref().is_none_or(|session| session.is_silent) {
            return 0;
        }
        assert!(self.acks.is_empty() && self.partial.is_none(), "{self:?}");
        let is_in = |member: &&Member| member.stage == Stage::In;
        for member in self.members.values().filter(is_in) {
            let life = &app.lives[member.life.expect("it is in there")];
            assert_eq!(life.state, State::Live);
            assert_eq!(life.got, life.expected, "something is missing");
            assert_eq!(life.events, member.events, "an event did not arrive");
            app.outcomes.count("complete");
        }
        self.members.values().filter(is_in).count()
    }

    /// Leaves in one of several ways.
    pub(super) fn depart(&mut self, place: &mut Place<'_>) {
        match place.random.below(4) {
            0 => self.leave(place, |session, reactor| session.reset(reactor)),
            1 => self.leave(place, |session, reactor| session.vanish(reactor)),
            2 => self.leave(place, |session, reactor| session.finish(reactor)),
            _ => self.leave(place, Session::close),
        }
    }
}
