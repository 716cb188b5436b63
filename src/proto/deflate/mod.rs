//! `permessage-deflate` (RFC 7692): messages that are compressed on their way.

#[cfg(feature = "deflate")]
mod codec;
#[cfg(feature = "deflate")]
mod codecs;
mod compressed_message;
mod compression;
mod config;
mod forms;
#[cfg(feature = "deflate")]
mod inflation;
mod negotiation;
mod setting;

#[cfg(feature = "deflate")]
pub(super) use codecs::Codecs;
pub(super) use compressed_message::CompressedMessage;
pub(super) use compression::Compression;
pub use config::DeflateConfig;
pub(crate) use forms::{Forms, Part};
pub(super) use negotiation::AcceptedOffer;
pub use negotiation::DeflateAgreement;
pub(crate) use setting::Setting;
