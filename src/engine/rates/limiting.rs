//! What is done because of limits.

use crate::engine::core::Core;
use crate::net::streams::Transmit;

/// What is done because of limits, with all that handlers act on.
pub(crate) struct Limiting<'a> {
    pub(super) core: &'a mut Core<dyn Transmit + 'a>,
}

impl<'a> Limiting<'a> {
    #[inline]
    pub(crate) const fn new(core: &'a mut Core<dyn Transmit + 'a>) -> Self {
        Self { core }
    }
}
