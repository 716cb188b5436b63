//! The commands that measure: each one is a plan of scenarios, in a file of its own.

mod ageing;
mod bus;
mod bystander;
mod compare;
mod events_stream;
mod figures;
mod freshness;
mod http;
mod jobs;
mod journal;
mod keyed;
mod load;
mod loaded;
mod overview;
mod reconnect;
mod resume;
mod saturation;
mod socketio;
mod system_calls;
mod tls;
mod traffic;

pub(crate) use bus::BusArgs;
pub(crate) use bystander::BystanderArgs;
pub(crate) use compare::CompareArgs;
pub(crate) use events_stream::EventsStreamArgs;
pub(crate) use freshness::FreshnessArgs;
pub(crate) use http::HttpArgs;
pub(crate) use jobs::JobsArgs;
pub(crate) use journal::JournalArgs;
pub(crate) use keyed::KeyedArgs;
pub(crate) use load::{BroadcastArgs, EchoArgs};
pub(crate) use overview::OverviewArgs;
pub(crate) use reconnect::ReconnectArgs;
pub(crate) use resume::ResumeArgs;
pub(crate) use socketio::SocketIoArgs;
pub(crate) use tls::TlsArgs;
