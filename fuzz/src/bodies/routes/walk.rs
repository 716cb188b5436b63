//! Through all that was said and all that came for it, side by side.

use std::net::SocketAddr;

use super::answers::{Answer, Answers};
use super::bodies::{Length, body};
use super::proxy_header::proxy_header;
use super::reading::{Content, Expected, Front, expected, head, may_have_body};
use super::site::{LONG, METRICS, PIECE, PIECES};
use super::{Choice, Said, frames};

/// How a request begins whose answer has no body (RFC 9110 §9.3.2).
const HEAD: &[u8] = b"HEAD ";

/// What a conversation came to, but for what depends on how long it took.
#[derive(Debug)]
pub(super) struct Outcome {
    answers: Vec<Answer>,
    asked: Vec<String>,
    messages: Vec<Vec<u8>>,
    /// The peer ended its half of an open connection, which ends it at once.
    is_cut: bool,
}

/// Whether two conversations that should be the same are.
pub(super) fn agree(one: &Outcome, other: &Outcome) -> bool {
    if one.is_cut || other.is_cut {
        return one.asked == other.asked
            && one.answers.iter().zip(&other.answers).all(|(one, other)| one == other)
            && one.messages.iter().zip(&other.messages).all(|(one, other)| one == other);
    }
    (&one.answers, &one.asked, &one.messages) == (&other.answers, &other.asked, &other.messages)
}

/// Checks what came of `stream`.
pub(super) fn check(choice: Choice, stream: &[u8], said: &Said) -> Outcome {
    let outcome = Outcome {
        answers: Vec::new(),
        asked: said.app.asked.clone(),
        messages: Vec::new(),
        is_cut: said.app.opened > 0 && choice.ends(),
    };
    let answers = Answers { rest: &said.answers };
    let mut walk = Walk { choice, rest: stream, answers, handled: 0, outcome };
    if walk.pass_proxy_header().is_some_and(|client| walk.through(client)) {
        walk.answers.end();
    }
    let Outcome { is_cut, asked, .. } = &walk.outcome;
    assert!(walk.handled == asked.len() || *is_cut, "a handler's answer is missing");
    walk.outcome
}

struct Walk<'a> {
    choice: Choice,
    rest: &'a [u8],
    answers: Answers<'a>,
    /// How many calls of handlers are accounted for.
    handled: usize,
    outcome: Outcome,
}

impl<'a> Walk<'a> {
    /// What the proxy says, if one is expected; `None` if it says nothing right.
    fn pass_proxy_header(&mut self) -> Option<Option<SocketAddr>> {
        let site = self.choice.site();
        if site.proxy_kind != 3 || !site.trusts {
            return Some(None);
        }
        match proxy_header(self.rest) {
            Front::Whole(len, client) => {
                self.rest = &self.rest[len..];
                return Some(client);
            }
            Front::Incomplete => self.silence(false),
            Front::Refused(status) => self.refused(status, false),
        }
        None
    }

    /// Request by request; whether the connection ends without more.
    fn through(&mut self, client: Option<SocketAddr>) -> bool {
        let site = self.choice.site();
        loop {
            let len = match head(self.rest, site.head_limits()) {
                Front::Whole(len, ()) => len,
                Front::Incomplete => {
                    self.silence(!self.rest.is_empty());
                    return false;
                }
                Front::Refused(status) => {
                    self.refused(status, self.asks_for_head());
                    return false;
                }
            };
            let (head, rest) = self.rest.split_at(len);
            self.rest = rest;
            let is_head = head.starts_with(HEAD);
            let (mut expected, mut noted) = expected(head, site, client);
            if expected == Expected::Unclear && may_have_body(head) {
                return self.forget();
            }
            if let Expected::Body(length, content, is_last) = expected {
                let Some(body) = self.pass_body(length, is_head) else {
                    return false;
                };
                let text = noted.unwrap_or_default() + &body.escape_ascii().to_string();
                expected = Expected::Answer(200, content.with(text.clone()), is_last);
                noted = Some(text);
            }
            if let Some(noted) = noted {
                assert_eq!(self.outcome.asked.get(self.handled), Some(&noted));
                self.handled += 1;
            }
            if let Expected::Refused(status) = expected {
                self.refused(status, is_head);
                return false;
            }
            let Some(answer) = self.answers.next(is_head) else {
                assert!(self.outcome.is_cut, "a request is not answered");
                return false;
            };
            if !self.judge(answer, expected, is_head) {
                return false;
            }
        }
    }

