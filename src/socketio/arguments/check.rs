use std::borrow::Cow;

use serde::de::IgnoredAny;

use super::super::packet::InvalidPacket;
use super::placeholders::check_placeholders;
use super::tokens::{Elements, Token, Tokens};

/// How deeply arrays and objects of data may be nested, its own array or object included.
pub const MAX_DEPTH: usize = 128;

/// Names that Node's clients and servers use for events of their own.
const RESERVED: [&str; 6] =
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"];

/// Whether clients and servers use this name for events of their own.
pub(in super::super) fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name)
}

/// Checks the data of an event, which has that many attachments. Returns the event's name and the
/// arguments, as JSON without brackets.
///
/// A name that is a number is returned as it is written.
///
/// ```
/// use eventwire::socketio::arguments;
///
/// let (name, arguments) = arguments::event(r#"["move",{"x":1},true]"#, 0)?;
/// assert_eq!((&*name, arguments), ("move", r#"{"x":1},true"#));
/// # Ok::<(), eventwire::socketio::packet::InvalidPacket>(())
/// ```
///
/// # Errors
///
/// [`InvalidPacket`] if the data is not a JSON array that begins with a name, is nested too deeply,
/// or has a placeholder that does not name an attachment. Without attachments, a placeholder is
/// plain data.
pub fn event(data: &str, attachments: usize) -> Result<(Cow<'_, str>, &str), InvalidPacket> {
    let mut elements = Elements::new(acknowledgement(data, attachments)?);
    let name = event_name(elements.next().unwrap_or_default())?;
    if is_reserved(&name) {
        return Err(InvalidPacket::ReservedEventName);
    }
    Ok((name, elements.rest()))
}

/// Checks the data of an acknowledgement, which has that many attachments. Returns the arguments,
/// as JSON without brackets.
///
/// # Errors
///
/// [`InvalidPacket`] if the data is not a JSON array, is nested too deeply, or has a placeholder
/// that does not name an attachment.
pub fn acknowledgement(data: &str, attachments: usize) -> Result<&str, InvalidPacket> {
    check_json(data)?;
    let array = data.trim_ascii().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let arguments = array.ok_or(InvalidPacket::NotAnArray)?;
    if attachments > 0 {
        check_placeholders(arguments, attachments)?;
    }
    Ok(arguments.trim_ascii())
}

/// Checks the data of a connection to a namespace: a JSON object, or nothing.
///
/// # Errors
///
/// [`InvalidPacket`] if the data is something else, or nested too deeply.
pub fn connect(data: &str) -> Result<Option<&str>, InvalidPacket> {
    if data.is_empty() {
        return Ok(None);
    }
    check_json(data)?;
    if !data.trim_ascii_start().starts_with('{') {
        return Err(InvalidPacket::NotAnObject);
    }
    Ok(Some(data))
}

fn check_json(json: &str) -> Result<(), InvalidPacket> {
    // Most data has fewer brackets than it may be deep, which is cheaper to see.
    let opening = json.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count();
    if opening > MAX_DEPTH && is_too_deep(json) {
        return Err(InvalidPacket::TooDeep);
    }
    // This neither recurses nor converts anything.
    let checked = serde_json::from_str::<IgnoredAny>(json);
    checked.map(drop).map_err(|_| InvalidPacket::InvalidJson)
}

