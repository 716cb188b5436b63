//! Agreeing on `permessage-deflate` and its four parameters (RFC 7692 §7.1).

use super::config::{DeflateConfig, ReceiveContext, WINDOW_BITS_MAX, WINDOW_BITS_MIN};
use crate::proto::handshake::{Extension, HandshakeError, Param};

const NAME: &str = "permessage-deflate";

const SERVER_NO_CONTEXT: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT: &str = "client_no_context_takeover";
const SERVER_WINDOW: &str = "server_max_window_bits";
const CLIENT_WINDOW: &str = "client_max_window_bits";

/// The parameters of one offer, or of the answer to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Params {
    server_no_context: bool,
    client_no_context: bool,
    server_window: Option<u8>,
    client_window: Option<ClientWindow>,
}

/// What is said of the window that the client compresses with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClientWindow {
    /// It can be told which. Only in an offer.
    Any,
    /// No more than so many bits.
    AtMost(u8),
}

/// What an opening handshake agreed of compression for one connection, as this end sees it:
/// [`Acceptance::agreement`] for a server, [`Accepted::agreement`] for a client.
///
/// [`Acceptance::agreement`]: crate::proto::handshake::Acceptance::agreement
/// [`Accepted::agreement`]: crate::proto::handshake::Accepted::agreement
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateAgreement {
    pub(super) level: u8,
    pub(super) min_size: usize,
    /// `None`: the peer wants a window so small that nothing is compressed for it, which is
    /// always allowed (RFC 7692 §6).
    pub(super) send: Option<Direction>,
    pub(super) receive: Direction,
}

/// One direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Direction {
    /// Messages may refer to those before them.
    pub(super) context: bool,
    /// How far back, in bits.
    pub(super) window: u8,
}

/// A server's response to an offer, and what is agreed by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AcceptedOffer {
    pub(crate) params: Params,
    pub(crate) agreement: DeflateAgreement,
}

impl Params {
    /// The parameters of `extension`; `None` if they are none that RFC 7692 allows. An offer
    /// with such is to be declined, an answer to be failed.
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

    /// The extension as it stands in the header.
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

/// Notes a parameter that has no value and may be there once.
fn flag(flag: &mut bool, value: Option<&str>) -> Option<()> {
    (value.is_none() && !std::mem::replace(flag, true)).then_some(())
}

/// Notes a value that may be there once.
fn once<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}

/// A number from 8 to 15, without leading zeros (RFC 7692 §7.1.2).
fn window(value: &str) -> Option<u8> {
    let digits = !value.starts_with('0') && value.bytes().all(|byte| byte.is_ascii_digit());
    value.parse().ok().filter(|bits| digits && (8..=WINDOW_BITS_MAX).contains(bits))
}

impl DeflateConfig {
    /// A server's answer to the first of a client's offers that it can accept, and what is agreed
    /// by it.
    pub(crate) fn respond(&self, offers: &[Extension<'_>]) -> Option<AcceptedOffer> {
        let offers = offers.iter().filter(|extension| extension.name == NAME);
        offers.filter_map(|offer| Params::parse(offer, true)).find_map(|offer| self.accept(&offer))
    }

    fn accept(&self, offer: &Params) -> Option<AcceptedOffer> {
        let send_window = self.send_window.min(offer.server_window.unwrap_or(WINDOW_BITS_MAX));
        // Nothing would be compressed for such a client: better none of it.
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

    /// What is agreed by a server's answer to [`offer`](Self::offer); nothing if it declines. One
    /// that goes on with a context, against that offer, is taken if the application does not mind.
    ///
    /// # Errors
    ///
    /// When the answer is not one to that offer.
    pub(crate) fn conclude(
        &self,
        answer: &[Extension<'_>],
    ) -> Result<Option<DeflateAgreement>, HandshakeError> {
        let answer = match answer {
            [] => return Ok(None),
            [answer] if answer.name == NAME => Params::parse(answer, false),
            _ => return Err(HandshakeError::UnaskedExtension),
        };
        let offer = self.offer();
        let answer = answer
            .filter(|answer| {
                answer.server_no_context || self.receive_context != ReceiveContext::Forbidden
            })
            .filter(|answer| match offer.server_window {
                Some(most) => answer.server_window.is_some_and(|bits| bits <= most),
                None => true,
            })
            .ok_or(HandshakeError::ExtensionMismatch)?;
        let send_window = match answer.client_window {
            Some(ClientWindow::AtMost(bits)) => self.send_window.min(bits),
            _ => self.send_window,
        };
        let send = Direction {
            context: self.send_context && !answer.client_no_context,
            window: send_window,
        };
        let receive = Direction {
            context: !answer.server_no_context,
            window: answer.server_window.unwrap_or(WINDOW_BITS_MAX),
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
