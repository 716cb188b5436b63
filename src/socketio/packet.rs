//! The packets of Socket.IO 5, without their attachments.

use std::fmt::Write as _;

pub use super::invalid_packet::InvalidPacket;

/// The most attachments of one packet, as in Node's parser, which disconnects beyond it.
pub const MAX_ATTACHMENTS: usize = 10;

/// The namespace of packets that name none.
const MAIN_NAMESPACE: &str = "/";

/// The type of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The client connects to a namespace, or the server accepts.
    Connect,
    /// Either side leaves a namespace.
    Disconnect,
    /// An event.
    Event,
    /// The acknowledgement of an event.
    Ack,
    /// The server refuses a connection to a namespace.
    ConnectError,
    /// An event with attachments.
    BinaryEvent,
    /// An acknowledgement with attachments.
    BinaryAck,
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::Connect,
        Self::Disconnect,
        Self::Event,
        Self::Ack,
        Self::ConnectError,
        Self::BinaryEvent,
        Self::BinaryAck,
    ];

    /// Whether attachments follow packets of this kind.
    #[must_use]
    pub const fn is_binary(self) -> bool {
        matches!(self, Self::BinaryEvent | Self::BinaryAck)
    }

    fn from_digit(digit: u8) -> Option<Self> {
        Self::ALL.get(usize::from(digit.checked_sub(b'0')?)).copied()
    }

    const fn digit(self) -> char {
        match self {
            Self::Connect => '0',
            Self::Disconnect => '1',
            Self::Event => '2',
            Self::Ack => '3',
            Self::ConnectError => '4',
            Self::BinaryEvent => '5',
            Self::BinaryAck => '6',
        }
    }
}

/// A Socket.IO packet, without its attachments.
///
/// ```
/// use eventwire::socketio::packet::{Kind, Packet};
///
/// let text = r#"51-/admin,12["picture",{"_placeholder":true,"num":0}]"#;
/// let packet = Packet::parse(text)?;
/// assert_eq!(packet.kind, Kind::BinaryEvent);
/// assert_eq!(packet.namespace, "/admin");
/// assert_eq!(packet.id, Some(12));
/// assert_eq!(packet.attachments, 1);
/// assert_eq!(packet.data, r#"["picture",{"_placeholder":true,"num":0}]"#);
///
/// let mut written = String::new();
/// packet.write(&mut written);
/// assert_eq!(written, text);
/// # Ok::<(), eventwire::socketio::packet::InvalidPacket>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// The type.
    pub kind: Kind,
    /// The namespace, which begins with a slash: `/` unless the packet names another.
    pub namespace: &'a str,
    /// The id of an acknowledgement: asked for by an event, given by an acknowledgement.
    pub id: Option<u64>,
    /// How many binary messages follow the packet. Only binary kinds have any.
    pub attachments: usize,
    /// JSON, or nothing.
    pub data: &'a str,
}

impl<'a> Packet<'a> {
    /// A packet with neither id nor data.
    #[must_use]
    pub const fn new(kind: Kind, namespace: &'a str) -> Self {
        Self { kind, namespace, id: None, attachments: 0, data: "" }
    }

    /// Parses a packet. It does not look into the data:
    /// [`arguments`](crate::socketio::arguments) does.
    ///
    /// A query in the namespace, from `?` on, is cut off. A binary packet may have no attachments.
    ///
    /// # Errors
    ///
    /// [`InvalidPacket`] if a part is malformed or missing, or does not belong to the kind.
    pub fn parse(text: &'a str) -> Result<Self, InvalidPacket> {
        let kind = text.bytes().next().and_then(Kind::from_digit);
        let kind = kind.ok_or(InvalidPacket::UnknownKind)?;
        let rest = &text[1..];
        let (attachments, rest) =
            if kind.is_binary() { split_attachments(rest)? } else { (0, rest) };
        let (namespace, rest) = split_namespace(rest);
        let (id, data) = split_id(rest)?;
        let packet = Self { kind, namespace, id, attachments, data };
        packet.check_parts()?;
        Ok(packet)
    }

    /// Checks which parts the packet has, by its kind.
    fn check_parts(&self) -> Result<(), InvalidPacket> {
        let (may_have_id, must_have_id) = match self.kind {
            Kind::Connect | Kind::Disconnect | Kind::ConnectError => (false, false),
            Kind::Event | Kind::BinaryEvent => (true, false),
            Kind::Ack | Kind::BinaryAck => (true, true),
        };
        let (may_have_data, must_have_data) = match self.kind {
            Kind::Connect | Kind::ConnectError => (true, false),
            Kind::Disconnect => (false, false),
            Kind::Event | Kind::BinaryEvent | Kind::Ack | Kind::BinaryAck => (true, true),
        };
        match (self.id.is_some(), self.data.is_empty()) {
            (true, _) if !may_have_id => Err(InvalidPacket::UnexpectedId),
            (false, _) if must_have_id => Err(InvalidPacket::MissingId),
            (_, false) if !may_have_data => Err(InvalidPacket::UnexpectedData),
            (_, true) if must_have_data => Err(InvalidPacket::MissingData),
            _ => Ok(()),
        }
    }

