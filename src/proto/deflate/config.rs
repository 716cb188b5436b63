/// How messages are compressed: `permessage-deflate` (RFC 7692). Needs the feature `deflate`.
///
/// Both ends must support it. A client offers it, and a server accepts the offer. They agree for
/// one connection and for each direction separately.
///
/// By default each message is compressed without the context of earlier ones. Then connections own
/// no memory for compression: they share one decompressor, and one compressor for each setting.
/// Only with [`context_takeover`](Self::context_takeover) each connection has its own.
///
/// The length of a compressed message reveals something about its content. Suppose that a message
/// has a secret beside text that an attacker chose, and that the attacker sees its length. Then the
/// attacker can guess the secret. Send secrets as
/// [`Outgoing::uncompressed`](crate::Outgoing::uncompressed).
///
/// ```
/// # #[cfg(feature = "deflate")] {
/// use eventwire::ServerConfig;
/// use eventwire::proto::DeflateConfig;
///
/// let config = ServerConfig::default().deflate(DeflateConfig::default().min_size(512));
/// # drop(config);
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct DeflateConfig {
    pub(super) level: u8,
    pub(super) min_size: usize,
    pub(super) send_context: bool,
    pub(super) receive_context: ReceiveContext,
    pub(super) send_window: u8,
    pub(super) receive_window: u8,
}

/// Whether a received message may refer to earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum ReceiveContext {
    Allowed,
    /// The peer is asked not to do so, but may.
    Unwanted,
    /// The application forbids it.
    Forbidden,
}

/// The largest window, in bits: 32 KiB (RFC 7692 §7.1.2).
pub(super) const WINDOW_BITS_MAX: u8 = 15;

/// The smallest window for compression, in bits. RFC 7692 §7.1.2 allows 8, too, which the
/// compressor does not support.
pub(super) const WINDOW_BITS_MIN: u8 = 9;

impl Default for DeflateConfig {
    fn default() -> Self {
        Self {
            level: 3,
            min_size: 1024,
            send_context: false,
            receive_context: ReceiveContext::Unwanted,
            send_window: WINDOW_BITS_MAX,
            receive_window: WINDOW_BITS_MAX,
        }
    }
}

impl DeflateConfig {
    /// The level of compression, from 1 (fastest) to 9 (shortest). Default: 3. Other values are
    /// clamped.
    #[must_use]
    pub const fn level(mut self, level: u8) -> Self {
        self.level = clamp(level, 1, 9);
        self
    }

    /// The shortest message that is compressed, in bytes. Default: 1,024. Compression of shorter
    /// messages saves little for its time.
    #[must_use]
    pub const fn min_size(mut self, bytes: usize) -> Self {
        self.min_size = bytes;
        self
    }

    /// Whether sent and received messages may refer to earlier ones. Default: neither.
    ///
    /// References make short, similar messages much shorter. In return every connection has its own
    /// compressor and a window of received bytes: with windows of 15 bits 371 KiB and up to 32 KiB,
    /// as long as the connection lasts. No limit on memory counts these.
    ///
    /// The peer can decline. Against RFC 7692 §7.1.1.1, a server may keep its context though the
    /// client asked it not to. By default a client tolerates that and keeps the window. If
    /// `receive` was set to `false`, the client ends the opening handshake with
    /// [`ExtensionMismatch`].
    ///
    /// [`ExtensionMismatch`]: crate::proto::handshake::HandshakeError::ExtensionMismatch
    #[must_use]
    pub const fn context_takeover(mut self, send: bool, receive: bool) -> Self {
        self.send_context = send;
        self.receive_context =
            if receive { ReceiveContext::Allowed } else { ReceiveContext::Forbidden };
        self
    }

    /// How far back sent and received messages may refer, in bits: the window has that power of two
    /// of bytes. From 9 to 15, default 15, which is 32 KiB. Other values are clamped. A smaller
    /// window saves memory with [context takeover](Self::context_takeover): with 9 bits a
    /// compressor takes 245 KiB, and a window 512 bytes.
    ///
    /// The peer may ask for a smaller window in what it receives, and may not support a smaller one
    /// in what it sends. If a client sets less than 15 bits for what it receives and the server
    /// does not agree, the client ends the opening handshake with [`ExtensionMismatch`].
    ///
    /// [`ExtensionMismatch`]: crate::proto::handshake::HandshakeError::ExtensionMismatch
    #[must_use]
    pub const fn window_bits(mut self, send: u8, receive: u8) -> Self {
        self.send_window = clamp(send, WINDOW_BITS_MIN, WINDOW_BITS_MAX);
        self.receive_window = clamp(receive, WINDOW_BITS_MIN, WINDOW_BITS_MAX);
        self
    }
}

const fn clamp(value: u8, min: u8, max: u8) -> u8 {
    if value < min {
        min
    } else if value > max {
        max
    } else {
        value
    }
}
