use std::mem::MaybeUninit;
use std::str;

use httparse::Header;

use super::{HeadLimits, HttpError};

/// The header lines of a parsed head, in order.
#[derive(Clone, Debug)]
pub(crate) struct Fields<'a> {
    lines: Lines<'a>,
    /// The [`name_bit`]s of their names. Most headers that are asked for are missing, and found to
    /// be so without a look at the lines.
    name_bits: u64,
}

/// Where parsed header lines are.
#[derive(Clone, Debug)]
enum Lines<'a> {
    /// In a [`HeaderBuffer`].
    Borrowed(&'a [Header<'a>]),
    Owned(Vec<Header<'a>>),
}

/// The default limit of header lines.
const INLINE_HEADERS_MAX: usize = 100;

/// Room for header lines, for `httparse` to fill.
#[derive(Debug)]
pub(crate) struct HeaderBuffer<'a> {
    inline: [MaybeUninit<Header<'a>>; INLINE_HEADERS_MAX],
    /// Used if the limit allows more than `inline` has room for.
    heap: Vec<MaybeUninit<Header<'a>>>,
}

impl<'a> HeaderBuffer<'a> {
    pub(crate) const fn new() -> Self {
        Self { inline: [const { MaybeUninit::uninit() }; INLINE_HEADERS_MAX], heap: Vec::new() }
    }

    /// Room for the header lines of `head`.
    pub(crate) fn slots_for(
        &mut self,
        head: &[u8],
        limits: &HeadLimits,
    ) -> &mut [MaybeUninit<Header<'a>>] {
        if limits.headers <= INLINE_HEADERS_MAX {
            return &mut self.inline[..limits.headers];
        }
        // The shortest header line is `a:` CR LF, so a small head needs little room even if the
        // limit is high.
        self.heap.resize(limits.headers.min(head.len() / 4), MaybeUninit::uninit());
        &mut self.heap
    }
}

impl<'a> Fields<'a> {
    /// Lines that stay in a [`HeaderBuffer`].
    pub(crate) fn borrowed(lines: &'a [Header<'a>]) -> Self {
        Self { name_bits: name_bits(lines), lines: Lines::Borrowed(lines) }
    }

    /// A copy of lines.
    pub(crate) fn copied(lines: &[Header<'a>]) -> Self {
        Self { name_bits: name_bits(lines), lines: Lines::Owned(lines.to_vec()) }
    }

    fn lines(&self) -> &[Header<'a>] {
        match &self.lines {
            Lines::Borrowed(lines) => lines,
            Lines::Owned(lines) => lines,
        }
    }

    /// Whether there may be a header with this name.
    #[inline]
    fn may_have(&self, name: &str) -> bool {
        self.name_bits & name_bit(name) != 0
    }

    /// Whether there may be a header that declares a body, or an expectation of one.
    #[inline]
    pub(crate) const fn may_have_body(&self) -> bool {
        const BITS: u64 =
            name_bit("Content-Length") | name_bit("Transfer-Encoding") | name_bit("Expect");
        self.name_bits & BITS != 0
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.lines().iter().map(|line| (line.name, line.value))
    }

    /// The value of the first header with this name, if it is UTF-8.
    pub(crate) fn text(&self, name: &str) -> Option<&'a str> {
        self.values(name).next().and_then(|value| str::from_utf8(value).ok())
    }

    /// The values of all headers with this name.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        let lines = if self.may_have(name) { self.lines() } else { &[] };
        let is_named = |line: &&Header<'_>| is_same_name(line.name, name);
        lines.iter().filter(is_named).map(|line| {
            #[cfg(test)]
            walked::add(line.value.len());
            line.value
        })
    }

    /// The value of a header that may occur at most once.
    #[inline]
    pub(crate) fn single(&self, name: &'static str) -> Result<Option<&'a [u8]>, HttpError> {
        if self.may_have(name) { self.search_single(name) } else { Ok(None) }
    }

    #[inline(never)]
    fn search_single(&self, name: &'static str) -> Result<Option<&'a [u8]>, HttpError> {
        let mut values = self.values(name);
        let first = values.next();
        match values.next() {
            None => Ok(first),
            Some(_) => Err(HttpError::RepeatedHeader(name)),
        }
    }

    /// The value of a header that must occur exactly once.
    pub(crate) fn required(&self, name: &'static str) -> Result<&'a [u8], HttpError> {
        self.single(name)?.ok_or(HttpError::MissingHeader(name))
    }

    /// The elements of a list, which may be spread over several lines. Empty elements are left out
    /// (RFC 9110 §5.6.1.2), but count against [`HeadLimits::ELEMENTS_MAX`]. Each element beyond the
    /// limit is an error.
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

    /// Whether the list with this name has `token`, in any case. The whole list is read, so that
    /// its limit applies wherever the token is.
    #[inline]
    pub(crate) fn has_token(&self, name: &'static str, token: &str) -> Result<bool, HttpError> {
        if self.may_have(name) { self.search_token(name, token) } else { Ok(false) }
    }

    #[inline(never)]
    fn search_token(&self, name: &'static str, token: &str) -> Result<bool, HttpError> {
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
    #[inline]
    pub(crate) fn check_list(&self, name: &'static str) -> Result<(), HttpError> {
        if self.may_have(name) { self.check_elements(name) } else { Ok(()) }
    }

    #[inline(never)]
    fn check_elements(&self, name: &'static str) -> Result<(), HttpError> {
        self.elements(name).try_for_each(|element| element.map(drop))
    }

    /// Refuses a head that announces a body. A proxy on the way may expect the body.
    #[inline]
    pub(crate) fn check_no_body(&self) -> Result<(), HttpError> {
        if self.may_have_body() { self.search_body() } else { Ok(()) }
    }

    #[inline(never)]
    fn search_body(&self) -> Result<(), HttpError> {
        if self.values("Transfer-Encoding").next().is_some() {
            return Err(HttpError::BodyNotAllowed);
        }
        match self.single("Content-Length")? {
            None | Some(b"0") => Ok(()),
            Some(_) => Err(HttpError::BodyNotAllowed),
        }
    }
}

/// Whether both are the same name of a header. Most names are written in the usual case, so that
/// one comparison is enough.
fn is_same_name(a: &str, b: &str) -> bool {
    a.len() == b.len() && (a == b || a.eq_ignore_ascii_case(b))
}

fn name_bits(lines: &[Header<'_>]) -> u64 {
    lines.iter().fold(0, |bits, line| bits | name_bit(line.name))
}

/// One of 64 bits, by the length and the first letter of a header's name. Names that differ only in
/// case have the same bit, and few of the usual ones share theirs.
#[inline]
const fn name_bit(name: &str) -> u64 {
    let first = match name.as_bytes() {
        [first, ..] => first.to_ascii_lowercase(),
        [] => 0,
    };
    1_u64.rotate_left((first as u32).wrapping_add(name.len() as u32))
}

/// The element without the comma after it, and without white space around it.
fn trim(piece: &[u8]) -> &[u8] {
    piece.strip_suffix(b",").unwrap_or(piece).trim_ascii()
}

fn is_comma(byte: &u8) -> bool {
    *byte == b','
}

/// Whether `text` is a token (RFC 9110 §5.6.2), as names of headers and subprotocols are.
pub(crate) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().copied().all(is_token_byte)
}

/// Whether a token may contain `byte`.
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Counts the bytes of header values that are read again after the head was parsed, on this thread.
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
