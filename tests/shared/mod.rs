//! What the integration tests, the simulation and the fuzz targets share. Each of their crates
//! includes this module at its root, as `crate::shared`.

mod random;

pub(crate) use self::random::Random;
