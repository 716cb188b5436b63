use std::io::{self, ErrorKind};
use std::str;

use bytes::Bytes;
use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

use super::super::packet::MAX_ATTACHMENTS;
use super::error::ArgumentsError;
use super::placeholders::check_placeholders;
use super::received::Arguments;

/// What can be sent as arguments.
///
/// That is a tuple of up to eight values that serialize, `()` for none, and [`Arguments`] as they
/// were received.
///
/// ```
/// use eventwire::socketio::Written;
///
/// let written = Written::of(&(1, "two", [3.5]))?;
/// assert_eq!(written.json, r#"1,"two",[3.5]"#);
/// # Ok::<(), eventwire::socketio::ArgumentsError>(())
/// ```
pub trait IntoArguments {
    /// Appends the arguments.
    ///
    /// # Errors
    ///
    /// [`ArgumentsError::Json`] if a value has no form in JSON.
    fn write(&self, out: &mut Written) -> Result<(), ArgumentsError>;
}

/// Arguments in the form in which they are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// JSON: the arguments, separated by commas, without brackets.
    pub json: String,
    /// The attachments. In JSON, a placeholder has its number in place of each.
    pub attachments: Vec<Bytes>,
}

impl Written {
    /// Writes arguments, and checks that clients accept them.
    ///
    /// # Errors
    ///
    /// [`ArgumentsError`] if a value has no form in JSON, if there are too many attachments, or if
    /// a value beside attachments looks like the placeholder of one that does not exist.
    pub fn of(arguments: &impl IntoArguments) -> Result<Self, ArgumentsError> {
        let mut out = Self::default();
        arguments.write(&mut out)?;
        let attachments = out.attachments.len();
        if attachments > MAX_ATTACHMENTS {
            return Err(ArgumentsError::TooManyAttachments);
        }
        if attachments > 0 {
            let checked = check_placeholders(&out.json, attachments);
            checked.map_err(|_| ArgumentsError::InvalidPlaceholder)?;
        }
        Ok(out)
    }

    /// Appends one argument.
    ///
    /// # Errors
    ///
    /// [`ArgumentsError::Json`] if it has no form in JSON. Then nothing is appended.
    pub fn push(&mut self, argument: &(impl Serialize + ?Sized)) -> Result<(), ArgumentsError> {
        let (json_len, attachments_len) = (self.json.len(), self.attachments.len());
        if json_len > 0 {
            self.json.push(',');
        }
        let formatter = Attaching(&mut self.attachments);
        let mut json = Serializer::with_formatter(JsonText(&mut self.json), formatter);
        argument.serialize(&mut json).map_err(|error| {
            self.json.truncate(json_len);
            self.attachments.truncate(attachments_len);
            ArgumentsError::Json(error)
        })
    }
}

/// Writes bytes as placeholders, and collects them.
struct Attaching<'a>(&'a mut Vec<Bytes>);

impl Formatter for Attaching<'_> {
    fn write_byte_array<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        bytes: &[u8],
    ) -> io::Result<()> {
        write!(writer, r#"{{"_placeholder":true,"num":{}}}"#, self.0.len())?;
        self.0.push(Bytes::copy_from_slice(bytes));
        Ok(())
    }
}

/// The text that a serializer writes, in pieces of whole characters.
struct JsonText<'a>(&'a mut String);

impl io::Write for JsonText<'_> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        let text = str::from_utf8(piece);
        self.0.push_str(text.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl IntoArguments for Arguments<'_> {
    /// Numbers stay as they are, so that nothing else may have attachments beside.
    fn write(&self, out: &mut Written) -> Result<(), ArgumentsError> {
        if !self.is_empty() {
            if !out.json.is_empty() {
                out.json.push(',');
            }
            out.json.push_str(self.json());
        }
        out.attachments.extend_from_slice(self.attachments());
        Ok(())
    }
}

impl IntoArguments for () {
    fn write(&self, _: &mut Written) -> Result<(), ArgumentsError> {
        Ok(())
    }
}

macro_rules! tuples {
    ($(($($name:ident $index:tt),+))+) => {$(
        impl<$($name: Serialize),+> IntoArguments for ($($name,)+) {
            fn write(&self, out: &mut Written) -> Result<(), ArgumentsError> {
                $(out.push(&self.$index)?;)+
                Ok(())
            }
        }
    )+};
}

