//! One connection that waits for each answer.

use std::io::Write;
use std::net::TcpStream;

use super::client::text_frame;
use crate::compare::process::Server;
use crate::error::Error;
use crate::freshness::{dial, frame};

/// A connection to the engine's server.
#[derive(Debug)]
pub(super) struct Control {
    stream: TcpStream,
    input: Vec<u8>,
}

impl Control {
    pub(super) fn connect(server: &Server) -> Result<Self, Error> {
        let target = server.target();
        let address = format!("{}:{}", target.host, target.port).parse();
        let address = address.map_err(|_| Error::Settings(format!("no address: {target}")))?;
        let stream = dial(address, None).map_err(Error::system("cannot connect"))?;
        stream.set_nodelay(true).map_err(Error::system("cannot connect"))?;
        Ok(Self { stream, input: Vec::new() })
    }

    pub(super) fn say(&mut self, text: &str) -> Result<(), Error> {
        let sent = self.stream.write_all(&text_frame(text));
        sent.map_err(Error::system("cannot reach the server"))
    }

    /// Receives messages, up to and including one for which `is_it` holds.
    pub(super) fn wait(&mut self, mut is_it: impl FnMut(&str) -> bool) -> Result<String, Error> {
        let mut buffer = [0; 64 * 1024];
        loop {
            let mut at = 0;
            let mut found = None;
            while let Some((payload, len)) = frame(&self.input[at..]) {
                at += len;
                let text = String::from_utf8_lossy(payload);
                if is_it(&text) {
                    found = Some(text.into_owned());
                    break;
                }
            }
            self.input.drain(..at);
            if let Some(text) = found {
                return Ok(text);
            }
            let read = std::io::Read::read(&mut self.stream, &mut buffer);
            match read.map_err(Error::system("the server does not answer"))? {
                0 => return Err(Error::Events("the server has closed".to_owned())),
                count => self.input.extend_from_slice(&buffer[..count]),
            }
        }
    }

    /// Says something and returns the answer, which begins with `word`.
    pub(super) fn ask(&mut self, text: &str, word: &str) -> Result<String, Error> {
        self.say(text)?;
        self.wait(|answer| answer.starts_with(word))
    }
}
