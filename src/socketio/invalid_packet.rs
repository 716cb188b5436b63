use std::fmt;

/// Why a packet of Socket.IO is refused.
///
/// Its text repeats nothing that the peer sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InvalidPacket {
    /// The packet has no type, or one that Socket.IO 5 does not define.
    UnknownKind,
    /// The number of attachments is missing or malformed.
    InvalidAttachmentCount,
    /// The packet has more attachments than [`MAX_ATTACHMENTS`](super::packet::MAX_ATTACHMENTS).
    TooManyAttachments,
    /// The id of the acknowledgement is over 64 bits.
    InvalidId,
    /// An acknowledgement has no id.
    MissingId,
    /// The packet is of a kind that has no id.
    UnexpectedId,
    /// The packet is of a kind that has data, and has none.
    MissingData,
    /// The packet is of a kind that has no data.
    UnexpectedData,
    /// The data is not JSON.
    InvalidJson,
    /// The data is nested deeper than [`MAX_DEPTH`](super::arguments::MAX_DEPTH).
    TooDeep,
    /// The data of an event or an acknowledgement is not an array.
    NotAnArray,
    /// The data of a connection to a namespace is not an object.
    NotAnObject,
    /// The name of the event is missing, or neither a string nor a number.
    InvalidEventName,
    /// The name of the event is one that clients and servers use for their own events.
    ReservedEventName,
    /// A placeholder does not name an attachment of the packet.
    InvalidPlaceholder,
}

impl fmt::Display for InvalidPacket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownKind => "a Socket.IO packet has an unknown type",
            Self::InvalidAttachmentCount => "the number of attachments is missing or malformed",
            Self::TooManyAttachments => "a Socket.IO packet has too many attachments",
            Self::InvalidId => "the id of an acknowledgement is over 64 bits",
            Self::MissingId => "an acknowledgement has no id",
            Self::UnexpectedId => "a Socket.IO packet has an id that its type does not have",
            Self::MissingData => "a Socket.IO packet has no data",
            Self::UnexpectedData => "a Socket.IO packet has data that its type does not have",
            Self::InvalidJson => "the data of a Socket.IO packet is not JSON",
            Self::TooDeep => "the data of a Socket.IO packet is nested too deeply",
            Self::NotAnArray => "the data of an event or acknowledgement is not an array",
            Self::NotAnObject => "the data of a connection to a namespace is not an object",
            Self::InvalidEventName => "the name of an event is neither a string nor a number",
            Self::ReservedEventName => "the name of an event is reserved",
            Self::InvalidPlaceholder => "a placeholder does not name an attachment",
        })
    }
}

impl std::error::Error for InvalidPacket {}
