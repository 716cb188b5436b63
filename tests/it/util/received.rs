use eventwire::proto::{FrameHeader, OpCode, Role};

/// Everything that a peer received until its stream ended.
#[derive(Debug)]
pub(crate) struct Received {
    pub(super) bytes: Vec<u8>,
    /// The stream ended with a reset.
    pub(crate) reset: bool,
}

impl Received {
    /// The status of the only HTTP response.
    #[track_caller]
    pub(crate) fn status(&self) -> u16 {
        let text = self.text();
        let status = text.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no HTTP response: {text:?}"));
        let (head, body) = text.split_once("\r\n\r\n").expect("a whole head");
        let length = format!("\r\nContent-Length: {}", body.len());
        assert!(head.contains(&length), "not exactly one response: {text:?}");
        assert!(head.contains("\r\nConnection: close"), "{text:?}");
        status
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What came after the head of the first answer.
    #[track_caller]
    pub(crate) fn after_head(&self) -> Self {
        let end = self.bytes.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head");
        Self { bytes: self.bytes[end + 4..].to_vec(), reset: self.reset }
    }

    /// All frames with their payloads.
    #[track_caller]
    pub(crate) fn frames(&self) -> Vec<(OpCode, Vec<u8>)> {
        let mut frames = Vec::new();
        let mut rest = &self.bytes[..];
        while !rest.is_empty() {
            let parsed = FrameHeader::parse(rest, Role::Client).expect("a valid header");
            let (header, start) = parsed.expect("a whole header");
            let end = start + header.len as usize;
            assert!(end <= rest.len(), "half a frame");
            frames.push((header.opcode, rest[start..end].to_vec()));
            rest = &rest[end..];
        }
        frames
    }

    /// The code of the close frame, which must be the last frame.
    #[track_caller]
    pub(crate) fn close_code(&self) -> u16 {
        let frames = self.frames();
        let closes = frames.iter().filter(|(opcode, _)| *opcode == OpCode::Close).count();
        match frames.last() {
            Some((OpCode::Close, payload)) if closes == 1 => {
                u16::from_be_bytes(*payload.first_chunk().expect("a code"))
            }
            _ => panic!("not one close frame at the end: {frames:?}"),
        }
    }
}
