//! Tags: keys of connections, and the connections of each.
//!
//! A tag exists while a connection has it. Both sides of the relation are lists, and each entry
//! of one knows the index of its counterpart in the other: so a connection leaves a tag in constant
//! time, and all its tags in as many steps as it has.
//!
//! | file | contents |
//! | --- | --- |
//! | `key` `limits` | what names a tag, what tags may cost |
//! | `names` | from keys to tags |
//! | `registry` | [`Tags`] |

mod key;
mod limits;
mod names;
mod registry;
#[cfg(test)]
mod tests;

pub use self::key::Tag;
pub use self::limits::TagError;
pub(crate) use self::limits::TagLimits;
pub(crate) use self::registry::Tags;
