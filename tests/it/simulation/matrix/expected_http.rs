//! The definition: actions with requests, and all actions where HTTP is spoken.

use eventwire::RespondError;

use super::actions::Action;
use super::expected::{Concerned, NO_CODE, Outcome, closes_me, without_ping};
use super::http::{Body, Do, HttpAction, Target, With};
use super::methods::{At, Call, Kind};

/// What becomes of an action with what the connection at hand speaks: HTTP, at least at first.
pub(super) fn of_kind(call: Call, action: Action, web_socket: Outcome) -> Outcome {
    let outcome = Outcome { late: late(call, action), ..web_socket };
    if call.is_unanswered() && closes_me(action) {
        return Outcome { responses: String::new(), me_closed: Some(NO_CODE), ..outcome };
    }
    let is_pieces = call.kind == Kind::Pieces;
    let responses = match (call.kind, action) {
        (Kind::Answered, _) => "200 at once, 200 now",
        // The answer of a loop that ends is the last, and opens nothing.
        (Kind::Later, Action::Stop | Action::Drain) => "200 late",
        (Kind::Later, _) => "200 late, 200 now",
        (Kind::Undecided, Action::Stop | Action::Drain) if call.at != At::Open => "503",
        (Kind::Undecided, _) => "101",
        (Kind::Pieces | Kind::Events | Kind::WebSocket | Kind::Stream, _) => "200",
    };
    let me_closed = match outcome.me_closed {
        _ if action.ends() && call.kind == Kind::Undecided && call.at == At::Open => Some(1001),
        _ if action.ends() => Some(NO_CODE),
        // The end of the body shows that it is whole.
        Some(1000) if is_pieces && call.at != At::Close => Some(1000),
        Some(code) => Some(if call.kind == Kind::Undecided { code } else { NO_CODE }),
        None => None,
    };
    Outcome {
        result: without_ping_unless(call.kind == Kind::Undecided, action, outcome.result),
        responses: responses.to_owned(),
        me: if subscribes_later(call) { texts_later(action) } else { outcome.me },
        me_closed,
        ..outcome
    }
}

fn without_ping_unless(is_web_socket: bool, action: Action, result: String) -> String {
    if is_web_socket { result } else { without_ping(action, result) }
}

/// Whether the connection at hand is subscribed right after the method.
fn subscribes_later(call: Call) -> bool {
    call.kind == Kind::Events && call.at == At::Request
}

/// The texts that such a connection receives.
fn texts_later(action: Action) -> String {
    match action {
        // What it subscribes to is another topic.
        Action::EmptyAndRemoveTopic | Action::Stop | Action::Drain => "",
        Action::Publish => "x.",
        _ => ".",
    }
    .to_owned()
}

/// What the answer to the request at hand returns after the action.
fn late(call: Call, action: Action) -> Option<Result<(), RespondError>> {
    call.kind.waits().then_some(match call.is_unanswered() {
        true if closes_me(action) => Err(RespondError::Gone),
        true => Ok(()),
        false => Err(RespondError::Answered),
    })
}

/// Whether nobody has answered the request yet.
fn is_unanswered(call: Call, target: Target) -> bool {
    match target {
        Target::Mine => call.is_unanswered(),
        Target::Waiting | Target::Undecided => true,
        Target::Answered | Target::Left => false,
    }
}

/// Whether the request asks for a WebSocket.
fn asks_upgrade(call: Call, target: Target) -> bool {
    let is_mine = matches!(call.kind, Kind::WebSocket | Kind::Undecided);
    target == Target::Undecided || (target == Target::Mine && is_mine)
}

pub(super) fn result(call: Call, action: HttpAction) -> String {
    match action {
        HttpAction::Respond(target, with) => format!("{:?}", respond_result(call, target, with)),
        HttpAction::AnswerFromAfar(target) => match is_unanswered(call, target) {
            true => "true Ok(())".to_owned(),
            false => "false Err(Gone)".to_owned(),
        },
        HttpAction::DropResponder(target) => is_unanswered(call, target).to_string(),
        HttpAction::Streamed(_, does) => match does {
            Do::Send => "Sent Sent",
            Do::Subscribe | Do::Tag => "Ok(true) Ok(false)",
            Do::Close => "true false Gone",
        }
        .to_owned(),
    }
}

