//! HTTP/1.1: heads, requests and responses.
//!
//! The opening handshake is made of these heads. Requests that open no WebSocket are answered with
//! an [`HttpResponse`].

mod authority;
mod body;
mod content_type;
mod cors;
mod error;
mod etag;
mod fields;
mod head;
mod headers;
mod limits;
mod pattern;
mod percent;
mod range;
mod request;
mod response;
mod response_head;
mod response_stream;
mod static_file;
mod status;
mod target;
mod trailers;

pub(crate) use authority::{Authority, is_origin};
pub(crate) use body::{BodyLength, BodyReader, ExpectedBody, write_chunk};
pub use content_type::ContentType;
pub use cors::{Cors, CorsError};
pub use error::HttpError;
#[cfg(test)]
pub(crate) use fields::walked;
pub(crate) use fields::{Fields, HeaderBuffer, is_token};
pub use head::HeadScanner;
pub use headers::InvalidHeader;
pub(crate) use headers::{ExtraHeaders, write_header, write_number};
pub use limits::HeadLimits;
pub use pattern::InvalidRoute;
pub(crate) use pattern::{Pattern, Template};
pub use request::HttpRequest;
pub use response::HttpResponse;
pub(crate) use response_head::ResponseHead;
pub(crate) use response_stream::{Body, ResponseStream};
pub use static_file::StaticFile;
pub(crate) use status::write_status_line;
