//! The life of servers: ready, in use, ended by a signal.

use std::io::{Read, Write};
use std::net::TcpStream;

use rustix::process::Signal;

use super::program::{Running, run, some_cpu};

/// The implementations of every build.
const IMPLEMENTATIONS: [&str; 3] = ["eventwire", "floor", "ws-floor"];
/// Listen on a free port.
const FREE: &str = "--listen 127.0.0.1:0";

/// Starts a server, connects, sends the signal, and checks that it ends in order without further
/// output.
fn assert_orderly(line: &str, signal: Signal) {
    let (server, url) = Running::serve(line);
    let (_, address) = url.split_once("://").unwrap();
    assert!(!address.ends_with(":0"), "{url}");
    let _client = TcpStream::connect(address).unwrap();
    server.signal(signal);
    let output = server.finish();
    output.assert_success();
    assert_eq!(output.stdout, "");
}

#[test]
fn signals_end_servers_in_order() {
    let cpu = some_cpu();
    for name in IMPLEMENTATIONS {
        for idle in ["block", "adaptive", "busy"] {
            let settings = format!("--as {name} {FREE} --idle {idle} --cpu {cpu}");
            assert_orderly(&format!("serve echo {settings}"), Signal::INT);
            assert_orderly(&format!("serve broadcast {settings}"), Signal::TERM);
        }
    }
    for service in ["page", "resume"] {
        assert_orderly(&format!("serve {service} {FREE}"), Signal::TERM);
    }
}

#[test]
fn an_address_in_use_is_told() {
    for name in IMPLEMENTATIONS {
        let (_server, url) = Running::serve(&format!("serve echo --as {name} {FREE}"));
        let (_, address) = url.split_once("://").unwrap();
        let output = run(&["serve", "echo", "--as", name, "--listen", address]);
        output.assert_failure(&format!("cannot listen on {address}: "));
    }
}

#[test]
fn an_address_of_another_machine_is_told() {
    // RFC 5737 reserves it for documentation: no machine has it.
    for name in IMPLEMENTATIONS {
        let output = run(&["serve", "echo", "--as", name, "--listen", "192.0.2.1:0"]);
        output.assert_failure("cannot listen on 192.0.2.1:0: ");
    }
}

#[test]
fn a_cpu_that_does_not_exist_is_told() {
    for name in IMPLEMENTATIONS {
        let serve = ["serve", "echo", "--as", name, "--listen", "127.0.0.1:0"];
        let output = run(&[&serve[..], &["--cpu", "1000000"]].concat());
        output.assert_failure("cannot run on CPU 1000000");
    }
}

#[test]
fn messages_over_the_limit_end_the_connection() {
    let (_server, url) = Running::serve(&format!("serve echo {FREE} --max-message 1000"));
    run(&["echo", "--url", &url, "-t", "0.1", "-s", "1000"]).assert_success();
    let output = run(&["echo", "--url", &url, "-t", "0.1", "-s", "1001"]);
    output.assert_failure("the server closed the connection with code 1009");
}

#[test]
fn settings_that_an_implementation_does_not_have_are_refused() {
    for (settings, reason) in [
        ("echo --as ws-floor --max-message 1000", "no limit of messages"),
        ("echo --as ws-floor --deflate", "no compression"),
        ("page --as ws-floor", "no such service"),
        ("echo --as eventwire-page", "no such service"),
    ] {
        let line = format!("serve {settings} {FREE}");
        run(&line.split(' ').collect::<Vec<_>>()).assert_failure(reason);
    }
}

/// Connects and makes the opening handshake, in pieces of `piece` bytes.
fn open(address: &str, piece: usize) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let request = "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    for piece in request.as_bytes().chunks(piece) {
        stream.write_all(piece).unwrap();
    }
    let mut response = vec![0; 129];
    stream.read_exact(&mut response).unwrap();
    assert!(response.ends_with(b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"));
    stream
}

/// Sends `wire` in pieces of `piece` bytes, and returns as many bytes of the answer as `expected`
/// has.
fn exchange(address: &str, wire: &[u8], piece: usize, expected: usize) -> Vec<u8> {
    let mut stream = open(address, piece);
    for piece in wire.chunks(piece) {
        stream.write_all(piece).unwrap();
    }
    let mut answer = vec![0; expected];
    stream.read_exact(&mut answer).unwrap();
    answer
}

#[test]
fn the_websocket_floor_puts_frames_together_that_come_in_pieces() {
    let (_server, url) = Running::serve(&format!("serve echo --as ws-floor {FREE}"));
    let (_, address) = url.split_once("://").unwrap();
    // With a mask of zeros, payloads are unchanged on the wire.
    let mut wire = b"\x81\x83\0\0\0\0abc\x82\xfe\x01\x00\0\0\0\0".to_vec();
    wire.extend([7; 256]);
    let mut echo = b"\x81\x03abc\x82\x7e\x01\x00".to_vec();
    echo.extend([7; 256]);
    for piece in [1, 2, 5, 9, 50] {
        assert_eq!(exchange(address, &wire, piece, echo.len()), echo, "{piece}");
    }
}

#[test]
fn the_websocket_floor_refuses_lengths_that_are_none() {
    let (_server, url) = Running::serve(&format!("serve echo --as ws-floor {FREE}"));
    let (_, address) = url.split_once("://").unwrap();
    let mut stream = open(address, 1000);
    stream.write_all(b"\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0\0\0").unwrap();
    let mut end = Vec::new();
    // The system may close or reset the connection.
    let _ = stream.read_to_end(&mut end);
    assert!(end.is_empty());
    // The server goes on.
    run(&["echo", "--url", &url, "-t", "0.1"]).assert_success();
}
