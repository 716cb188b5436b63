use super::Key;
use super::extensions::EXTENSIONS;
use crate::proto::deflate::{AcceptedOffer, DeflateAgreement};
use crate::proto::http::{ExtraHeaders, InvalidHeader, is_token, write_header};

/// A server's response that opens a connection: status 101 (RFC 6455 §4.2.2).
///
/// ```
/// use eventwire::proto::handshake::{Acceptance, Key};
///
/// let acceptance = Acceptance::new().subprotocol("chat")?.header("X-Server", "a")?;
/// let mut out = Vec::new();
/// acceptance.write(&Key::from_nonce(*b"the sample nonce"), &mut out);
/// assert!(out.ends_with(
///     b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
///     Sec-WebSocket-Protocol: chat\r\nX-Server: a\r\n\r\n"
/// ));
/// # Ok::<(), eventwire::proto::http::InvalidHeader>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acceptance {
    /// A token (RFC 9110 §5.6.2).
    subprotocol: Option<String>,
    deflate: Option<AcceptedOffer>,
    headers: ExtraHeaders,
}

impl Acceptance {
    /// Accepts without a subprotocol.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Chooses a subprotocol. The request must have offered it, or the client ends the connection
    /// (RFC 6455 §4.1).
    ///
    /// # Errors
    ///
    /// [`InvalidHeader::Subprotocol`] if it is not a token.
    pub fn subprotocol(mut self, name: &str) -> Result<Self, InvalidHeader> {
        if !is_token(name.as_bytes()) {
            return Err(InvalidHeader::Subprotocol(name.to_owned()));
        }
        self.subprotocol = Some(name.to_owned());
        Ok(self)
    }

    /// Adds a header.
    ///
    /// # Errors
    ///
    /// [`InvalidHeader`] if the name or the value cannot be written.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, InvalidHeader> {
        self.headers.push(name, value)?;
        Ok(self)
    }

    /// Accepts the first offer of `permessage-deflate` in `request` that `config` allows, if there
    /// is one. Needs the feature `deflate`.
    #[cfg(feature = "deflate")]
    #[must_use]
    pub fn deflate(
        mut self,
        config: &crate::proto::DeflateConfig,
        request: &super::UpgradeRequest<'_>,
    ) -> Self {
        self.deflate = config.respond(&request.extensions());
        self
    }

    /// The agreed compression. `None` if the client did not offer any or the server accepted none.
    #[must_use]
    pub fn agreement(&self) -> Option<DeflateAgreement> {
        self.deflate.map(|accepted| accepted.agreement)
    }

    /// The chosen subprotocol.
    #[must_use]
    pub fn chosen_subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// Appends the whole response to a request with `key`.
    pub fn write(&self, key: &Key, out: &mut Vec<u8>) {
        out.extend_from_slice(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
        );
        write_header(out, "Sec-WebSocket-Accept", &key.accept());
        if let Some(name) = &self.subprotocol {
            write_header(out, "Sec-WebSocket-Protocol", name.as_bytes());
        }
        if let Some(accepted) = &self.deflate {
            write_header(out, EXTENSIONS, accepted.params.value().as_bytes());
        }
        self.headers.write(out);
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(answer: &Acceptance) -> String {
        let mut out = b"before ".to_vec();
        answer.write(&Key::from_nonce(*b"the sample nonce"), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn acceptance_to_the_byte() {
        assert_eq!(
            accept(&Acceptance::new()),
            "before HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
        );
        let full = Acceptance::new().subprotocol("chat").unwrap().header("X-A", "b").unwrap();
        assert_eq!(full.chosen_subprotocol(), Some("chat"));
        assert_eq!(
            accept(&full),
            "before HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
             Sec-WebSocket-Protocol: chat\r\nX-A: b\r\n\r\n"
        );
        for wrong in ["", "a b", "a,b", "a\r\nb", "\u{e9}"] {
            assert_eq!(
                Acceptance::new().subprotocol(wrong),
                Err(InvalidHeader::Subprotocol(wrong.to_owned()))
            );
        }
        let owned = Acceptance::new().header("Sec-WebSocket-Extensions", "permessage-deflate");
        assert_eq!(owned, Err(InvalidHeader::Reserved("Sec-WebSocket-Extensions".to_owned())));
    }
}
