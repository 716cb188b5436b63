//! The negotiation of `permessage-deflate` and its four parameters (RFC 7692 §7.1).

use super::config::{DeflateConfig, ReceiveContext, WINDOW_BITS_MAX, WINDOW_BITS_MIN};
use crate::proto::handshake::{Extension, HandshakeError, Param};

const NAME: &str = "permessage-deflate";

const SERVER_NO_CONTEXT: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT: &str = "client_no_context_takeover";
const SERVER_WINDOW: &str = "server_max_window_bits";
const CLIENT_WINDOW: &str = "client_max_window_bits";

/// The parameters of one offer, or of the response to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Params {
    server_no_context: bool,
    client_no_context: bool,
    server_window: Option<u8>,
    client_window: Option<ClientWindow>,
}

/// The parameter for the window that the client compresses with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClientWindow {
    /// The server may choose. Only an offer says so.
    Any,
    /// At most this many bits.
    AtMost(u8),
}

/// What an opening handshake agreed on for the compression of one connection, from the view of this
/// end. Needs the feature `deflate`: without it nothing is ever agreed.
///
/// A server gets it from [`Acceptance::agreement`], a client from [`UpgradeResponse::agreement`].
///
/// [`Acceptance::agreement`]: crate::proto::handshake::Acceptance::agreement
/// [`UpgradeResponse::agreement`]: crate::proto::handshake::UpgradeResponse::agreement
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateAgreement {
    pub(super) level: u8,
    pub(super) min_size: usize,
    /// `None` if the peer wants a smaller window than the compressor supports. Then messages are
    /// sent uncompressed, which is always allowed (RFC 7692 §6).
    pub(super) send: Option<Direction>,
    pub(super) receive: Direction,
}

/// One direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Direction {
    /// Whether messages may refer to earlier ones.
    pub(super) context: bool,
    /// How far back they may refer, in bits.
    pub(super) window: u8,
}

/// A server's response to an offer, and what it agrees on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AcceptedOffer {
    pub(crate) params: Params,
    pub(crate) agreement: DeflateAgreement,
}

impl Params {
    /// The parameters of `extension`. `None` if RFC 7692 does not allow them: a server then
    /// declines the offer, and a client fails the handshake.
    fn parse(extension: &Extension<'_>, is_offer: bool) -> Option<Self> {
        let mut params = Self::default();
        for Param { name, value } in &extension.params {
            let value = value.as_deref();
            match *name {
                SERVER_NO_CONTEXT => flag(&mut params.server_no_context, value)?,
                CLIENT_NO_CONTEXT => flag(&mut params.client_no_context, value)?,
                SERVER_WINDOW => once(&mut params.server_window, window(value?)?)?,
                CLIENT_WINDOW => {
                    let window = match value {
                        Some(value) => ClientWindow::AtMost(window(value)?),
                        None if is_offer => ClientWindow::Any,
                        None => return None,
                    };
                    once(&mut params.client_window, window)?;
                }
                _ => return None,
            }
        }
        Some(params)
    }

    /// The value of the header.
    pub(crate) fn value(&self) -> String {
        let mut value = NAME.to_owned();
        for (name, is_there) in [
            (SERVER_NO_CONTEXT, self.server_no_context),
            (CLIENT_NO_CONTEXT, self.client_no_context),
        ] {
            if is_there {
                value.push_str("; ");
                value.push_str(name);
            }
        }
        if let Some(bits) = self.server_window {
            value.push_str(&format!("; {SERVER_WINDOW}={bits}"));
        }
        match self.client_window {
            Some(ClientWindow::Any) => value.push_str(&format!("; {CLIENT_WINDOW}")),
            Some(ClientWindow::AtMost(bits)) => {
                value.push_str(&format!("; {CLIENT_WINDOW}={bits}"));
            }
            None => {}
        }
        value
    }
}

/// Sets a parameter that has no value and may occur once.
fn flag(flag: &mut bool, value: Option<&str>) -> Option<()> {
    (value.is_none() && !std::mem::replace(flag, true)).then_some(())
}

/// Sets a parameter that may occur once.
fn once<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}

