//! Envelopes: messages with their topics and positions.

use std::fmt;
use std::fmt::Write as _;
use std::sync::Arc;

use super::position::Position;
use crate::proto::Message;
use crate::proto::json::{write_json_bytes, write_json_string};

/// How the messages of a topic are written together with their [`Position`]s, so that clients know
/// where to [resume](crate::Connection::subscribe_from).
///
/// The loop writes the envelope of a message once, when it is broadcast, whatever the number of
/// subscribers. An enveloped message is a text. Everybody gets it instead of the message: all
/// subscribers, and readers of the [history](crate::Context::history). Limits apply to it.
///
/// ```
/// use eventwire::{Config, Envelope, History, TopicConfig};
///
/// let room = TopicConfig::default().history(History::of(100)).envelope(Envelope::json());
/// let config = Config::default().topics("room/*", room);
/// # let _ = config;
/// ```
#[derive(Clone)]
pub struct Envelope(Kind);

#[derive(Clone)]
enum Kind {
    Json,
    Function(Arc<Write>),
}

type Write = dyn Fn(&Enclosed<'_>, &mut String) + Send + Sync;

/// A message with what an [`Envelope`] says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Enclosed<'a> {
    /// The name of the topic.
    pub topic: &'a str,
    /// Where the message stands in the topic.
    pub position: Position,
    /// The message, as it was broadcast.
    pub message: Message<'a>,
}

impl<'a> Enclosed<'a> {
    /// A message at a position of the topic with that name.
    #[must_use]
    pub const fn new(topic: &'a str, position: Position, message: Message<'a>) -> Self {
        Self { topic, position, message }
    }
}

impl Envelope {
    /// A JSON object with the name of the topic, the position and the message: a text as `data`,
    /// or bytes in base64 as `bytes`.
    ///
    /// ```
    /// use eventwire::{Enclosed, Envelope, Message, Position};
    ///
    /// let position = Position::new(0x0123_4567_89ab_cdef, 5);
    /// let mut out = String::new();
    /// Envelope::json().write(&Enclosed::new("news", position, Message::Text("hi")), &mut out);
    /// assert_eq!(out, r#"{"topic":"news","position":"0123456789abcdef:5","data":"hi"}"#);
    /// ```
    #[must_use]
    pub const fn json() -> Self {
        Self(Kind::Json)
    }

    /// An envelope of the application's own. The function appends a message in its envelope to a
    /// text, which is empty when the loop calls it. What it writes must depend on nothing else, as
    /// it may be called again for the same message. If it panics, the message is not broadcast.
    ///
    /// ```
    /// use std::fmt::Write;
    /// use eventwire::Envelope;
    ///
    /// let envelope = Envelope::new(|enclosed, out| {
    ///     let text = enclosed.message.as_text().unwrap_or("(bytes)");
    ///     // Writing to a string never fails.
    ///     let _ = write!(out, "{} {text}", enclosed.position);
    /// });
    /// # let _ = envelope;
    /// ```
    #[must_use]
    pub fn new(write: impl Fn(&Enclosed<'_>, &mut String) + Send + Sync + 'static) -> Self {
        Self(Kind::Function(Arc::new(write)))
    }

    /// Appends a message in its envelope.
    pub fn write(&self, enclosed: &Enclosed<'_>, out: &mut String) {
        match &self.0 {
            Kind::Json => write_json(enclosed, out),
            Kind::Function(write) => write(enclosed, out),
        }
    }
}

/// Two envelopes with functions are the same if one is a clone of the other.
impl PartialEq for Envelope {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Kind::Json, Kind::Json) => true,
            (Kind::Function(one), Kind::Function(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Json => "Envelope::json()",
            Kind::Function(_) => "Envelope::new(..)",
        })
    }
}

fn write_json(enclosed: &Enclosed<'_>, out: &mut String) {
    out.push_str("{\"topic\":");
    write_json_string(enclosed.topic, out);
    // Writing to a string never fails.
    let _ = write!(out, ",\"position\":\"{}\",", enclosed.position);
    match enclosed.message {
        Message::Text(text) => {
            out.push_str("\"data\":");
            write_json_string(text, out);
        }
        Message::Binary(bytes) => {
            out.push_str("\"bytes\":");
            write_json_bytes(bytes, out);
        }
    }
    out.push('}');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_tells_texts_and_bytes_apart() {
        let position = Position::new(0xc0ff_ee00, 17);
        for (topic, message, fields) in [
            ("news", Message::Text("hi"), r#""topic":"news","position":@,"data":"hi""#),
            ("", Message::Text(""), r#""topic":"","position":@,"data":"""#),
            ("a\"b", Message::Text("\n"), r#""topic":"a\"b","position":@,"data":"\n""#),
            ("news", Message::Binary(&[0, 255]), r#""topic":"news","position":@,"bytes":"AP8=""#),
            ("news", Message::Binary(&[]), r#""topic":"news","position":@,"bytes":"""#),
        ] {
            let mut out = String::new();
            Envelope::json().write(&Enclosed::new(topic, position, message), &mut out);
            let fields = fields.replace('@', "\"00000000c0ffee00:17\"");
            assert_eq!(out, format!("{{{fields}}}"), "{message:?}");
        }
    }

    #[test]
    fn envelopes_are_equal_if_they_write_the_same() {
        let own = Envelope::new(|_, _| {});
        assert_eq!(own, own.clone());
        assert_ne!(own, Envelope::new(|_, _| {}));
        assert_eq!(Envelope::json(), Envelope::json());
        assert_ne!(Envelope::json(), own);
    }
}
