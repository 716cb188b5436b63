use crate::proto::OpCode;

/// A whole message as it arrived, still compressed.
#[derive(Clone, Copy, Debug)]
pub(in crate::proto) struct CompressedMessage<'a> {
    pub(in crate::proto) opcode: OpCode,
    pub(in crate::proto) payload: &'a [u8],
    /// The longest that it may be when it is decompressed, in bytes.
    pub(in crate::proto) limit: usize,
}
