//! What names a tag.

use std::fmt;

/// A tag's key: text, such as `"user:42"`, or a number, such as a user's id. [`Connection::tag`]
/// and everything else that takes a key accepts either:
///
/// ```
/// use eventwire::{CloseCode, Context, Tag};
///
/// fn sign_out(user: u64, device: &str, cx: &mut Context<'_>) {
///     cx.close_tagged(user, CloseCode::POLICY, "signed out");
///     cx.close_tagged(device, CloseCode::POLICY, "signed out");
/// }
/// # assert_eq!(Tag::from("7"), Tag::Text("7"));
/// # assert_ne!(Tag::from("7"), Tag::from(7_u64));
/// ```
///
/// Text has 1 to 256 bytes ([`MAX_LEN`](Self::MAX_LEN)) and is compared byte by byte. A number and
/// its digits as text are different keys.
///
/// [`Connection::tag`]: crate::Connection::tag
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tag<'a> {
    /// Text, which the loop copies once for each tag.
    Text(&'a str),
    /// A number, which takes no memory for a name.
    Number(u64),
}

impl Tag<'_> {
    /// The longest text, in bytes: as long as a topic's name, and longer than the names and ids
    /// that applications use.
    pub const MAX_LEN: usize = 256;
}

impl<'a> From<&'a str> for Tag<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text)
    }
}

impl<'a> From<&'a String> for Tag<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for Tag<'_> {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for Tag<'_> {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl fmt::Display for Tag<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => text.fmt(f),
            Self::Number(number) => number.fmt(f),
        }
    }
}
