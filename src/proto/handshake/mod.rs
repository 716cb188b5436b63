//! The opening handshake (RFC 6455 §4), both sides.
//!
//! A server parses a client's head as an [`UpgradeRequest`], checks it against an
//! [`OriginPolicy`], and responds with an [`Acceptance`] or a [`Refusal`]. A client writes a
//! [`ClientRequest`] and checks the response: an [`UpgradeResponse`] or an error. How heads
//! are read, and how requests that open no WebSocket are answered, is in [`http`](super::http).
//!
//! Nothing here repairs what a peer sent. Two readers that repair the same bytes differently make
//! request smuggling possible.
//!
//! ```
//! use eventwire::proto::handshake::{
//!     Acceptance, ClientRequest, Key, OriginPolicy, UpgradeRequest, WsUrl,
//! };
//! use eventwire::proto::http::HeadLimits;
//!
//! let limits = HeadLimits::default();
//! let key = Key::from_nonce(*b"16 random bytes!");
//!
//! let asked = ClientRequest::new(WsUrl::parse("ws://example.com/chat")?);
//! let mut to_server = Vec::new();
//! asked.write(&key, &mut to_server);
//!
//! let request = UpgradeRequest::parse(&to_server, &limits)?;
//! OriginPolicy::default().check(&request)?;
//! let mut to_client = Vec::new();
//! Acceptance::new().write(&request.key(), &mut to_client);
//!
//! assert!(asked.check_response(&to_client, &limits, &key).is_ok());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod acceptance;
mod client;
mod error;
mod extensions;
mod http_proxy;
mod key;
mod origin;
mod redirect_error;
mod reference;
mod refusal;
mod refused;
mod upgrade_request;
mod upgrade_response;
mod url;

pub use acceptance::Acceptance;
pub use client::ClientRequest;
pub use error::HandshakeError;
pub(crate) use extensions::{Extension, Param};
pub use http_proxy::HttpProxy;
pub use key::Key;
pub use origin::OriginPolicy;
pub use redirect_error::RedirectError;
pub use refusal::Refusal;
pub(crate) use refused::RefusedReader;
pub use refused::{BodyEnd, Refused};
pub use upgrade_request::UpgradeRequest;
pub use upgrade_response::UpgradeResponse;
pub use url::{UrlError, WsUrl};
