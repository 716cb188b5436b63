//! Servers that are right, and servers that are wrong.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use super::loads::{Load, Sample, Timing};
use super::scenario::{Figure, SCENARIOS};
use super::session::Way;
use super::wire;
use crate::compare::process::Server;
use crate::error::Error;

/// What a server sends for an event.
type Answers = fn(number: &str, text: &str) -> Vec<String>;

/// Serves WebSockets with Socket.IO on a free port until the test ends. Returns the URL.
fn serve(answers: Answers) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // The client ends the connection.
            let _ = converse(stream, answers);
        }
    });
    url
}

fn converse(mut stream: TcpStream, answers: Answers) -> io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        request.extend(byte);
    }
    stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")?;
    say(&mut stream, "0{\"sid\":\"a\"}")?;
    assert_eq!(hear(&mut stream)?, "40");
    say(&mut stream, "2")?;
    assert_eq!(hear(&mut stream)?, "3");
    say(&mut stream, "40{\"sid\":\"b\"}")?;
    say(&mut stream, "42[\"auth\",{}]")?;
    loop {
        let event = hear(&mut stream)?;
        let event = event.strip_prefix("42").and_then(|event| event.strip_suffix("\"]"));
        let (number, event) = event.unwrap().split_once("[\"").unwrap();
        let (_, text) = event.split_once("\",\"").unwrap();
        for answer in answers(number, text) {
            say(&mut stream, &answer)?;
        }
    }
}

fn say(stream: &mut TcpStream, packet: &str) -> io::Result<()> {
    let masked = wire::frame(1, packet.as_bytes());
    let header = [0x81, masked[1] & 0x7f];
    stream.write_all(&[&header, packet.as_bytes()].concat())
}

/// Reads a short frame, whose mask is zero.
fn hear(stream: &mut TcpStream) -> io::Result<String> {
    let mut header = [0; 6];
    stream.read_exact(&mut header)?;
    let mut payload = vec![0; usize::from(header[1] & 0x7f)];
    stream.read_exact(&mut payload)?;
    Ok(String::from_utf8(payload).unwrap())
}

fn run(scenario: &str, answers: Answers) -> Result<Sample, Error> {
    let timing = Timing { warm_up: Duration::from_millis(1), measured: Duration::from_millis(5) };
    let load = Load {
        scenario: SCENARIOS.iter().find(|known| known.id == scenario).unwrap(),
        sessions: 1,
        server: &Server::elsewhere(&serve(answers).parse().unwrap()),
        way: Way::WebSocket,
        timing,
        spins: false,
        collects_garbage: false,
    };
    load.run()
}

fn acknowledgement(number: &str, text: &str) -> String {
    format!("43{number}[\"{text}\"]")
}

fn event(text: &str) -> String {
    format!("42[\"all-event\",\"{text}\"]")
}

#[test]
fn what_is_right_is_measured() {
    let sample = run("round-trip", |number, text| vec![acknowledgement(number, text)]).unwrap();
    assert!(sample.figures.iter().any(|(figure, value)| *figure == Figure::P50 && *value > 0.0));
    let sample = run("all-100", |_, text| vec![event(text)]).unwrap();
    assert!(sample.figures.iter().any(|(figure, value)| *figure == Figure::Rate && *value > 0.0));
}

#[test]
fn what_is_wrong_fails_the_run() {
    let wrong: [(&str, Answers); 6] = [
        ("round-trip", |_, text| vec![acknowledgement("9", text)]),
        ("round-trip", |number, _| vec![acknowledgement(number, "0")]),
        ("round-trip", |number, text| vec![acknowledgement(number, text); 2]),
        ("all-100", |_, _| vec![event("0")]),
        ("all-100", |_, text| vec![event(text); 2]),
        ("all-100", |_, _| vec!["41".to_owned()]),
    ];
    for (index, (scenario, answers)) in wrong.into_iter().enumerate() {
        let error = run(scenario, answers).unwrap_err().to_string();
        assert!(error.contains("which was not expected"), "{index}: {error}");
    }
}

#[test]
fn a_session_that_ends_fails_the_run() {
    let error = run("round-trip", |_, _| panic!("it ends")).unwrap_err().to_string();
    assert!(error.contains("the server closed the connection"), "{error}");
}
