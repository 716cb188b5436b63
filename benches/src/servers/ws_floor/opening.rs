//! The server's side of the opening handshake (RFC 6455 §4.2), as short as is valid.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// A longer head is refused, in bytes.
pub(super) const HEAD_MAX: usize = 16 * 1024;

const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const NAME: &[u8] = b"sec-websocket-key:";
/// Base64 of a SHA-1 digest, in bytes.
const ACCEPT: usize = 28;
const BEFORE: &[u8; 97] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: ";
const AFTER: &[u8; 4] = b"\r\n\r\n";

/// The length of the head with its empty line. `None` if the empty line has not arrived.
pub(super) fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(AFTER.len()).position(|window| window == AFTER).map(|at| at + AFTER.len())
}

/// The client's key.
pub(super) fn key(head: &[u8]) -> Option<&[u8]> {
    let line = head
        .split(|&byte| byte == b'\n')
        .find(|line| line.len() > NAME.len() && line[..NAME.len()].eq_ignore_ascii_case(NAME))?;
    Some(line[NAME.len()..].trim_ascii())
}

/// The value of `Sec-WebSocket-Accept` for the key.
pub(super) fn response(key: &[u8]) -> [u8; BEFORE.len() + ACCEPT + AFTER.len()] {
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    let mut response = [0; BEFORE.len() + ACCEPT + AFTER.len()];
    response[..BEFORE.len()].copy_from_slice(BEFORE);
    let accept = &mut response[BEFORE.len()..][..ACCEPT];
    STANDARD.encode_slice(digest, accept).expect("a digest has one length");
    response[BEFORE.len() + ACCEPT..].copy_from_slice(AFTER);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_head_with_a_key_is_answered() {
        let head =
            b"GET / HTTP/1.1\r\nHost: h\r\nSEC-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        let response = response(key(head).unwrap());
        assert!(response.ends_with(b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"));
        assert_eq!(key(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"), None);
        assert_eq!(end_of_head(b"GET / HTTP/1.1\r\n\r"), None);
        assert_eq!(end_of_head(b"a\r\n\r\n\x81\x84\0\0\0\0\r\n\r\n"), Some(5));
    }
}
