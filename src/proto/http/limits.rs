/// How much of a head is read before its sender is refused.
///
/// The defaults let every real request pass, cookies included, and bound what a connection may
/// cost before it is known who asks. Lists have a limit of their own ([`Self::ELEMENTS_MAX`]), so
/// that the time to read a head is proportional to its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// The longest head, in bytes, with the empty line that ends it. Default: 16 KiB, as with
    /// common HTTP servers and proxies.
    pub bytes: usize,
    /// The longest line, in bytes, without its CR LF. Default: 8 KiB, room for one large cookie.
    pub line: usize,
    /// The most header lines. Default: 100. Browsers send about twenty, proxies add a few.
    pub headers: usize,
}

impl HeadLimits {
    /// The most elements of a list, over all lines of its header: `Connection`, `Upgrade`,
    /// `Sec-WebSocket-Protocol`, `Sec-WebSocket-Extensions`, and the headers of trusted proxies.
    /// Empty elements and the parameters of extensions count. A request with more is refused with
    /// 431 ([`HttpError::TooManyElements`](super::HttpError::TooManyElements)).
    ///
    /// 64 is more than any real client sends. Each element is compared with others, so that the
    /// work grows faster than the list.
    pub const ELEMENTS_MAX: usize = 64;
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { bytes: 16 * 1024, line: 8 * 1024, headers: 100 }
    }
}
