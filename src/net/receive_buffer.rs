/// What is received from streams, until it is handled: one for all of them.
#[derive(Debug, Default)]
pub(crate) struct ReceiveBuffer {
    storage: Vec<u8>,
    /// Where the buffer begins in its storage.
    start: usize,
}

impl ReceiveBuffer {
    /// Bytes between two places that a processor takes for the same one at first.
    const PAGE: usize = 4096;

    /// How far behind such a place the buffer begins. What the system copies into it begins at one
    /// itself as a rule: close behind it, the processor would take each load for one of what it has
    /// just stored, and wait. A line of the cache is far enough.
    const DISTANCE: usize = 64;

    /// A buffer of `len` bytes.
    pub(crate) fn new(len: usize) -> Self {
        let storage = vec![0; Self::PAGE + Self::DISTANCE + len];
        let start = storage.as_ptr().align_offset(Self::PAGE).min(Self::PAGE) + Self::DISTANCE;
        let mut buffer = Self { storage, start };
        buffer.storage.truncate(start + len);
        buffer
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        &mut self.storage[self.start..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_as_long_as_it_is_to_be_and_begins_where_it_is_fast() {
        for len in [0, 1, 4096, 260 * 1024] {
            let mut buffer = ReceiveBuffer::new(len);
            assert_eq!(buffer.as_mut_slice().len(), len);
            let address = buffer.as_mut_slice().as_ptr() as usize;
            assert_eq!(address % ReceiveBuffer::PAGE, ReceiveBuffer::DISTANCE);
        }
    }
}
