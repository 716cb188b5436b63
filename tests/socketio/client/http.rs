//! Requests and responses of HTTP/1.1.

use std::fmt::Write as _;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::DEADLINE;

/// One response.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(':'));
        let (_, value) = headers.find(|(found, _)| found.eq_ignore_ascii_case(name))?;
        Some(value.trim())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body of UTF-8")
    }
}

/// What a request has beside its target.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Request<'r> {
    pub(crate) method: &'r str,
    /// Whole lines.
    pub(crate) headers: &'r str,
    /// Sent with its length, if there is one.
    pub(crate) body: Option<&'r [u8]>,
}

impl Request<'_> {
    pub(crate) const GET: Request<'static> = Request { method: "GET", headers: "", body: None };

    /// The bytes of the request.
    pub(crate) fn encode(&self, target: &str) -> Vec<u8> {
        let (method, headers) = (self.method, self.headers);
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n{headers}");
        if let Some(body) = self.body {
            let length = body.len();
            write!(head, "Content-Length: {length}\r\n").expect("into memory");
        }
        [head.as_bytes(), b"\r\n", self.body.unwrap_or_default()].concat()
    }
}

/// A connection that requests are sent over.
#[derive(Debug)]
pub(crate) struct HttpConnection {
    pub(super) stream: TcpStream,
    /// Received after what was taken.
    pub(super) input: Vec<u8>,
}

impl HttpConnection {
    pub(crate) fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect_timeout(&address, DEADLINE).expect("connect");
        stream.set_nodelay(true).expect("set TCP_NODELAY");
        stream.set_read_timeout(Some(DEADLINE)).expect("set the read timeout");
        stream.set_write_timeout(Some(DEADLINE)).expect("set the write timeout");
        Self { stream, input: Vec::new() }
    }

    /// Sends bytes as they are; `false` if the stream was cut.
    pub(crate) fn try_write(&mut self, bytes: &[u8]) -> bool {
        match self.stream.write_all(bytes) {
            Ok(()) => true,
            Err(error) => {
                let kind = error.kind();
                assert!(kind != ErrorKind::WouldBlock, "the server does not read");
                false
            }
        }
    }

    #[track_caller]
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        assert!(self.try_write(bytes), "the connection was cut");
    }

    /// Sends a request and waits for the response.
    #[track_caller]
    pub(crate) fn exchange(&mut self, target: &str, request: Request<'_>) -> Response {
        self.write(&request.encode(target));
        self.response()
    }

    #[track_caller]
    pub(crate) fn response(&mut self) -> Response {
        self.try_response().expect("a response instead of the end of the connection")
    }

    /// The next response; `None` if the connection ends without one.
    #[track_caller]
    pub(crate) fn try_response(&mut self) -> Option<Response> {
        let head = loop {
            if let Some(end) = self.input.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                let head: Vec<u8> = self.input.drain(..end + 4).collect();
                let head = String::from_utf8(head).expect("a head of UTF-8");
                if !head.starts_with("HTTP/1.1 100 ") {
                    break head;
                }
            } else if !self.fill() {
                return None;
            }
        };
        let status = head.get(9..12).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no response: {head:?}"));
        let mut response = Response { status, head, body: Vec::new() };
        if !matches!(status, 101 | 204 | 304) {
            response.body = self.body(&response)?;
        }
        Some(response)
    }

    fn body(&mut self, response: &Response) -> Option<Vec<u8>> {
        if response.header("Transfer-Encoding").is_some() {
            return self.chunks();
        }
        if let Some(length) = response.header("Content-Length") {
            let length = length.parse().expect("a length");
            return self.take(length);
        }
        while self.fill() {}
        Some(std::mem::take(&mut self.input))
    }

    fn chunks(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let end = loop {
                match self.input.windows(2).position(|bytes| bytes == b"\r\n") {
                    Some(end) => break end,
                    None if self.fill() => {}
                    None => return None,
                }
            };
            let line = String::from_utf8(self.take(end + 2)?).expect("a line of text");
            let length = usize::from_str_radix(line.trim(), 16).expect("a length of a chunk");
            body.extend(self.take(length)?);
            self.take(2)?;
            if length == 0 {
                return Some(body);
            }
        }
    }

    fn take(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.input.len() < length {
            if !self.fill() {
                return None;
            }
        }
        Some(self.input.drain(..length).collect())
    }

    /// Reads more; `false` at the end of the stream, in order or not.
    #[track_caller]
    pub(super) fn fill(&mut self) -> bool {
        let start = self.input.len();
        self.input.resize(start + 64 * 1024, 0);
        let read = self.stream.read(&mut self.input[start..]);
        self.input.truncate(start + read.as_ref().map_or(0, |read| *read));
        match read {
            Ok(count) => count > 0,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                panic!("nothing arrived within {DEADLINE:?}");
            }
            Err(_) => false,
        }
    }
}
