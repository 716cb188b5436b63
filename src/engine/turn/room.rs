/// How many connections a loop may have.
#[derive(Debug)]
pub(crate) struct Room {
    max_connections: usize,
    /// Parallel attempts to connect beyond one for each connection. Each has a descriptor.
    extra_attempts: usize,
}

impl Room {
    pub(crate) const fn new(max_connections: usize) -> Self {
        Self { max_connections, extra_attempts: 0 }
    }

    pub(crate) const fn is_full(&self, connections: usize) -> bool {
        connections + self.extra_attempts >= self.max_connections
    }

    pub(crate) const fn set_extra_attempts(&mut self, count: usize) {
        self.extra_attempts = count;
    }
}