tuples! {
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::binary::Binary;
    use super::super::check::acknowledgement;
    use super::*;

    fn json(arguments: &impl IntoArguments) -> String {
        let written = Written::of(arguments).unwrap();
        assert!(written.attachments.is_empty());
        written.json
    }

    #[test]
    fn tuples_are_arguments() {
        assert_eq!(json(&()), "");
        assert_eq!(json(&((),)), "null");
        assert_eq!(json(&("a\"\u{e9}\u{1e}",)), "\"a\\\"\u{e9}\\u001e\"");
        assert_eq!(json(&(1, vec!["a"], None::<u8>)), r#"1,["a"],null"#);
        assert_eq!(json(&(vec![1_u8, 2],)), "[1,2]");
        assert_eq!(json(&(1, 2, 3, 4, 5, 6, 7, json!({"a": 8}))), r#"1,2,3,4,5,6,7,{"a":8}"#);
    }

    #[test]
    fn bytes_are_attached_in_order() {
        let values =
            (Binary::from("a"), json!({"plain": [1]}), vec![Binary::from(""), Binary::from("c")]);
        let written = Written::of(&values).unwrap();
        let [a, b, c] = [0, 1, 2].map(|num| format!(r#"{{"_placeholder":true,"num":{num}}}"#));
        assert_eq!(written.json, format!(r#"{a},{{"plain":[1]}},[{b},{c}]"#));
        assert_eq!(written.attachments, ["a", "", "c"]);
    }

    #[test]
    fn received_arguments_are_sent_as_they_came() {
        let attachments = [Bytes::from_static(b"a"), Bytes::from_static(b"b")];
        let received = r#"{"_placeholder":true,"num":1}, 1.50 ,"\u0061""#;
        let arguments = Arguments::new(received, &attachments);
        let written = Written::of(&arguments).unwrap();
        assert_eq!(Arguments::new(&written.json, &written.attachments), arguments);
        assert_eq!(json(&Arguments::new(" ", &[])), "");
    }

    #[test]
    fn a_value_without_a_form_in_json_appends_nothing() {
        let mut written = Written::default();
        written.push(&1).unwrap();
        let keys: BTreeMap<Vec<u8>, Binary> = [(vec![1], Binary::from("a"))].into();
        assert!(written.push(&(Binary::from("b"), keys)).is_err());
        written.push(&2).unwrap();
        assert_eq!(written, Written { json: "1,2".to_owned(), attachments: vec![] });
    }

    #[test]
    fn what_clients_refuse_is_not_written() {
        let most = vec![Binary::from("a"); MAX_ATTACHMENTS];
        assert!(Written::of(&(&most,)).is_ok());
        let error = Written::of(&(&most, Binary::from("b"))).unwrap_err();
        assert!(matches!(error, ArgumentsError::TooManyAttachments));

        // A peer's value, beside an attachment of this end.
        let forged = json!({"_placeholder": true, "num": 1});
        assert_eq!(json(&(&forged,)), r#"{"_placeholder":true,"num":1}"#);
        let error = Written::of(&(forged, Binary::from("a"))).unwrap_err();
        assert!(matches!(error, ArgumentsError::InvalidPlaceholder));
    }

    proptest! {
        #[test]
        fn arguments_are_read_as_they_were_written(
            text: String,
            number: i64,
            bytes in prop::collection::vec(any::<Vec<u8>>(), 0..4),
            more in prop::collection::btree_map(any::<String>(), any::<Vec<u8>>(), 0..4),
        ) {
            let bytes: Vec<Binary> = bytes.into_iter().map(Binary::from).collect();
            let more: BTreeMap<String, Binary> =
                more.into_iter().map(|(key, bytes)| (key, bytes.into())).collect();
            let values = (text, number, bytes, more);
            let written = Written::of(&values).unwrap();
            let data = format!("[{}]", written.json);
            let json = acknowledgement(&data, written.attachments.len());
            prop_assert_eq!(json, Ok(&*written.json));
            let arguments = Arguments::new(&written.json, &written.attachments);
            let read: (String, i64, Vec<Binary>, BTreeMap<String, Binary>) =
                arguments.read().unwrap();
            prop_assert_eq!(read, values);
        }

        #[test]
        fn any_json_is_written_as_serde_json_writes_it(text: String, number: f64, flag: bool) {
            let value: Value = json!({"text": text, "list": [number, flag]});
            prop_assert_eq!(json(&(&value,)), value.to_string());
        }
    }
}
