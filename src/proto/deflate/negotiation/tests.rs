use proptest::prelude::*;

use super::*;
use crate::proto::handshake::{Acceptance, ClientRequest, Key, UpgradeRequest, WsUrl};
use crate::proto::http::{HeadLimits, HttpError};

const KEY: &[u8; 16] = b"the sample nonce";

fn head(extensions: &[&str]) -> Vec<u8> {
    let mut head = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        .to_vec();
    for line in extensions {
        head.extend_from_slice(format!("Sec-WebSocket-Extensions: {line}\r\n").as_bytes());
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// What a server responds to these lines of offers.
fn answered(config: DeflateConfig, offers: &[&str]) -> Option<String> {
    let head = head(offers);
    let request = UpgradeRequest::parse(&head, &HeadLimits::default()).unwrap();
    config.respond(&request.extensions()).map(|accepted| accepted.params.value())
}

/// What a client concludes from this response to its offer.
fn concluded(
    config: DeflateConfig,
    answer: &str,
) -> Result<Option<DeflateAgreement>, HandshakeError> {
    let url = WsUrl::parse("ws://a/").unwrap();
    let key = Key::from_nonce(*KEY);
    let mut head = Vec::new();
    Acceptance::new().write(&key, &mut head);
    if !answer.is_empty() {
        head.truncate(head.len() - 2);
        head.extend_from_slice(format!("Sec-WebSocket-Extensions: {answer}\r\n\r\n").as_bytes());
    }
    let asked = ClientRequest::new(url).deflate(config);
    let accepted = asked.check_response(&head, &HeadLimits::default(), &key)?;
    Ok(accepted.agreement())
}

fn direction(context: bool, window: u8) -> Direction {
    Direction { context, window }
}

const NONE: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

#[test]
fn a_server_answers_the_first_offer_that_it_can_accept() {
    let config = DeflateConfig::default();
    let plain = "permessage-deflate";
    for (offers, answer) in [
        (&[plain][..], Some(NONE.to_owned())),
        (&["x; y, permessage-deflate"], Some(NONE.to_owned())),
        (&["x", plain], Some(NONE.to_owned())),
        (&["permessage-deflate; client_max_window_bits"], Some(NONE.to_owned())),
        (
            &["permessage-deflate; client_max_window_bits=10"],
            Some(format!("{NONE}; client_max_window_bits=10")),
        ),
        (
            &["permessage-deflate; client_max_window_bits=8"],
            Some(format!("{NONE}; client_max_window_bits=8")),
        ),
        (
            &["permessage-deflate; server_max_window_bits=9"],
            Some(format!("{NONE}; server_max_window_bits=9")),
        ),
        (
            &[r#"permessage-deflate;server_max_window_bits="1\0""#],
            Some(format!("{NONE}; server_max_window_bits=10")),
        ),
        (
            &["permessage-deflate; server_max_window_bits=15"],
            Some(format!("{NONE}; server_max_window_bits=15")),
        ),
        // The compressor does not support the window of the first.
        (
            &["permessage-deflate; server_max_window_bits=8, permessage-deflate"],
            Some(NONE.to_owned()),
        ),
        (&["permessage-deflate; server_max_window_bits=8"], None),
        (&["x-webkit-deflate-frame"], None),
        (&["Permessage-Deflate"], None),
        (&[], None),
    ] {
        assert_eq!(answered(config, offers), answer, "{offers:?}");
    }
}

#[test]
fn an_offer_with_invalid_parameters_is_declined() {
    for params in [
        "x",
        "server_no_context_takeover=1",
        "client_no_context_takeover=true",
        "server_no_context_takeover; server_no_context_takeover",
        "server_max_window_bits",
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "server_max_window_bits=010",
        "server_max_window_bits=+9",
        "server_max_window_bits=9; server_max_window_bits=9",
        "client_max_window_bits=7",
        "client_max_window_bits=256",
        "client_max_window_bits; client_max_window_bits=9",
    ] {
        let offer = format!("permessage-deflate; {params}");
        assert_eq!(answered(DeflateConfig::default(), &[&offer]), None, "{params}");
    }
}

#[test]
fn the_response_has_what_is_configured() {
    let config = DeflateConfig::default().context_takeover(true, true).window_bits(12, 10);
    for (offer, answer) in [
        ("permessage-deflate", "permessage-deflate; server_max_window_bits=12"),
        (
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; server_max_window_bits=12; client_max_window_bits=10",
        ),
        (
            "permessage-deflate; client_max_window_bits=9; server_max_window_bits=14; \
             server_no_context_takeover; client_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
             server_max_window_bits=12; client_max_window_bits=9",
        ),
    ] {
        assert_eq!(answered(config, &[offer]).as_deref(), Some(answer), "{offer}");
    }
}

#[test]
fn a_malformed_list_fails_the_handshake() {
    let head = head(&["permessage-deflate; a=\"b"]);
    let error = UpgradeRequest::parse(&head, &HeadLimits::default()).unwrap_err();
    let malformed = HttpError::MalformedHeader("Sec-WebSocket-Extensions").into();
    assert_eq!(error, malformed);
    let concluded = concluded(DeflateConfig::default(), "permessage-deflate;");
    assert_eq!(concluded, Err(malformed));
}

#[test]
fn a_client_concludes_what_the_response_says() {
    let config = DeflateConfig::default();
    let all = config.context_takeover(true, true);
    let agreement = |config: DeflateConfig, answer: &str| {
        let agreement = concluded(config, answer).unwrap().unwrap();
        (agreement.send, agreement.receive)
    };
    assert_eq!(concluded(config, ""), Ok(None));
    assert_eq!(agreement(config, NONE), (Some(direction(false, 15)), direction(false, 15)));
    assert_eq!(agreement(all, NONE), (Some(direction(false, 15)), direction(false, 15)));
    let plain = "permessage-deflate";
    assert_eq!(agreement(all, plain), (Some(direction(true, 15)), direction(true, 15)));
    let windows = "permessage-deflate; server_max_window_bits=10; client_max_window_bits=9";
    assert_eq!(agreement(all, windows), (Some(direction(true, 9)), direction(true, 10)));
    // Then nothing is compressed.
    let tiny = "permessage-deflate; client_max_window_bits=8";
    assert_eq!(agreement(all, tiny), (None, direction(true, 15)));
}

#[test]
fn a_client_tolerates_a_context_that_it_did_not_forbid() {
    let config = DeflateConfig::default();
    for (answer, send, receive) in [
        ("permessage-deflate", direction(false, 15), direction(true, 15)),
        (
            "permessage-deflate; client_no_context_takeover",
            direction(false, 15),
            direction(true, 15),
        ),
        (
            "permessage-deflate; server_max_window_bits=10",
            direction(false, 15),
            direction(true, 10),
        ),
        (
            "permessage-deflate; client_max_window_bits=10",
            direction(false, 10),
            direction(true, 15),
        ),
        (NONE, direction(false, 15), direction(false, 15)),
    ] {
        let agreement = concluded(config, answer).unwrap().unwrap();
        assert_eq!((agreement.send, agreement.receive), (Some(send), receive), "{answer}");
    }
    // It asks the server for none in either case.
    assert!(config.offer().value().contains("server_no_context_takeover"));
}

#[test]
fn a_client_refuses_a_response_that_does_not_fit_its_offer() {
    let config = DeflateConfig::default();
    let small = config.context_takeover(true, true).window_bits(15, 10);
    let refusing = config.context_takeover(true, false);
    for (config, answer, error) in [
        (refusing, "permessage-deflate", HandshakeError::ExtensionMismatch),
        (
            refusing,
            "permessage-deflate; client_no_context_takeover",
            HandshakeError::ExtensionMismatch,
        ),
        (small, "permessage-deflate", HandshakeError::ExtensionMismatch),
        (small, "permessage-deflate; server_max_window_bits=11", HandshakeError::ExtensionMismatch),
        (small, "permessage-deflate; client_max_window_bits", HandshakeError::ExtensionMismatch),
        (small, "permessage-deflate; x", HandshakeError::ExtensionMismatch),
        (config, "x", HandshakeError::UnaskedExtension),
        (config, &format!("{NONE}, x"), HandshakeError::UnaskedExtension),
        (config, &format!("{NONE}, {NONE}"), HandshakeError::UnaskedExtension),
    ] {
        assert_eq!(concluded(config, answer), Err(error), "{answer}");
    }
}

fn config() -> impl Strategy<Value = DeflateConfig> {
    (any::<(bool, bool)>(), 8..16_u8, 8..16_u8).prop_map(|((send, receive), to, from)| {
        DeflateConfig::default().context_takeover(send, receive).window_bits(to, from)
    })
}

proptest! {
    /// With any configuration both ends agree: each can receive what the other sends.
    #[test]
    fn both_ends_agree(server in config(), client in config()) {
        let offer = client.offer().value();
        let head = head(&[&offer]);
        let request = UpgradeRequest::parse(&head, &HeadLimits::default()).unwrap();
        let AcceptedOffer { params, agreement: ours } =
            server.respond(&request.extensions()).unwrap();
        let theirs = concluded(client, &params.value()).unwrap().unwrap();
        for (send, receive) in [(ours.send, theirs.receive), (theirs.send, ours.receive)] {
            let send = send.unwrap();
            prop_assert!(send.window <= receive.window, "{send:?} {receive:?}");
            prop_assert!(!send.context || receive.context, "{send:?} {receive:?}");
        }
        prop_assert!(ours.receive.window <= server.receive_window);
        prop_assert!(theirs.receive.window <= client.receive_window);
        prop_assert!(!ours.receive.context || server.allows_context());
        prop_assert!(!theirs.receive.context || client.allows_context());
    }
}
