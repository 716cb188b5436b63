//! What has arrived of an opening handshake.

use std::borrow::Cow;

use super::request_body::RequestBody;
use super::{Event, Handled, PeerError};
use crate::proto::DeflateAgreement;
use crate::proto::handshake::{ClientRequest, HandshakeError, Key, RefusedReader};
use crate::proto::http::{
    ExtraHeaders, HeadLimits, HeadScanner, HttpError, HttpRequest, ResponseHead,
};
use crate::proto::proxy_protocol::{HEADER_BYTES_MAX, header_len};
use crate::time::Time;

/// How many interim responses a server may send before the final one. Few servers send more than
/// one or two.
const INTERIM_RESPONSES_MAX: u8 = 10;

/// The opening handshake in progress.
#[derive(Debug)]
pub(super) struct Opening {
    scanner: HeadScanner,
    /// The head so far, if it did not arrive in one piece.
    pub(super) head: Vec<u8>,
    /// A client's request. `None` on a server.
    pub(super) sent: Option<SentRequest>,
    /// What comes next.
    pub(super) expected: Expected,
    /// Whether a header of the PROXY protocol must come before the first head.
    pub(super) expects_proxy_header: bool,
    /// Whether an earlier request had a response after which the connection stayed open.
    pub(super) is_keep_alive: bool,
    /// How many interim responses have arrived.
    interim_count: u8,
    /// The total length of the interim responses, in bytes.
    interim_bytes: usize,
    /// What the request that a server has received adds to any response to it.
    pub(super) extra_headers: Option<Box<ExtraHeaders>>,
}

/// What comes next.
#[derive(Debug)]
pub(super) enum Expected {
    /// A head, or the rest of one.
    Head,
    /// The body of a request, or the rest of it.
    Body(Box<RequestBody>),
    /// An act of the owner, after an event. No input is handled before that.
    Act,
    /// The response to a request, by this moment.
    Response(Time),
}

/// A client's request, against which the response is checked.
#[derive(Debug)]
pub(super) struct SentRequest {
    pub(super) request: ClientRequest,
    pub(super) key: Key,
    pub(super) awaited: Awaited,
}

/// What a client awaits.
///
/// ```text
///  ──▶ Tunnel ──2xx──▶ Response ──101──▶ open
///        │                │
///        └──other─▶ Body ◀┘
/// ```
#[derive(Debug)]
pub(super) enum Awaited {
    /// The proxy's response to the request for a tunnel.
    Tunnel,
    /// The server's response.
    Response,
    /// The rest of a response that refused.
    Body(RefusedReader, Refuser),
}

/// Who has refused.
#[derive(Clone, Copy, Debug)]
pub(super) enum Refuser {
    Proxy,
    Server,
}

/// What a final response to a client is.
pub(super) enum Verdict {
    Tunnel,
    Accepted(Option<DeflateAgreement>),
    /// The body follows.
    Refused,
}

impl SentRequest {
    /// Judges the head of a final response.
    pub(super) fn judge(
        &mut self,
        head: &[u8],
        limits: &HeadLimits,
    ) -> Result<Verdict, HandshakeError> {
        let refuser = match self.awaited {
            Awaited::Tunnel => Refuser::Proxy,
            Awaited::Response | Awaited::Body(..) => Refuser::Server,
        };
        let refused = match refuser {
            Refuser::Proxy => {
                let response = ResponseHead::parse(head, limits)?;
                if (200..=299).contains(&response.status) {
                    self.awaited = Awaited::Response;
                    return Ok(Verdict::Tunnel);
                }
                response
            }
            Refuser::Server => match self.request.check_scanned(head, limits, &self.key) {
                Ok(response) => return Ok(Verdict::Accepted(response.agreement())),
                Err(HandshakeError::UnexpectedStatus(_)) => ResponseHead::parse(head, limits)?,
                Err(error) => return Err(error),
            },
        };
        self.awaited = Awaited::Body(RefusedReader::new(&refused, *limits), refuser);
        Ok(Verdict::Refused)
    }

    /// The response that refused, if its body is being read.
    pub(super) fn refusal_mut(&mut self) -> Option<&mut RefusedReader> {
        match &mut self.awaited {
            Awaited::Body(reader, _) => Some(reader),
            Awaited::Tunnel | Awaited::Response => None,
        }
    }

    /// Whether nothing more is to be read of a response that refused. The body of a redirect that
    /// is followed is not read.
    fn is_refused(&self) -> bool {
        match &self.awaited {
            Awaited::Body(reader, Refuser::Server) if self.request.follows_redirects() => {
                reader.is_done() || reader.is_redirect()
            }
            Awaited::Body(reader, _) => reader.is_done(),
            Awaited::Tunnel | Awaited::Response => false,
        }
    }