fn is_too_deep(json: &str) -> bool {
    let mut depth = 0_usize;
    Tokens::new(json).any(|token| {
        match token {
            Token::ArrayStart | Token::ObjectStart => depth += 1,
            Token::ArrayEnd | Token::ObjectEnd => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth > MAX_DEPTH
    })
}

fn event_name(element: &str) -> Result<Cow<'_, str>, InvalidPacket> {
    match element.as_bytes() {
        [b'"', ..] if element.contains('\\') => {
            // Half of a surrogate pair is valid JSON, but no text.
            let name = serde_json::from_str(element);
            name.map(Cow::Owned).map_err(|_| InvalidPacket::InvalidEventName)
        }
        [b'"', .., b'"'] => Ok(Cow::Borrowed(&element[1..element.len() - 1])),
        [b'-' | b'0'..=b'9', ..] => Ok(Cow::Borrowed(element)),
        _ => Err(InvalidPacket::InvalidEventName),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn events_have_a_name_and_arguments() {
        for (data, name, arguments) in [
            (r#"["a"]"#, "a", ""),
            (r#"["a",1,"two",{"three":[3]}]"#, "a", r#"1,"two",{"three":[3]}"#),
            (" [ \"a\" , 1 , 2 ] ", "a", "1 , 2"),
            (r#"["a,]",[]]"#, "a,]", "[]"),
            (r#"[""]"#, "", ""),
            (r#"["a\"\u00e9\n"]"#, "a\"\u{e9}\n", ""),
            (r#"["\ud83d\ude00",0]"#, "\u{1f600}", "0"),
            ("[\"caf\u{e9}\",\"\u{1f600}\"]", "caf\u{e9}", "\"\u{1f600}\""),
            ("[1,2]", "1", "2"),
            ("[-1.5e3]", "-1.5e3", ""),
            (r#"["a",1e999]"#, "a", "1e999"),
            (r#"["a","\ud83d"]"#, "a", r#""\ud83d""#),
            (r#"["Connect"]"#, "Connect", ""),
            (r#"["a",{"_placeholder":true,"num":7}]"#, "a", r#"{"_placeholder":true,"num":7}"#),
        ] {
            let checked = event(data, 0);
            assert_eq!(checked, Ok((Cow::Borrowed(name), arguments)), "{data}");
        }
    }

    #[test]
    fn malformed_events_are_refused() {
        for (data, error) in [
            ("", InvalidPacket::InvalidJson),
            ("[", InvalidPacket::InvalidJson),
            (r#"["a""#, InvalidPacket::InvalidJson),
            (r#"["a",]"#, InvalidPacket::InvalidJson),
            (r#"["a",,1]"#, InvalidPacket::InvalidJson),
            (r#"["a"]]"#, InvalidPacket::InvalidJson),
            (r#"["a"}"#, InvalidPacket::InvalidJson),
            (r#"["a"] x"#, InvalidPacket::InvalidJson),
            (r#"["a"],["b"]"#, InvalidPacket::InvalidJson),
            ("[\"a\u{1e}\"]", InvalidPacket::InvalidJson),
            (r#"["a\x"]"#, InvalidPacket::InvalidJson),
            ("['a']", InvalidPacket::InvalidJson),
            ("[01]", InvalidPacket::InvalidJson),
            ("[NaN]", InvalidPacket::InvalidJson),
            ("\u{feff}[\"a\"]", InvalidPacket::InvalidJson),
            ("{}", InvalidPacket::NotAnArray),
            (r#""a""#, InvalidPacket::NotAnArray),
            ("null", InvalidPacket::NotAnArray),
            ("[]", InvalidPacket::InvalidEventName),
            ("[null]", InvalidPacket::InvalidEventName),
            ("[true]", InvalidPacket::InvalidEventName),
            (r#"[["a"]]"#, InvalidPacket::InvalidEventName),
            (r#"[{"a":1}]"#, InvalidPacket::InvalidEventName),
            (r#"["\ud83d"]"#, InvalidPacket::InvalidEventName),
            (r#"["connect"]"#, InvalidPacket::ReservedEventName),
            (r#"["disconnecting",1]"#, InvalidPacket::ReservedEventName),
            (r#"["\u0064isconnect"]"#, InvalidPacket::ReservedEventName),
        ] {
            assert_eq!(event(data, 0), Err(error), "{data}");
        }
    }

    #[test]
    fn placeholders_count_with_attachments_alone() {
        let data = r#"["a",{"_placeholder":true,"num":1}]"#;
        let arguments = r#"{"_placeholder":true,"num":1}"#;
        assert_eq!(event(data, 0), Ok((Cow::Borrowed("a"), arguments)));
        assert_eq!(event(data, 1), Err(InvalidPacket::InvalidPlaceholder));
        assert_eq!(event(data, 2), Ok((Cow::Borrowed("a"), arguments)));
        assert_eq!(acknowledgement(&data.replace("\"a\",", ""), 2), Ok(arguments));
    }

    #[test]
    fn acknowledgements_are_arrays() {
        for (data, arguments) in [("[]", ""), (" [ ] ", ""), ("[1,[2]]", "1,[2]")] {
            assert_eq!(acknowledgement(data, 0), Ok(arguments), "{data}");
        }
        for (data, error) in [
            ("{}", InvalidPacket::NotAnArray),
            ("1", InvalidPacket::NotAnArray),
            ("[1", InvalidPacket::InvalidJson),
            ("-1[]", InvalidPacket::InvalidJson),
        ] {
            assert_eq!(acknowledgement(data, 0), Err(error), "{data}");
        }
    }

    #[test]
    fn connections_have_an_object_or_nothing() {
        for (data, payload) in
            [("", None), ("{}", Some("{}")), (r#" {"token":[]}"#, Some(r#" {"token":[]}"#))]
        {
            assert_eq!(connect(data), Ok(payload), "{data}");
        }
        for (data, error) in [
            ("[]", InvalidPacket::NotAnObject),
            (r#""{}""#, InvalidPacket::NotAnObject),
            ("null", InvalidPacket::NotAnObject),
            (" ", InvalidPacket::InvalidJson),
            ("{", InvalidPacket::InvalidJson),
            ("{}{}", InvalidPacket::InvalidJson),
        ] {
            assert_eq!(connect(data), Err(error), "{data}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(acknowledgement(&nested(MAX_DEPTH), 0).map(str::len), Ok(2 * MAX_DEPTH - 2));
        assert_eq!(acknowledgement(&nested(MAX_DEPTH + 1), 0), Err(InvalidPacket::TooDeep));
        assert_eq!(event(&nested(1_000_000), 0), Err(InvalidPacket::TooDeep));
        assert_eq!(event(&"[".repeat(1_000_000), 0), Err(InvalidPacket::TooDeep));
        assert_eq!(event(&"]".repeat(1_000_000), 0), Err(InvalidPacket::InvalidJson));
        assert_eq!(connect(&"{\"\":".repeat(1_000_000)), Err(InvalidPacket::TooDeep));
        let flat = format!("[\"a\"{}]", ",[]".repeat(1_000_000));
        assert_eq!(event(&flat, 1).map(|(_, arguments)| arguments.len()), Ok(2_999_999));
        // Brackets in a string are text.
        let text = format!("[\"a\",\"{}\"]", "[".repeat(1_000));
        assert_eq!(event(&text, 0).map(|(name, _)| name), Ok(Cow::Borrowed("a")));
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(".{0,4}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn events_are_read_as_they_were_written(
            name in ".{0,12}",
            arguments in prop::collection::vec(any_value(), 0..4),
        ) {
            let mut data = vec![json!(name)];
            data.extend(arguments.iter().cloned());
            let data = serde_json::to_string(&data).unwrap();
            match event(&data, 0) {
                Ok((read_name, json)) => {
                    prop_assert_eq!(read_name, &*name);
                    let read: Vec<Value> = serde_json::from_str(&format!("[{json}]")).unwrap();
                    prop_assert_eq!(read, arguments);
                }
                Err(error) => {
                    prop_assert_eq!(error, InvalidPacket::ReservedEventName);
                    prop_assert!(RESERVED.contains(&&*name));
                }
            }
        }

        #[test]
        fn any_text_is_checked(
            data in "[\\[\\]{}:,\"\\\\ a1\u{e9}]{0,30}",
            attachments in 0..3_usize,
        ) {
            let is_array = serde_json::from_str::<Vec<IgnoredAny>>(&data).is_ok();
            let checked = acknowledgement(&data, attachments);
            prop_assert!(checked.is_ok() == is_array, "{:?}", checked);
            if let Ok((_, arguments)) = event(&data, attachments) {
                prop_assert!(is_array && data.contains(arguments));
            }
        }
    }
}
