//! The stamp of an update: its time and its number.

/// The stamp of one update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Update {
    /// Nanoseconds since the run began.
    pub(crate) made: u64,
    /// From 0 on, without gaps.
    pub(crate) number: u64,
}

impl Update {
    pub(crate) const LEN: usize = 16;

    /// Writes the stamp to the front of a payload.
    pub(crate) fn write(self, payload: &mut [u8]) {
        payload[..8].copy_from_slice(&self.made.to_le_bytes());
        payload[8..Self::LEN].copy_from_slice(&self.number.to_le_bytes());
    }

    /// The stamp at the front of a payload.
    pub(crate) fn read(payload: &[u8]) -> Option<Self> {
        let (made, rest) = payload.split_first_chunk()?;
        let number = rest.first_chunk()?;
        Some(Self { made: u64::from_le_bytes(*made), number: u64::from_le_bytes(*number) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_comes_out_as_it_went_in() {
        let (update, mut payload) = (Update { made: 1, number: u64::MAX }, [7; 20]);
        update.write(&mut payload);
        assert_eq!(Update::read(&payload), Some(update));
        assert_eq!(payload[16..], [7; 4]);
        assert_eq!(Update::read(&payload[..15]), None);
    }
}
