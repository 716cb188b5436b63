use super::fields::{Fields, HeaderBuffer};
use super::{BodyLength, HeadLimits, HttpError};

/// The head of a server's response.
#[derive(Debug)]
pub(crate) struct ResponseHead<'a> {
    /// Zero if the head has none.
    pub(crate) status: u16,
    pub(crate) is_http_1_1: bool,
    pub(crate) fields: Fields<'a>,
}

impl<'a> ResponseHead<'a> {
    /// Parses `head`, which is a whole head with the empty line that ends it.
    pub(crate) fn parse(head: &'a [u8], limits: &HeadLimits) -> Result<Self, HttpError> {
        let mut headers = HeaderBuffer::new();
        let mut parsed = httparse::Response::new(&mut []);
        let config = httparse::ParserConfig::default();
        let slots = headers.slots_for(head, limits);
        match config.parse_response_with_uninit_headers(&mut parsed, head, slots) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) => return Err(HttpError::HeadBoundary),
            Err(httparse::Error::HeaderName | httparse::Error::HeaderValue) => {
                return Err(HttpError::InvalidHeaderLine);
            }
            Err(httparse::Error::TooManyHeaders) => {
                return Err(HttpError::TooManyHeaders { limit: limits.headers });
            }
            Err(_) => return Err(HttpError::InvalidStartLine),
        }
        Ok(Self {
            status: parsed.code.unwrap_or_default(),
            is_http_1_1: parsed.version == Some(1),
            fields: Fields::copied(parsed.headers),
        })
    }

    /// The length of the body that follows, in response to a request with `GET` or one that was
    /// refused (RFC 9112 §6.3).
    ///
    /// # Errors
    ///
    /// As [`Fields::body_length`].
    pub(crate) fn body_length(&self) -> Result<BodyLength, HttpError> {
        match self.status {
            100..=199 | 204 | 304 => Ok(BodyLength::Known(0)),
            _ => Ok(self.fields.body_length(self.is_http_1_1)?.unwrap_or(BodyLength::UntilClose)),
        }
    }
}
