//! The lookup of a host name, as its two sides see it.

use std::sync::{Arc, Weak};

/// A lookup of a host name. Dropping it cancels the lookup.
#[derive(Debug, Default)]
#[must_use = "dropping it cancels the lookup"]
pub struct Lookup(Arc<()>);

/// Tells the resolver whether a [`Lookup`] was dropped.
#[derive(Clone, Debug)]
pub struct Interest(Weak<()>);

impl Lookup {
    /// A lookup that begins.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the resolver keeps of this lookup.
    #[must_use]
    pub fn interest(&self) -> Interest {
        Interest(Arc::downgrade(&self.0))
    }
}

impl Interest {
    /// Whether the [`Lookup`] still exists.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.0.strong_count() > 0
    }
}
