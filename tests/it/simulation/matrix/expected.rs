//! The definition: what is to come of each action in each method.

use eventwire::{RespondError, SendStatus, SubscribeError, TagError};

use super::actions::Action;
use super::expected_http;
use super::methods::{At, Call, Kind};
use super::tags;
use super::{resuming, storing};

/// In place of a code: a raw stream has ended.
pub(super) const NO_CODE: u16 = 0;

/// What is to come of an action.
#[derive(Debug, PartialEq)]
pub(super) struct Outcome {
    pub(super) result: String,
    /// What the answer to the request at hand returned, if it waited until the action was done.
    pub(super) late: Option<Result<(), RespondError>>,
    /// The responses that the connection at hand received.
    pub(super) responses: String,
    /// The texts that arrived.
    pub(super) me: String,
    pub(super) other: String,
    /// The codes that were closed with.
    pub(super) me_closed: Option<u16>,
    pub(super) other_closed: Option<u16>,
    pub(super) concerned: Option<Concerned>,
}

/// What is to come of the request or the streamed response that an action concerns.
#[derive(Debug, PartialEq)]
pub(super) struct Concerned {
    pub(super) responses: String,
    pub(super) texts: String,
    pub(super) closed: Option<u16>,
    /// What an answer returned once the action was done.
    pub(super) late: Option<Result<(), RespondError>>,
}

/// What is to come of an action whatever the connection speaks.
pub(super) struct Basics {
    pub(super) result: String,
    pub(super) me: String,
    pub(super) other: String,
    pub(super) me_closed: Option<u16>,
    pub(super) other_closed: Option<u16>,
}

/// The definition.
pub(super) fn expected(call: Call, action: Action) -> Outcome {
    let basics = basics(call, action);
    let outcome = Outcome {
        result: basics.result,
        late: None,
        responses: String::new(),
        me: basics.me,
        other: basics.other,
        me_closed: basics.me_closed,
        other_closed: basics.other_closed,
        concerned: None,
    };
    let outcome = of_kind(call, action, outcome);
    match action {
        Action::Http(action) => expected_http::with_answers(call, action, outcome),
        _ => outcome,
    }
}

/// What becomes of it with what the connection at hand speaks.
fn of_kind(call: Call, action: Action, outcome: Outcome) -> Outcome {
    let web_socket = match call.at {
        At::Response | At::ConnectError => outcome,
        At::Upgrade if closes_me(action) => Outcome { me_closed: Some(NO_CODE), ..outcome },
        _ => Outcome { responses: "101".to_owned(), ..outcome },
    };
    match call.kind {
        Kind::WebSocket => web_socket,
        Kind::Stream => Outcome {
            // There is no close frame, and no ping.
            me_closed: web_socket.me_closed.map(|_| NO_CODE),
            result: without_ping(action, web_socket.result),
            responses: String::new(),
            ..web_socket
        },
        _ => expected_http::of_kind(call, action, web_socket),
    }
}

/// Only WebSockets have pings.
pub(super) fn without_ping(action: Action, result: String) -> String {
    if action == Action::PingMe { "Gone".to_owned() } else { result }
}

/// Whether it closes the connection at hand.
pub(super) fn closes_me(action: Action) -> bool {
    matches!(action, Action::CloseMe | Action::CloseMeBehindBroadcast)
}

fn basics(call: Call, action: Action) -> Basics {
    let (open, subscribed, at) = (call.is_open(), call.is_subscribed(), call.at);
    // The last thing is a broadcast to all that are still subscribed.
    let end = |texts: &str, stays: bool| format!("{texts}{}", if stays { "." } else { "" });
    let mine = |texts: &str, stays: bool| end(if subscribed { texts } else { "" }, stays);
    let status = |taken: SendStatus| format!("{:?}", if open { taken } else { SendStatus::Gone });
    let gone: Result<bool, _> = Err(SubscribeError::ConnectionGone);
    let new = format!("{:?}", if open { Ok(!subscribed) } else { gone });
    let again = format!("{:?}", if open { Ok(true) } else { gone });
    // A connection that is not open yet can be closed.
    let closes = (open || call.is_unanswered() || at == At::Response).to_string();
    let (result, me, other) = match action {
        Action::Subscribe => (new, end("", open), "."),
        Action::SubscribeBehindBroadcast => (new, mine("x", open), "x."),
        Action::Unsubscribe => (subscribed.to_string(), String::new(), "."),
        Action::UnsubscribeBehindBroadcast => (subscribed.to_string(), mine("x", false), "x."),
        Action::ResubscribeBehindBroadcast => (again, mine("x", open), "xy."),
        Action::CloseMe => (closes, String::new(), "."),
        Action::CloseMeBehindBroadcast => (closes, mine("x", false), "x."),
        Action::CloseOther => ("true".into(), mine("", subscribed), ""),
        Action::Broadcast => ("Sent".into(), mine("x", subscribed), "x."),
        Action::BroadcastExceptMe => ("Sent".into(), mine("", subscribed), "x."),
        Action::BroadcastExceptOther => ("Sent".into(), mine("x", subscribed), "."),
        Action::SendMe => {
            let texts = if open { "x" } else { "" };
            (status(SendStatus::Sent), end(texts, subscribed), ".")
        }
        Action::SendMeBehindBroadcast => {
            let texts = if subscribed { "xy" } else { "y" };
            (status(SendStatus::Sent), end(if open { texts } else { "" }, subscribed), "x.")
        }
        Action::SendOther => ("Sent".into(), mine("", subscribed), "x."),
        Action::PingMe => (status(SendStatus::Sent), mine("", subscribed), "."),
        Action::TagMeWithLimits => {
            let result = if open { Ok(true) } else { Err(TagError::ConnectionGone) };
            (format!("{result:?}"), mine("", subscribed), ".")
        }
        Action::RemoveTopic => ("false".into(), mine("", subscribed), "."),
        Action::EmptyAndRemoveTopic => ("Gone".into(), String::new(), ""),
        Action::Publish => ("true".into(), mine("x", subscribed), "x."),
        Action::Connect | Action::ConnectStream | Action::MakePublisher => {
            ("true".into(), mine("", subscribed), ".")
        }
        Action::ConnectAndStopLink | Action::ListenAndClose => {
            ("false".into(), mine("", subscribed), ".")
        }
        Action::ConnectWithWrongEndpoint => {
            ("Err(WrongEndpoint)".into(), mine("", subscribed), ".")
        }
        Action::ListenOnPortInUse => ("AddrInUse".into(), mine("", subscribed), "."),
        Action::HoldAndRelease | Action::StopListening | Action::StopReading => {
            (String::new(), mine("", subscribed), ".")
        }
        Action::Stop | Action::Drain => (String::new(), String::new(), ""),
        Action::Tag(action) => return tags::expected(call, action),
        Action::Resume(action) => return resuming::expected(call, action),
        Action::Store(action) => return storing::expected(call, action),
        Action::Http(action) => (expected_http::result(call, action), mine("", subscribed), "."),
    };
    let ends = action.ends();
    let me_closed = match at {
        At::Close => Some(1000),
        _ if ends && (open || at == At::Upgrade) => Some(1001),
        _ if closes_me(action) && open => Some(1000),
        _ => None,
    };
    let other_closed =
        if ends { Some(1001) } else { (action == Action::CloseOther).then_some(1000) };
    Basics { result, me, other: other.to_owned(), me_closed, other_closed }
}
