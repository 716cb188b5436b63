//! HTTP requests: routes and their answers.

pub(crate) mod respond;
pub(crate) mod router;
pub(crate) mod routes;
