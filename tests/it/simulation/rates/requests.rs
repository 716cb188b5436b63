//! HTTP requests beyond a rate.

use eventwire::{Rate, RateLimits};

use super::{assert_denied, dial, head, is_open, server};
use crate::shared::request;

const PAGE: &[u8] = b"GET /page HTTP/1.1\r\nHost: sim\r\n\r\n";

#[test]
fn requests_beyond_the_rate_get_429_and_the_connection_stays() {
    let (mut rig, _) = server(RateLimits::new().messages(Rate::per_minute(12).burst(3)));
    let peer = dial(&mut rig, &PAGE.repeat(5));
    let responses = head(&mut rig, peer);
    let statuses: Vec<_> =
        responses.split("HTTP/1.1 ").skip(1).map(|response| &response[..3]).collect();
    assert_eq!(statuses, ["200", "200", "200", "429", "429"]);
    assert!(responses.contains("\r\nRetry-After: 5\r\n"), "{responses}");
    assert!(responses.ends_with("\r\n\r\ntoo many messages"));
    assert!(!responses.contains("Connection: close"));
    rig.run(5_000);
    for (asked, expected) in
        [(PAGE, "200"), (PAGE, "429"), (b"HEAD /page HTTP/1.1\r\nHost: sim\r\n\r\n", "429")]
    {
        rig.sim().peer_send(peer, asked);
        rig.run(1);
        assert_eq!(&head(&mut rig, peer)[9..12], expected);
    }
    // A request for a WebSocket is one, too.
    rig.sim().peer_send(peer, &request(0));
    rig.run(1);
    assert_denied(&head(&mut rig, peer), Some("5"));
    rig.run(5_000);
    rig.sim().peer_send(peer, &request(0));
    rig.run(1);
    assert!(is_open(&head(&mut rig, peer)));
    let stats = rig.event_loop.stats();
    assert_eq!((stats.refused_by_limit, stats.connections, stats.requests), (5, 1, 9));
}

#[test]
fn the_bytes_of_requests_count() {
    let bytes = Rate::per_second(PAGE.len() as u64).burst(2 * PAGE.len() as u64);
    let (mut rig, _) = server(RateLimits::new().bytes(bytes));
    let peer = dial(&mut rig, &PAGE.repeat(3));
    let responses = head(&mut rig, peer);
    assert_eq!(responses.matches("HTTP/1.1 200 ").count(), 2);
    assert_eq!(responses.matches("HTTP/1.1 429 ").count(), 1);
    assert!(responses.contains("Retry-After: 1\r\n"));
    rig.run(1_001);
    rig.sim().peer_send(peer, PAGE);
    rig.run(1);
    assert!(head(&mut rig, peer).starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_request_that_is_refused_for_a_mistake_ends_the_connection_as_ever() {
    let (mut rig, _) = server(RateLimits::new().messages(Rate::per_second(0)));
    let peer = dial(&mut rig, b"GET /page\r\n\r\n");
    assert!(head(&mut rig, peer).starts_with("HTTP/1.1 400 "));
    let peer = dial(&mut rig, PAGE);
    assert_denied(&head(&mut rig, peer), None);
    let peer = dial(&mut rig, b"GET /page HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let denied = head(&mut rig, peer);
    assert_denied(&denied, None);
    assert!(denied.contains("Connection: close\r\n"));
    rig.run(1);
    assert!(rig.sim().peer_is_closed(peer));
}
