//! Topics: who subscribes to what, and which broadcasts are still pending for which subscriber.
//!
//! A broadcast is encoded once, into its topic's *open* batch. It costs nothing per subscriber.
//! Later the batch is *sealed* and sent to one subscriber after the other, a slice of them at a
//! time, as one run of bytes. A subscriber that does not keep up is *lagging* if its policy allows
//! that: the sealed batch then moves to the topic's *log*, which all lagging subscribers share.
//!
//! ```text
//! one topic; the numbers are sequence numbers, which all topics share
//!
//!                log                        sealed            open
//!   ┌────────┬─────────┬─────────┐    ┌──────────────┐   ┌───────────┐
//!   │ 11  13 │ 14   17 │ 20   21 │    │  25  26  28  │   │  30  31 … │ ◄── broadcast
//!   └────────┴─────────┴─────────┘    └──────────────┘   └───────────┘
//!    oldest,   ▲                             │
//!    goes      │ first_pending of b          │ deliver_sealed, deliver
//!    first     │                             ▼
//!              │            subscribers: [ a  b  c  d  e ]
//!              │                                 ▲
//!              │                                 cursor
//!              │
//!              └── catch_up sends 14 … 31 once the output of b is empty again
//!
//!   a  was sent the sealed batch: served = 28
//!   b  is lagging: its output waits, the cursor passed it, and the log keeps its broadcasts
//!   c  is next; c, d and e were served up to 21
//! ```
//!
//! A topic whose messages have keys also keeps *values*, the latest message of each key, while a
//! subscriber may need them. Subscribers that do not keep up and conflate, and those with a pace,
//! *follow* the values, and not the batches:
//!
//! ```text
//! values, in the order of their last change; the numbers are the topic's own
//!
//!   ┌──────┬──────┬──────┬──────┬──────┬──────┐
//!   │ b 12 │ e 14 │      │ a 19 │ d 20 │ c 23 │ ◄── broadcast_keyed: the value of a key moves here
//!   └──────┴──────┴──────┴──────┴──────┴──────┘
//!             ▲      ▲
//!             │      └ vacant: its value moved to the end, and it goes with many others
//!             └ number of a follower = 14: a, d and c are pending for it
//! ```
//!
//! Followers are behind, and get values as their output has room, or wait for the next tick of
//! their pace. All followers of a topic with the same interval share its ticks. One without a pace
//! that has got everything is served from the batches again.
//!
//! The value of a key that changes all the time is always among the last. So a follower that is
//! behind for a whole round of the keys also gets values *ahead* of their turn, and remembers their
//! numbers until it passes them.
//!
//! The log and the open batch have at most [`TopicLimits::backlog`] bytes each. If the log drops a
//! batch, the lagging subscribers miss it.
//!
//! - **Settled:** nothing is pending for a connection: it is not lagging, and no topic has an open
//!   or sealed batch. Otherwise [`Topics::deliver_pending`] must be called before a direct message
//!   is sent to it, so that output leaves in the order of the calls.
//! - **Sequence number:** broadcasts are numbered across all topics of a loop. Each connection
//!   remembers up to which one it was served (`Member::served`), and a subscription may be ahead of
//!   that (`Subscriber::since`). This keeps the order between topics.
//! - **Number:** broadcasts are also numbered within their topic. Gaps are reported in these
//!   numbers.
//! - **Gap:** consecutive broadcasts of a topic that a subscriber did not get. It ends when a later
//!   broadcast is sent, or when nothing waits for the connection any more.
//!
//! The files, each of which uses only those above it:
//!
//! | file | contents |
//! | --- | --- |
//! | `counters` `shrink` `limits` | totals, returning spare capacity, limits and errors |
//! | `batch` `output` `gaps` | encoded frames, where they go, what was missed |
//! | `recency` `ahead` `followers` `values` | the latest message of each key, and its followers |
//! | `topic` `member` | one topic with its batches, one connection with its subscriptions |
//! | `registry` | all topics and connections, and how far each was served |
//! | `following` `walks` `ticks` | which subscribers follow values, how far, and when |
//! | `memory` `active` `changes` `pending` | what a loop keeps beside them, each for one purpose |
//! | `all_topics` | [`Topics`] |
//! | `conflation` `keeping` `serving` `pacing` `ticking` | a view of it for values |
//! | `broadcasting` `subscribing` `delivery` `merge` | the rest of its methods |

mod active;
mod ahead;
mod all_topics;
mod batch;
mod broadcasting;
mod changes;
mod configs;
mod configured;
mod conflation;
mod counters;
mod delivery;
mod durable;
mod envelope;
mod epoch;
mod expiring;
mod expiry;
mod followers;
mod following;
mod gaps;
mod history;
mod keeping;
mod limits;
mod log;
mod member;
mod memory;
mod merge;
mod output;
mod pacing;
mod past;
mod pending;
mod position;
mod recency;
mod registry;
mod resuming;
mod serving;
mod shrink;
mod subscribing;
#[cfg(test)]
mod tests;
mod ticking;
mod ticks;
mod topic;
mod values;
mod walks;

pub(crate) use self::all_topics::Topics;
pub(crate) use self::batch::{Frames, Run, Source};
pub(crate) use self::configs::TopicConfigs;
pub use self::configs::{Durability, InvalidTopicConfig, TopicConfig, TopicStorage};
pub(crate) use self::configured::configured_topic;
pub(crate) use self::delivery::Delivery;
pub(crate) use self::durable::{DurableTopics, Restored};
pub use self::envelope::{Enclosed, Envelope};
pub(crate) use self::epoch::TopicEpoch;
pub(crate) use self::gaps::MissedRange;
pub use self::history::History;
pub(crate) use self::limits::{TopicError, TopicLimits};
pub(crate) use self::output::{Output, SendCapacity};
pub(crate) use self::past::Past;
pub use self::position::{InvalidPosition, Position};
pub use self::resuming::Resumption;
pub(crate) use self::resuming::{ResumeRequest, Resuming};
