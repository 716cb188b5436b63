//! A plain reading of the PROXY protocol's headers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::reading::Front;

/// A header of the PROXY protocol, and the client that it names.
pub(super) fn proxy_header(bytes: &[u8]) -> Front<Option<SocketAddr>> {
    if bytes.first() == Some(&b'P') {
        return proxy_line(bytes);
    }
    let signature = b"\r\n\r\n\0\r\nQUIT\n";
    let is_like_it = bytes.iter().zip(signature).all(|(one, other)| one == other);
    if !is_like_it || bytes.get(12).is_some_and(|byte| !(0x20..0x30).contains(byte)) {
        return Front::Refused(400);
    }
    let [.., command, kind, high, low] = bytes.get(..16).unwrap_or_default() else {
        return Front::Incomplete;
    };
    let len = usize::from(*high) * 256 + usize::from(*low);
    if 16 + len > 16 * 1_024 {
        return Front::Refused(400);
    }
    let Some(rest) = bytes.get(16..16 + len) else {
        return Front::Incomplete;
    };
    let port = |at: usize| u16::from_be_bytes([rest[at], rest[at + 1]]);
    let client = match (command % 16, kind) {
        (1, 0x11) if len >= 10 => {
            let ip = Ipv4Addr::new(rest[0], rest[1], rest[2], rest[3]);
            Some(SocketAddr::new(ip.into(), port(8)))
        }
        (1, 0x21) if len >= 34 => {
            let ip: [u8; 16] = rest[..16].try_into().expect("sixteen bytes");
            Some(SocketAddr::new(Ipv6Addr::from(ip).into(), port(32)))
        }
        _ => None,
    };
    Front::Whole(16 + len, client)
}

/// The same in version 1.
fn proxy_line(bytes: &[u8]) -> Front<Option<SocketAddr>> {
    let is_like_it = bytes.iter().zip(b"PROXY ").all(|(one, other)| one == other);
    let end = bytes.iter().take(107).position(|byte| *byte == b'\n');
    let Some(end) = end.filter(|_| is_like_it) else {
        let is_short = is_like_it && bytes.len() < 107;
        return if is_short { Front::Incomplete } else { Front::Refused(400) };
    };
    // Nothing but ASCII is of use here, so that any other byte may become any other character.
    let line = String::from_utf8_lossy(&bytes[..end]);
    let words: Vec<_> = line.split(' ').collect();
    if line.matches('\r').count() != 1 || !line.ends_with('\r') {
        return Front::Refused(400);
    }
    let port = |text: &str| text.parse().ok().filter(|port: &u16| port.to_string() == text);
    let client = match words[..] {
        [_, "UNKNOWN\r"] | [_, "UNKNOWN", ..] => Some(None),
        [_, kind @ ("TCP4" | "TCP6"), from, to, from_port, to_port] => {
            let ip = |text: &str| {
                text.parse().ok().filter(|ip: &IpAddr| ip.is_ipv4() == (kind == "TCP4"))
            };
            match (ip(from), ip(to), port(from_port), port(to_port.trim_end_matches('\r'))) {
                (Some(ip), Some(_), Some(port), Some(_)) => Some(Some(SocketAddr::new(ip, port))),
                _ => None,
            }
        }
        _ => None,
    };
    client.map_or(Front::Refused(400), |client| Front::Whole(end + 1, client))
}