    /// Appends the packet as text.
    ///
    /// The namespace must begin with a slash and have neither a comma nor a question mark, or the
    /// receiver sees another one. The data must be JSON of the kind's type, or nothing.
    pub fn write(&self, out: &mut String) {
        out.push(self.kind.digit());
        if self.kind.is_binary() {
            write_number(self.attachments, out);
            out.push('-');
        }
        if self.namespace != MAIN_NAMESPACE {
            out.push_str(self.namespace);
            out.push(',');
        }
        if let Some(id) = self.id {
            write_number(id, out);
        }
        out.push_str(self.data);
    }
}

fn write_number(number: impl std::fmt::Display, out: &mut String) {
    // Writing to a string does not fail.
    let _ = write!(out, "{number}");
}

fn split_attachments(text: &str) -> Result<(usize, &str), InvalidPacket> {
    let (digits, rest) = split_digits(text);
    let rest = rest.strip_prefix('-').filter(|_| !digits.is_empty());
    let rest = rest.ok_or(InvalidPacket::InvalidAttachmentCount)?;
    // A number that does not fit is too large, too.
    let count = digits.parse().unwrap_or(usize::MAX);
    if count > MAX_ATTACHMENTS {
        return Err(InvalidPacket::TooManyAttachments);
    }
    Ok((count, rest))
}

fn split_namespace(text: &str) -> (&str, &str) {
    if !text.starts_with('/') {
        return (MAIN_NAMESPACE, text);
    }
    let (namespace, rest) = text.split_once(',').unwrap_or((text, ""));
    let query = namespace.find('?').unwrap_or(namespace.len());
    (&namespace[..query], rest)
}

