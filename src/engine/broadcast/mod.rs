//! Topics: subscriptions, broadcasts and their delivery.

pub(crate) mod deliver;
pub(crate) mod order;
pub(crate) mod refusal;
pub(crate) mod report;
pub(crate) mod resume;
pub(crate) mod subscribe;
pub(crate) mod topics;
