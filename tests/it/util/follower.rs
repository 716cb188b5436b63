use std::sync::mpsc::Sender;

use eventwire::Position;

use super::Peer;

/// A client of a topic with JSON envelopes. After a disconnection it resumes where it was, and it
/// fails its test if a message is missing or comes twice.
#[derive(Debug)]
pub(crate) struct Follower {
    topic: &'static str,
    position: Option<Position>,
    pub(crate) messages: Vec<(Position, String)>,
    /// How often the server has said that messages are lost.
    pub(crate) losses: usize,
}

impl Follower {
    pub(crate) const fn new(topic: &'static str) -> Self {
        Self { topic, position: None, messages: Vec::new(), losses: 0 }
    }

    /// Subscribes, and takes messages up to the last one or until the stream is cut.
    pub(crate) fn follow(&mut self, mut peer: Peer, is_last: impl Fn(&str) -> bool) {
        let position = self.position.map_or_else(String::new, |position| format!(" {position}"));
        let line = peer.encode_message(&*format!("{}{position}", self.topic));
        if !peer.try_write(&line) {
            return;
        }
        while let Some(frame) = peer.frame_unless_cut() {
            let message = String::from_utf8(frame.payload).expect("text");
            if self.take(&message).is_some_and(&is_last) {
                return;
            }
        }
    }

    /// Takes what the server sent. Returns the text, if it is a message.
    fn take(&mut self, message: &str) -> Option<&str> {
        assert_eq!(field(message, "topic"), Some(self.topic), "{message}");
        let place = |name| field(message, name).map(|text| text.parse().expect("a position"));
        let Some(position) = place("position") else {
            if place("oldest").is_some() {
                self.losses += 1;
                self.position = None;
            }
            self.position = self.position.or(place("newest"));
            return None;
        };
        if let Some(before) = self.position {
            let next = Position::new(before.epoch(), before.offset() + 1);
            assert_eq!(position, next, "{message} after {before}");
        }
        self.position = Some(position);
        let text = field(message, "data").expect("a text");
        self.messages.push((position, text.to_owned()));
        self.messages.last().map(|(_, text)| &**text)
    }
}

/// The value of a field in a line of JSON, a string without escaped characters.
fn field<'a>(message: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = message.split_once(&format!("\"{name}\":\""))?;
    rest.split('"').next()
}

/// Sends lines, eight ahead of their answers, and passes on the answers, until the stream is cut.
pub(crate) fn send_ahead(
    mut peer: Peer,
    mut lines: impl Iterator<Item = String>,
    answers: &Sender<String>,
) {
    for line in lines.by_ref().take(8) {
        let line = peer.encode_message(&*line);
        if !peer.try_write(&line) {
            return;
        }
    }
    while let Some(frame) = peer.frame_unless_cut() {
        answers.send(String::from_utf8(frame.payload).expect("text")).expect("a receiver");
        let Some(line) = lines.next() else { continue };
        let line = peer.encode_message(&*line);
        if !peer.try_write(&line) {
            return;
        }
    }
}
