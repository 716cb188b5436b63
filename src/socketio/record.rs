//! Records of a namespace's history: events with the sockets that they were for, and sockets that
//! may be recovered after a restart.

use bytes::Bytes;

use super::engine_io::Outgoing;
use super::ids::{Secret, SocketId};

/// Something that a namespace remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Record<'a> {
    /// An event, and the sockets that it was for.
    Event(Recipients<'a>, Packet<'a>),
    /// A socket has lost its connection, and may be recovered.
    Away(AwaySocket<'a>),
    /// A socket was recovered.
    Back(SocketId),
    /// Something is missing before this offset, so that nothing is recovered from there.
    Floor(u64),
}

/// The sockets that an event was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Recipients<'a> {
    One(SocketId),
    /// Members of any of the rooms, or all of the namespace if there are none, except members of
    /// others and one socket.
    Many {
        rooms: Names<'a>,
        except: Names<'a>,
        skipped: Option<SocketId>,
    },
}

/// A socket that may be recovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AwaySocket<'a> {
    pub(super) id: SocketId,
    pub(super) secret: Secret,
    /// The offset at which it had joined.
    pub(super) since: u64,
    pub(super) rooms: Names<'a>,
    pub(super) changes: RoomChanges<'a>,
    /// Before this offset there were changes that are not known.
    pub(super) floor: u64,
    /// What its client sent to be let in, or nothing.
    pub(super) auth: &'a str,
}

impl<'a> AwaySocket<'a> {
    /// What its client sent to be let in.
    pub(super) fn auth(&self) -> Option<&'a str> {
        Some(self.auth).filter(|auth| !auth.is_empty())
    }
}

/// Rooms that a socket has entered and left, one after the other: the offset of the newest event
/// before in eight bytes, whether the room was entered in one byte, and the room as a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct RoomChanges<'a>(&'a [u8]);

/// Names one after the other: each is its length in four bytes and its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Names<'a>(&'a [u8]);

/// A text and its attachments: each is its length in four bytes and its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Packet<'a>(&'a [u8]);

const ONE: u8 = 0;
const MANY: u8 = 1;
const AWAY: u8 = 2;
const BACK: u8 = 3;
const FLOOR: u8 = 4;

/// No socket is skipped.
const NOBODY: [u8; SocketId::BYTES] = [0xff; SocketId::BYTES];

impl<'a> Names<'a> {
    /// What [`write_names`] wrote.
    pub(super) const fn of(written: &'a [u8]) -> Self {
        Self(written)
    }

    pub(super) fn iter(self) -> impl Iterator<Item = &'a str> {
        let mut reader = Reader(self.0);
        std::iter::from_fn(move || reader.name())
    }

    pub(super) const fn is_empty(self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> RoomChanges<'a> {
    /// What [`write_changes`] wrote.
    pub(super) const fn of(written: &'a [u8]) -> Self {
        Self(written)
    }

    /// The room, the offset of the newest event before, and whether the room was entered.
    pub(super) fn iter(self) -> impl Iterator<Item = (&'a str, u64, bool)> {
        let mut reader = Reader(self.0);
        std::iter::from_fn(move || {
            let behind = reader.array().map(u64::from_be_bytes)?;
            let [entered] = reader.array()?;
            Some((reader.name()?, behind, entered != 0))
        })
    }
}

/// The changes of rooms as a record has them.
pub(super) fn write_changes<'n>(changes: impl Iterator<Item = (&'n str, u64, bool)>) -> Vec<u8> {
    let mut out = Vec::new();
    for (room, behind, entered) in changes {
        out.extend_from_slice(&behind.to_be_bytes());
        out.push(u8::from(entered));
        write_name(room, &mut out);
    }
    out
}

/// The names as a record has them.
pub(super) fn write_names<'n>(names: impl IntoIterator<Item = &'n str>) -> Vec<u8> {
    let mut out = Vec::new();
    names.into_iter().for_each(|name| write_name(name, &mut out));
    out
}

fn write_name(name: &str, out: &mut Vec<u8>) {
    write_long(name.as_bytes(), out);
}

impl Packet<'_> {
    /// The packet as it was sent.
    pub(super) fn to_outgoing(self) -> Outgoing {
        let mut reader = Reader(self.0);
        let text = reader.long().and_then(|text| std::str::from_utf8(text).ok());
        let attachments = std::iter::from_fn(|| reader.long().map(Bytes::copy_from_slice));
        Outgoing { text: text.unwrap_or_default().to_owned(), attachments: attachments.collect() }
    }
}

/// Writes a packet as a record has it.
pub(super) fn write_packet(text: &str, attachments: &[Bytes], out: &mut Vec<u8>) {
    write_long(text.as_bytes(), out);
    attachments.iter().for_each(|attachment| write_long(attachment, out));
}

