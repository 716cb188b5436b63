use std::sync::{Arc, Weak};

/// Somebody waits for the addresses of a name: until this is dropped.
#[derive(Debug, Default)]
#[must_use = "dropping it says that nobody waits"]
pub struct Lookup(Arc<()>);

/// Whether anybody waits for the addresses of a name, for those who look it up.
#[derive(Clone, Debug)]
pub struct Interest(Weak<()>);

impl Lookup {
    /// Of a name that begins to be looked up.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells whether this was dropped.
    #[must_use]
    pub fn interest(&self) -> Interest {
        Interest(Arc::downgrade(&self.0))
    }
}

impl Interest {
    /// Whether the [`Lookup`] was not dropped.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.0.strong_count() > 0
    }
}