    fn buffered_bytes(&self) -> usize {
        match &self.awaited {
            Awaited::Body(reader, _) => reader.buffered_bytes(),
            Awaited::Tunnel | Awaited::Response => 0,
        }
    }

    fn into_refusal(self) -> Option<PeerError> {
        match self.awaited {
            Awaited::Body(reader, Refuser::Proxy) => Some(PeerError::ProxyRefused(reader.finish())),
            Awaited::Body(reader, Refuser::Server) => Some(PeerError::Refused(reader.finish())),
            Awaited::Tunnel | Awaited::Response => None,
        }
    }
}

impl Opening {
    pub(super) fn new(limits: HeadLimits, sent: Option<SentRequest>) -> Self {
        Self {
            scanner: HeadScanner::new(limits),
            head: Vec::new(),
            sent,
            expected: Expected::Head,
            expects_proxy_header: false,
            is_keep_alive: false,
            interim_count: 0,
            interim_bytes: 0,
            extra_headers: None,
        }
    }

    /// Expects another request, after a response after which the connection stays open.
    pub(super) fn keep_alive(&mut self) {
        self.is_keep_alive = true;
        self.extra_headers = None;
        self.expected = Expected::Head;
        self.restart();
    }

    /// Whether part of a request has arrived that has no response.
    pub(super) fn has_begun(&self) -> bool {
        !self.scanner.is_at_start()
    }

    /// Whether the owner must act before further input is handled.
    pub(super) const fn awaits_act(&self) -> bool {
        matches!(self.expected, Expected::Act)
    }

    /// Expects another head.
    pub(super) fn restart(&mut self) {
        self.head.clear();
        self.scanner.restart();
    }

    /// The response that refused, if its body is being read.
    pub(super) fn refusal_mut(&mut self) -> Option<&mut RefusedReader> {
        self.sent.as_mut()?.refusal_mut()
    }

    /// Whether nothing more is to be read of a response that refused.
    pub(super) fn is_refused(&self) -> bool {
        self.sent.as_ref().is_some_and(SentRequest::is_refused)
    }

    /// The response that refused, if one has come.
    pub(super) fn into_refusal(self) -> Option<PeerError> {
        self.sent?.into_refusal()
    }

    /// Bytes of storage that a body takes: that of a request, or of a response that refused.
    pub(super) fn buffered_bytes(&self) -> usize {
        let received = match &self.expected {
            Expected::Body(body) => body.buffered_bytes(),
            Expected::Head | Expected::Act | Expected::Response(_) => 0,
        };
        received + self.sent.as_ref().map_or(0, SentRequest::buffered_bytes)
    }

    /// Looks for the end of the head in `input`.
    #[inline]
    pub(super) fn scan(&mut self, input: &[u8]) -> Result<Option<usize>, HttpError> {
        let scanned = self.scanner.scan(input);
        if scanned.is_err() {
            self.keep_method(input);
        }
        scanned
    }

    /// Keeps the method of a head that is refused: the refusal depends on it.
    #[cold]
    fn keep_method(&mut self, input: &[u8]) {
        self.head.extend(input.iter().take(HttpRequest::HEAD_METHOD.len()));
        self.head.truncate(self.scanner.scanned());
    }

    pub(super) fn read_proxy_header<'a>(
        &mut self,
        input: &[u8],
    ) -> Result<Handled<'a>, HandshakeError> {
        // It is short, comes once in a connection, and nearly always arrives whole, so that what
        // has arrived is copied and parsed again.
        let kept = self.head.len();
        let take = input.len().min(HEADER_BYTES_MAX - kept);
        self.head.extend_from_slice(&input[..take]);
        let len = match header_len(&self.head) {
            Ok(Some(len)) if len <= self.head.len() => len,
            Ok(_) => return Ok(Handled::all(take)),
            Err(_) => {
                // No request has been read, so there is no method.
                self.head.clear();
                return Err(HandshakeError::InvalidProxyHeader);
            }
        };
        let mut header = std::mem::take(&mut self.head);
        header.truncate(len);
        self.expects_proxy_header = false;
        let event = Some(Event::ProxyHeader(Cow::Owned(header)));
        Ok(Handled { consumed: len - kept, event })
    }

    /// Skips an interim response. All of them together may be as long as one head.
    pub(super) fn skip_interim(
        &mut self,
        len: usize,
        limits: &HeadLimits,
    ) -> Result<(), HandshakeError> {
        self.interim_count += 1;
        self.interim_bytes += len;
        if self.interim_bytes > limits.bytes {
            return Err(HttpError::HeadTooLarge { limit: limits.bytes }.into());
        }
        if self.interim_count > INTERIM_RESPONSES_MAX {
            let limit = INTERIM_RESPONSES_MAX.into();
            return Err(HandshakeError::TooManyInterimResponses { limit });
        }
        self.restart();
        Ok(())
    }
}
