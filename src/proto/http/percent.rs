//! Percent-encoding (RFC 3986 §2.1), and the pairs of queries and forms that use it.

use std::borrow::Cow;

/// The text that `encoded` stands for. `None` if an escape is malformed, or the bytes are not
/// UTF-8.
pub(super) fn decode(encoded: &str) -> Option<Cow<'_, str>> {
    if !encoded.contains('%') {
        return Some(Cow::Borrowed(encoded));
    }
    let mut rest = encoded.as_bytes();
    let mut bytes = Vec::with_capacity(rest.len());
    while let [byte, behind @ ..] = rest {
        rest = behind;
        if *byte == b'%' {
            bytes.push(escaped(rest)?);
            rest = &rest[2..];
        } else {
            bytes.push(*byte);
        }
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

/// The name and the value of each pair in `encoded`, which is of the type
/// `application/x-www-form-urlencoded`, as the URL standard (§5.1) decodes them.
pub(super) fn pairs(encoded: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    encoded.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode_lossy(name), decode_lossy(value))
    })
}

/// Decodes `+` as a space, keeps a malformed escape as it is, and replaces what is not UTF-8.
fn decode_lossy(encoded: &str) -> Cow<'_, str> {
    if !encoded.contains(['%', '+']) {
        return Cow::Borrowed(encoded);
    }
    let mut rest = encoded.as_bytes();
    let mut bytes = Vec::with_capacity(rest.len());
    while let [byte, behind @ ..] = rest {
        rest = behind;
        match (byte, escaped(rest)) {
            (b'%', Some(escaped)) => {
                bytes.push(escaped);
                rest = &rest[2..];
            }
            (b'+', _) => bytes.push(b' '),
            _ => bytes.push(*byte),
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

/// The byte that the two hexadecimal digits in front stand for.
fn escaped(digits: &[u8]) -> Option<u8> {
    let digit = |at: usize| char::from(*digits.get(at)?).to_digit(16);
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_stand_for_bytes_of_utf_8() {
        for (encoded, text) in [
            ("", Some("")),
            ("a+b", Some("a+b")),
            ("a%20b", Some("a b")),
            ("%2F%2f", Some("//")),
            ("%C3%A9", Some("\u{e9}")),
            ("%00", Some("\0")),
            ("%25%32%30", Some("%20")),
            ("%", None),
            ("%2", None),
            ("%2g", None),
            ("%+1", None),
            ("%\u{e9}", None),
            ("%E9", None),
            ("%C3", None),
            ("%ED%A0%80", None),
        ] {
            assert_eq!(decode(encoded).as_deref(), text, "{encoded}");
        }
    }

    /// Among them the examples of the URL standard.
    #[test]
    fn pairs_are_those_of_a_form() {
        for (encoded, expected) in [
            ("", &[][..]),
            ("&&", &[]),
            ("a", &[("a", "")]),
            ("a=b=c&d", &[("a", "b=c"), ("d", "")]),
            ("=b&a=", &[("", "b"), ("a", "")]),
            ("a=1&a=2", &[("a", "1"), ("a", "2")]),
            ("test+%2B=%E2%9C%93", &[("test +", "\u{2713}")]),
            ("a=%&b=%2&c=%zz%41", &[("a", "%"), ("b", "%2"), ("c", "%zzA")]),
            ("a=%FF", &[("a", "\u{fffd}")]),
            ("a%26b=c%3Dd", &[("a&b", "c=d")]),
        ] {
            let expected: Vec<_> =
                expected.iter().map(|&(name, value)| (name.into(), value.into())).collect();
            assert_eq!(pairs(encoded).collect::<Vec<_>>(), expected, "{encoded}");
        }
    }

    fn encode(text: &str) -> String {
        text.bytes().map(|byte| format!("%{byte:02X}")).collect()
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(text in "\\PC{0,12}") {
            let encoded = encode(&text);
            let pair = format!("{encoded}={encoded}");
            let decoded = decode(&encoded).map(Cow::into_owned);
            prop_assert_eq!(decoded.as_ref(), Some(&text));
            prop_assert_eq!(pairs(&pair).next(), Some((text.clone().into(), text.into())));
        }

        #[test]
        fn any_text_is_decoded_or_refused(encoded in "[%+&=0-9a-fA-Fx\u{e9}]{0,16}") {
            // The two agree on all that is well formed, but for `+`.
            let without_plus = encoded.replace('+', "%2B");
            if let Some(text) = decode(&encoded) {
                prop_assert_eq!(decode_lossy(&without_plus), text);
            }
            prop_assert!(pairs(&encoded).count() <= encoded.len());
        }
    }
}
