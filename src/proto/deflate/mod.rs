//! `permessage-deflate` (RFC 7692): messages that are compressed on their way.

#[cfg(feature = "deflate")]
mod codec;
mod compression;
mod config;
mod forms;
#[cfg(feature = "deflate")]
mod inflation;
mod negotiation;

#[cfg(feature = "deflate")]
pub(super) use codec::Codecs;
pub(crate) use compression::Setting;
pub(super) use compression::{CompressedMessage, Compression};
pub use config::DeflateConfig;
pub(crate) use forms::{Forms, Part};
pub(super) use negotiation::AcceptedOffer;
pub use negotiation::DeflateAgreement;
