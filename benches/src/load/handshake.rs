use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};
use socket2::{Domain, Protocol, Socket, Type};

use crate::error::Error;
use crate::target::{Target, Wire};

/// The time limit for connecting, and for the server's response to the handshake.
const PATIENCE: Duration = Duration::from_secs(5);
/// A longer response is refused, in bytes.
const RESPONSE_MAX: usize = 16 * 1024;
/// The GUID that a server appends to the key (RFC 6455 §1.3).
const ACCEPT_GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Makes one connection and waits for it, and for its opening handshake if the wire has one. Also
/// returns the bytes that the server sent right after its response. `source` is the local address
/// to connect from, if given.
pub(super) fn open(
    target: &Target,
    source: Option<IpAddr>,
    nonce: [u8; 16],
) -> Result<(TcpStream, Vec<u8>), Error> {
    let cannot_connect = || format!("cannot connect to {target}");
    let mut stream = connect(target, source).map_err(Error::system(cannot_connect()))?;
    let early = match target.wire {
        Wire::Tcp => Vec::new(),
        Wire::WebSocket => shake_hands(&mut stream, target, nonce)
            .map_err(|reason| Error::Handshake { target: target.to_string(), reason })?,
    };
    stream.set_nonblocking(true).map_err(Error::system(cannot_connect()))?;
    Ok((stream, early))
}

/// Tries every address of the host in order.
fn connect(target: &Target, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in (target.host.as_str(), target.port).to_socket_addrs()? {
        match connect_to(address, source) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn connect_to(address: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if let Some(source) = source {
        socket.bind(&SocketAddr::new(source, 0).into())?;
    }
    socket.connect_timeout(&address.into(), PATIENCE)?;
    socket.set_tcp_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket.into())
}

fn shake_hands(
    stream: &mut TcpStream,
    target: &Target,
    nonce: [u8; 16],
) -> Result<Vec<u8>, String> {
    let key = STANDARD.encode(nonce);
    stream.write_all(request(target, &key).as_bytes()).map_err(|error| explain(&error))?;
    let (head, early) = read_head(stream)?;
    check_response(&head, &key)?;
    Ok(early)
}

/// A client's side of the opening handshake (RFC 6455 §4.1).
pub(super) fn request(target: &Target, key: &str) -> String {
    format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n",
        target.path,
        target.authority(),
    )
}

/// Reads to the empty line. Returns the bytes after it separately.
fn read_head(stream: &mut TcpStream) -> Result<(String, Vec<u8>), String> {
    const END: &[u8] = b"\r\n\r\n";
    let mut response = Vec::new();
    let mut chunk = [0; 1024];
    loop {
        let length = stream.read(&mut chunk).map_err(|error| explain(&error))?;
        if length == 0 {
            return Err("the server closed the connection".into());
        }
        // The empty line may begin in the previous chunk.
        let searched = response.len().saturating_sub(END.len() - 1);
        response.extend_from_slice(&chunk[..length]);
        let found = response[searched..].windows(END.len()).position(|window| window == END);
        if let Some(found) = found {
            let early = response.split_off(searched + found + END.len());
            let head = String::from_utf8(response).map_err(|_| "the response is not HTTP")?;
            return Ok((head, early));
        }
        if response.len() > RESPONSE_MAX {
            return Err(format!("the response head is over {RESPONSE_MAX} bytes"));
        }
    }
}

/// The checks that RFC 6455 §4.1 requires of a client.
pub(super) fn check_response(head: &str, key: &str) -> Result<(), String> {
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    let mut words = status.splitn(3, ' ');
    if words.next() != Some("HTTP/1.1") {
        return Err("the response is not HTTP/1.1".into());
    }
    if words.next() != Some("101") {
        return Err(format!("the server answered '{status}'"));
    }
    let header = |name: &str| {
        head.split("\r\n").skip(1).find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    if !header("Upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket")) {
        return Err("the response does not upgrade to websocket".into());
    }
    let upgrades =
        |value: &str| value.split(',').any(|token| token.trim().eq_ignore_ascii_case("upgrade"));
    if !header("Connection").is_some_and(upgrades) {
        return Err("the response lacks 'Connection: Upgrade'".into());
    }
    if header("Sec-WebSocket-Accept") != Some(accept_of(key).as_str()) {
        return Err("the Sec-WebSocket-Accept of the response is wrong".into());
    }
    if let Some(extension) = header("Sec-WebSocket-Extensions") {
        return Err(format!("the server chose an extension that was not offered: '{extension}'"));
    }
    Ok(())
}

fn accept_of(key: &str) -> String {
    let digest = Sha1::new().chain_update(key).chain_update(ACCEPT_GUID).finalize();
    STANDARD.encode(digest)
}

fn explain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            format!("no answer within {} s", PATIENCE.as_secs())
        }
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 6455 §1.3.
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const GOOD: &str = "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\n\
        connection: keep-alive, Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
        \r\n";

    #[test]
    fn the_rfcs_own_response_is_accepted() {
        assert_eq!(check_response(GOOD, KEY), Ok(()));
    }

    #[test]
    fn every_wrong_response_is_refused_with_its_reason() {
        for (from, to, reason) in [
            ("HTTP/1.1 101 Switching Protocols", "HTTP/1.1 403 Forbidden", "403 Forbidden"),
            ("HTTP/1.1", "ICY", "not HTTP"),
            ("upgrade: WebSocket", "upgrade: h2c", "does not upgrade"),
            ("keep-alive, Upgrade", "keep-alive", "Connection"),
            ("s3pP", "S3pP", "Sec-WebSocket-Accept"),
            ("\r\n\r\n", "\r\nSec-WebSocket-Extensions: x\r\n\r\n", "extension"),
        ] {
            let error = check_response(&GOOD.replacen(from, to, 1), KEY).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
    }
}
