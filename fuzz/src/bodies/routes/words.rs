//! What the peer says, made of words.

use super::super::input::Input;

/// A byte above this one is a count: the difference says how many raw bytes follow.
const RAW: u8 = 192;

/// The longest stream: inputs are to take little time.
const LONGEST: usize = 8 * 1024;

/// Conversations of which a byte chooses a part. A new one goes to the end, so that old inputs
/// keep their meaning.
const WORDS: &[&[u8]] = &[
    // Whole requests.
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /long HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /ask HTTP/1.1\r\nHost: a\r\n\r\n",
    b"HEAD /ask/x?y HTTP/1.1\r\nHost: a\r\n\r\n",
    b"HEAD /long HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /none HTTP/1.1\r\nHost: a\r\n\r\n",
    b"PUT / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
      Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    b"GET /rooms/7 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
      Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    // Request lines.
    b"GET / HTTP/1.1\r\n",
    b"GET /ask/?a=b HTTP/1.1\r\n",
    b"GET /long HTTP/1.1\r\n",
    b"GET /ws HTTP/1.1\r\n",
    b"GET /rooms/ HTTP/1.1\r\n",
    b"GET /rooms HTTP/1.1\r\n",
    b"HEAD / HTTP/1.1\r\n",
    b"HEAD /ws HTTP/1.1\r\n",
    b"HEAD /metrics HTTP/1.1\r\n",
    b"HEAD /none HTTP/1.1\r\n",
    b"POST /ask HTTP/1.1\r\n",
    b"POST /ws HTTP/1.1\r\n",
    b"OPTIONS * HTTP/1.1\r\n",
    b"GET * HTTP/1.1\r\n",
    b"CONNECT a:80 HTTP/1.1\r\n",
    b"GET http://a/ HTTP/1.1\r\n",
    b"GET / HTTP/1.0\r\n",
    b"GET /ask HTTP/2.0\r\n",
    b"get / HTTP/1.1\r\n",
    // Headers.
    b"Host: a\r\n",
    b"hOST:b.example:80\r\n",
    b"Host:\r\n",
    b"Connection: close\r\n",
    b"Connection: keep-alive, Upgrade\r\n",
    b"Connection: Upgrade\r\n",
    b"Upgrade: websocket\r\n",
    b"Upgrade: h2c, WebSocket\r\n",
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    b"Sec-WebSocket-Key: short\r\n",
    b"Sec-WebSocket-Version: 13\r\n",
    b"Sec-WebSocket-Version: 8\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length: 7\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"X-Forwarded-For: 203.0.113.9\r\n",
    b"X-Forwarded-For: 198.51.100.1, 10.0.0.2\r\n",
    b"X-Forwarded-For: unknown, [2001:db8::1]:7\r\n",
    b"X-Forwarded-For: unknown\r\n",
    b"Forwarded: for=203.0.113.9;proto=https\r\n",
    b"Forwarded: for=198.51.100.1, for=10.0.0.2\r\n",
    b"Forwarded: For=\"[2001:db8::1]:7\"\r\n",
    b"Forwarded: for=_hidden\r\n",
    b"Cookie: 0123456789012345678901234567890123456789\r\n",
    // Ends, and what is none.
    b"\r\n",
    b"\n",
    b"\r",
    b" ",
    b"a",
    // The PROXY protocol.
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0C\xCB\0\x71\x09\x7F\0\0\x01\x30\x39\0\x50",
    b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x21\0\x24\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\x01\
      \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\x07\0\x50",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x10\xCB\0\x71\x09\x7F\0\0\x01\x30\x39\0\x50\x04\0\x01\0",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x03",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x04\0",
    b"\r\n\r\n\0\r\nQUIT\n\x11",
    b"PROXY TCP4 203.0.113.9 127.0.0.1 12345 80\r\n",
    // Frames: a text, a longer one, a ping, two that break the rules, closes.
    b"\x81\x82\x01\x02\x03\x04ik",
    b"\x82\x8B\0\0\0\0eleven byte",
    b"\x89\x81\0\0\0\0p",
    b"\x81\x02hi",
    b"\x80\x80\0\0\0\0",
    b"\x88\x82\0\0\0\0\x03\xE8",
    b"\x88\x80\0\0\0\0",
    b"\x02\x81\0\0\0\0a",
    b"\x80\x81\0\0\0\0b",
    // Forms of targets, OPTIONS and HTTP/1.0.
    b"OPTIONS / HTTP/1.1\r\n",
    b"OPTIONS /ws HTTP/1.0\r\n",
    b"GET ws://b.example:80/ws HTTP/1.1\r\n",
    b"HEAD HTTP://a?b HTTP/1.1\r\n",
    b"GET /ask HTTP/1.0\r\n\r\n",
    b"GET /ask HTTP/1.0\r\n",
    // More of the PROXY protocol.
    b"PROXY TCP6 2001:db8::1 ::1 7 80\r\n",
    b"PROXY UNKNOWN 203.0.113.9\r\n",
    b"PROXY TCP4 203.0.113.9 127.0.0.1 ",
    b"12345 80\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x40\0",
    // Quotes.
    b"Forwarded: for=203.0.113.9;host=\"a,for=198.51.100.1;b\"\r\n",
    b"Forwarded: a=\", for=203.0.113.9;host=\"b\"\r\n",
    b"Connection: ,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,,\r\n",
    // Bodies.
    b"GET /ask/later HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /ask/later HTTP/1.1\r\nHost: a\r\nContent-Length: 27\r\n\r\n",
    b"GET /ask HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"Content-Length: 41\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n",
    b"1b\r\n",
    b"1B;a=b\r\n",
    b"00\r\n",
    b"2 ;\r\n",
    b"ffffffffffffffffff\r\n",
    b"a\r\n0123456789\r\n",
    b"0\r\n\r\n",
    // Trailers.
    b"0\r\nT: u\r\n\r\n",
    b"0\r\n",
    b"T:u\r\n",
    b"T\r\n",
    b":",
    // Streamed responses.
    b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /stream HTTP/1.0\r\n\r\n",
    b"HEAD /stream HTTP/1.1\r\n",
    b"GET /stream HTTP/1.0\r\n",
    b"GET /stream?a HTTP/1.1\r\n",
];

pub(super) fn stream(input: &mut Input<'_>) -> Vec<u8> {
    let mut stream = Vec::new();
    while !input.is_empty() && stream.len() < LONGEST {
        match input.byte() {
            raw if raw >= RAW => stream.extend_from_slice(input.take((raw - RAW).into())),
            word => stream.extend_from_slice(WORDS[usize::from(word) % WORDS.len()]),
        }
    }
    stream.truncate(LONGEST);
    stream
}
