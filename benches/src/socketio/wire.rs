//! Bytes on the wire: a client's requests and frames, and a server's responses.

use crate::load::Target;

/// Path and query of a Socket.IO server without its transport.
const PATH: &str = "/socket.io/?EIO=4&transport=";

/// Separates the packets of one payload.
pub(super) const SEPARATOR: u8 = 0x1e;

/// A longer head is refused, in bytes.
const HEAD_MAX: usize = 16 * 1024;

/// A response that is there in whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Response<'a> {
    pub(super) status: u16,
    pub(super) body: &'a [u8],
    /// The length of everything.
    pub(super) len: usize,
}

/// The request that opens a WebSocket at `path`.
pub(super) fn upgrade(target: &Target, path: &str) -> Vec<u8> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        target.authority(),
    );
    request.into_bytes()
}

/// The path of a session over WebSocket.
pub(super) fn websocket_path() -> String {
    format!("{PATH}websocket")
}

/// The path of a session over polling: a new one without its id.
pub(super) fn polling_path(sid: Option<&str>) -> String {
    sid.map_or_else(|| format!("{PATH}polling"), |sid| format!("{PATH}polling&sid={sid}"))
}

pub(super) fn get(target: &Target, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", target.authority()).into_bytes()
}

pub(super) fn post(target: &Target, path: &str, payload: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: text/plain;charset=UTF-8\r\n\
         Content-Length: {}\r\n\r\n",
        target.authority(),
        payload.len(),
    );
    [head.as_bytes(), payload].concat()
}

/// The response at the beginning of the input, or `None` until it is there in whole.
pub(super) fn response(input: &[u8]) -> Result<Option<Response<'_>>, String> {
    let Some(end) = input.windows(4).position(|bytes| bytes == b"\r\n\r\n") else {
        return if input.len() < HEAD_MAX { Ok(None) } else { Err("its head is too long".into()) };
    };
    let head = std::str::from_utf8(&input[..end]).map_err(|_| "its head is no text")?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 "));
    let status: u16 = status
        .and_then(|line| line.get(..3)?.parse().ok())
        .ok_or("it answered something that is no HTTP")?;
    let header = |name: &str| {
        head.split("\r\n").skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    let begin = end + 4;
    if status == 101 {
        return Ok(Some(Response { status, body: &[], len: begin }));
    }
    let len = header("Content-Length").and_then(|value| value.parse::<usize>().ok());
    let end = begin + len.ok_or("it answered without a Content-Length")?;
    let body = input.get(begin..end);
    Ok(body.map(|body| Response { status, body, len: end }))
}

/// A masked frame of a whole message. The mask is zero: the payload is unchanged.
pub(super) fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let len = payload.len();
    let mut frame = Vec::with_capacity(8 + len);
    match u8::try_from(len).ok().filter(|len| *len < 126) {
        Some(len) => frame.extend([0x80 | opcode, 0x80 | len]),
        None => frame.extend([0x80 | opcode, 0x80 | 126, (len >> 8) as u8, len as u8]),
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// The id in the open packet of Engine.IO.
pub(super) fn sid(packet: &[u8]) -> Option<String> {
    let open: serde_json::Value = serde_json::from_slice(packet.strip_prefix(b"0")?).ok()?;
    Some(open.get("sid")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_are_taken_in_whole() {
        let text = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP";
        let whole = Response { status: 200, body: b"ok", len: text.len() - 4 };
        assert_eq!(response(text), Ok(Some(whole)));
        for end in 0..whole.len {
            assert_eq!(response(&text[..end]), Ok(None));
        }
        let upgraded =
            response(b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\0").unwrap().unwrap();
        assert_eq!((upgraded.status, upgraded.len), (101, 36));
        assert!(response(b"SSH-2.0\r\n\r\n").is_err());
        assert!(response(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert!(response(&[b'x'; HEAD_MAX]).is_err());
    }

    #[test]
    fn frames_have_a_mask_of_zeros() {
        assert_eq!(frame(1, b"40"), b"\x81\x82\0\0\0\x0040");
        let long = frame(1, &[b'x'; 300]);
        assert_eq!(long[..8], *b"\x81\xfe\x01\x2c\0\0\0\0");
        assert_eq!(long.len(), 308);
    }

    #[test]
    fn the_id_of_a_session_is_found() {
        assert_eq!(sid(b"0{\"sid\":\"a-b\",\"upgrades\":[]}"), Some("a-b".to_owned()));
        assert_eq!(sid(b"0{}"), None);
        assert_eq!(sid(b"40{\"sid\":\"a\"}"), None);
    }
}