/// A number from 8 to 15, without leading zeros (RFC 7692 §7.1.2).
fn window(value: &str) -> Option<u8> {
    let digits = !value.starts_with('0') && value.bytes().all(|byte| byte.is_ascii_digit());
    value.parse().ok().filter(|bits| digits && (8..=WINDOW_BITS_MAX).contains(bits))
}

impl DeflateConfig {
    /// A server's response to the first of a client's offers that it can accept.
    pub(crate) fn respond(&self, offers: &[Extension<'_>]) -> Option<AcceptedOffer> {
        let offers = offers.iter().filter(|extension| extension.name == NAME);
        offers.filter_map(|offer| Params::parse(offer, true)).find_map(|offer| self.accept(&offer))
    }

    fn accept(&self, offer: &Params) -> Option<AcceptedOffer> {
        let send_window = self.send_window.min(offer.server_window.unwrap_or(WINDOW_BITS_MAX));
        // The compressor supports no window that small.
        if send_window < WINDOW_BITS_MIN {
            return None;
        }
        let receive_window = match offer.client_window {
            None => WINDOW_BITS_MAX,
            Some(ClientWindow::Any) => self.receive_window,
            Some(ClientWindow::AtMost(bits)) => self.receive_window.min(bits),
        };
        let says_send_window = offer.server_window.is_some() || send_window < WINDOW_BITS_MAX;
        let params = Params {
            server_no_context: offer.server_no_context || !self.send_context,
            client_no_context: offer.client_no_context || !self.allows_context(),
            server_window: says_send_window.then_some(send_window),
            client_window: (receive_window < WINDOW_BITS_MAX)
                .then_some(ClientWindow::AtMost(receive_window)),
        };
        let send = Direction { context: !params.server_no_context, window: send_window };
        let receive = Direction { context: !params.client_no_context, window: receive_window };
        Some(AcceptedOffer { params, agreement: self.agreement(Some(send), receive) })
    }

    /// What a client offers.
    pub(crate) fn offer(&self) -> Params {
        let smaller = |window| (window < WINDOW_BITS_MAX).then_some(window);
        Params {
            server_no_context: !self.allows_context(),
            client_no_context: !self.send_context,
            server_window: smaller(self.receive_window),
            client_window: Some(
                smaller(self.send_window).map_or(ClientWindow::Any, ClientWindow::AtMost),
            ),
        }
    }

    fn allows_context(&self) -> bool {
        self.receive_context == ReceiveContext::Allowed
    }

    /// What a server's response to [`offer`](Self::offer) agrees on. `None` if the server declines.
    ///
    /// A server that keeps its context against the offer is tolerated, unless the application
    /// forbade it.
    ///
    /// # Errors
    ///
    /// The response does not fit the offer.
    pub(crate) fn conclude(
        &self,
        response: &[Extension<'_>],
    ) -> Result<Option<DeflateAgreement>, HandshakeError> {
        let response = match response {
            [] => return Ok(None),
            [response] if response.name == NAME => Params::parse(response, false),
            _ => return Err(HandshakeError::UnaskedExtension),
        };
        let offer = self.offer();
        let response = response
            .filter(|response| {
                response.server_no_context || self.receive_context != ReceiveContext::Forbidden
            })
            .filter(|response| match offer.server_window {
                Some(most) => response.server_window.is_some_and(|bits| bits <= most),
                None => true,
            })
            .ok_or(HandshakeError::ExtensionMismatch)?;
        let send_window = match response.client_window {
            Some(ClientWindow::AtMost(bits)) => self.send_window.min(bits),
            _ => self.send_window,
        };
        let send = Direction {
            context: self.send_context && !response.client_no_context,
            window: send_window,
        };
        let receive = Direction {
            context: !response.server_no_context,
            window: response.server_window.unwrap_or(WINDOW_BITS_MAX),
        };
        let send = Some(send).filter(|send| send.window >= WINDOW_BITS_MIN);
        Ok(Some(self.agreement(send, receive)))
    }

    const fn agreement(&self, send: Option<Direction>, receive: Direction) -> DeflateAgreement {
        DeflateAgreement { level: self.level, min_size: self.min_size, send, receive }
    }
}

#[cfg(test)]
#[cfg(feature = "deflate")]
mod tests;
