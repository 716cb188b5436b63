//! Heads from a peer: any split gives the same answer, and each side understands the other's.
//!
//! Input: a choice of limits, a seed of the split, then what arrives.

use std::sync::Arc;

use eventwire::proto::handshake::{
    Acceptance, BodyEnd, ClientRequest, HandshakeError, OriginPolicy, Refusal, Refused,
    UpgradeRequest,
};
use eventwire::proto::http::{HeadLimits, HeadScanner, HttpError};
use eventwire::proto::{Limits, PeerError, Role, State};

use super::endpoint::{Endpoint, Seen, asked, key, limits};
use super::input::{Input, pieces};

/// What a client sends to a server.
pub(crate) fn request(data: &[u8]) {
    let mut input = Input::new(data);
    let (limits, seed) = (limits(input.byte()), input.byte());
    let stream = input.rest();
    let head_limits = limits.head_limits();

    let whole = receive_any_way(Role::Server, limits, stream, seed);

    match HeadScanner::new(*head_limits).scan(stream) {
        Ok(None) => {
            assert_eq!(whole.connection.state(), State::Connecting);
            assert!(whole.seen.is_empty() && whole.out.is_empty());
            let unfinished = UpgradeRequest::parse(stream, head_limits).map(|_| ());
            assert_eq!(unfinished, Err(HttpError::HeadBoundary.into()));
        }
        Ok(Some(end)) => {
            let head = &stream[..end];
            assert_eq!(whole.seen[0], Seen::Request(head.to_vec()));
            match UpgradeRequest::parse(head, head_limits) {
                Ok(request) => check_request(&request),
                Err(error) => check_refusal(error, &whole.out),
            }
        }
        Err(error) => {
            assert_eq!(whole.seen, [Seen::Failed(PeerError::Handshake(error.into()))]);
            check_refusal(error.into(), &whole.out);
        }
    }
}

/// What a server answers a client, whose request is always the same. With the highest bit of the
/// first byte, a proxy answers before it.
pub(crate) fn response(data: &[u8]) {
    let mut input = Input::new(data);
    let (choice, seed) = (input.byte(), input.byte());
    let (limits, stream) = (limits(choice & 0x7f), input.rest());
    let is_behind_proxy = choice & 0x80 != 0;

    let mut whole = match is_behind_proxy {
        true => receive_with(&Endpoint::behind_proxy, limits, stream, seed),
        false => receive_any_way(Role::Client, limits, stream, seed),
    };

    let Some(answer) = final_answer(stream, limits.head_limits(), is_behind_proxy) else {
        assert_eq!(whole.connection.state(), State::Connecting);
        assert!(whole.seen.iter().all(|seen| *seen == Seen::Tunnel));
        return;
    };
    let at = usize::from(whole.seen.first() == Some(&Seen::Tunnel));
    match answer {
        Answer::Open(head) => assert_eq!(whole.seen[at], Seen::Open(head.to_vec())),
        Answer::Failed(error) => {
            assert_eq!(whole.seen[at], Seen::Failed(PeerError::Handshake(error)));
        }
        Answer::Refused { is_proxy, head, body } => {
            if whole.seen.len() == at {
                // The stream ends here, and so does a body without a length.
                let ended = whole.with(|connection, work| connection.handshake().end(work));
                whole.seen.push(Seen::Failed(ended.expect_err("it is not open")));
            }
            let refused = match &whole.seen[at] {
                Seen::Failed(PeerError::ProxyRefused(refused)) if is_proxy => refused,
                Seen::Failed(PeerError::Refused(refused)) if !is_proxy => refused,
                other => panic!("{other:?}"),
            };
            check_body(refused, head, body);
        }
    }
}

/// What a client makes of the first answer that is not an interim one.
enum Answer<'a> {
    Open(&'a [u8]),
    Failed(HandshakeError),
    Refused { is_proxy: bool, head: &'a [u8], body: &'a [u8] },
}

