/// How messages are compressed: `permessage-deflate` (RFC 7692), of which both ends must know.
///
/// A server compresses for those clients that offer it, and a client offers it. What is agreed
/// holds for one connection, in each direction by itself.
///
/// By default each message is compressed by itself. Then no connection has any memory for it: the
/// loop's one decompressor, and one compressor for each setting, serve all. Only
/// [`context_takeover`](Self::context_takeover) makes connections own theirs.
///
/// Compressed text tells by its length what is in it. Who can have text of their own put into a
/// message beside a secret, and sees how long it comes out, can guess the secret. Send secrets
/// as [`Outgoing::uncompressed`](crate::Outgoing::uncompressed).
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

/// Whether what is received may refer to what was received before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum ReceiveContext {
    Allowed,
    /// The peer is asked not to; it may all the same.
    Unwanted,
    /// The application says that it must not.
    Forbidden,
}

/// The largest window, in bits: 32 KiB (RFC 7692 §7.1.2).
pub(super) const WINDOW_BITS_MAX: u8 = 15;

/// The smallest window that is compressed with, in bits. RFC 7692 §7.1.2 has 8 too, which the
/// compressor does not know.
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
    /// How much work is spent to make messages shorter, from 1 to 9. Default: 3. Others become
    /// the nearest of these.
    #[must_use]
    pub const fn level(mut self, level: u8) -> Self {
        self.level = clamp(level, 1, 9);
        self
    }

    /// Messages shorter than this many bytes are sent as they are. Default: 1,024, below which
    /// little is gained that is worth the time.
    #[must_use]
    pub const fn min_size(mut self, bytes: usize) -> Self {
        self.min_size = bytes;
        self
    }

    /// Whether a message may refer to what was in those before it, sent and received. Default:
    /// neither. It makes short, similar messages much shorter, and costs every connection its own
    /// compressor, and a window of what it received: with windows of 15 bits 371 KiB and up to
    /// 32 KiB, for as long as the connection lasts, which no limit on memory counts.
    ///
    /// The peer may be against it: then it is not done. A server may go on with contexts though
    /// the client asks it not to, against RFC 7692 §7.1.1.1: by default a client puts up with the
    /// window that this costs it, and one for which `receive` was set to `false` ends the opening
    /// handshake with [`ExtensionMismatch`].
    ///
    /// [`ExtensionMismatch`]: crate::proto::handshake::HandshakeError::ExtensionMismatch
    #[must_use]
    pub const fn context_takeover(mut self, send: bool, receive: bool) -> Self {
        self.send_context = send;
        self.receive_context =
            if receive { ReceiveContext::Allowed } else { ReceiveContext::Forbidden };
        self
    }

    /// How far back a message may refer, as a power of two, from 9 to 15. Default: 15 both ways,
    /// 32 KiB. Others become the nearest of these. Less spares memory where there is
    /// [context takeover](Self::context_takeover): with 9 bits a compressor takes 245 KiB, and a
    /// window 512 bytes.
    ///
    /// The peer may want less for what it is sent, and it may be unable to do with less for what
    /// it sends. A client that wants less than 15 bits of its server means it: a server that does
    /// not agree ends the opening handshake with [`ExtensionMismatch`].
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
