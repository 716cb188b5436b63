/// Where input is received and handled: one buffer for all streams.
#[derive(Debug, Default)]
pub(crate) struct ReceiveBuffer {
    storage: Vec<u8>,
    /// Where the buffer begins in its storage.
    start: usize,
}

impl ReceiveBuffer {
    /// The distance of addresses that a processor confuses at first.
    const PAGE_BYTES: usize = 4096;

    /// Where in a page the buffer begins. What the system copies into it usually lies at the start
    /// of a page: if the buffer did too, the processor would mistake each load for one of what it
    /// has just stored, and wait. The length of a cache line is enough.
    const OFFSET_BYTES: usize = 64;

    /// A buffer of `len` bytes.
    pub(crate) fn new(len: usize) -> Self {
        let storage = vec![0; Self::PAGE_BYTES + Self::OFFSET_BYTES + len];
        let start = storage.as_ptr().align_offset(Self::PAGE_BYTES).min(Self::PAGE_BYTES)
            + Self::OFFSET_BYTES;
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
            assert_eq!(address % ReceiveBuffer::PAGE_BYTES, ReceiveBuffer::OFFSET_BYTES);
        }
    }
}
