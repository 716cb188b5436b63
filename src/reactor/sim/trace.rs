//! The history of a simulation, as a running hash and, on request, as readable lines.

use std::fmt::{self, Write};
use std::io;
use std::time::Duration;

/// The history of one simulation: equal hashes mean equal histories.
#[derive(Debug)]
pub(super) struct Trace {
    hash: Fnv,
    lines: Option<Vec<String>>,
}

impl Trace {
    pub(super) const fn new() -> Self {
        Self { hash: Fnv(Fnv::OFFSET), lines: None }
    }

    /// Appends what happened at `elapsed`.
    pub(super) fn record(&mut self, elapsed: Duration, what: fmt::Arguments<'_>) {
        // A fuzzer does not compare histories, and would spend a quarter of its time on them.
        if cfg!(fuzzing) && self.lines.is_none() {
            return;
        }
        let nanos = elapsed.as_nanos();
        // Writing to the hash cannot fail.
        let _ = writeln!(self.hash, "{nanos} {what}");
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{:>14.6} {what}", elapsed.as_secs_f64()));
        }
    }

    pub(super) const fn hash(&self) -> u64 {
        self.hash.0
    }

    pub(super) fn keep_lines(&mut self) {
        self.lines.get_or_insert_default();
    }

    pub(super) fn lines(&self) -> &[String] {
        self.lines.as_deref().unwrap_or_default()
    }
}

/// The outcome of a call, the same text on every system.
pub(super) struct Outcome<'a, T>(pub(super) &'a io::Result<T>);

impl<T: fmt::Debug> fmt::Display for Outcome<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Ok(value) => write!(f, "{value:?}"),
            Err(error) => match error.raw_os_error() {
                Some(code) => write!(f, "error {code}"),
                None => write!(f, "{:?}", error.kind()),
            },
        }
    }
}

/// A hash of `bytes`, eight at a time.
pub(super) fn fingerprint(bytes: &[u8]) -> u64 {
    let mut hash = Fnv::OFFSET ^ bytes.len() as u64;
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(Fnv::PRIME).rotate_left(23);
    }
    hash
}

/// FNV-1a with 64 bits.
#[derive(Debug)]
struct Fnv(u64);

impl Fnv {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
}

impl Write for Fnv {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(Self::PRIME);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_follows_time_and_text() {
        let hash = |nanos, text: &str| {
            let mut trace = Trace::new();
            trace.record(Duration::from_nanos(nanos), format_args!("{text}"));
            trace.hash()
        };
        assert_eq!(hash(1, "recv"), hash(1, "recv"));
        assert_ne!(hash(1, "recv"), hash(2, "recv"));
        assert_ne!(hash(1, "recv"), hash(1, "send"));
    }

    #[test]
    fn lines_are_kept_only_on_request() {
        let mut trace = Trace::new();
        trace.record(Duration::ZERO, format_args!("before"));
        trace.keep_lines();
        trace.record(Duration::from_micros(5), format_args!("after"));
        assert_eq!(trace.lines(), ["      0.000005 after"]);
    }

    #[test]
    fn a_fingerprint_tells_lengths_and_places_apart() {
        assert_ne!(fingerprint(&[0; 8]), fingerprint(&[0; 9]));
        assert_ne!(fingerprint(b"abcdefgh12345678"), fingerprint(b"12345678abcdefgh"));
    }
}
