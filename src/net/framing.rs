//! What the output of a connection is made of.

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
            Self::Raw => None,
        }
    }

    /// How the next payload is written.
    #[inline]
    pub(crate) fn next(self, mask_keys: &mut MaskKeys) -> Envelope {
        match self {
            Self::Unmasked => Envelope::Frame(None),
            Self::Masked => Envelope::Frame(Some(mask_keys.next_key())),
            Self::Raw => Envelope::Nothing,
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
}

impl Envelope {
    /// Appends the payload to `out`.
    #[inline]
    pub(crate) fn write(self, payload: &Payload<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Frame(key) => write_payload(payload, key, out),
            Self::Nothing => out.extend_from_slice(payload.bytes),
        }
    }
}
