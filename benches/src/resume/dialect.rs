//! What clients say to the server and what they understand: the engine's server, or Socket.IO.

use crate::load::Target;

/// The language of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Eventwire,
    SocketIo,
}

/// What a client remembers while it is away.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    /// The number of the last message that it has.
    pub(super) last: Option<u64>,
    /// What makes a position of the number: the epoch, or Socket.IO's own offset.
    mark: String,
    /// Socket.IO's private id of the session.
    session: String,
}

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// A message of the topic, with its number.
    Message(u64),
    /// The number of the newest message: later ones come.
    At(u64),
    /// The client has missed so many messages, which come now.
    Recovered(u64),
    /// The client has to introduce itself.
    Welcome,
    /// The client has to subscribe.
    Unknown,
    Ping,
    Nothing,
}

impl Dialect {
    pub(super) fn path(self, target: &Target) -> String {
        match self {
            Self::Eventwire => target.path.clone(),
            Self::SocketIo => "/socket.io/?EIO=4&transport=websocket".to_owned(),
        }
    }

    /// Whether the client speaks first.
    pub(super) const fn greets_first(self) -> bool {
        matches!(self, Self::Eventwire)
    }

    /// How a client introduces itself that was there before.
    pub(super) fn resume(self, memory: &Memory, topic: usize, last: u64) -> String {
        let Memory { mark, session, .. } = memory;
        match self {
            Self::Eventwire => format!("from {topic} {mark}:{last}"),
            Self::SocketIo => format!("40{{\"pid\":\"{session}\",\"offset\":\"{mark}\"}}"),
        }
    }

    /// A command with its arguments.
    pub(super) fn command(self, name: &str, arguments: &[u64]) -> String {
        let arguments = arguments.iter().map(u64::to_string);
        match self {
            Self::Eventwire => {
                arguments.fold(name.to_owned(), |line, argument| line + " " + &argument)
            }
            Self::SocketIo => {
                let line = arguments
                    .fold(format!("42[\"{name}\""), |line, argument| line + "," + &argument);
                line + "]"
            }
        }
    }

    pub(super) fn read(self, text: &str, memory: &mut Memory) -> Said {
        match self {
            Self::Eventwire => read_own(text, memory),
            Self::SocketIo => read_socket_io(text, memory),
        }
        .unwrap_or(Said::Nothing)
    }
}

fn read_own(text: &str, memory: &mut Memory) -> Option<Said> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    let position = |position: &str, memory: &mut Memory| {
        let (epoch, number) = position.split_once(':')?;
        if memory.mark != epoch {
            epoch.clone_into(&mut memory.mark);
        }
        number.parse().ok()
    };
    Some(match word {
        "recovered" => Said::Recovered(rest.parse().ok()?),
        "at" | "lost" => Said::At(position(rest, memory)?),
        _ => Said::Message(position(word, memory)?),
    })
}

/// Reads a packet of Engine.IO 4, mostly with one of Socket.IO 5 in it.
fn read_socket_io(text: &str, memory: &mut Memory) -> Option<Said> {
    if let Some(session) = text.strip_prefix("40").and_then(|text| text.split_once("\"pid\":\"")) {
        let session = session.1.split('"').next()?;
        // What was missed came before this.
        let is_recovered = memory.last.is_some() && memory.session == session;
        session.clone_into(&mut memory.session);
        return Some(if is_recovered { Said::Recovered(0) } else { Said::Unknown });
    }
    if let Some((name, rest)) = text.strip_prefix("42[\"").and_then(|text| text.split_once("\",")) {
        let number = rest.split([',', ']']).next()?.parse().ok()?;
        let offset = rest.strip_suffix("\"]").and_then(|rest| rest.rsplit('"').next());
        offset.unwrap_or_default().clone_into(&mut memory.mark);
        return Some(if name == "at" { Said::At(number) } else { Said::Message(number) });
    }
    match text.chars().next()? {
        '0' => Some(Said::Welcome),
        '2' => Some(Said::Ping),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_are_understood() {
        let mut own = Memory::default();
        let mut read = |text| Dialect::Eventwire.read(text, &mut own);
        assert_eq!(read("at 00c0ffee00c0ffee:7"), Said::At(7));
        assert_eq!(read("00c0ffee00c0ffee:8 xx"), Said::Message(8));
        assert_eq!(read("recovered 3"), Said::Recovered(3));
        assert_eq!(read("lost 00c0ffee00c0ffee:9"), Said::At(9));
        assert_eq!(Dialect::Eventwire.resume(&own, 4, 9), "from 4 00c0ffee00c0ffee:9");
        assert_eq!(Dialect::Eventwire.command("join", &[4]), "join 4");

        let mut other = Memory::default();
        let mut read = |text| Dialect::SocketIo.read(text, &mut other);
        assert_eq!(read("0{\"sid\":\"a\",\"upgrades\":[]}"), Said::Welcome);
        assert_eq!(read("40{\"sid\":\"b\",\"pid\":\"c\"}"), Said::Unknown);
        assert_eq!(read("42[\"at\",7,\"o\"]"), Said::At(7));
        assert_eq!(read("42[\"message\",8,\"xx\",\"p\"]"), Said::Message(8));
        assert_eq!(read("2"), Said::Ping);
        other.last = Some(8);
        let greeting = "40{\"pid\":\"c\",\"offset\":\"p\"}";
        assert_eq!(Dialect::SocketIo.resume(&other, 4, 8), greeting);
        let mut read = |text| Dialect::SocketIo.read(text, &mut other);
        assert_eq!(read("40{\"sid\":\"b\",\"pid\":\"c\"}"), Said::Recovered(0));
        assert_eq!(read("40{\"sid\":\"d\",\"pid\":\"e\"}"), Said::Unknown);
        assert_eq!(Dialect::SocketIo.command("join", &[4]), "42[\"join\",4]");
    }
}
