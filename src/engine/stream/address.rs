use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::engine::client::route::known_addresses;
use crate::engine::turn::requests::Destination;
use crate::error::Error;

/// Where to connect a raw stream to: a host and port, an address, or the path of a Unix socket.
///
/// ```
/// use std::path::Path;
/// use eventwire::StreamAddress;
///
/// for address in [
///     StreamAddress::from("redis.example.com:6379"),
///     ("redis.example.com", 6379).into(),
///     "[::1]:6379".into(),
///     std::net::SocketAddr::from(([127, 0, 0, 1], 6379)).into(),
///     Path::new("/run/redis.sock").into(),
/// ] {
///     println!("{address}");
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamAddress {
    /// A host and a port with a colon between them, such as `example.com:6379`.
    Text(String),
    /// An address.
    Socket(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl StreamAddress {
    /// Where it leads.
    ///
    /// # Errors
    ///
    /// If the text is no host with a port.
    pub(crate) fn destination(&self) -> Result<Destination, Error> {
        match self {
            Self::Socket(address) => Ok(Destination::Addresses(vec![*address])),
            Self::Unix(path) => Ok(Destination::Path(path.clone())),
            Self::Text(text) => {
                let (host, port) = split(text).ok_or_else(|| {
                    Error::io(format!("connect to {text:?}"))(io::ErrorKind::InvalidInput.into())
                })?;
                let addresses = known_addresses(host, port);
                Ok(if addresses.is_empty() {
                    Destination::Host(host.to_owned(), port)
                } else {
                    Destination::Addresses(addresses)
                })
            }
        }
    }

    /// The name that a certificate must be valid for. A Unix socket leads to this machine.
    #[cfg(feature = "tls")]
    pub(crate) fn host(&self) -> String {
        match self {
            Self::Text(text) => split(text).map_or(text.as_str(), |(host, _)| host).to_owned(),
            Self::Socket(address) => address.ip().to_string(),
            Self::Unix(_) => "localhost".to_owned(),
        }
    }
}

/// The host and the port. An IPv6 address is in brackets.
fn split(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let is_bracketed = host.starts_with('[') && host.ends_with(']');
    let is_host = !host.is_empty() && (is_bracketed || !host.contains([':', '[', ']']));
    // Not a sign in front, which a number may have.
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
    port.parse().ok().filter(|_| is_host && is_port).map(|port| (host, port))
}

impl fmt::Display for StreamAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Socket(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

impl From<&str> for StreamAddress {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for StreamAddress {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<(&str, u16)> for StreamAddress {
    fn from((host, port): (&str, u16)) -> Self {
        Self::Text(format!("{host}:{port}"))
    }
}

impl From<SocketAddr> for StreamAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Socket(address)
    }
}

impl From<&Path> for StreamAddress {
    fn from(path: &Path) -> Self {
        Self::Unix(path.to_owned())
    }
}

impl From<PathBuf> for StreamAddress {
    fn from(path: PathBuf) -> Self {
        Self::Unix(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_and_its_port_are_told_apart() {
        for (text, expected) in [
            ("example.com:80", Some(("example.com", 80))),
            ("127.0.0.1:0", Some(("127.0.0.1", 0))),
            ("[::1]:65535", Some(("[::1]", 65535))),
            ("::1:80", None),
            ("[::1:80", None),
            ("example.com", None),
            ("example.com:", None),
            ("example.com:65536", None),
            ("example.com:+80", None),
            (":80", None),
            ("", None),
        ] {
            assert_eq!(split(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_known_needs_no_lookup() {
        let destination = |address: StreamAddress| address.destination().expect("it is one");
        for text in ["127.0.0.1:80", "[::1]:80", "localhost:80"] {
            assert!(matches!(destination(text.into()), Destination::Addresses(_)), "{text}");
        }
        let named = destination(("example.com", 80).into());
        assert!(matches!(named, Destination::Host(host, 80) if host == "example.com"));
        let error = StreamAddress::from("nowhere").destination().expect_err("it has no port");
        assert!(error.to_string().starts_with("cannot connect to \"nowhere\""), "{error}");
    }
}
