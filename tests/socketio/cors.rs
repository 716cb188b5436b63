//! Requests from pages of other origins.

use serde_json::json;

use super::client::{Client, Polling, Request, Response, Target, Transport};
use super::{Case, cases};

pub(super) const CASES: &[Case] = cases![
    Load, EITHER:
        the_handshake_is_for_every_origin,
        polling_is_for_every_origin,
        refusals_are_for_every_origin,
        a_refused_overlap_is_for_every_origin,
        a_post_that_is_too_long_is_refused_for_every_origin,
        a_preflight_allows_what_clients_send,
        a_preflight_opens_nothing,
        credentials_are_not_allowed_to_every_origin,
        requests_without_an_origin_are_served,
        web_sockets_are_for_every_origin;
];

const ORIGIN: &str = "Origin: https://app.example\r\n";

#[track_caller]
fn expect_allowed(response: &Response) {
    let origin = response.header("Access-Control-Allow-Origin");
    assert!(matches!(origin, Some("*" | "https://app.example")), "{response:?}");
}

fn request(target: &Target, method: &str, path: &str) -> Response {
    let body = (method == "POST").then_some(&b"40/quiet,"[..]);
    target.request(path, Request { method, headers: ORIGIN, body })
}

fn the_handshake_is_for_every_origin(target: &Target) {
    let response = request(target, "GET", "/socket.io/?EIO=4&transport=polling");
    assert_eq!(response.status, 200);
    expect_allowed(&response);
}

fn polling_is_for_every_origin(target: &Target) {
    let path = Polling::open(target).path();
    for method in ["POST", "GET"] {
        let response = request(target, method, &path);
        assert_eq!(response.status, 200);
        expect_allowed(&response);
    }
}

fn refusals_are_for_every_origin(target: &Target) {
    for query in [
        "",
        "transport=polling",
        "EIO=3&transport=polling",
        "EIO=4&transport=abc",
        "EIO=4&transport=polling&sid=abc",
        "EIO=4&transport=websocket",
    ] {
        let response = request(target, "GET", &format!("/socket.io/?{query}"));
        assert_eq!(response.status, 400, "{query}");
        expect_allowed(&response);
    }
    let response = request(target, "POST", "/socket.io/?EIO=4&transport=polling");
    assert_eq!(response.status, 400);
    expect_allowed(&response);
}

fn a_refused_overlap_is_for_every_origin(target: &Target) {
    let polling = Polling::open(target);
    let _first = polling.begin_post("40/quiet,");
    let response = request(target, "POST", &polling.path());
    // The first may have come second.
    assert!(matches!(response.status, 200 | 400));
    expect_allowed(&response);
}

fn a_post_that_is_too_long_is_refused_for_every_origin(target: &Target) {
    let body = vec![b'x'; 3_000_001];
    let mut connection = super::client::HttpConnection::open(target.address);
    let request = Request { method: "POST", headers: ORIGIN, body: Some(&body) };
    connection.try_write(&request.encode(&Polling::open(target).path()));
    // The response may be lost when the server closes the connection.
    if let Some(response) = connection.try_response() {
        assert!(matches!(response.status, 400 | 413), "{response:?}");
        expect_allowed(&response);
    }
}

fn preflight(target: &Target) -> Response {
    let headers = format!(
        "{ORIGIN}Access-Control-Request-Method: POST\r\n\
        Access-Control-Request-Headers: content-type\r\n"
    );
    let request = Request { method: "OPTIONS", headers: &headers, body: None };
    target.request("/socket.io/?EIO=4&transport=polling", request)
}

fn a_preflight_allows_what_clients_send(target: &Target) {
    let response = preflight(target);
    assert!(matches!(response.status, 200 | 204), "{response:?}");
    expect_allowed(&response);
    let allowed = response.header("Access-Control-Allow-Methods").expect("methods");
    assert!(allowed.contains("POST") && allowed.contains("GET"), "{allowed}");
    let allowed = response.header("Access-Control-Allow-Headers").expect("headers");
    assert!(allowed.to_lowercase().contains("content-type"), "{allowed}");
}

fn a_preflight_opens_nothing(target: &Target) {
    assert!(!String::from_utf8_lossy(&preflight(target).body).contains("sid"));
}

fn credentials_are_not_allowed_to_every_origin(target: &Target) {
    let response = request(target, "GET", "/socket.io/?EIO=4&transport=polling");
    assert_eq!(response.header("Access-Control-Allow-Credentials"), None);
}

fn requests_without_an_origin_are_served(target: &Target) {
    assert_eq!(target.get("/socket.io/?EIO=4&transport=polling").status, 200);
}

fn web_sockets_are_for_every_origin(target: &Target) {
    let target = target.with(Transport::WebSocket);
    let mut client = Client::open_with(&target, "", ORIGIN);
    client.join("/");
    let info = client.call(&json!(["request-info"]));
    assert_eq!(info[0]["headers"]["origin"], "https://app.example");
}
