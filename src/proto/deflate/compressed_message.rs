use crate::proto::OpCode;

/// A whole message as it arrived.
#[derive(Clone, Copy, Debug)]
pub(in crate::proto) struct CompressedMessage<'a> {
    pub(in crate::proto) opcode: OpCode,
    pub(in crate::proto) payload: &'a [u8],
    /// How long it may be decompressed, in bytes.
    pub(in crate::proto) limit: usize,
}
