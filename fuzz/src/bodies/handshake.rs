//! Heads from a peer: any split gives the same answer, and each side understands the other's.
//!
//! Input: a choice of limits, a seed of the split, then what arrives.

use std::sync::Arc;

use eventwire::proto::handshake::{
    Acceptance, ClientRequest, HandshakeError, OriginPolicy, Refusal, UpgradeRequest,
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

/// What a server answers a client, whose request is always the same.
pub(crate) fn response(data: &[u8]) {
    let mut input = Input::new(data);
    let (limits, seed) = (limits(input.byte()), input.byte());
    let stream = input.rest();
    let head_limits = limits.head_limits();

    let whole = receive_any_way(Role::Client, limits, stream, seed);

    let Some(answer) = final_answer(stream, head_limits) else {
        assert_eq!(whole.connection.state(), State::Connecting);
        assert!(whole.seen.is_empty());
        return;
    };
    let first = answer.unwrap_or_else(|error| Seen::Failed(PeerError::Handshake(error)));
    assert_eq!(whole.seen[0], first);
}

/// What a client makes of the first answer that is not an interim one, if it is there.
fn final_answer(stream: &[u8], limits: &HeadLimits) -> Option<Result<Seen, HandshakeError>> {
    const INTERIM: usize = 10;
    let mut at = 0;
    for count in 0.. {
        let rest = &stream[at..];
        let end = match HeadScanner::new(*limits).scan(rest) {
            Ok(end) => end?,
            Err(error) => return Some(Err(error.into())),
        };
        let checked = asked().check_response(&rest[..end], limits, &key()).inspect(|accepted| {
            let offered = ["chat", "superchat"];
            assert!(accepted.subprotocol().is_none_or(|name| offered.contains(&name)));
            assert!(accepted.headers().count() <= limits.headers);
        });
        if !matches!(checked, Err(HandshakeError::UnexpectedStatus(100..=199))) {
            return Some(checked.map(|_| Seen::Open(rest[..end].to_vec())));
        }
        at += end;
        if at > limits.bytes {
            return Some(Err(HttpError::HeadTooLarge { limit: limits.bytes }.into()));
        }
        if count == INTERIM {
            return Some(Err(HandshakeError::TooManyInterimResponses { limit: INTERIM }));
        }
    }
    None
}

/// Receives `stream` whole, and split in the way of `seed`, which has to be the same.
fn receive_any_way(role: Role, limits: &Arc<Limits>, stream: &[u8], seed: u8) -> Endpoint {
    let mut whole = Endpoint::new(role, limits);
    whole.receive(stream);
    let mut split = Endpoint::new(role, limits);
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
