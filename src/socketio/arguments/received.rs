use bytes::Bytes;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

use super::binary::with_attachments;
use super::error::ArgumentsError;
use super::tokens::Elements;

/// Arguments that were received.
///
/// ```
/// use eventwire::socketio::Arguments;
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct Point {
///     x: i32,
///     y: i32,
/// }
///
/// let arguments = Arguments::new(r#""dot",{"x":1,"y":2},true"#, &[]);
/// // Further arguments are ignored.
/// let (name, point): (String, Point) = arguments.read()?;
/// assert_eq!((&*name, point.x, point.y), ("dot", 1, 2));
/// assert_eq!(arguments.get::<bool>(2)?, true);
/// assert_eq!(arguments.len(), 3);
/// # Ok::<(), eventwire::socketio::ArgumentsError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arguments<'a> {
    json: &'a str,
    attachments: &'a [Bytes],
}

impl<'a> Arguments<'a> {
    /// Arguments as JSON without brackets, such as [`event`](super::event) returns it, and their
    /// attachments.
    #[must_use]
    pub const fn new(json: &'a str, attachments: &'a [Bytes]) -> Self {
        Self { json, attachments }
    }

    /// The arguments as JSON without brackets: `1,"two",{"three":3}`.
    #[must_use]
    pub const fn json(self) -> &'a str {
        self.json
    }

    /// The attachments, by their numbers.
    #[must_use]
    pub const fn attachments(self) -> &'a [Bytes] {
        self.attachments
    }

    /// How many arguments there are. It reads all of them.
    #[must_use]
    pub fn len(self) -> usize {
        Elements::new(self.json).count()
    }

    /// Whether there are no arguments.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.json.trim_ascii().is_empty()
    }

    /// Reads the first arguments as a tuple, or as any type that is read from a sequence. Further
    /// arguments are ignored.
    ///
    /// A text that is borrowed (`&str`) cannot be read if JSON has escapes in it. A
    /// [`Binary`](super::Binary) is read from an attachment.
    ///
    /// # Errors
    ///
    /// [`ArgumentsError::Json`] if there are too few arguments or one has another type.
    pub fn read<T: Deserialize<'a>>(self) -> Result<T, ArgumentsError> {
        let reader = Reader(Elements::new(self.json));
        Ok(with_attachments(self.attachments, || T::deserialize(reader))?)
    }

    /// Reads one argument, by its index.
    ///
    /// # Errors
    ///
    /// [`ArgumentsError::Missing`] if there is none, [`ArgumentsError::Json`] if it has another
    /// type.
    pub fn get<T: Deserialize<'a>>(self, index: usize) -> Result<T, ArgumentsError> {
        let argument = Elements::new(self.json).nth(index);
        let argument = argument.ok_or(ArgumentsError::Missing(index))?;
        Ok(with_attachments(self.attachments, || serde_json::from_str(argument))?)
    }
}

impl<'a> Arguments<'a> {
    /// The arguments behind the first `count`, with all attachments.
    ///
    /// ```
    /// use eventwire::socketio::Arguments;
    ///
    /// let arguments = Arguments::new(r#""lobby",1,{"two":3}"#, &[]);
    /// assert_eq!(arguments.skip(1).json(), r#"1,{"two":3}"#);
    /// assert!(arguments.skip(3).is_empty());
    /// ```
    #[must_use]
    pub fn skip(self, count: usize) -> Self {
        let mut elements = Elements::new(self.json);
        for _ in 0..count {
            elements.next();
        }
        Self { json: elements.rest(), ..self }
    }
}

/// Reads elements as a sequence.
struct Reader<'de>(Elements<'de>);

impl<'de> SeqAccess<'de> for Reader<'de> {
    type Error = serde_json::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, serde_json::Error> {
        let Some(element) = self.0.next() else {
            return Ok(None);
        };
        let mut json = serde_json::Deserializer::from_str(element);
        let value = seed.deserialize(&mut json)?;
        json.end()?;
        Ok(Some(value))
    }
}

