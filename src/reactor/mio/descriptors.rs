//! How many descriptors there are.

/// Descriptors that remain for the rest of the program.
const RESERVED_DESCRIPTORS: usize = 64;

/// The most connections, however many descriptors there are.
const CONNECTIONS_MAX: usize = 65_536;

/// How many connections this process may hold open at once.
pub(super) fn max_connections() -> usize {
    descriptor_limit().saturating_sub(RESERVED_DESCRIPTORS).clamp(1, CONNECTIONS_MAX)
}

/// The soft limit of open files. Without unsafe code it is available only as text.
fn descriptor_limit() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))
        .and_then(|values| values.split_whitespace().next())
        .and_then(|soft| soft.parse().ok())
        // POSIX guarantees only a few, but every system has had this many for decades.
        .unwrap_or(1024)
}