/// The answer, if it is there. Before a server's, there is that of a proxy.
fn final_answer<'a>(
    stream: &'a [u8],
    limits: &HeadLimits,
    mut is_proxy: bool,
) -> Option<Answer<'a>> {
    const INTERIM: usize = 10;
    let (mut at, mut interim_bytes, mut interim_count) = (0, 0, 0);
    loop {
        let rest = &stream[at..];
        let end = match HeadScanner::new(*limits).scan(rest) {
            Ok(end) => end?,
            Err(error) => return Some(Answer::Failed(error.into())),
        };
        let (head, body) = rest.split_at(end);
        at += end;
        let checked = asked().check_response(head, limits, &key()).inspect(|response| {
            let offered = ["chat", "superchat"];
            assert!(response.subprotocol().is_none_or(|name| offered.contains(&name)));
            assert!(response.headers().count() <= limits.headers);
        });
        let error = match checked {
            Ok(_) if !is_proxy => return Some(Answer::Open(head)),
            Ok(_) => return Some(Answer::Refused { is_proxy, head, body }),
            Err(error) => error,
        };
        match error {
            HandshakeError::UnexpectedStatus(100..=199) => {
                interim_bytes += end;
                interim_count += 1;
                if interim_bytes > limits.bytes {
                    let limit = limits.bytes;
                    return Some(Answer::Failed(HttpError::HeadTooLarge { limit }.into()));
                }
                if interim_count > INTERIM {
                    let error = HandshakeError::TooManyInterimResponses { limit: INTERIM };
                    return Some(Answer::Failed(error));
                }
            }
            HandshakeError::UnexpectedStatus(200..=299) if is_proxy => is_proxy = false,
            HandshakeError::UnexpectedStatus(_) => {
                return Some(Answer::Refused { is_proxy, head, body });
            }
            // A proxy that answers 101 refuses, if that is a head at all.
            error if is_proxy && head.get(8..12) == Some(b" 101") && !is_of_the_head(&error) => {
                return Some(Answer::Refused { is_proxy, head, body });
            }
            error => return Some(Answer::Failed(error)),
        }
    }
}

/// Whether a head cannot be parsed, whatever it is for.
const fn is_of_the_head(error: &HandshakeError) -> bool {
    matches!(
        error,
        HandshakeError::Http(
            HttpError::HeadBoundary
                | HttpError::InvalidHeaderLine
                | HttpError::InvalidStartLine
                | HttpError::TooManyHeaders { .. }
        )
    )
}

/// Checks a body against one that is read in the simplest way.
fn check_body(refused: &Refused, head: &[u8], body: &[u8]) {
    let status = refused.status();
    assert_eq!(head.get(9..12), Some(format!("{status:03}").as_bytes()));
    let kept = refused.body();
    assert!(kept.len() <= Refused::BODY_BYTES_MAX.min(body.len()));
    let is_empty = matches!(status, 100..=199 | 204 | 304);
    let (length, coding) = (refused.header("Content-Length"), refused.header("Transfer-Encoding"));
    match refused.body_end() {
        _ if is_empty => assert_eq!((kept, refused.body_end()), (&b""[..], BodyEnd::Complete)),
        BodyEnd::Malformed(error) => assert!(!error.to_string().is_empty()),
        end => match (length, coding) {
            (Some(_), Some(_)) => panic!("two lengths"),
            (Some(length), None) => {
                let length = length.parse::<u64>().expect("a length");
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                let expected = &body[..length.min(body.len()).min(Refused::BODY_BYTES_MAX)];
                assert_eq!(kept, expected);
                assert_eq!(end == BodyEnd::Complete, kept.len() == length);
            }
            (None, Some(_)) => check_chunks(refused, body),
            (None, None) => {
                assert_eq!(kept, &body[..body.len().min(Refused::BODY_BYTES_MAX)]);
                assert_eq!(end == BodyEnd::Complete, kept.len() == body.len());
            }
        },
    }
}

