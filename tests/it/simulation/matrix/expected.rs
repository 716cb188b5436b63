//! The definition: what is to come of each action in each method.

use eventwire::{SendStatus, SubscribeError, TagError};

use super::actions::Action;
use super::methods::{At, Kind};
use super::tags;

/// In place of a code: a raw stream has ended.
pub(super) const NO_CODE: u16 = 0;

/// What is to come of an action.
#[derive(Debug, PartialEq)]
pub(super) struct Outcome {
    pub(super) result: String,
    /// The texts that arrived.
    pub(super) me: String,
    pub(super) other: String,
    /// The codes that were closed with.
    pub(super) me_closed: Option<u16>,
    pub(super) other_closed: Option<u16>,
}

/// The definition.
pub(super) fn expected(kind: Kind, at: At, action: Action) -> Outcome {
    let outcome = expected_of_web_socket(at, action);
    match kind {
        Kind::WebSocket => outcome,
        Kind::Stream => Outcome {
            // There is no close frame, and no ping.
            me_closed: outcome.me_closed.map(|_| NO_CODE),
            result: match action {
                Action::PingMe => "Gone".to_owned(),
                _ => outcome.result,
            },
            ..outcome
        },
    }
}

pub(super) fn expected_of_web_socket(at: At, action: Action) -> Outcome {
    let (open, subscribed) = (at.is_open(), at.is_subscribed());
    // The last thing is a broadcast to all that are still subscribed.
    let end = |texts: &str, stays: bool| format!("{texts}{}", if stays { "." } else { "" });
    let mine = |texts: &str, stays: bool| end(if subscribed { texts } else { "" }, stays);
    let status = |taken: SendStatus| format!("{:?}", if open { taken } else { SendStatus::Gone });
    let gone: Result<bool, _> = Err(SubscribeError::ConnectionGone);
    let new = format!("{:?}", if open { Ok(!subscribed) } else { gone });
    let again = format!("{:?}", if open { Ok(true) } else { gone });
    // A connection that is not open yet can be closed.
    let closes = (open || matches!(at, At::Upgrade | At::Response)).to_string();
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
        Action::Tag(action) => return tags::expected(at, action),
    };
    let ends = matches!(action, Action::Stop | Action::Drain);
    let me_closes = matches!(action, Action::CloseMe | Action::CloseMeBehindBroadcast);
    let me_closed = match at {
        At::Close => Some(1000),
        _ if ends && (open || at == At::Upgrade) => Some(1001),
        _ if me_closes && open => Some(1000),
        _ => None,
    };
    let other_closed =
        if ends { Some(1001) } else { (action == Action::CloseOther).then_some(1000) };
    Outcome { result, me, other: other.to_owned(), me_closed, other_closed }
}