fn split_id(text: &str) -> Result<(Option<u64>, &str), InvalidPacket> {
    let (digits, rest) = split_digits(text);
    if digits.is_empty() {
        return Ok((None, rest));
    }
    let id = digits.parse().map_err(|_| InvalidPacket::InvalidId)?;
    Ok((Some(id), rest))
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit());
    text.split_at(end.unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLAIN: Packet<'static> =
        Packet { kind: Kind::Event, namespace: "/", id: None, attachments: 0, data: "" };

    fn written(packet: &Packet<'_>) -> String {
        let mut text = String::new();
        packet.write(&mut text);
        text
    }

    #[test]
    fn the_specification_s_examples_are_read_and_written() {
        let placeholder = r#"["baz",{"_placeholder":true,"num":0}]"#;
        for (text, packet) in [
            ("0", Packet { kind: Kind::Connect, ..PLAIN }),
            (
                r#"0/admin,{"sid":"x"}"#,
                Packet {
                    kind: Kind::Connect,
                    namespace: "/admin",
                    data: r#"{"sid":"x"}"#,
                    ..PLAIN
                },
            ),
            (
                r#"4{"message":"no"}"#,
                Packet { kind: Kind::ConnectError, data: r#"{"message":"no"}"#, ..PLAIN },
            ),
            (r#"2["foo"]"#, Packet { data: r#"["foo"]"#, ..PLAIN }),
            (r#"2/admin,["bar"]"#, Packet { namespace: "/admin", data: r#"["bar"]"#, ..PLAIN }),
            (
                r#"51-["baz",{"_placeholder":true,"num":0}]"#,
                Packet { kind: Kind::BinaryEvent, attachments: 1, data: placeholder, ..PLAIN },
            ),
            (r#"212["foo"]"#, Packet { id: Some(12), data: r#"["foo"]"#, ..PLAIN }),
            (
                r#"3/admin,13["bar"]"#,
                Packet {
                    kind: Kind::Ack,
                    namespace: "/admin",
                    id: Some(13),
                    data: r#"["bar"]"#,
                    ..PLAIN
                },
            ),
            (
                r#"61-15["baz",{"_placeholder":true,"num":0}]"#,
                Packet {
                    kind: Kind::BinaryAck,
                    id: Some(15),
                    attachments: 1,
                    data: placeholder,
                    ..PLAIN
                },
            ),
            ("1", Packet { kind: Kind::Disconnect, ..PLAIN }),
            ("1/admin,", Packet { kind: Kind::Disconnect, namespace: "/admin", ..PLAIN }),
        ] {
            assert_eq!(Packet::parse(text), Ok(packet), "{text}");
            assert_eq!(written(&packet), text);
        }
    }

    #[test]
    fn namespaces_end_at_the_comma_and_lose_their_query() {
        for (text, namespace, data) in [
            ("0/a", "/a", ""),
            ("0/a,", "/a", ""),
            ("0/a?token=1,{}", "/a", "{}"),
            ("0/a?token=1", "/a", ""),
            ("0/?token=1,{}", "/", "{}"),
            ("0/a{}", "/a{}", ""),
            ("0/caf\u{e9},{}", "/caf\u{e9}", "{}"),
            ("0{\"a\":\"/b,\"}", "/", "{\"a\":\"/b,\"}"),
        ] {
            let packet = Packet::parse(text).map(|packet| (packet.namespace, packet.data));
            assert_eq!(packet, Ok((namespace, data)), "{text}");
        }
    }

    #[test]
    fn malformed_packets_are_refused() {
        for (text, error) in [
            ("", InvalidPacket::UnknownKind),
            ("7", InvalidPacket::UnknownKind),
            ("/", InvalidPacket::UnknownKind),
            ("abc", InvalidPacket::UnknownKind),
            ("\u{e9}", InvalidPacket::UnknownKind),
            ("5", InvalidPacket::InvalidAttachmentCount),
            ("5-[]", InvalidPacket::InvalidAttachmentCount),
            ("51", InvalidPacket::InvalidAttachmentCount),
            ("51[\"a\"]", InvalidPacket::InvalidAttachmentCount),
            ("5 1-[\"a\"]", InvalidPacket::InvalidAttachmentCount),
            ("5+1-[\"a\"]", InvalidPacket::InvalidAttachmentCount),
            ("5-1-[\"a\"]", InvalidPacket::InvalidAttachmentCount),
            ("51.5-[\"a\"]", InvalidPacket::InvalidAttachmentCount),
            ("5a-[\"a\"]", InvalidPacket::InvalidAttachmentCount),
            ("511-[\"a\"]", InvalidPacket::TooManyAttachments),
            ("599999999-[\"a\"]", InvalidPacket::TooManyAttachments),
            ("599999999999999999999999-[\"a\"]", InvalidPacket::TooManyAttachments),
            ("218446744073709551616[\"a\"]", InvalidPacket::InvalidId),
            ("3[]", InvalidPacket::MissingId),
            ("60-[]", InvalidPacket::MissingId),
            ("01", InvalidPacket::UnexpectedId),
            ("1/a,1", InvalidPacket::UnexpectedId),
            ("41{}", InvalidPacket::UnexpectedId),
            ("1{}", InvalidPacket::UnexpectedData),
            ("1/a,{}", InvalidPacket::UnexpectedData),
            ("2", InvalidPacket::MissingData),
            ("2/a", InvalidPacket::MissingData),
            ("27", InvalidPacket::MissingData),
            ("37", InvalidPacket::MissingData),
            ("51-", InvalidPacket::MissingData),
        ] {
            assert_eq!(Packet::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn limits_are_accepted() {
        let packet = Packet::parse("510-18446744073709551615[]");
        let packet = packet.map(|packet| (packet.attachments, packet.id));
        assert_eq!(packet, Ok((MAX_ATTACHMENTS, Some(u64::MAX))));
        assert_eq!(Packet::parse("50-[]").map(|packet| packet.attachments), Ok(0));
        assert_eq!(Packet::parse("2007[]").map(|packet| packet.id), Ok(Some(7)));
    }

    #[test]
    fn a_million_digits_are_refused_in_linear_time() {
        let digits = "9".repeat(1_000_000);
        let parsed = |text: String| Packet::parse(&text).map(drop);
        assert_eq!(parsed(format!("2{digits}[]")), Err(InvalidPacket::InvalidId));
        assert_eq!(parsed(format!("5{digits}")), Err(InvalidPacket::InvalidAttachmentCount));
        assert_eq!(parsed(format!("5{digits}-[]")), Err(InvalidPacket::TooManyAttachments));
    }

    proptest! {
        #[test]
        fn a_packet_is_read_as_it_was_written(
            kind in prop::sample::select(&Kind::ALL[..]),
            namespace in "/[^,?]{0,12}",
            id: Option<u64>,
            attachments in 0..=MAX_ATTACHMENTS,
            data in prop::sample::select(vec!["", "{}", "[]", "[\"a\",{\"b\":\"/c,1\"}]", "\"x\""]),
        ) {
            let attachments = if kind.is_binary() { attachments } else { 0 };
            let packet = Packet { kind, namespace: &namespace, id, attachments, data };
            let text = written(&packet);
            match packet.check_parts() {
                Ok(()) => prop_assert_eq!(Packet::parse(&text), Ok(packet)),
                Err(error) => prop_assert_eq!(Packet::parse(&text), Err(error)),
            }
        }

        #[test]
        fn what_parses_is_written_in_one_form(text in "[0-7][0-9/a?,\\-]{0,8}[\\[{\"]?") {
            let packet = Packet::parse(&text);
            // A slash begins no JSON, but a namespace.
            if let Some(packet) = packet.ok().filter(|packet| !packet.data.starts_with('/')) {
                let again = written(&packet);
                prop_assert_eq!(Packet::parse(&again), Ok(packet));
            }
        }
    }
}
