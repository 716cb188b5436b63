//! Ranges of bytes (RFC 9110 §14).

use std::ops::Range;

/// What a request asks for of a content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Requested {
    /// All of it: the header is malformed, of another unit, or asks for several parts.
    Whole,
    /// This part, which is not empty.
    Part(Range<usize>),
    /// A part that begins behind the end.
    Unsatisfiable,
}

/// What the value of `Range` asks for of a content of `len` bytes.
pub(super) fn requested(value: &[u8], len: usize) -> Requested {
    let Some(set) = std::str::from_utf8(value).ok().and_then(after_unit) else {
        return Requested::Whole;
    };
    let is_space = |character| matches!(character, ' ' | '\t');
    let specs = set.split(',').map(|spec| spec.trim_matches(is_space));
    let mut specs = specs.filter(|spec| !spec.is_empty());
    match (specs.next(), specs.next()) {
        (Some(only), None) => part(only, len).unwrap_or(Requested::Whole),
        _ => Requested::Whole,
    }
}

/// What follows the unit `bytes`, whose case does not matter (RFC 9110 §14.1).
fn after_unit(value: &str) -> Option<&str> {
    let (unit, set) = value.split_once('=')?;
    unit.eq_ignore_ascii_case("bytes").then_some(set)
}

/// The part that one element names. `None` if it is malformed.
fn part(spec: &str, len: usize) -> Option<Requested> {
    let (first, last) = spec.split_once('-')?;
    if first.is_empty() {
        return Some(last_bytes(number(last)?, len));
    }
    let start = number(first)?;
    let last = if last.is_empty() { usize::MAX } else { number(last)? };
    if last < start {
        return None;
    }
    let end = last.saturating_add(1).min(len);
    Some(if start < len { Requested::Part(start..end) } else { Requested::Unsatisfiable })
}

/// The last `count` bytes, or all if there are fewer.
fn last_bytes(count: usize, len: usize) -> Requested {
    match (count, len) {
        (0, _) => Requested::Unsatisfiable,
        // No part of it can be named.
        (_, 0) => Requested::Whole,
        _ => Requested::Part(len.saturating_sub(count)..len),
    }
}

/// A number of any size: what is too large for the memory is behind every end.
fn number(digits: &str) -> Option<usize> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Among them the examples of RFC 9110 §14.1.2, of a content of 10,000 bytes.
    #[test]
    fn a_range_is_a_part_of_the_content() {
        for (value, expected) in [
            ("bytes=0-499", Some(0..500)),
            ("bytes=500-999", Some(500..1000)),
            ("bytes=-500", Some(9500..10_000)),
            ("bytes=9500-", Some(9500..10_000)),
            ("bytes=0-0", Some(0..1)),
            ("bytes=0-", Some(0..10_000)),
            ("bytes=-1", Some(9999..10_000)),
            ("bytes=-10000", Some(0..10_000)),
            ("bytes=-10001", Some(0..10_000)),
            ("bytes=9999-9999", Some(9999..10_000)),
            ("bytes=9999-20000", Some(9999..10_000)),
            ("bytes=1-99999999999999999999999999", Some(1..10_000)),
            ("BYTES=1-2", Some(1..3)),
            ("bytes= 1-2 ", Some(1..3)),
            ("bytes=,1-2,,", Some(1..3)),
            ("bytes=00001-002", Some(1..3)),
            ("bytes=0-0,-1", None),
            ("bytes= 0-999, 4500-5499, -1000", None),
            ("bytes=2-1", None),
            ("bytes=-", None),
            ("bytes=", None),
            ("bytes=,", None),
            ("bytes=1", None),
            ("bytes=1 - 2", None),
            ("bytes=+1-2", None),
            ("bytes=--1", None),
            ("bytes=a-b", None),
            ("bytes=0x1-", None),
            ("bytes =1-2", None),
            ("bytes", None),
            ("lines=1-2", None),
            ("", None),
        ] {
            let expected = expected.map_or(Requested::Whole, Requested::Part);
            assert_eq!(requested(value.as_bytes(), 10_000), expected, "{value}");
        }
        assert_eq!(requested(b"bytes=\xFF-", 10_000), Requested::Whole);
    }

    #[test]
    fn a_range_behind_the_end_is_unsatisfiable() {
        for value in
            ["bytes=10000-", "bytes=10000-10001", "bytes=-0", "bytes=99999999999999999999-"]
        {
            assert_eq!(requested(value.as_bytes(), 10_000), Requested::Unsatisfiable, "{value}");
        }
        assert_eq!(requested(b"bytes=0-", 0), Requested::Unsatisfiable);
        assert_eq!(requested(b"bytes=-5", 0), Requested::Whole);
    }

    proptest! {
        #[test]
        fn a_part_is_what_was_named(start in 0..40_usize, count in 0..40_usize, len in 0..40_usize)
        {
            let last = start + count;
            let expected = match start < len {
                true => Requested::Part(start..len.min(last + 1)),
                false => Requested::Unsatisfiable,
            };
            let value = format!("bytes={start}-{last}");
            prop_assert_eq!(requested(value.as_bytes(), len), expected);
        }

        #[test]
        fn any_value_is_a_part_or_none(value in "(bytes=)?[0-9,= \t-]{0,12}", len in 0_usize..40) {
            if let Requested::Part(part) = requested(value.as_bytes(), len) {
                prop_assert!(part.start < part.end && part.end <= len);
            }
        }
    }
}
