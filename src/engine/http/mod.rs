//! HTTP requests: routes, answers and streams.

pub(crate) mod answer;
pub(crate) mod answering;
mod denied;
pub(crate) mod event_stream;
pub(crate) mod http_handler;
pub(crate) mod last_event_id;
pub(crate) mod later;
pub(crate) mod pending;
pub(crate) mod respond;
pub(crate) mod responder;
pub(crate) mod router;
pub(crate) mod routes;
pub(crate) mod served;
pub(crate) mod streamed;
pub(crate) mod streaming;
pub(crate) mod upgrade;