    /// The body of a request, if it is whole and right.
    fn pass_body(&mut self, length: Length, is_head: bool) -> Option<Vec<u8>> {
        match body(self.rest, length, self.choice.site().head_limits()) {
            Front::Whole(len, body) => {
                self.rest = &self.rest[len..];
                return Some(body);
            }
            Front::Incomplete if self.choice.ends() => self.answers.end(),
            Front::Incomplete => self.refused(408, is_head),
            Front::Refused(status) => self.refused(status, is_head),
        }
        None
    }

    /// Compares; whether another request may follow.
    fn judge(&mut self, mut answer: Answer, expected: Expected, is_head: bool) -> bool {
        let (status, closes) = (answer.status, answer.closes);
        let longest = match expected {
            Expected::Opens(longest) => Some(longest),
            // To a path that ends in an unclear query, for instance.
            Expected::Unclear if status == 101 => return self.forget(),
            Expected::Unclear => {
                // A handler may have been asked, which says so in its answer, or streams it.
                let asked = self.outcome.asked.get(self.handled);
                let is_asked = asked
                    .is_some_and(|asked| answer.length.is_none_or(|length| length == asked.len()));
                self.handled += usize::from(status == 200 && is_asked);
                None
            }
            Expected::Answer(due, content, is_last) => {
                assert_eq!((status, closes), (due, is_last), "{}", answer.body.escape_ascii());
                self.check_content(&mut answer, &content, is_head);
                None
            }
            Expected::Refused(_) | Expected::Body(..) => unreachable!("that was looked at before"),
        };
        if self.outcome.is_cut && answer.lasts() {
            // Its end may be lost.
            answer.body.clear();
        }
        self.outcome.answers.push(answer);
        if let Some(longest) = longest {
            assert_eq!((status, closes), (101, false));
            let is_cut = self.outcome.is_cut;
            self.outcome.messages = frames::check(self.rest, self.answers.rest, longest, is_cut);
            return false;
        }
        if closes {
            self.answers.end();
        }
        !closes
    }

    /// What follows is not looked at.
    fn forget(&mut self) -> bool {
        self.handled = self.outcome.asked.len();
        false
    }

    /// Whether what is left begins with a request whose answer has no body.
    fn asks_for_head(&self) -> bool {
        self.rest.starts_with(HEAD)
    }

    fn refused(&mut self, status: u16, is_head: bool) {
        let answer = self.answers.refusal(is_head);
        assert_eq!(answer.status, status, "{}", answer.body.escape_ascii());
        self.outcome.answers.push(answer);
    }

    /// The peer says no more: in the middle of a request, it gets 408 after a while.
    fn silence(&mut self, is_asking: bool) {
        if is_asking && !self.choice.ends() {
            self.refused(408, self.asks_for_head());
        }
        self.answers.end();
    }

    fn check_content(&self, answer: &mut Answer, content: &Content, is_head: bool) {
        match content {
            Content::Nothing => return assert!(answer.body.is_empty()),
            Content::Text(text) => {
                assert_eq!(answer.length, Some(text.len()));
                assert!(
                    is_head || answer.body == text.as_bytes(),
                    "{}",
                    answer.body.escape_ascii()
                );
            }
            Content::Stream(text, in_chunks) => {
                assert_eq!((answer.length, answer.is_chunked), (None, *in_chunks));
                let whole = text.clone() + &PIECE.repeat(PIECES);
                let (body, whole) = (&answer.body[..], whole.as_bytes());
                let may_lack = is_head || (self.outcome.is_cut && answer.lasts());
                assert!(
                    body == whole || (may_lack && whole.starts_with(body)),
                    "{}",
                    body.escape_ascii()
                );
            }
            Content::Long => {
                assert_eq!(answer.length, Some(LONG));
                assert!(answer.body.iter().all(|byte| *byte == b'x'));
            }
            Content::Metrics => {
                assert!(is_head || answer.body.starts_with(b"# HELP "), "metrics");
                assert!(
                    answer.length.is_some_and(|length| length <= METRICS),
                    "{:?}",
                    answer.length
                );
                // They count turns, too, which depend on the number of pieces.
                (answer.length, answer.body) = (None, Vec::new());
            }
        }
        assert!(!is_head || answer.body.is_empty());
    }
}
