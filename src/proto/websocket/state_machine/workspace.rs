use crate::proto::websocket::control::ControlPayload;
use crate::proto::{BufferPool, CloseCode, CloseFrame, MaskKeys, OpCode, Role, write_frame};
use crate::time::Time;

/// What a connection borrows from its owner for one call.
#[derive(Debug)]
pub struct Workspace<'a> {
    /// Bytes for the peer are appended here.
    pub out: &'a mut Vec<u8>,
    /// Mask keys. Only a client takes any.
    pub mask_keys: &'a mut MaskKeys,
    /// Storage for incomplete messages.
    pub pool: &'a mut BufferPool,
    /// The time.
    pub now: Time,
}

impl Workspace<'_> {
    /// Appends a close frame from the end in `role`. A code that must not be sent is left out.
    pub(super) fn write_close(&mut self, role: Role, code: Option<CloseCode>, reason: &str) {
        let mut payload = [0; ControlPayload::MAX_LEN];
        let len = match code.filter(|code| code.is_sendable()) {
            Some(code) => CloseFrame { code, reason }.encode(&mut payload),
            None => 0,
        };
        self.write_control(role, OpCode::Close, &payload[..len]);
    }

    /// Appends a control frame from the end in `role`.
    pub(super) fn write_control(&mut self, role: Role, opcode: OpCode, payload: &[u8]) {
        let key = self.mask_keys.key_for(role);
        write_frame(opcode, payload, key, self.out);
    }
}
