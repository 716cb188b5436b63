//! Offers of `permessage-deflate`, and answers to them.
//!
//! Input: the settings of both ends, which way it goes, then the value of the header.

use eventwire::proto::DeflateConfig;
use eventwire::proto::handshake::{
    Acceptance, ClientRequest, HandshakeError, Key, UpgradeRequest, WsUrl,
};
use eventwire::proto::http::HeadLimits;

use super::endpoint::key;
use super::input::Input;

const EXTENSIONS: &[u8] = b"Sec-WebSocket-Extensions: ";

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (config, way) = (config(&mut input), input.byte());
    let value = input.rest();
    if way % 2 == 0 {
        offer(config, value);
    } else {
        answer(config, value);
    }
}

fn config(input: &mut Input<'_>) -> DeflateConfig {
    let (flags, windows) = (input.byte(), input.byte());
    DeflateConfig::default()
        .context_takeover(flags & 1 != 0, flags & 2 != 0)
        .window_bits(windows & 15, windows >> 4)
}

fn asked(config: DeflateConfig) -> ClientRequest {
    ClientRequest::new(WsUrl::parse("ws://a/").expect("a URL")).deflate(config)
}

/// The head that `write` makes, with another header at its end.
fn head(write: impl FnOnce(&Key, &mut Vec<u8>), value: &[u8]) -> Vec<u8> {
    let mut head = Vec::new();
    write(&key(), &mut head);
    head.truncate(head.len() - 2);
    for part in [EXTENSIONS, value, b"\r\n\r\n"] {
        head.extend_from_slice(part);
    }
    head
}

fn count(head: &[u8]) -> usize {
    head.windows(EXTENSIONS.len()).filter(|part| *part == EXTENSIONS).count()
}

/// Any offer is refused as a whole, or answered with what this end is set to.
fn offer(config: DeflateConfig, value: &[u8]) {
    let limits = HeadLimits::default();
    let plain = ClientRequest::new(WsUrl::parse("ws://a/").expect("a URL"));
    let head = head(|key, out| plain.write(key, out), value);
    let Ok(request) = UpgradeRequest::parse(&head, &limits) else {
        return;
    };
    let mut answer = Vec::new();
    let acceptance = Acceptance::new().deflate(&config, &request);
    acceptance.write(&request.key(), &mut answer);
    assert!(count(&answer) <= 1);
    // Without an offer no answer is accepted.
    let outcome = plain.check_response(&answer, &limits, &key());
    let expected = (count(&answer) == 1).then_some(HandshakeError::UnaskedExtension);
    assert_eq!(outcome.err(), expected);
    // Our own client understands it, unless the offer was for more than that makes.
    match asked(config).check_response(&answer, &limits, &key()) {
        Ok(_) | Err(HandshakeError::ExtensionMismatch) => {}
        Err(error) => panic!("{error}: {}", answer.escape_ascii()),
    }
}

/// Any answer is an error, or one to what was offered.
fn answer(config: DeflateConfig, value: &[u8]) {
    let limits = HeadLimits::default();
    let head = head(|key, out| Acceptance::new().write(key, out), value);
    let outcome = asked(config).check_response(&head, &limits, &key());
    let plain = ClientRequest::new(WsUrl::parse("ws://a/").expect("a URL"));
    let without = plain.check_response(&head, &limits, &key());
    if let Ok(accepted) = outcome {
        // Without an offer it is one only if it chooses nothing.
        let chosen = accepted.headers().any(|(name, value)| {
            name.eq_ignore_ascii_case("Sec-WebSocket-Extensions")
                && value.iter().any(|byte| !b" \t,".contains(byte))
        });
        assert_eq!(without.is_err(), chosen);
    } else {
        assert!(without.is_err(), "{}", head.escape_ascii());
    }
}
