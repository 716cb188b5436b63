//! What the integration tests, the simulation and the fuzz targets share. Each of their crates
//! includes this module at its root, as `crate::shared`.

pub(crate) mod frames;
mod random;
mod sim_peer;

pub(crate) use self::frames::{Arrived, frame, request, take_frame};
pub(crate) use self::random::Random;
pub(crate) use self::sim_peer::SimPeer;
