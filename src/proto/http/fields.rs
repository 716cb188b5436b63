use std::mem::MaybeUninit;
use std::str;

use httparse::Header;

use super::{HeadLimits, HttpError};

/// The header lines of a parsed head, in their order.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a>(Vec<Header<'a>>);

/// As many header lines as the default limit allows.
const INLINE_HEADERS_MAX: usize = 100;

/// Room for header lines, for `httparse` to fill.
#[derive(Debug)]
pub(crate) struct HeaderBuffer<'a> {
    inline: [MaybeUninit<Header<'a>>; INLINE_HEADERS_MAX],
    /// Of which there are none unless a limit allows more than `inline` has room for.
    heap: Vec<MaybeUninit<Header<'a>>>,
}

impl<'a> HeaderBuffer<'a> {
    pub(crate) const fn new() -> Self {
        Self { inline: [const { MaybeUninit::uninit() }; INLINE_HEADERS_MAX], heap: Vec::new() }
    }

    /// Room for those of `head`.
    pub(crate) fn slots_for(
        &mut self,
        head: &[u8],
        limits: &HeadLimits,
    ) -> &mut [MaybeUninit<Header<'a>>] {
        if limits.headers <= INLINE_HEADERS_MAX {
            return &mut self.inline[..limits.headers];
        }
        // A generous limit must not cost a small head: the shortest header line is `a:` CR LF.
        self.heap.resize(limits.headers.min(head.len() / 4), MaybeUninit::uninit());
        &mut self.heap
    }
}

impl<'a> Fields<'a> {
    pub(crate) fn new(lines: &[Header<'a>]) -> Self {
        Self(lines.to_vec())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.0.iter().map(|line| (line.name, line.value))
    }

    /// The value of the first header called `name`, if it is UTF-8.
    pub(crate) fn text(&self, name: &str) -> Option<&'a str> {
        self.values(name).next().and_then(|value| str::from_utf8(value).ok())
    }

    /// The values of all headers called `name`.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let index = self.find(name, at)?;
            at = index + 1;
            let value = self.0[index].value;
            #[cfg(test)]
            walked::add(value.len());
            Some(value)
        })
    }

    /// The first line from `start` on that is called `name`.
    #[inline(never)]
    fn find(&self, name: &str, start: usize) -> Option<usize> {
        let mut lines = self.0.get(start..)?.iter();
        // Most are written exactly so: one comparison is enough.
        let is_it = |its: &str| its == name || its.eq_ignore_ascii_case(name);
        Some(start + lines.position(|line| is_it(line.name))?)
    }

    /// The value of a header that may come once at most.
    #[inline(never)]
    pub(crate) fn single(&self, name: &'static str) -> Result<Option<&'a [u8]>, HttpError> {
        let mut values = self.values(name);
        let first = values.next();
        match values.next() {
            None => Ok(first),
            Some(_) => Err(HttpError::RepeatedHeader(name)),
        }
    }

    /// The value of a header that must come exactly once.
    pub(crate) fn required(&self, name: &'static str) -> Result<&'a [u8], HttpError> {
        self.single(name)?.ok_or(HttpError::MissingHeader(name))
    }

    /// The elements of a list which may be spread over several lines. Empty ones are left out
    /// (RFC 9110 §5.6.1.2), but they count: instead of the first element beyond
    /// [`HeadLimits::ELEMENTS_MAX`] comes an error.
    pub(crate) fn elements(
        &self,
        name: &'static str,
    ) -> impl Iterator<Item = Result<&'a [u8], HttpError>> {
        let pieces = self.values(name).flat_map(|value| value.split_inclusive(is_comma));
        let elements = pieces.enumerate().map(move |(index, piece)| {
            if index >= HeadLimits::ELEMENTS_MAX {
                return Err(HttpError::too_many_elements(name));
            }
            Ok(trim(piece))
        });
        elements.filter(|element| !matches!(element, Ok([])))
    }

    /// Whether the list called `name` has `token`, in whatever case. It is read to its end, so that
    /// its limit holds wherever the token stands.
    #[inline(never)]
    pub(crate) fn has_token(&self, name: &'static str, token: &str) -> Result<bool, HttpError> {
        let (mut count, mut has_it) = (0, false);
        for piece in self.values(name).flat_map(|value| value.split_inclusive(is_comma)) {
            count += 1;
            has_it |= trim(piece).eq_ignore_ascii_case(token.as_bytes());
        }
        match count > HeadLimits::ELEMENTS_MAX {
            true => Err(HttpError::too_many_elements(name)),
            false => Ok(has_it),
        }
    }

    /// Refuses a list with more elements than [`HeadLimits::ELEMENTS_MAX`].
    pub(crate) fn check_list(&self, name: &'static str) -> Result<(), HttpError> {
        self.elements(name).try_for_each(|element| element.map(drop))
    }

    /// Refuses what announces a body: some proxy on the way might believe it.
    pub(crate) fn check_no_body(&self) -> Result<(), HttpError> {
        if self.values("Transfer-Encoding").next().is_some() {
            return Err(HttpError::BodyNotAllowed);
        }
        match self.single("Content-Length")? {
            None | Some(b"0") => Ok(()),
            Some(_) => Err(HttpError::BodyNotAllowed),
        }
    }
}

/// An element without the comma behind it.
fn trim(piece: &[u8]) -> &[u8] {
    piece.strip_suffix(b",").unwrap_or(piece).trim_ascii()
}

fn is_comma(byte: &u8) -> bool {
    *byte == b','
}

/// Whether `text` is a token (RFC 9110 §5.6.2): the name of a header or of a subprotocol.
pub(crate) fn is_token(text: &[u8]) -> bool {
    !text.is_empty()
        && text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

/// How many bytes of values were walked through on this thread: what a head costs beyond its first
/// reading.
#[cfg(test)]
pub(crate) mod walked {
    use std::cell::Cell;

    thread_local! {
        static BYTES: Cell<usize> = const { Cell::new(0) };
    }

    pub(crate) fn add(bytes: usize) {
        BYTES.set(BYTES.get() + bytes);
    }

    /// The bytes since the last call.
    pub(crate) fn take() -> usize {
        BYTES.take()
    }
}
