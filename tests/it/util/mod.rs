//! What the tests over real sockets share: a scripted peer, and a server on its own thread.

pub(crate) mod disk;
#[cfg(feature = "sqlite")]
mod folder;
#[cfg(feature = "sqlite")]
mod follower;
#[cfg(feature = "tls")]
mod identity;
mod outcomes;
mod peer;
mod received;
mod recorder;
mod server;
mod wire;

use std::time::Duration;

#[cfg(feature = "sqlite")]
pub(crate) use folder::Folder;
#[cfg(feature = "sqlite")]
pub(crate) use follower::{Follower, send_ahead};
#[cfg(feature = "tls")]
pub(crate) use identity::Identity;
pub(crate) use outcomes::{Outcome, dial, dial_with};
pub(crate) use peer::{Peer, frame, request};
pub(crate) use received::Received;
pub(crate) use recorder::{Call, Log, Recorder};
pub(crate) use server::{Server, drive, drive_until, looping};
#[cfg(feature = "tls")]
pub(crate) use wire::Secure;
pub(crate) use wire::{Target, Wire};

/// How long a test waits before it fails: no machine is that slow.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes that differ from their neighbours and from those of another `seed`.
pub(crate) fn pattern(len: usize, seed: usize) -> Vec<u8> {
    let period: Vec<_> = (0..251).map(|at| ((at * 31 + seed * 17) % 251) as u8).collect();
    let mut bytes = period.repeat(len / period.len() + 1);
    bytes.truncate(len);
    bytes
}

/// Text of `len` bytes, some of its characters of two bytes.
pub(crate) fn text(len: usize) -> String {
    let mut text = "aé".repeat(len / 3);
    text.extend(std::iter::repeat_n('z', len % 3));
    text
}
