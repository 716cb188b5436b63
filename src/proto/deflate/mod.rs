//! `permessage-deflate` (RFC 7692): messages that are compressed on their way.

#[cfg(feature = "deflate")]
mod codec;
mod config;
#[cfg(feature = "deflate")]
mod inflation;
mod negotiation;

#[cfg(feature = "deflate")]
pub(super) use codec::{Codecs, Deflate};
pub use config::DeflateConfig;
pub use negotiation::DeflateAgreement;
pub(crate) use negotiation::Params;
