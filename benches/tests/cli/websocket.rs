//! A small WebSocket echo server, correct or faulty as a test requires.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// What the server does with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Echoes every message.
    Echo,
    /// Echoes every message in two fragments with a ping between them, and requires a pong.
    Fragment,
    /// Echoes with the last byte of the payload changed.
    Corrupt,
    /// Echoes the first message twice.
    Repeat,
    /// Echoes one byte less.
    Shorten,
    /// Answers with text.
    Text,
    /// Reads and never answers.
    Silent,
    /// Answers the first message with a close frame.
    CloseFrame,
    /// Ends the TCP connection at the first message.
    Hangup,
    /// Answers the opening handshake with 403.
    Forbid,
    /// Answers the opening handshake with the wrong key.
    WrongKey,
    /// Ends the TCP connection before any response.
    NoResponse,
}

/// Serves on a free port until the test ends, and returns the URL.
pub(crate) fn serve(manner: Manner) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // If the client disconnects, the connection's thread ends with an error.
            thread::spawn(move || converse(stream, manner));
        }
    });
    url
}

fn converse(stream: TcpStream, manner: Manner) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    let accept = accept_of(&read_key(&mut reader)?);
    let accept = match manner {
        Manner::Forbid => return stream.write_all(b"HTTP/1.1 403 Forbidden\r\n\r\n"),
        Manner::NoResponse => return Ok(()),
        Manner::WrongKey => accept_of("another key"),
        _ => accept,
    };
    write!(
        stream,
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )?;
    let mut first = true;
    loop {
        let (opcode, mut payload) = read_frame(&mut reader)?;
        if opcode == 0x8 {
            return Ok(());
        }
        match manner {
            Manner::Silent => {}
            Manner::Hangup => return Ok(()),
            Manner::CloseFrame => stream.write_all(&frame(0x88, b"\x03\xe9bye"))?,
            Manner::Text => stream.write_all(&frame(0x81, &payload))?,
            Manner::Fragment => {
                let (front, back) = payload.split_at(payload.len() / 2);
                let answer =
                    [frame(0x02, front), frame(0x89, b"alive?"), frame(0x80, back)].concat();
                stream.write_all(&answer)?;
                // The client may have sent more before it saw the ping, but here it did not.
                assert_eq!(read_frame(&mut reader)?, (0xa, b"alive?".to_vec()));
            }
            _ => {
                if let Some(last) = payload.last_mut().filter(|_| manner == Manner::Corrupt) {
                    *last ^= 1;
                }
                if manner == Manner::Shorten {
                    payload.pop();
                }
                let times = if manner == Manner::Repeat && first { 2 } else { 1 };
                stream.write_all(&frame(0x82, &payload).repeat(times))?;
            }
        }
        first = false;
    }
}

/// Reads the opening request, and returns its key.
fn read_key(reader: &mut impl BufRead) -> io::Result<String> {
    let mut key = String::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(": ") {
            Some(("Sec-WebSocket-Key", value)) => value.clone_into(&mut key),
            _ if line.trim_end().is_empty() => return Ok(key),
            _ => {}
        }
    }
}

/// The answer to a key (RFC 6455 §4.2.2).
fn accept_of(key: &str) -> String {
    STANDARD.encode(Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11")))
}

/// Reads one masked frame: its opcode and its unmasked payload.
fn read_frame(reader: &mut impl Read) -> io::Result<(u8, Vec<u8>)> {
    let mut start = [0; 2];
    reader.read_exact(&mut start)?;
    assert_eq!(start[1] & 0x80, 0x80, "clients mask");
    let length = match start[1] & 0x7f {
        126 => u64::from(u16::from_be_bytes(read_array(reader)?)),
        127 => u64::from_be_bytes(read_array(reader)?),
        length => u64::from(length),
    };
    let key: [u8; 4] = read_array(reader)?;
    let mut payload = vec![0; length as usize];
    reader.read_exact(&mut payload)?;
    for (byte, key) in payload.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
    Ok((start[0] & 0x0f, payload))
}

fn read_array<const N: usize>(reader: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        0..=125 => frame.push(payload.len() as u8),
        126..=0xffff => {
            frame.push(126);
            frame.extend_from_slice(&(payload.len() as u16).to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}