fn respond_result(call: Call, target: Target, with: With) -> Result<(), RespondError> {
    let has_none = call.kind == Kind::Stream || matches!(call.at, At::Response | At::ConnectError);
    match target {
        Target::Left => Err(RespondError::Gone),
        Target::Mine if has_none => Err(RespondError::Gone),
        _ if !is_unanswered(call, target) => Err(RespondError::Answered),
        _ => match (with, asks_upgrade(call, target)) {
            (With::Acceptance, false) => Err(RespondError::NoUpgrade),
            (With::Pieces | With::Events, true) => Err(RespondError::NoStream),
            _ => Ok(()),
        },
    }
}

/// An answer as the client gets it.
struct Given {
    responses: &'static str,
    texts: &'static str,
    closed: Option<u16>,
}

/// The answer that an action gives to a request without an answer, if it gives one.
fn given(action: HttpAction, asks_upgrade: bool) -> Option<Given> {
    let response = |alone, followed| match asks_upgrade {
        // A response instead of a WebSocket is the last.
        true => Given { responses: alone, texts: "", closed: Some(NO_CODE) },
        false => Given { responses: followed, texts: "", closed: None },
    };
    Some(match action {
        HttpAction::AnswerFromAfar(_) => response("200 from afar", "200 from afar, 200 now"),
        HttpAction::DropResponder(_) => response("500", "500, 200 now"),
        HttpAction::Respond(_, with) => match with {
            With::Response => response("200 given", "200 given, 200 now"),
            With::Pieces if !asks_upgrade => {
                Given { responses: "200", texts: "given", closed: None }
            }
            With::Events if !asks_upgrade => Given { responses: "200", texts: "", closed: None },
            With::Acceptance if asks_upgrade => Given { responses: "101", texts: "", closed: None },
            With::Refusal => Given { responses: "403", texts: "", closed: Some(NO_CODE) },
            With::Later | With::Acceptance | With::Pieces | With::Events => return None,
        },
        HttpAction::Streamed(..) => return None,
    })
}

/// What becomes of it with the answers that the action gives.
pub(super) fn with_answers(call: Call, action: HttpAction, outcome: Outcome) -> Outcome {
    if action.target() == Some(Target::Mine) {
        return with_my_answer(call, action, outcome);
    }
    Outcome { concerned: concerned(action), ..outcome }
}

fn with_my_answer(call: Call, action: HttpAction, outcome: Outcome) -> Outcome {
    // What a handler returns comes before what arrives from afar.
    let is_first = matches!(action, HttpAction::Respond(..)) || call.kind.waits();
    let asks_upgrade = asks_upgrade(call, Target::Mine);
    let given = given(action, asks_upgrade).filter(|_| is_first && call.is_unanswered());
    let Some(given) = given else {
        return outcome;
    };
    let is_stream = given.responses == "200";
    let is_subscribed = is_stream && !call.is_asked();
    Outcome {
        late: call.kind.waits().then_some(Err(RespondError::Answered)),
        responses: given.responses.to_owned(),
        me: format!("{}{}", given.texts, if is_subscribed { "." } else { "" }),
        me_closed: given.closed,
        ..outcome
    }
}

/// What is to come of the other that the action concerns.
fn concerned(action: HttpAction) -> Option<Concerned> {
    let nothing =
        || Concerned { responses: String::new(), texts: String::new(), closed: None, late: None };
    if let HttpAction::Streamed(body, does) = action {
        let (texts, closed) = match does {
            Do::Send => ("xy", None),
            Do::Subscribe => (".", None),
            Do::Tag => ("", None),
            Do::Close => ("", Some(if body == Body::Pieces { 1000 } else { NO_CODE })),
        };
        let (responses, texts) = ("200".to_owned(), texts.to_owned());
        return Some(Concerned { responses, texts, closed, late: None });
    }
    let asks_upgrade = match action.target()? {
        Target::Waiting => false,
        Target::Undecided => true,
        Target::Answered => return Some(nothing()),
        Target::Mine | Target::Left => return None,
    };
    let late = if asks_upgrade { "101" } else { "200 late, 200 now" };
    Some(match given(action, asks_upgrade) {
        None => Concerned { responses: late.to_owned(), late: Some(Ok(())), ..nothing() },
        Some(Given { responses, texts, closed }) => Concerned {
            responses: responses.to_owned(),
            texts: texts.to_owned(),
            closed,
            late: Some(Err(RespondError::Answered)),
        },
    })
}
