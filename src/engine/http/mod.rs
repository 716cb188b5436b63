//! HTTP requests: routes and responses.

pub(crate) mod respond;
pub(crate) mod router;
pub(crate) mod routes;
