//! tungstenite, from Rust.

use std::net::TcpStream;

use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::protocol::{CloseFrame, WebSocket};
use tungstenite::{Error, Message};

use super::echo::serve;
use super::wait::PATIENCE;

/// One byte more than the server's default limit.
const TOO_LONG: usize = 1024 * 1024 + 1;

fn open(url: &str) -> WebSocket<TcpStream> {
    let stream = TcpStream::connect(url.strip_prefix("ws://").unwrap()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let (socket, response) = tungstenite::client(url, stream).unwrap();
    assert!(response.headers().get("Sec-WebSocket-Extensions").is_none(), "{response:?}");
    socket
}

fn assert_echo(socket: &mut WebSocket<TcpStream>, message: Message) {
    socket.send(message.clone()).unwrap();
    let reply = socket.read().unwrap();
    assert!(reply == message, "{} bytes came back with {}", message.len(), reply.len());
}

/// Reads the server's close frame, and then the end.
fn read_close(socket: &mut WebSocket<TcpStream>) -> Option<CloseFrame> {
    let Message::Close(close) = socket.read().unwrap() else {
        panic!("not a close frame");
    };
    assert!(matches!(socket.read(), Err(Error::ConnectionClosed)));
    close
}

#[test]
fn tungstenite_gets_back_what_it_sends() {
    serve(&[], |url| {
        let mut socket = open(url);
        let long = "漢".repeat(40_000);
        for text in ["", "hello", "größer als 1 €, 漢字, 🦀", &long] {
            assert_echo(&mut socket, Message::text(text));
        }
        for size in [0, 1, 125, 126, 65_535, 65_536, 100_000] {
            let payload: Vec<u8> = (0..size).map(|number| (number * 31 % 251) as u8).collect();
            assert_echo(&mut socket, Message::binary(payload));
        }
        let close = CloseFrame { code: 3001.into(), reason: "enough".into() };
        socket.close(Some(close)).unwrap();
        assert_eq!(u16::from(read_close(&mut socket).unwrap().code), 3001);
    });
}

#[test]
fn tungstenite_gets_back_fragments_in_one_message_and_its_pings() {
    serve(&[], |url| {
        let mut socket = open(url);
        for (data, is_final, part) in [
            (Data::Text, false, "grö"),
            (Data::Continue, false, ""),
            (Data::Continue, true, "ßer 🦀"),
        ] {
            let frame = Frame::message(part, OpCode::Data(data), is_final);
            socket.write(Message::Frame(frame)).unwrap();
        }
        socket.flush().unwrap();
        assert_eq!(socket.read().unwrap(), Message::text("größer 🦀"));
        socket.send(Message::Ping("alive?".into())).unwrap();
        assert_eq!(socket.read().unwrap(), Message::Pong("alive?".into()));
        socket.close(None).unwrap();
        assert_eq!(read_close(&mut socket), None);
    });
}

#[test]
fn tungstenite_is_told_that_a_message_is_too_long() {
    serve(&[], |url| {
        let mut socket = open(url);
        socket.send(Message::binary(vec![0; TOO_LONG])).unwrap();
        let close = read_close(&mut socket).unwrap();
        assert_eq!(u16::from(close.code), 1009);
        assert!(!close.reason.is_empty());
    });
}