impl<'de> Deserializer<'de> for Reader<'de> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, serde_json::Error> {
        SeqAccessDeserializer::new(self).deserialize_any(visitor)
    }

    /// Nothing is to be read.
    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, serde_json::Error> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, serde_json::Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use serde_json::Value;
    use serde_json::value::RawValue;

    use super::super::binary::Binary;
    use super::super::check::MAX_DEPTH;
    use super::*;

    fn arguments(json: &str) -> Arguments<'_> {
        Arguments::new(json, &[])
    }

    #[test]
    fn arguments_are_read_as_tuples() {
        let three = arguments(r#"1, "two" ,{"three":[3]}"#);
        assert_eq!(three.read::<()>().unwrap(), ());
        assert_eq!(three.read::<(u8,)>().unwrap(), (1,));
        assert_eq!(three.read::<(u8, &str)>().unwrap(), (1, "two"));
        let (_, _, object): (u8, Cow<'_, str>, Value) = three.read().unwrap();
        assert_eq!(object["three"][0], 3);
        let raw: Vec<&RawValue> = three.read().unwrap();
        let raw: Vec<&str> = raw.into_iter().map(RawValue::get).collect();
        assert_eq!(raw, ["1", r#""two""#, r#"{"three":[3]}"#]);
    }

    #[test]
    fn arguments_are_read_as_structures() {
        #[derive(Debug, Deserialize, PartialEq)]
        struct Move {
            x: i32,
            y: i32,
        }
        #[derive(Debug, Deserialize, PartialEq)]
        struct Pair(u8, String);
        #[derive(Debug, Deserialize, PartialEq)]
        struct All(Vec<u8>);

        assert_eq!(arguments("1,2").read::<Move>().unwrap(), Move { x: 1, y: 2 });
        assert_eq!(arguments(r#"1,"a""#).read::<Pair>().unwrap(), Pair(1, "a".to_owned()));
        assert_eq!(arguments("1,2,3").read::<All>().unwrap(), All(vec![1, 2, 3]));
    }

    #[test]
    fn missing_and_other_arguments_are_errors() {
        for json in ["", "1", r#""a",1"#, "1,null", "1,{"] {
            assert!(arguments(json).read::<(u8, String)>().is_err(), "{json}");
        }
        let error = arguments("1").get::<u8>(1).unwrap_err();
        assert!(matches!(error, ArgumentsError::Missing(1)));
        assert_eq!(error.to_string(), "there is no argument 1");
        assert!(matches!(arguments("1").get::<String>(0), Err(ArgumentsError::Json(_))));
        // Not what a peer can send, as it is checked before.
        assert!(arguments("1 2").read::<(u8,)>().is_err());
    }

    #[test]
    fn one_argument_is_read_by_its_index() {
        let three = arguments(r#"1,"a\nb",[2,3]"#);
        assert_eq!(three.get::<u8>(0).unwrap(), 1);
        assert_eq!(three.get::<String>(1).unwrap(), "a\nb");
        assert_eq!(three.get::<[u8; 2]>(2).unwrap(), [2, 3]);
        assert_eq!((three.len(), three.is_empty()), (3, false));
        assert_eq!((arguments("").len(), arguments("").is_empty()), (0, true));
    }

    #[test]
    fn attachments_are_found_at_any_depth() {
        #[derive(Deserialize)]
        struct Files {
            files: Vec<Binary>,
        }
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Text(String),
            Bytes(Binary),
        }

        let json = r#"{"files":[{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]},
            "a",{"_placeholder":true,"num":0},null"#;
        let attachments = [Bytes::from_static(b"x"), Bytes::from_static(b"y")];
        let arguments = Arguments::new(json, &attachments);
        let (files, text, bytes, none): (Files, Either, Either, Option<Binary>) =
            arguments.read().unwrap();
        assert_eq!(files.files, [Binary::from("y"), Binary::from("x")]);
        assert!(matches!(text, Either::Text(text) if text == "a"));
        assert!(matches!(bytes, Either::Bytes(bytes) if bytes == Binary::from("x")));
        assert_eq!(none, None);
        assert_eq!(arguments.get::<Option<Binary>>(2).unwrap(), Some(Binary::from("x")));
        // The bytes are shared, not copied.
        assert_eq!(arguments.get::<Binary>(2).unwrap().0.as_ptr(), attachments[0].as_ptr());
        // Without attachments it is an object.
        let plain = Arguments::new(r#"{"_placeholder":true,"num":0}"#, &[]);
        assert!(plain.get::<Binary>(0).is_err());
        assert_eq!(plain.get::<Value>(0).unwrap()["num"], 0);
    }

    #[test]
    fn what_may_be_received_can_be_read() {
        // The array of the arguments is one level.
        let depth = MAX_DEPTH - 1;
        let nested = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(arguments(&nested).get::<Value>(0).is_ok());
        assert!(arguments(&nested).read::<(Value,)>().is_ok());
    }
}
