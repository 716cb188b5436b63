//! Web pages that connect to a server which is none of theirs (RFC 6455 §10.2).

use std::env;
use std::time::Duration;

use eventwire::proto::Limits;
use eventwire::proto::handshake::OriginPolicy;
use eventwire::{Config, ServerConfig};

use super::rig::{KIB, NOISE, Rig, SESSION, feed_until_cut};
use super::service::{OVER_TLS, Profile};
use crate::util::{Peer, request};

fn with(policy: OriginPolicy) -> Profile {
    let limits = Limits::default().close_timeout(Duration::from_millis(500));
    Profile::new(Config::default(), ServerConfig::default().limits(limits).origins(policy))
}

pub(super) fn same() -> Profile {
    with(OriginPolicy::SameOrigin)
}

pub(super) fn listed() -> Profile {
    with(OriginPolicy::Listed(vec!["https://app.example.com".to_owned()]))
}

pub(super) fn any() -> Profile {
    with(OriginPolicy::Any)
}

/// What a request for `Host: localhost` says of its origin, and what it is answered by each policy:
/// the same origin, one that is listed besides, any.
const TABLE: &[(&str, [u16; 3])] = &[
    // Programs other than browsers.
    ("", [101, 101, 101]),
    // Pages of this server's.
    ("Origin: https://localhost\r\n", [101, 101, 101]),
    ("Origin: HTTPS://LOCALHOST\r\n", [101, 101, 101]),
    // The page that is listed, and those that look like it.
    ("Origin: https://app.example.com\r\n", [403, 101, 101]),
    ("Origin: https://APP.example.com\r\n", [403, 101, 101]),
    ("Origin: http://app.example.com\r\n", [403, 403, 101]),
    ("Origin: https://app.example.com:8443\r\n", [403, 403, 101]),
    ("Origin: https://app.example.com.evil.example\r\n", [403, 403, 101]),
    ("Origin: https://evil.example/app.example.com\r\n", [403, 403, 101]),
    ("Origin: https://app.example.com@evil.example\r\n", [403, 403, 101]),
    ("Origin: https://notapp.example.com\r\n", [403, 403, 101]),
    ("Origin: https://x.app.example.com\r\n", [403, 403, 101]),
    ("Origin: https://app.example.com/\r\n", [403, 403, 101]),
    ("Origin: app.example.com\r\n", [403, 403, 101]),
    // Pages that look like this server's.
    ("Origin: http://localhost:8080\r\n", [403, 403, 101]),
    ("Origin: http://localhost.evil.example\r\n", [403, 403, 101]),
    ("Origin: http://evil.example?localhost\r\n", [403, 403, 101]),
    ("Origin: http://localhost@evil.example\r\n", [403, 403, 101]),
    ("Origin: http://127.0.0.1\r\n", [403, 403, 101]),
    ("Origin: localhost\r\n", [403, 403, 101]),
    ("Origin: http://\r\n", [403, 403, 101]),
    ("Origin: ftp://localhost\r\n", [403, 403, 101]),
    // Pages of nowhere.
    ("Origin: null\r\n", [403, 403, 101]),
    ("Origin: file://\r\n", [403, 403, 101]),
    ("Origin: chrome-extension://localhost\r\n", [403, 403, 101]),
    // What cannot be read must not count as absent.
    ("Origin:\r\n", [400, 400, 400]),
    ("Origin: http://localhost http://evil.example\r\n", [400, 400, 400]),
    ("Origin: http://localhost\r\nOrigin: http://localhost\r\n", [400, 400, 400]),
    ("Origin: http://localhost\r\norigin: http://evil.example\r\n", [400, 400, 400]),
    ("Origin: http://löcalhost\r\n", [400, 400, 400]),
    ("Origin : http://localhost\r\n", [400, 400, 400]),
    // The header's name of an earlier version has no meaning.
    ("Sec-WebSocket-Origin: http://localhost\r\nOrigin: null\r\n", [403, 403, 101]),
];

/// Pages of this host in the clear: of the same origin unless the server itself speaks TLS.
const IN_THE_CLEAR: &[&str] = &[
    "Origin: http://localhost\r\n",
    "Origin: http://localhost:80\r\n",
    "Origin: HTTP://LOCALHOST\r\n",
];

#[test]
fn pages_connect_as_the_policy_says() {
    let over_tls = env::var_os(OVER_TLS).is_some();
    let in_the_clear = if over_tls { [403, 403, 101] } else { [101; 3] };
    let clear = IN_THE_CLEAR.iter().map(|headers| (*headers, in_the_clear));
    let table: Vec<_> = TABLE.iter().copied().chain(clear).collect();
    for (policy, profile) in ["origins, same", "origins, listed", "origins, any"].iter().enumerate()
    {
        let mut rig = Rig::start(profile).sessions(table.len(), SESSION);
        let mut refused = Vec::new();
        for (headers, statuses) in &table {
            let mut peer = Peer::open(rig.echo());
            peer.write(&request("/", headers));
            match statuses[policy] {
                101 => assert_eq!(peer.bytes(13), b"HTTP/1.1 101 ", "{profile}: {headers}"),
                status => {
                    assert_eq!(peer.until_end().status(), status, "{profile}: {headers}");
                    refused.push(peer);
                }
            }
        }
        rig.progress(5);
        assert_eq!(rig.stat("not_opened"), refused.len() as u64);
        feed_until_cut(refused);
        rig.assert_held_at_most(table.len() as u64 * 16 * KIB + NOISE);
        rig.end(NOISE);
    }
}
