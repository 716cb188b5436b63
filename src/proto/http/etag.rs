//! Entity tags (RFC 9110 §8.8.3).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha1::{Digest, Sha1};

/// A strong entity tag in quotes, as a header has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EntityTag(String);

/// How two entity tags are compared (RFC 9110 §8.8.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    /// A weak tag equals none: the bytes must be the same.
    Strong,
    /// A weak tag equals the strong one with the same text.
    Weak,
}

impl EntityTag {
    /// The tag of this content, which no other content has.
    pub(super) fn of(content: &[u8]) -> Self {
        let digest = URL_SAFE_NO_PAD.encode(Sha1::digest(content));
        Self(format!("\"{digest}\""))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the list, which is the value of a header, is `*` or has this tag. A list ends where
    /// it is malformed.
    pub(super) fn is_in(&self, list: &[u8], comparison: Comparison) -> bool {
        list.trim_ascii() == b"*" || tags(list).any(|tag| self.equals(tag, comparison))
    }

    /// Whether the value of a header is this tag alone.
    pub(super) fn is(&self, value: &[u8]) -> bool {
        self.0.as_bytes() == value
    }

    fn equals(&self, tag: Tag<'_>, comparison: Comparison) -> bool {
        let is_comparable = !tag.is_weak || comparison == Comparison::Weak;
        is_comparable && self.0.as_bytes() == tag.quoted
    }
}

/// An entity tag that a client has sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tag<'a> {
    is_weak: bool,
    /// With its quotes.
    quoted: &'a [u8],
}

/// The tags of a list, up to what is malformed. Empty elements are left out (RFC 9110 §5.6.1.2).
fn tags(list: &[u8]) -> impl Iterator<Item = Tag<'_>> {
    let mut rest = list;
    std::iter::from_fn(move || {
        // Commas and white space separate tags, and may be missing only before the first.
        let is_separator = |byte: &u8| matches!(byte, b',' | b' ' | b'\t');
        let count = rest.iter().take_while(|byte| is_separator(byte)).count();
        if rest.len() != list.len() && !rest[..count].contains(&b',') {
            return None;
        }
        let (tag, behind) = first_tag(&rest[count..])?;
        rest = behind;
        Some(tag)
    })
}

/// The tag in front, and what follows it.
fn first_tag(text: &[u8]) -> Option<(Tag<'_>, &[u8])> {
    let strong = text.strip_prefix(b"W/");
    let (is_weak, text) = (strong.is_some(), strong.unwrap_or(text));
    let opaque = text.strip_prefix(b"\"")?;
    let len = opaque.iter().take_while(|byte| is_tag_byte(**byte)).count();
    if opaque.get(len) != Some(&b'"') {
        return None;
    }
    let (quoted, behind) = text.split_at(len + 2);
    Some((Tag { is_weak, quoted }, behind))
}

/// Whether a tag may have the byte between its quotes.
const fn is_tag_byte(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x7E | 0x80..)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tag(text: &str) -> EntityTag {
        EntityTag(format!("\"{text}\""))
    }

    #[test]
    fn the_tag_of_a_content_is_its_digest() {
        // The digest of the empty string.
        assert_eq!(EntityTag::of(b"").as_str(), "\"2jmj7l5rSw0yVb_vlWAYkK_YBwk\"");
        assert_ne!(EntityTag::of(b"a"), EntityTag::of(b"b"));
    }

    /// The table of RFC 9110 §8.8.3.2. This side is always strong.
    #[test]
    fn tags_are_compared_as_the_rfc_says() {
        for (other, strong, weak) in [
            ("W/\"1\"", false, true),
            ("W/\"2\"", false, false),
            ("\"1\"", true, true),
            ("\"2\"", false, false),
        ] {
            let is_in = |comparison| tag("1").is_in(other.as_bytes(), comparison);
            assert_eq!(is_in(Comparison::Strong), strong, "{other}");
            assert_eq!(is_in(Comparison::Weak), weak, "{other}");
            assert_eq!(tag("1").is(other.as_bytes()), strong);
        }
    }

    #[test]
    fn lists_are_read_up_to_what_is_malformed() {
        for (list, expected) in [
            ("*", true),
            (" * ", true),
            ("*, \"b\"", false),
            ("", false),
            ("\"a\"", true),
            // The examples of RFC 9110 §13.1.1 and §13.1.2.
            ("\"xyzzy\", \"r2d2xxxx\", \"c3piozzzz\", \"a\"", true),
            ("W/\"xyzzy\", W/\"r2d2xxxx\", W/\"a\"", true),
            (",, \t\"b\" ,,\"a\",", true),
            ("\"b,\", \"a\"", true),
            ("\"b,\\\", \"a\"", true),
            ("\"\", \"a\"", true),
            ("\"\u{e9}\", \"a\"", true),
            ("\"b\" \"a\"", false),
            ("\"b\"\"a\"", false),
            ("b, \"a\"", false),
            ("w/\"a\"", false),
            ("W/ \"a\"", false),
            ("\"b c\", \"a\"", false),
            ("\"a", false),
            ("a", false),
        ] {
            assert_eq!(tag("a").is_in(list.as_bytes(), Comparison::Weak), expected, "{list}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            written in proptest::collection::vec((any::<bool>(), "[!#-~\u{e9}]{0,6}"), 1..6),
            separator in "[ \t]{0,2},[ \t,]{0,3}",
        ) {
            let write = |(is_weak, text): &(bool, String)| {
                format!("{}\"{text}\"", if *is_weak { "W/" } else { "" })
            };
            let list = written.iter().map(write).collect::<Vec<_>>().join(&separator);
            let quoted = |text: &String| format!("\"{text}\"").into_bytes();
            let expected: Vec<_> =
                written.iter().map(|(is_weak, text)| (*is_weak, quoted(text))).collect();
            let read: Vec<_> =
                tags(list.as_bytes()).map(|tag| (tag.is_weak, tag.quoted.to_vec())).collect();
            prop_assert_eq!(read, expected);
        }

        #[test]
        fn any_list_is_read(list in "[\"W/*, \ta]{0,24}") {
            let read: usize = tags(list.as_bytes()).map(|tag| tag.quoted.len()).sum();
            prop_assert!(read <= list.len());
        }
    }
}
