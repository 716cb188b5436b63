//! JSON strings (RFC 8259 §7).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Appends a text as a JSON string.
pub(crate) fn write_json_string(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.bytes().position(is_escaped) {
        // Bytes that are escaped are ASCII, so that each is a character.
        let (plain, escaped) = rest.split_at(at);
        out.push_str(plain);
        write_escaped(escaped.as_bytes()[0], out);
        rest = &escaped[1..];
    }
    out.push_str(rest);
    out.push('"');
}

/// Appends bytes as a JSON string, in base64.
pub(crate) fn write_json_bytes(bytes: &[u8], out: &mut String) {
    out.push('"');
    STANDARD.encode_string(bytes, out);
    out.push('"');
}

const fn is_escaped(byte: u8) -> bool {
    matches!(byte, b'"' | b'\\' | 0..=0x1f)
}

fn write_escaped(byte: u8, out: &mut String) {
    let short = match byte {
        b'"' => "\\\"",
        b'\\' => "\\\\",
        b'\n' => "\\n",
        b'\r' => "\\r",
        b'\t' => "\\t",
        _ => "",
    };
    out.push_str(short);
    if short.is_empty() {
        let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value & 15)]);
        out.push_str("\\u00");
        out.extend([digit(byte >> 4), digit(byte)]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(text: &str) -> String {
        let mut out = String::new();
        write_json_string(text, &mut out);
        out
    }

    #[test]
    fn quotes_backslashes_and_control_characters_are_escaped() {
        for (text, json) in [
            ("", r#""""#),
            ("caf\u{e9}", "\"caf\u{e9}\""),
            (r#"a"b\c"#, r#""a\"b\\c""#),
            ("\n\r\t", r#""\n\r\t""#),
            ("\0\u{1f}\u{7f}", "\"\\u0000\\u001f\u{7f}\""),
        ] {
            assert_eq!(written(text), json, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_string_is_read_as_it_was_written(text: String) {
            let json = written(&text);
            prop_assert!(json.bytes().all(|byte| byte >= 0x20));
            prop_assert_eq!(read(&json), text);
        }
    }

    /// What a reader makes of a JSON string with these escapes.
    fn read(json: &str) -> String {
        let mut chars = json.strip_prefix('"').unwrap().strip_suffix('"').unwrap().chars();
        let mut text = String::new();
        while let Some(char) = chars.next() {
            text.push(match char {
                '\\' => match chars.next().unwrap() {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    'u' => {
                        let digits: String = chars.by_ref().take(4).collect();
                        char::from_u32(u32::from_str_radix(&digits, 16).unwrap()).unwrap()
                    }
                    other => other,
                },
                '"' => panic!("the string ends early: {json}"),
                other => other,
            });
        }
        text
    }
}
