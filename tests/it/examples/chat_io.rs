//! The example `chat_io`, with clients that write the packets of Socket.IO themselves.

use std::net::SocketAddr;

use serde_json::{Value, json};

use super::Example;
use crate::util::{Peer, request};

/// A client on a WebSocket.
struct Client {
    peer: Peer,
    /// Counts the events that it sends.
    sent: u64,
}

impl Client {
    /// Opens a session.
    fn open(address: SocketAddr) -> Self {
        let mut peer = Peer::open(address);
        peer.write(&request("/socket.io/?EIO=4&transport=websocket", ""));
        assert!(peer.head().starts_with("HTTP/1.1 101 "));
        let mut client = Self { peer, sent: 0 };
        assert!(client.packet().starts_with("0{"), "the session's first packet");
        client
    }

    /// Opens a session and signs in. Returns the answer, too, with its kind in front.
    fn sign_in(address: SocketAddr, auth: &Value) -> (Self, String) {
        let mut client = Self::open(address);
        client.peer.send(format!("40{auth}").as_str());
        let answer = client.packet();
        (client, answer)
    }

    /// Signs in and joins a room.
    fn join(address: SocketAddr, name: &str, room: &str) -> Self {
        let (mut client, answer) = Self::sign_in(address, &json!({ "name": name }));
        assert!(answer.starts_with("40{"), "{answer}");
        client.send("join", room);
        client
    }

    fn packet(&mut self) -> String {
        String::from_utf8(self.peer.frame().payload).expect("text")
    }

    /// Sends an event that asks for an acknowledgement.
    fn send(&mut self, name: &str, argument: &str) {
        self.peer.send(format!("42{}{}", self.sent, json!([name, argument])).as_str());
        self.sent += 1;
    }

    /// Expects an event, and returns its offset.
    #[track_caller]
    fn expect(&mut self, event: Value) -> String {
        let packet = self.packet();
        let got = packet.strip_prefix("42").unwrap_or_else(|| panic!("{packet}"));
        let mut got: Vec<Value> = serde_json::from_str(got).expect("an array");
        let offset = got.pop().expect("an offset");
        assert_eq!(Value::from(got), event);
        offset.as_str().expect("an offset is a text").to_owned()
    }

    /// Expects the acknowledgement of the last event that it has sent.
    #[track_caller]
    fn expect_ack(&mut self, answer: &Value) {
        assert_eq!(self.packet(), format!("43{}[{answer}]", self.sent - 1));
    }
}

#[test]
fn chat_io_has_rooms_in_which_people_talk() {
    let mut example = Example::run("chat_io", "127.0.0.1:0");
    let address = example.address();
    let mut ada = Client::join(address, "ada", "lobby");
    ada.expect(json!(["people", ["ada"]]));
    ada.expect_ack(&json!({ "said": [] }));
    ada.send("say", "anybody?");
    ada.expect(json!(["said", "ada", "anybody?"]));
    ada.expect_ack(&json!({}));

    // Who comes later gets what was said before.
    let mut ben = Client::join(address, "ben", "lobby");
    let people = ben.packet();
    assert!(people.contains(r#""ada""#) && people.contains(r#""ben""#), "{people}");
    ben.expect_ack(&json!({ "said": [{ "name": "ada", "text": "anybody?" }] }));
    ada.packet();
    ben.send("typing", "");
    ben.expect_ack(&json!({}));
    ada.expect(json!(["typing", "ben"]));
    ben.send("say", "me");
    for client in [&mut ada, &mut ben] {
        client.expect(json!(["said", "ben", "me"]));
    }
    ben.expect_ack(&json!({}));

    ben.send("join", "attic");
    ben.expect(json!(["people", ["ben"]]));
    ben.expect_ack(&json!({ "said": [] }));
    ada.expect(json!(["people", ["ada"]]));
    ben.send("say", "nobody here");
    ben.expect(json!(["said", "ben", "nobody here"]));
    ada.send("say", "");
    ada.expect_ack(&json!({ "error": "a text has up to 1000 bytes" }));
    ada.send("dance", "");
    ada.expect_ack(&json!({ "error": "no such event" }));
}

#[test]
fn chat_io_recovers_people_whose_connection_is_lost() {
    let mut example = Example::run("chat_io", "127.0.0.1:0");
    let address = example.address();
    let (mut ada, answer) = Client::sign_in(address, &json!({ "name": "ada" }));
    let welcome: Value = serde_json::from_str(&answer[2..]).expect("an object");
    ada.send("join", "lobby");
    ada.expect(json!(["people", ["ada"]]));
    let mut ben = Client::join(address, "ben", "lobby");
    ben.packet();
    ben.expect_ack(&json!({ "said": [] }));
    ben.send("say", "hello");
    ben.expect(json!(["said", "ben", "hello"]));
    ben.expect_ack(&json!({}));
    ada.expect_ack(&json!({ "said": [] }));
    ada.packet();
    let offset = ada.expect(json!(["said", "ben", "hello"]));

    ada.peer.reset();
    ben.expect(json!(["people", ["ben"]]));
    ben.send("say", "still there?");
    ben.expect(json!(["said", "ben", "still there?"]));
    // The name that she says is of no account: she is the one who she was.
    let auth = json!({ "name": "eve", "pid": welcome["pid"], "offset": offset });
    let (mut ada, answer) = Client::sign_in(address, &auth);
    assert_eq!(serde_json::from_str::<Value>(&answer[2..]).expect("an object"), welcome);
    ada.expect(json!(["people", ["ben"]]));
    ada.expect(json!(["said", "ben", "still there?"]));
    let people = ada.packet();
    assert!(people.contains(r#""ada""#) && people.contains(r#""ben""#), "{people}");
}

#[test]
fn chat_io_refuses_those_without_a_name() {
    let mut example = Example::run("chat_io", "127.0.0.1:0");
    let address = example.address();
    for auth in [json!({}), json!({ "name": "" }), json!({ "name": "a b" }), json!({ "name": 1 })] {
        let (_, answer) = Client::sign_in(address, &auth);
        let reason = "a name is up to 24 letters, digits and dashes";
        assert_eq!(answer, format!(r#"44{{"message":"{reason}"}}"#), "{auth}");
    }
}

#[test]
fn chat_io_serves_its_page_and_the_client_that_it_is_given() {
    let path = std::env::temp_dir().join(format!("eventwire-client-{}.js", std::process::id()));
    std::fs::write(&path, "the client").expect("a file");
    let file = path.to_str().expect("a path of text");
    let mut example = Example::run_with("chat_io", &["127.0.0.1:0", "--client", file]);
    let mut browser = Peer::open(example.address());
    browser.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(browser.head().contains("\r\nContent-Type: text/html; charset=utf-8\r\n"));
    browser.write(b"GET /socket.io.js HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let rest = browser.rest();
    assert!(rest.starts_with("<!doctype html>"));
    assert!(rest.ends_with("the client"), "{rest}");
    std::fs::remove_file(path).expect("it is there");
}
