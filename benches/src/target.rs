use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use crate::machine::Process;

/// The format of messages on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// RFC 6455: one masked binary frame per message.
    WebSocket,
    /// The bytes of the messages one after the other, all of one length.
    Tcp,
}

/// The server under load: `ws://host[:port][/path]` or `tcp://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) wire: Wire,
    /// Name or address, an IPv6 address without its brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Path and query, from the first slash on.
    pub(crate) path: String,
}

impl Target {
    /// A server of this program itself.
    pub(crate) fn embedded(wire: Wire, address: SocketAddr) -> Self {
        let (host, port) = (address.ip().to_string(), address.port());
        Self { wire, host, port, path: "/".to_owned() }
    }

    /// The process that listens there, if it is on this machine.
    pub(crate) fn process(&self) -> Option<Process> {
        let host = self.host.as_str();
        let is_local = matches!(host, "localhost" | "::1") || host.starts_with("127.");
        is_local.then(|| Process::listening(self.port)).flatten()
    }

    /// The value of the `Host` header (RFC 6455 §4.1): without the port if it is the default one.
    pub(crate) fn authority(&self) -> String {
        let host =
            if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == DEFAULT_PORT { host } else { format!("{host}:{}", self.port) }
    }
}

const DEFAULT_PORT: u16 = 80;

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.wire {
            Wire::WebSocket => write!(f, "ws://{}{}", self.authority(), self.path),
            Wire::Tcp => write!(f, "tcp://{}", self.authority()),
        }
    }
}

impl FromStr for Target {
    type Err = String;

    fn from_str(url: &str) -> Result<Self, String> {
        let (scheme, rest) =
            url.split_once("://").ok_or("a URL begins with ws:// (or tcp:// for raw TCP)")?;
        let wire = match scheme.to_ascii_lowercase().as_str() {
            "ws" => Wire::WebSocket,
            "tcp" => Wire::Tcp,
            "wss" => return Err("wss:// is not supported: measure behind a TLS proxy".into()),
            _ => return Err(format!("unknown scheme '{scheme}': use ws:// or tcp://")),
        };
        if url.bytes().any(|byte| byte <= b' ' || byte == 0x7f || byte == b'#') {
            return Err("a WebSocket URL has no spaces, control characters or fragment".into());
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (host, port) = split_authority(authority)?;
        let port = match (port, wire) {
            (Some(port), _) => parse_port(port)?,
            (None, Wire::WebSocket) => DEFAULT_PORT,
            (None, Wire::Tcp) => return Err("a tcp:// URL needs a port".into()),
        };
        let path = match path.as_bytes().first() {
            Some(b'/') => path.to_owned(),
            _ => format!("/{path}"),
        };
        if wire == Wire::Tcp && path != "/" {
            return Err("a tcp:// URL has no path".into());
        }
        Ok(Self { wire, host: host.to_owned(), port, path })
    }
}

fn split_authority(authority: &str) -> Result<(&str, Option<&str>), String> {
    if authority.contains('@') {
        return Err("user names in URLs are not supported".into());
    }
    let (host, port) = if let Some(bracketed) = authority.strip_prefix('[') {
        let (host, rest) = bracketed.split_once(']').ok_or("'[' without ']' in the URL")?;
        match rest.strip_prefix(':') {
            Some(port) => (host, Some(port)),
            None if rest.is_empty() => (host, None),
            None => return Err(format!("unexpected '{rest}' after the address")),
        }
    } else {
        match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        }
    };
    if host.is_empty() {
        return Err("the URL names no host".into());
    }
    Ok((host, port))
}

fn parse_port(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(format!("'{text}' is not a port (1 to 65535)")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> (Wire, String, u16, String) {
        let target: Target = url.parse().unwrap();
        (target.wire, target.host, target.port, target.path)
    }

    #[test]
    fn urls_are_taken_apart() {
        let ws = |host: &str, port, path: &str| {
            (Wire::WebSocket, host.to_owned(), port, path.to_owned())
        };
        assert_eq!(parsed("ws://localhost:9001"), ws("localhost", 9001, "/"));
        assert_eq!(parsed("WS://example.org/chat?room=1"), ws("example.org", 80, "/chat?room=1"));
        assert_eq!(parsed("ws://h?x=1"), ws("h", 80, "/?x=1"));
        assert_eq!(parsed("ws://[::1]:9001/a"), ws("::1", 9001, "/a"));
        assert_eq!(parsed("tcp://h:7"), (Wire::Tcp, "h".to_owned(), 7, "/".to_owned()));
    }

    #[test]
    fn a_parsed_url_prints_as_a_url() {
        for url in ["ws://localhost:9001/", "ws://[::1]/a?b", "tcp://127.0.0.1:7"] {
            let target: Target = url.parse().unwrap();
            assert_eq!(target.to_string(), url);
        }
    }

    #[test]
    fn wrong_urls_are_refused() {
        for url in [
            "",
            "localhost:9001",
            "http://h",
            "wss://h",
            "ws://",
            "ws://:80",
            "ws://h:0",
            "ws://h:99999",
            "ws://h:x",
            "ws://[::1",
            "ws://[::1]x",
            "ws://a@h",
            "ws://h/a b",
            "ws://h/#f",
            "tcp://h",
            "tcp://h:1/path",
            "ws://h\r\nX: y",
        ] {
            assert!(url.parse::<Target>().is_err(), "{url}");
        }
    }
}
