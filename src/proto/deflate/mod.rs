//! `permessage-deflate` (RFC 7692): the compression of messages.

#[cfg(feature = "deflate")]
mod codec;
#[cfg(feature = "deflate")]
mod codecs;
mod compressed_message;
mod compression;
mod compression_cache;
mod config;
#[cfg(feature = "deflate")]
mod gzip;
#[cfg(feature = "deflate")]
mod inflation;
mod negotiation;
mod setting;

#[cfg(feature = "deflate")]
pub(super) use codecs::Codecs;
pub(super) use compressed_message::CompressedMessage;
pub(super) use compression::Compression;
pub(crate) use compression_cache::{CompressibleFrames, CompressionCache};
pub use config::DeflateConfig;
#[cfg(feature = "deflate")]
pub(super) use gzip::gzip;
pub(super) use negotiation::AcceptedOffer;
pub use negotiation::DeflateAgreement;
pub(crate) use setting::Setting;