impl<'a> Record<'a> {
    /// Appends the record. An event's packet follows it ([`write_packet`]).
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Event(Recipients::One(id), _) => {
                out.push(ONE);
                out.extend_from_slice(&id.to_bytes());
            }
            Self::Event(Recipients::Many { rooms, except, skipped }, _) => {
                out.push(MANY);
                out.extend_from_slice(&skipped.map_or(NOBODY, SocketId::to_bytes));
                write_long(rooms.0, out);
                write_long(except.0, out);
            }
            Self::Away(away) => {
                out.push(AWAY);
                out.extend_from_slice(&away.id.to_bytes());
                out.extend_from_slice(&away.secret.to_bytes());
                out.extend_from_slice(&away.since.to_be_bytes());
                write_long(away.rooms.0, out);
                write_long(away.changes.0, out);
                out.extend_from_slice(&away.floor.to_be_bytes());
                write_name(away.auth, out);
            }
            Self::Back(id) => {
                out.push(BACK);
                out.extend_from_slice(&id.to_bytes());
            }
            Self::Floor(offset) => {
                out.push(FLOOR);
                out.extend_from_slice(&offset.to_be_bytes());
            }
        }
    }

    /// Reads a record. `None` if something else stands in the topic.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let mut reader = Reader(rest);
        if *kind == FLOOR {
            return reader.array().map(u64::from_be_bytes).map(Self::Floor);
        }
        let id = reader.array()?;
        Some(match *kind {
            ONE => Self::Event(Recipients::One(SocketId::from_bytes(id)), Packet(reader.0)),
            MANY => {
                let skipped = (id != NOBODY).then(|| SocketId::from_bytes(id));
                let (rooms, except) = (Names(reader.long()?), Names(reader.long()?));
                Self::Event(Recipients::Many { rooms, except, skipped }, Packet(reader.0))
            }
            AWAY => Self::Away(AwaySocket {
                id: SocketId::from_bytes(id),
                secret: Secret::from_bytes(reader.array::<{ Secret::BYTES }>()?),
                since: u64::from_be_bytes(reader.array()?),
                rooms: Names(reader.long()?),
                changes: RoomChanges(reader.long()?),
                floor: u64::from_be_bytes(reader.array()?),
                auth: reader.name()?,
            }),
            BACK => Self::Back(SocketId::from_bytes(id)),
            _ => return None,
        })
    }
}

impl Recipients<'_> {
    /// Whether the event was for the socket with this id. `is_in`: whether it is in a room.
    pub(super) fn include(&self, socket: SocketId, is_in: impl Fn(&str) -> bool) -> bool {
        match self {
            Self::One(id) => *id == socket,
            Self::Many { rooms, except, skipped } => {
                *skipped != Some(socket)
                    && (rooms.is_empty() || rooms.iter().any(&is_in))
                    && !except.iter().any(&is_in)
            }
        }
    }
}

fn write_long(bytes: &[u8], out: &mut Vec<u8>) {
    // A message of 4 GiB is more than any limit admits.
    out.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(bytes);
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*array)
    }

    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    fn name(&mut self) -> Option<&'a str> {
        self.long().and_then(|name| std::str::from_utf8(name).ok())
    }

    /// Bytes behind their length in four bytes.
    fn long(&mut self) -> Option<&'a [u8]> {
        let len = self.array().map(u32::from_be_bytes)?;
        self.bytes(len as usize)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(byte: u8) -> SocketId {
        SocketId::from_bytes([byte; SocketId::BYTES])
    }

    #[test]
    fn an_event_is_for_members_but_not_for_those_left_out() {
        let (rooms, except) = (write_names(["a", "b"]), write_names(["c"]));
        let many =
            Recipients::Many { rooms: Names(&rooms), except: Names(&except), skipped: Some(id(9)) };
        let is_for = |socket, of: &[&str]| many.include(id(socket), |room| of.contains(&room));
        assert!(is_for(1, &["a"]) && is_for(1, &["x", "b"]));
        assert!(!is_for(1, &["x"]) && !is_for(1, &["a", "c"]) && !is_for(9, &["a"]));
        let all = Recipients::Many { rooms: Names(&[]), except: Names(&except), skipped: None };
        assert!(all.include(id(1), |_| false) && !all.include(id(1), |room| room == "c"));
        assert!(Recipients::One(id(1)).include(id(1), |_| false));
    }

    proptest! {
        #[test]
        fn a_record_is_read_as_it_was_written(
            rooms in proptest::collection::vec(".{0,9}", 0..4),
            text in ".{0,20}",
            attachments in proptest::collection::vec(any::<Vec<u8>>(), 0..3),
            skipped in any::<Option<[u8; 18]>>(),
            since in any::<u64>(),
        ) {
            let names = write_names(rooms.iter().map(|room| &**room));
            prop_assert!(Names(&names).iter().eq(rooms.iter().map(|room| &**room)));
            let skipped = skipped.filter(|it| *it != NOBODY).map(SocketId::from_bytes);
            let recipients = Recipients::Many { rooms: Names(&names), except: Names(&[]), skipped };
            let attachments = attachments.into_iter().map(Bytes::from).collect();
            let packet = Outgoing { text, attachments };
            for recipients in [recipients, Recipients::One(id(3))] {
                let mut out = Vec::new();
                Record::Event(recipients, Packet(&[])).write(&mut out);
                write_packet(&packet.text, &packet.attachments, &mut out);
                let Some(Record::Event(read, read_packet)) = Record::read(&out) else {
                    return Err(TestCaseError::fail("no event"));
                };
                prop_assert_eq!(read, recipients);
                prop_assert_eq!(&read_packet.to_outgoing(), &packet);
            }
            let (secret, rooms) = (Secret::from_bytes([2; 18]), Names(&names));
            let written = write_changes([("a", since, true), ("", 0, false)].into_iter());
            let changes = RoomChanges(&written);
            prop_assert!(changes.iter().eq([("a", since, true), ("", 0, false)]));
            let (floor, auth) = (7, "{}");
            let away = AwaySocket { id: id(1), secret, since, rooms, changes, floor, auth };
            for record in [Record::Away(away), Record::Back(id(4)), Record::Floor(since)] {
                let mut out = Vec::new();
                record.write(&mut out);
                prop_assert_eq!(Record::read(&out), Some(record));
            }
        }

        #[test]
        fn any_bytes_can_be_read(bytes in any::<Vec<u8>>()) {
            if let Some(Record::Event(recipients, packet)) = Record::read(&bytes) {
                recipients.include(id(1), |_| true);
                packet.to_outgoing();
            }
        }
    }
}
