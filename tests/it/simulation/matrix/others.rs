//! Clients beside the connection at hand that have sent requests.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use eventwire::proto::handshake::{Acceptance, UpgradeRequest};
use eventwire::reactor::SimReactor;
use eventwire::reactor::sim::PeerId;
use eventwire::{
    Connection, EventLoop, EventStream, HttpResponse, Later, Message, RequestId, RespondError,
    Routes, ServerConfig, StreamedResponse, Upgrade, WebSocketHandler,
};

use super::super::rig::Rig;
use super::http::{Body, HttpAction, Target};
use super::methods::Kind;
use super::probe::{Others, Probe, State};
use crate::shared::request;

/// The requests of the others, in order.
type Requests = Rc<RefCell<Vec<RequestId>>>;

/// Puts off the decision on a WebSocket.
struct Deciding(Requests);

impl WebSocketHandler<State> for Deciding {
    fn on_upgrade(
        &mut self,
        conn: &mut Connection<'_>,
        _: &UpgradeRequest<'_>,
        _: &mut State,
    ) -> Upgrade {
        self.0.borrow_mut().push(conn.request_id());
        Later::default().into()
    }

    fn on_message(&mut self, _: &mut Connection<'_>, _: Message<'_>, _: &mut State) {}
}

/// What serves requests.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    requests: Requests,
}

impl Server {
    /// Serves the request at hand at `/` and `/socket`, and those of others.
    pub(super) fn listen(event_loop: &mut EventLoop<State, SimReactor>) -> Self {
        let requests = Requests::default();
        let [later, pieces, events, deciding] = std::array::from_fn(|_| Rc::clone(&requests));
        let server = ServerConfig::default();
        let routes = Routes::new()
            .get_handler("/", Probe)
            .websocket("/socket", server.clone(), Probe)
            .get("/now", |_, _, _| HttpResponse::text("now"))
            .get("/later", move |conn, _, _| {
                later.borrow_mut().push(conn.request_id());
                Later::default()
            })
            .get("/pieces", move |conn, _, _| {
                pieces.borrow_mut().push(conn.request_id());
                StreamedResponse::new(HttpResponse::text(""))
            })
            .get("/events", move |conn, _, _| {
                events.borrow_mut().push(conn.request_id());
                EventStream::new()
            })
            .websocket("/deciding", server.clone(), Deciding(deciding));
        let listener = event_loop.listen("127.0.0.1:0", server, routes).expect("a port");
        let address = event_loop.local_addr(listener).expect("a listener");
        Self { address, requests }
    }

    /// Sends the request at hand and another one behind it.
    pub(super) fn ask(&self, kind: Kind, rig: &mut Rig<State>) -> PeerId {
        let peer = rig.sim().peer_connect(self.address);
        let bytes = match kind {
            Kind::Undecided => request("socket"),
            _ => [get(""), get("now")].concat(),
        };
        rig.sim().peer_send(peer, &bytes);
        peer
    }
}

fn get(path: &str) -> Vec<u8> {
    format!("GET /{path} HTTP/1.1\r\nHost: sim\r\n\r\n").into_bytes()
}

/// The peers of the others.
pub(super) struct OtherPeers {
    waiting: PeerId,
    undecided: PeerId,
    answered: PeerId,
    watched: PeerId,
    pieces: PeerId,
    events: PeerId,
}

impl OtherPeers {
    /// Sends the requests of the others.
    pub(super) fn ask(server: &Server, rig: &mut Rig<State>) -> Self {
        let mut ask = |bytes: Vec<u8>| {
            let peer = rig.sim().peer_connect(server.address);
            rig.sim().peer_send(peer, &bytes);
            rig.run(1);
            (peer, server.requests.borrow_mut().pop().expect("a request"))
        };
        let (waiting, waiting_id) = ask([get("later"), get("now")].concat());
        let (undecided, undecided_id) = ask(request("deciding"));
        let (answered, answered_id) = ask(get("later"));
        let (left, left_id) = ask(get("later"));
        let (watched, watched_id) = ask(get("later"));
        let (pieces, pieces_id) = ask(get("pieces"));
        let (events, events_id) = ask(get("events"));
        let mut context = rig.event_loop.context();
        assert_eq!(context.respond(answered_id, HttpResponse::text("before")), Ok(()));
        let watch = context.connection(watched_id.connection()).responder();
        assert!(watch.is_wanted());
        rig.sim().peer_drop(left);
        rig.run(1);
        assert!(rig.sim().peer_received(answered).starts_with(b"HTTP/1.1 200"));
        rig.state.others = Some(Others {
            waiting: waiting_id,
            undecided: undecided_id,
            answered: answered_id,
            left: left_id,
            watched: watch,
            pieces: pieces_id.connection(),
            events: events_id.connection(),
        });
        Self { waiting, undecided, answered, watched, pieces, events }
    }
}

impl OtherPeers {
    /// The peer that an action concerns.
    pub(super) const fn concerned(&self, action: HttpAction) -> Option<PeerId> {
        match (action.target(), action) {
            (Some(Target::Waiting), _) => Some(self.waiting),
            (Some(Target::Undecided), _) => Some(self.undecided),
            (Some(Target::Answered), _) => Some(self.answered),
            (_, HttpAction::Streamed(Body::Pieces, _)) => Some(self.pieces),
            (_, HttpAction::Streamed(Body::Events, _)) => Some(self.events),
            _ => None,
        }
    }

    /// Answers the request that an action concerns, if it waited before that.
    pub(super) fn answer(
        action: HttpAction,
        rig: &mut Rig<State>,
    ) -> Option<Result<(), RespondError>> {
        let others = rig.state.others.as_ref()?;
        let (waiting, undecided) = (others.waiting, others.undecided);
        let mut context = rig.event_loop.context();
        match action.target()? {
            Target::Waiting => Some(context.respond(waiting, HttpResponse::text("late"))),
            Target::Undecided => Some(context.respond(undecided, Acceptance::new())),
            Target::Mine | Target::Answered | Target::Left => None,
        }
    }

    pub(super) const fn all(&self) -> [PeerId; 6] {
        let Self { waiting, undecided, answered, watched, pieces, events } = *self;
        [waiting, undecided, answered, watched, pieces, events]
    }
}