fn check_chunks(refused: &Refused, mut body: &[u8]) {
    let (mut data, mut is_whole) = (Vec::new(), false);
    while let Some(line) = body.windows(2).position(|pair| pair == b"\r\n") {
        let size = body[..line].split(|byte| b" \t;".contains(byte)).next().expect("a first");
        let size = std::str::from_utf8(size).expect("digits");
        let size = u64::from_str_radix(size, 16).expect("a size");
        body = &body[line + 2..];
        if size == 0 {
            is_whole = body.starts_with(b"\r\n") || body.windows(4).any(|it| it == b"\r\n\r\n");
            break;
        }
        let size = usize::try_from(size).unwrap_or(usize::MAX).min(body.len());
        data.extend_from_slice(&body[..size]);
        body = body.get(size + 2..).unwrap_or_default();
    }
    data.truncate(Refused::BODY_BYTES_MAX);
    assert_eq!(refused.body(), data);
    assert!(refused.body_end() != BodyEnd::Complete || is_whole);
}

/// Receives `stream` whole, and split in the way of `seed`, which has to be the same.
fn receive_any_way(role: Role, limits: &Arc<Limits>, stream: &[u8], seed: u8) -> Endpoint {
    receive_with(&|limits| Endpoint::new(role, limits), limits, stream, seed)
}

fn receive_with(
    new: &dyn Fn(&Arc<Limits>) -> Endpoint,
    limits: &Arc<Limits>,
    stream: &[u8],
    seed: u8,
) -> Endpoint {
    let mut whole = new(limits);
    whole.receive(stream);
    let mut split = new(limits);
    if seed % 4 == 0 {
        stream.chunks(1).for_each(|byte| split.receive(byte));
    } else {
        pieces(stream, seed).for_each(|piece| split.receive(piece));
    }
    assert!(whole.seen == split.seen && whole.out == split.out);
    whole
}

/// What holds for every request that is accepted; the client takes the answer to it.
fn check_request(request: &UpgradeRequest<'_>) {
    let query = request.query().map_or(String::new(), |query| format!("?{query}"));
    let (target, origin_form) = (request.target(), format!("{}{query}", request.path()));
    assert!(request.path().starts_with('/') && !request.host().is_empty());
    if target.starts_with('/') {
        assert_eq!(target, origin_form);
        assert_eq!(request.header("hOST"), Some(request.host()));
    } else {
        let (_, rest) = target.split_once("://").expect("a URL");
        let rest = rest.strip_prefix(request.host()).expect("its authority");
        assert!(rest == origin_form || format!("/{rest}") == origin_form, "{target}");
    }
    assert_eq!(request.header("Origin"), request.origin());
    assert_eq!(OriginPolicy::Any.check(request), Ok(()));
    let same = OriginPolicy::SameOrigin.check(request).is_ok();
    let listed = request.origin().map(str::to_owned).into_iter().collect();
    assert_eq!(OriginPolicy::Listed(listed).check(request), Ok(()));
    assert_eq!(OriginPolicy::Listed(Vec::new()).check(request).is_ok(), same);
    assert!(same || request.origin().is_some());

    let mut asked = ClientRequest::new(asked().url().clone());
    for name in request.subprotocols() {
        asked = asked.subprotocol(name).expect("each offered once, and a token");
    }
    let mut acceptance = Acceptance::new();
    if let Some(name) = request.subprotocols().last() {
        acceptance = acceptance.subprotocol(name).expect("a token");
    }
    let mut out = Vec::new();
    acceptance.write(&request.key(), &mut out);
    let accepted = asked.check_response(&out, &HeadLimits::default(), &request.key());
    let accepted = accepted.expect("the client takes the answer");
    assert_eq!(accepted.subprotocol(), request.subprotocols().last());
}

/// What is written for a request that failed; the client understands it.
fn check_refusal(error: HandshakeError, out: &[u8]) {
    let mut expected = Vec::new();
    Refusal::from(error).write(&mut expected);
    assert_eq!(out, expected);
    assert!((400..600).contains(&error.status()));
    let limits = HeadLimits::default();
    let end = HeadScanner::new(limits).scan(out).expect("a valid head").expect("a whole one");
    assert_eq!(&out[end..], error.to_string().as_bytes());
    let answer = asked().check_response(&out[..end], &limits, &key());
    assert_eq!(answer.map(|_| ()), Err(HandshakeError::UnexpectedStatus(error.status())));
}
