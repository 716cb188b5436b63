use super::frame::{binary_header, masked};
use super::payload::{Stamp, pattern};
use crate::target::Wire;

/// Frames of equal messages back to back, encoded and masked once. Before each send only the stamps
/// are written, already masked. So sending a message costs eight written bytes.
///
/// All frames of a run share one mask key. Unpredictable keys protect proxies (RFC 6455 §10.3), and
/// this load passes none.
#[derive(Debug)]
pub(crate) struct Batch {
    /// `frames` encoded frames.
    bytes: Vec<u8>,
    frames: usize,
    frame_len: usize,
    /// Where the payload begins in each frame.
    payload_at: usize,
    /// How many bytes of the stamp fit into the payload.
    stamp_len: usize,
    /// The mask over the stamp, as [`Stamp::to_bits`] lies on the wire.
    stamp_mask: u64,
}

/// A longer batch would not fit into the socket's buffer anyway, in bytes.
const BATCH_MAX: usize = 256 * 1024;

impl Batch {
    /// Room for up to `frames` messages of `size` bytes each, but at least for one.
    pub(crate) fn new(wire: Wire, size: usize, frames: usize, key: [u8; 4]) -> Self {
        let (mut frame, key) = match wire {
            Wire::WebSocket => (binary_header(size, Some(key)), key),
            Wire::Tcp => (Vec::new(), [0; 4]),
        };
        let payload_at = frame.len();
        frame.extend(masked(&pattern(size), key));
        let frames = frames.min(BATCH_MAX / frame.len()).max(1);
        let [a, b, c, d] = key;
        Self {
            bytes: frame.repeat(frames),
            frames,
            frame_len: frame.len(),
            payload_at,
            stamp_len: size.min(Stamp::LEN),
            stamp_mask: u64::from_le_bytes([a, b, c, d, a, b, c, d]),
        }
    }

    /// How many frames [`Batch::fill`] can give at once.
    pub(crate) fn capacity(&self) -> usize {
        self.frames
    }

    /// `frames` frames of one sender, numbered from `first` on.
    pub(crate) fn fill(&mut self, first: Stamp, frames: usize) -> &[u8] {
        let bytes = &mut self.bytes[..frames * self.frame_len];
        let mut stamp = first;
        for frame in bytes.chunks_exact_mut(self.frame_len) {
            let masked = (stamp.to_bits() ^ self.stamp_mask).to_le_bytes();
            let at = self.payload_at;
            frame[at..at + self.stamp_len].copy_from_slice(&masked[..self.stamp_len]);
            stamp = stamp.plus(1);
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    /// Unmasks a frame whose header is `header` bytes long without the key.
    fn payload(frame: &[u8], header: usize) -> Vec<u8> {
        masked(&frame[header + 4..], KEY).collect()
    }

    #[test]
    fn every_length_form_carries_the_stamp_and_the_pattern() {
        for (size, header) in
            [(0, 2), (3, 2), (8, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)]
        {
            let mut batch = Batch::new(Wire::WebSocket, size, 1, KEY);
            let stamp = Stamp { sender: 0x0403_0201, sequence: 0x0807_0605 };
            let frame = batch.fill(stamp, 1);
            assert_eq!(frame.len(), header + 4 + size);
            let mut expected = pattern(size);
            let stamp = [5, 6, 7, 8, 1, 2, 3, 4];
            let carried = size.min(8);
            expected[..carried].copy_from_slice(&stamp[..carried]);
            assert_eq!(payload(frame, header), expected, "{size}");
        }
    }

    #[test]
    fn frames_of_a_batch_are_numbered_on() {
        let mut batch = Batch::new(Wire::Tcp, 8, 3, KEY);
        let bytes = batch.fill(Stamp { sender: 1, sequence: u32::MAX }, 3);
        let sequences: Vec<&[u8]> = bytes.chunks(8).map(|message| &message[..4]).collect();
        assert_eq!(sequences, [[255; 4], [0; 4], [1, 0, 0, 0]]);
    }

    #[test]
    fn a_batch_of_long_frames_holds_at_least_one() {
        assert_eq!(Batch::new(Wire::WebSocket, 1 << 20, 64, KEY).capacity(), 1);
        assert_eq!(Batch::new(Wire::WebSocket, 20, 64, KEY).capacity(), 64);
    }
}
