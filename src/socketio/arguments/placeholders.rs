//! Placeholders: the objects of JSON that stand for attachments.

use super::super::packet::InvalidPacket;
use super::tokens::{Token, Tokens};

/// The key of what marks a placeholder: `true`.
pub(super) const MARK: &str = "_placeholder";
/// The key of the attachment's number.
pub(super) const NUMBER: &str = "num";

/// Checks that every placeholder in valid JSON has the number of an attachment.
///
/// Of a key that an object has twice the last value counts, as in JavaScript. Two placeholders may
/// name the same attachment, and other keys do not matter.
pub(super) fn check_placeholders(json: &str, attachments: usize) -> Result<(), InvalidPacket> {
    // The objects that are open, from the outermost.
    let mut objects: Vec<Object> = Vec::new();
    let mut key = Key::Other;
    let mut scalar = "";
    for token in Tokens::new(json) {
        match token {
            Token::Colon => {
                key = Key::of(scalar);
                continue;
            }
            Token::Scalar(text) => scalar = text,
            _ => {}
        }
        if let Some(object) = objects.last_mut() {
            object.set(key, token, attachments);
        }
        key = Key::Other;
        match token {
            Token::ObjectStart => objects.push(Object::default()),
            Token::ObjectEnd if objects.pop().is_some_and(Object::is_invalid) => {
                return Err(InvalidPacket::InvalidPlaceholder);
            }
            _ => {}
        }
    }
    Ok(())
}

/// What decides whether an object is a placeholder, and of what.
#[derive(Clone, Copy, Default)]
struct Object {
    is_placeholder: bool,
    names_attachment: bool,
}

impl Object {
    /// Takes the token after `key` and its colon.
    fn set(&mut self, key: Key, token: Token<'_>, attachments: usize) {
        match key {
            Key::Mark => self.is_placeholder = token == Token::Scalar("true"),
            Key::Number => {
                self.names_attachment =
                    matches!(token, Token::Scalar(number) if is_below(number, attachments));
            }
            Key::Other => {}
        }
    }

    const fn is_invalid(self) -> bool {
        self.is_placeholder && !self.names_attachment
    }
}

fn is_below(number: &str, limit: usize) -> bool {
    number.parse().is_ok_and(|number: usize| number < limit)
}

#[derive(Clone, Copy)]
enum Key {
    Mark,
    Number,
    Other,
}

impl Key {
    /// The key that is this JSON string.
    fn of(string: &str) -> Self {
        let is = |key: &str| {
            let plain = string.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
            plain == Some(key)
                || string.contains('\\')
                    && serde_json::from_str::<String>(string).is_ok_and(|string| string == key)
        };
        if is(MARK) {
            Self::Mark
        } else if is(NUMBER) {
            Self::Number
        } else {
            Self::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_name_attachments() {
        for json in [
            "",
            r#"{"_placeholder":true,"num":0}"#,
            r#"{ "num" : 1 , "_placeholder" : true }"#,
            r#"{"_placeholder":true,"num":1},[{"_placeholder":true,"num":1}]"#,
            r#"{"a":{"b":[{"_placeholder":true,"num":0,"c":[]}]}}"#,
            r#"{"_placeholder":true,"num":9,"num":0}"#,
            r#"{"_placeholder":true,"num":0,"a":{"num":9}}"#,
            // No placeholders.
            r#"{"_placeholder":false,"num":9}"#,
            r#"{"_placeholder":"true"}"#,
            r#"{"_placeholder":1}"#,
            r#"{"_placeholder":[true]}"#,
            r#"{"_placeholder":true,"_placeholder":null}"#,
            r#"["_placeholder",true]"#,
            r#"{"a":"_placeholder","b":true}"#,
            r#"{"a":["_placeholder"],"b":true}"#,
            r#""{\"_placeholder\":true}""#,
        ] {
            assert_eq!(check_placeholders(json, 2), Ok(()), "{json}");
        }
    }

    #[test]
    fn placeholders_that_point_nowhere_are_refused() {
        for json in [
            r#"{"_placeholder":true}"#,
            r#"{"_placeholder":true,"num":2}"#,
            r#"{"_placeholder":true,"num":-1}"#,
            r#"{"_placeholder":true,"num":-0}"#,
            r#"{"_placeholder":true,"num":0.5}"#,
            r#"{"_placeholder":true,"num":1e0}"#,
            r#"{"_placeholder":true,"num":99999999999999999999}"#,
            r#"{"_placeholder":true,"num":"0"}"#,
            r#"{"_placeholder":true,"num":null}"#,
            r#"{"_placeholder":true,"num":[0]}"#,
            r#"{"_placeholder":true,"num":0,"num":2}"#,
            r#"{"_placeholder":true,"a":{"num":0}}"#,
            r#"{"num":0,"_placeholder":false},{"_placeholder":true}"#,
            r#"{"\u005fplaceholder":true,"n\u0075m":2}"#,
            r#"[[{"a":{"_placeholder":true,"num":2}}]]"#,
        ] {
            let checked = check_placeholders(json, 2);
            assert_eq!(checked, Err(InvalidPacket::InvalidPlaceholder), "{json}");
        }
    }
}
