//! Rate limits: how much each client address, and all connections of a tag, may do over time.
//!
//! ```text
//!   Rates ──► Table ──► Entry ──► Bucket
//!     │       a key's address    one for connections, messages and bytes each
//!     │       or tag
//!     └─────► Pauses    connections that wait for a bucket
//! ```
//!
//! | file | contents |
//! | --- | --- |
//! | `rate` `limits` `scope` | what is configured, and how a limit is named |
//! | `bucket` | what is left of a rate |
//! | `key` `entry` `table` | addresses and tags, and what is left to each |
//! | `registry` | [`Rates`]: which connections count for which entries |
//! | `reading` | how much a connection may be read |
//! | `pauses` | connections that wait |

mod bucket;
mod entry;
mod key;
mod limits;
mod pauses;
mod rate;
mod reading;
mod registry;
mod scope;
mod table;
#[cfg(test)]
mod tests;

pub(crate) use self::key::{Prefixes, RateKey};
pub use self::limits::{OnExcess, RateLimits};
pub use self::rate::Rate;
pub(crate) use self::reading::{Allowance, Verdict};
pub(crate) use self::registry::{AddressRules, Admitted, Rates, TagDenied};
pub(crate) use self::scope::{Denied, Exceeded};
pub use self::scope::{LimitKind, LimitScope};
