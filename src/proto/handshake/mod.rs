//! The opening handshake of RFC 6455 (§4): HTTP/1.1 heads in, a connection or a refusal out.
//!
//! A head is collected by its reader, whose pieces a [`HeadScanner`] looks at as they come. Once
//! it is whole, a server makes an [`UpgradeRequest`] of it, checks it against an [`OriginPolicy`]
//! and answers with an [`Acceptance`] or a [`Refusal`]; a client, which wrote a [`ClientRequest`],
//! makes an [`Accepted`] of it. A server that has something for everybody, a page or its health,
//! makes an [`HttpRequest`] of the head and answers with an [`HttpResponse`]. Nothing here repairs
//! what a peer sent: two readers that mend the same bytes differently are how requests get
//! smuggled.
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

mod client;
mod error;
mod extensions;
mod key;
mod origin;
mod response;
mod upgrade_request;
mod url;

pub use client::{Accepted, ClientRequest};
pub use error::HandshakeError;
pub(crate) use extensions::{Extension, Param};
pub use key::Key;
pub use origin::OriginPolicy;
pub use response::{Acceptance, Refusal};
pub use upgrade_request::UpgradeRequest;
pub use url::{UrlError, WsUrl};
