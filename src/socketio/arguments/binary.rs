use std::cell::RefCell;
use std::fmt;

use bytes::Bytes;
use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::placeholders::{MARK, NUMBER};

thread_local! {
    /// The attachments of the arguments that are being read on this thread, if any are.
    ///
    /// Serde gives a `Deserialize` no context of its own.
    static ATTACHMENTS: RefCell<Option<Vec<Bytes>>> = const { RefCell::new(None) };
}

/// Bytes in arguments: an attachment.
///
/// In arguments, whatever serializes as bytes becomes an attachment, but a `Vec<u8>` serializes as
/// an array of numbers. Outside of arguments, `Binary` is read and written as bytes, which are an
/// array of numbers in JSON.
///
/// ```
/// use eventwire::socketio::{Arguments, Binary, Written};
///
/// let written = Written::of(&("picture.png", Binary::from(vec![1, 2, 3])))?;
/// assert_eq!(written.json, r#""picture.png",{"_placeholder":true,"num":0}"#);
/// assert_eq!(written.attachments, [vec![1, 2, 3]]);
///
/// let arguments = Arguments::new(&written.json, &written.attachments);
/// let (name, picture): (&str, Binary) = arguments.read()?;
/// assert_eq!((name, &picture.0[..]), ("picture.png", &[1, 2, 3][..]));
/// # Ok::<(), eventwire::socketio::ArgumentsError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Binary(pub Bytes);

impl<T: Into<Bytes>> From<T> for Binary {
    fn from(bytes: T) -> Self {
        Self(bytes.into())
    }
}

impl Serialize for Binary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Binary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if ATTACHMENTS.with_borrow(Option::is_some) {
            // A placeholder is an object, which JSON does not take for bytes.
            deserializer.deserialize_any(PlaceholderVisitor)
        } else {
            deserializer.deserialize_byte_buf(BinaryVisitor)
        }
    }
}

struct BinaryVisitor;

impl<'de> Visitor<'de> for BinaryVisitor {
    type Value = Binary;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Binary, E> {
        Ok(Binary(Bytes::copy_from_slice(bytes)))
    }

    fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Binary, E> {
        Ok(Binary(bytes.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Binary, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = elements.next_element()? {
            bytes.push(byte);
        }
        Ok(Binary(bytes.into()))
    }
}

/// Reads a placeholder, and nothing else.
struct PlaceholderVisitor;

impl<'de> Visitor<'de> for PlaceholderVisitor {
    type Value = Binary;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an attachment")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Binary, A::Error> {
        let mut is_placeholder = false;
        let mut number = None;
        while let Some(key) = entries.next_key::<String>()? {
            match &*key {
                // Of other types, too: of two equal keys the later one counts.
                MARK => is_placeholder = entries.next_value::<Value>()? == true,
                NUMBER => number = entries.next_value::<Value>()?.as_u64(),
                _ => drop(entries.next_value::<IgnoredAny>()?),
            }
        }
        let number = number.filter(|_| is_placeholder);
        let number = number.ok_or_else(|| Error::invalid_type(Unexpected::Map, &self))?;
        let attachment = usize::try_from(number).ok().and_then(attachment);
        attachment.ok_or_else(|| Error::custom("a placeholder names no attachment"))
    }
}

fn attachment(number: usize) -> Option<Binary> {
    ATTACHMENTS.with_borrow(|attachments| attachments.as_ref()?.get(number).cloned().map(Binary))
}

/// Calls `read`, in which placeholders are read as these attachments.
pub(super) fn with_attachments<T>(attachments: &[Bytes], read: impl FnOnce() -> T) -> T {
    let outer = ATTACHMENTS.replace(Some(attachments.to_vec()));
    let _restored = Restored(outer);
    read()
}

/// Puts the attachments of an outer call back, also after a panic.
struct Restored(Option<Vec<Bytes>>);

impl Drop for Restored {
    fn drop(&mut self) {
        ATTACHMENTS.set(self.0.take());
    }
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use super::*;

    fn read(json: &str, attachments: &[Bytes]) -> Result<Binary, serde_json::Error> {
        with_attachments(attachments, || serde_json::from_str(json))
    }

    fn bytes(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[test]
    fn a_placeholder_is_read_as_its_attachment() {
        let attachments = [bytes("a"), bytes("b")];
        for (json, expected) in [
            (r#"{"_placeholder":true,"num":0}"#, "a"),
            (r#"{"num":1,"more":[{}],"_placeholder":true}"#, "b"),
            (r#"{"_placeholder":true,"num":0,"num":1}"#, "b"),
            (r#"{"_placeholder":[],"num":"","num":1,"_placeholder":true}"#, "b"),
            (r#"{"\u005fplaceholder":true,"num":1}"#, "b"),
        ] {
            assert_eq!(read(json, &attachments).unwrap(), Binary(bytes(expected)), "{json}");
        }
        for json in [
            "{}",
            "null",
            "[97]",
            "[256]",
            r#""a""#,
            r#"{"num":0}"#,
            r#"{"_placeholder":true}"#,
            r#"{"_placeholder":false,"num":0}"#,
            r#"{"_placeholder":true,"num":2}"#,
            r#"{"_placeholder":true,"num":-1}"#,
            r#"{"_placeholder":true,"num":0.5}"#,
            r#"{"_placeholder":true,"num":"0"}"#,
        ] {
            assert!(read(json, &attachments).is_err(), "{json}");
        }
    }

    #[test]
    fn outside_of_arguments_it_is_an_array() {
        let binary = Binary(bytes("ab"));
        assert_eq!(serde_json::to_string(&binary).unwrap(), "[97,98]");
        assert_eq!(serde_json::from_str::<Binary>("[97,98]").unwrap(), binary);
        let placeholder = r#"{"_placeholder":true,"num":0}"#;
        assert!(serde_json::from_str::<Binary>(placeholder).is_err());
    }

    #[test]
    fn an_inner_call_does_not_disturb_the_outer_one() {
        let placeholder = r#"{"_placeholder":true,"num":0}"#;
        let (inner, outer) = with_attachments(&[bytes("outer")], || {
            let inner = read(placeholder, &[bytes("inner")]).unwrap();
            assert!(read(placeholder, &[]).is_err());
            let _ = catch_unwind(|| with_attachments(&[], || panic!("while reading")));
            (inner, serde_json::from_str::<Binary>(placeholder).unwrap())
        });
        assert_eq!((inner.0, outer.0), (bytes("inner"), bytes("outer")));
        assert!(ATTACHMENTS.with_borrow(Option::is_none));
    }
}
