//! Actions with requests and streamed responses.

use eventwire::proto::handshake::{Acceptance, Refusal};
use eventwire::{
    Answer, CloseCode, ConnectionId, Context, EventStream, HttpResponse, Later, RequestId,
    StreamedResponse,
};

use super::probe::State;
use super::tags;

/// A request of another client, or the one at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Mine,
    Waiting,
    /// It waits, and asks for a WebSocket.
    Undecided,
    /// It has its answer.
    Answered,
    /// Its client has left.
    Left,
}

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum With {
    Response,
    Pieces,
    Events,
    Later,
    Acceptance,
    Refusal,
}

/// A streamed response to another client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Pieces,
    Events,
}

/// What is done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Do {
    Send,
    Subscribe,
    Tag,
    Close,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HttpAction {
    Respond(Target, With),
    /// Takes a responder and answers.
    AnswerFromAfar(Target),
    DropResponder(Target),
    Streamed(Body, Do),
}

impl Target {
    const ALL: [Self; 5] = [Self::Mine, Self::Waiting, Self::Undecided, Self::Answered, Self::Left];

    fn id(self, state: &State, me: ConnectionId, cx: &mut Context<'_>) -> RequestId {
        let others = state.others.as_ref().expect("they came first");
        match self {
            // A connection that has sent no request has a number of none.
            Self::Mine => state.request.unwrap_or_else(|| cx.connection(me).request_id()),
            Self::Waiting => others.waiting,
            Self::Undecided => others.undecided,
            Self::Answered => others.answered,
            Self::Left => others.left,
        }
    }
}

impl With {
    const ALL: [Self; 6] =
        [Self::Response, Self::Pieces, Self::Events, Self::Later, Self::Acceptance, Self::Refusal];

    fn answer(self) -> Answer {
        let response = HttpResponse::text("given");
        match self {
            Self::Response => response.into(),
            Self::Pieces => StreamedResponse::new(response).into(),
            Self::Events => EventStream::new().into(),
            Self::Later => Later::default().into(),
            Self::Acceptance => Acceptance::new().into(),
            Self::Refusal => Refusal::new(403).into(),
        }
    }
}

impl Do {
    fn run(self, body: Body, state: &State, cx: &mut Context<'_>) -> String {
        let others = state.others.as_ref().expect("they came first");
        let mut conn = cx.connection(match body {
            Body::Pieces => others.pieces,
            Body::Events => others.events,
        });
        match self {
            Self::Send => format!("{:?} {:?}", conn.send("x"), conn.send("y")),
            Self::Subscribe => {
                let first = conn.subscribe(state.topic);
                format!("{first:?} {:?}", conn.subscribe(state.topic))
            }
            Self::Tag => format!("{:?} {:?}", conn.tag(tags::ALL), conn.tag(tags::ALL)),
            Self::Close => {
                let first = conn.close(CloseCode::NORMAL, "");
                format!("{first} {} {:?}", conn.close(CloseCode::NORMAL, ""), conn.send("x"))
            }
        }
    }
}

impl HttpAction {
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let responds = Target::ALL
            .into_iter()
            .flat_map(|target| With::ALL.map(|with| Self::Respond(target, with)));
        let responders = Target::ALL
            .into_iter()
            .flat_map(|target| [Self::AnswerFromAfar(target), Self::DropResponder(target)]);
        let streams = [Body::Pieces, Body::Events].into_iter().flat_map(|body| {
            [Do::Send, Do::Subscribe, Do::Tag, Do::Close].map(|does| Self::Streamed(body, does))
        });
        responds.chain(responders).chain(streams)
    }

    /// The request that this answers.
    pub(super) const fn target(self) -> Option<Target> {
        match self {
            Self::Respond(target, _)
            | Self::AnswerFromAfar(target)
            | Self::DropResponder(target) => Some(target),
            Self::Streamed(..) => None,
        }
    }

    pub(super) fn run(self, me: ConnectionId, state: &State, cx: &mut Context<'_>) -> String {
        let request = self.target().map(|target| target.id(state, me, cx));
        match (self, request) {
            (Self::Respond(_, with), Some(request)) => {
                format!("{:?}", cx.respond(request, with.answer()))
            }
            (Self::AnswerFromAfar(_), Some(request)) => {
                let responder = cx.connection(request.connection()).responder();
                let is_wanted = responder.is_wanted();
                let result = responder.respond(HttpResponse::text("from afar"));
                format!("{is_wanted} {result:?}")
            }
            (Self::DropResponder(_), Some(request)) => {
                let responder = cx.connection(request.connection()).responder();
                let is_wanted = responder.is_wanted();
                drop(responder);
                is_wanted.to_string()
            }
            (Self::Streamed(body, does), _) => does.run(body, state, cx),
            (_, None) => unreachable!("it has a request"),
        }
    }
}
