//! A model of placeholders: it looks at each object by itself, as often as it is nested.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placeholder {
    /// The placeholder of the attachment with this number.
    Numbered(u64),
    /// A placeholder without a number that could be one of an attachment.
    Malformed,
    /// An object that is no placeholder.
    Not,
}

/// What the object `json` is; nothing if it cannot be read.
pub(super) fn placeholder(json: &str) -> Option<Placeholder> {
    let Entries(entries) = serde_json::from_str(json).ok()?;
    // Of two entries with the same key the later one counts.
    let last = |name: &str| entries.iter().rfind(|(key, _)| key == name);
    if last("_placeholder").is_none_or(|(_, value)| value.get() != "true") {
        return Some(Placeholder::Not);
    }
    let number = last("num").map(|(_, value)| serde_json::from_str(value.get()));
    Some(number.and_then(Result::ok).map_or(Placeholder::Malformed, Placeholder::Numbered))
}

/// What each object in `json` is; nothing if one cannot be read.
pub(super) fn placeholders(json: &str) -> Option<Vec<Placeholder>> {
    let mut all = Vec::new();
    let inner: Vec<&RawValue> = match json.trim_start().as_bytes().first() {
        Some(b'[') => serde_json::from_str(json).ok()?,
        Some(b'{') => {
            all.push(placeholder(json)?);
            let Entries(entries) = serde_json::from_str(json).ok()?;
            entries.into_iter().map(|(_, value)| value).collect()
        }
        _ => Vec::new(),
    };
    for value in inner {
        all.extend(placeholders(value.get())?);
    }
    Some(all)
}

/// The entries of an object, those included that have the same key.
struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EntriesVisitor)
    }
}

struct EntriesVisitor;

impl<'de> Visitor<'de> for EntriesVisitor {
    type Value = Entries<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<'de>, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Entries(entries))
    }
}
