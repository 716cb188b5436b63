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
pub(super) use compression::Compression;
pub(crate) use compression::Setting;
pub use config::DeflateConfig;
pub(crate) use forms::{Forms, Part};
pub use negotiation::DeflateAgreement;
pub(crate) use negotiation::Params;
