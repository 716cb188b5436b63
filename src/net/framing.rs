//! What the output of a connection is made of.

use crate::proto::event_stream::write_message;
use crate::proto::http::write_chunk;
use crate::proto::{MaskKeys, Payload, Role, write_payload};

/// What the output of a connection is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// Frames as a server sends them.
    Unmasked,
    /// Frames as a client sends them.
    Masked,
    /// The bytes of a raw stream, without frames.
    Raw,
    /// The chunks of an HTTP response.
    Chunks,
    /// Server-sent events.
    Events,
    /// The same, where broadcasts have the names of their topics.
    NamedEvents,
}

impl Framing {
    /// The frames of an end in that role.
    #[inline]
    pub(crate) const fn of(role: Role) -> Self {
        match role {
            Role::Server => Self::Unmasked,
            Role::Client => Self::Masked,
        }
    }

    /// The role of the peer that receives such frames, if they are frames.
    pub(crate) const fn receiver(self) -> Option<Role> {
        match self {
            Self::Unmasked => Some(Role::Client),
            Self::Masked => Some(Role::Server),
            Self::Raw | Self::Chunks | Self::Events | Self::NamedEvents => None,
        }
    }

    /// Whether it is frames.
    #[inline]
    pub(crate) const fn is_framed(self) -> bool {
        self.receiver().is_some()
    }

    /// How the next payload is written.
    #[inline]
    pub(crate) fn next(self, mask_keys: &mut MaskKeys) -> Envelope {
        match self {
            Self::Unmasked => Envelope::Frame(None),
            Self::Masked => Envelope::Frame(Some(mask_keys.next_key())),
            Self::Raw => Envelope::Nothing,
            Self::Chunks => Envelope::Chunk,
            Self::Events | Self::NamedEvents => Envelope::Event,
        }
    }
}

/// How a payload is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Envelope {
    /// As one frame, masked if there is a key.
    Frame(Option<[u8; 4]>),
    /// As it is.
    Nothing,
    /// As one chunk of an HTTP response.
    Chunk,
    /// As a server-sent event.
    Event,
}

impl Envelope {
    /// Appends the payload to `out`.
    #[inline]
    pub(crate) fn write(self, payload: &Payload<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Frame(key) => write_payload(payload, key, out),
            Self::Nothing => out.extend_from_slice(payload.bytes),
            Self::Chunk => write_chunk(payload.bytes, out),
            Self::Event => write_message(payload, out),
        }
    }
}
