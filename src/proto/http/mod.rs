//! HTTP/1.1 heads, requests and responses: what a server says to those that ask for no WebSocket,
//! and what the opening handshake is made of.

mod authority;
mod content_type;
mod fields;
mod head;
mod headers;
mod request;
mod response;
mod response_head;
mod status;
mod target;

pub(crate) use authority::Authority;
pub use content_type::ContentType;
#[cfg(test)]
pub(crate) use fields::walked;
pub(crate) use fields::{Fields, is_token};
pub use head::{HeadLimits, HeadScanner};
pub use headers::InvalidHeader;
pub(crate) use headers::{ExtraHeaders, write_header};
pub use request::HttpRequest;
pub(crate) use request::visible_ascii;
pub use response::HttpResponse;
pub(crate) use response_head::ResponseHead;
pub(crate) use status::reason;

use super::handshake::HandshakeError;
