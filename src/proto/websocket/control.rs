use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use super::{Limits, ProtocolError};
use crate::time::Time;

/// The payload so far of a control frame that arrives in pieces. The whole has at most 125 bytes
/// (RFC 6455 §5.5).
pub(super) struct ControlPayload {
    bytes: [u8; Self::MAX_LEN],
    len: u8,
}

impl ControlPayload {
    /// The longest payload of a control frame, in bytes.
    pub(super) const MAX_LEN: usize = 125;

    /// Appends `bytes`. They fit, because the frame's header was checked.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        let start = usize::from(self.len);
        self.bytes[start..start + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len() as u8;
    }
}

impl Default for ControlPayload {
    fn default() -> Self {
        Self { bytes: [0; Self::MAX_LEN], len: 0 }
    }
}

impl Deref for ControlPayload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl fmt::Debug for ControlPayload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ControlPayload({:?})", &**self)
    }
}

/// Limits the rate of control frames and empty fragments. Each costs this program far more work
/// than the peer.
#[derive(Debug)]
pub(super) struct ControlBudget {
    /// When the peer has its whole burst again. Each frame moves this by its share of a second.
    full_at: Time,
}

impl ControlBudget {
    pub(super) const fn new(now: Time) -> Self {
        Self { full_at: now }
    }

    /// Counts one frame.
    pub(super) fn spend(&mut self, limits: &Limits, now: Time) -> Result<(), ProtocolError> {
        let share = Duration::from_secs(1) / limits.control_rate.max(1);
        let full_at = self.full_at.max(now) + share;
        if full_at.since(now) > share.saturating_mul(limits.control_burst) {
            return Err(ProtocolError::ControlFlood);
        }
        self.full_at = full_at;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_only_the_rate() {
        let limits = Limits::default().control_rate(100, 200);
        let start = Time::BEGINNING;
        let mut budget = ControlBudget::new(start);
        for _ in 0..200 {
            assert_eq!(budget.spend(&limits, start), Ok(()));
        }
        assert_eq!(budget.spend(&limits, start), Err(ProtocolError::ControlFlood));
        let later = start + Duration::from_millis(10);
        assert_eq!(budget.spend(&limits, later), Ok(()));
        assert_eq!(budget.spend(&limits, later), Err(ProtocolError::ControlFlood));
    }

    #[test]
    fn a_payload_grows_piece_by_piece() {
        let mut payload = ControlPayload::default();
        payload.extend(b"ab");
        payload.extend(b"cd");
        assert_eq!(&*payload, b"abcd");
    }
}
