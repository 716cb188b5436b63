use std::fmt;

use super::stamp::Stamp;

/// What is wrong with a connection or its data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A message that was not sent.
    Unasked,
    /// A message other than the next expected one.
    WrongMessage { expected: Stamp, received: Stamp },
    /// Anything else, as a sentence.
    Other(String),
}

impl Fault {
    pub(super) fn closed() -> Self {
        Self::Other("the server closed the connection".to_owned())
    }

    /// The server broke the protocol.
    pub(super) fn protocol(what: &str) -> Self {
        Self::Other(format!("the server sent {what}"))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unasked => f.write_str("the server sent a message that no client had sent"),
            Self::WrongMessage { expected, received } => write!(
                f,
                "message {} of sender {} arrived where message {} of sender {} was expected",
                received.sequence, received.sender, expected.sequence, expected.sender
            ),
            Self::Other(sentence) => f.write_str(sentence),
        }
    }
}
