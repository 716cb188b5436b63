use std::str;

use super::extensions::EXTENSIONS;
use crate::proto::deflate::DeflateAgreement;
use crate::proto::http::Fields;

/// A server's response that accepted the connection, checked against RFC 6455 §4.1. It borrows from
/// its head.
///
/// ```
/// use eventwire::{Connection, WebSocketHandler};
/// use eventwire::proto::handshake::UpgradeResponse;
///
/// struct Client;
///
/// impl WebSocketHandler<()> for Client {
///     fn on_response(
///         &mut self,
///         conn: &mut Connection<'_>,
///         response: &UpgradeResponse<'_>,
///         _: &mut (),
///     ) {
///         println!("{}: served by {:?}", conn.id(), response.header("Server"));
///     }
/// }
/// ```
#[derive(Clone, Debug)]
pub struct UpgradeResponse<'a> {
    pub(super) subprotocol: Option<&'a str>,
    pub(super) agreement: Option<DeflateAgreement>,
    pub(super) fields: Fields<'a>,
}

impl<'a> UpgradeResponse<'a> {
    /// The status: 101, Switching Protocols. A response with another one refuses.
    #[must_use]
    pub const fn status(&self) -> u16 {
        101
    }

    /// The subprotocol that the server chose of those offered.
    #[must_use]
    pub const fn subprotocol(&self) -> Option<&'a str> {
        self.subprotocol
    }

    /// The extensions that the server chose of those offered, each with its parameters, for
    /// instance `permessage-deflate; server_no_context_takeover`.
    pub fn extensions(&self) -> impl Iterator<Item = &'a str> {
        // The list was checked when the response was parsed. No parameter has a comma.
        let chosen = self.fields.elements(EXTENSIONS);
        chosen.filter_map(|extension| str::from_utf8(extension.ok()?).ok())
    }

    /// The agreed compression. `None` if this end did not offer any or the server accepted none.
    #[must_use]
    pub const fn agreement(&self) -> Option<DeflateAgreement> {
        self.agreement
    }

    /// The value of the first header with this name, in any case. `None` if it is not UTF-8.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.fields.text(name)
    }

    /// All headers in order. White space around the values is removed.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.fields.iter()
    }
}
