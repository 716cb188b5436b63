//! Lock-free ways into the loop from other threads.

mod doorbell;

pub(crate) use doorbell::Doorbell;
