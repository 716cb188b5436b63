use std::net::SocketAddr;

use crate::reactor::Lookup;
use crate::slots::Key;

/// A connection that is being made: what is still to be tried, and what is under way.
#[derive(Debug, Default)]
pub(crate) struct Connector {
    /// Its name is being looked up.
    pub(crate) lookup: Option<Lookup>,
    /// Addresses that were not tried, the next one last.
    pub(crate) addresses: Vec<SocketAddr>,
    /// Attempts under way, the latest one last.
    pub(crate) attempts: Vec<Key>,
    /// The trusted roots and the name of the host, if the connection is to speak TLS.
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<(crate::reactor::TlsClient, String)>,
}

impl Connector {
    /// Sets the addresses to try, in this order.
    pub(crate) fn set_addresses(&mut self, mut addresses: Vec<SocketAddr>) {
        addresses.reverse();
        self.addresses = addresses;
    }
}

/// The addresses of a name in the order to try them: the families alternate, beginning with that of
/// the first address, so that a family that does not work costs little time (RFC 8305 §4).
pub(crate) fn interleave(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let Some(first) = addresses.first() else {
        return Vec::new();
    };
    let is_first = |address: &&SocketAddr| address.is_ipv4() == first.is_ipv4();
    let mut others = addresses.iter().filter(|address| !is_first(address));
    let mut firsts = addresses.iter().filter(is_first);
    let mut ordered = Vec::with_capacity(addresses.len());
    while ordered.len() < addresses.len() {
        ordered.extend(firsts.next());
        ordered.extend(others.next());
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns_beginning_with_the_first_one() {
        for (given, expected) in [
            (&[][..], &[][..]),
            (&["6:1"], &["6:1"]),
            (&["6:1", "6:2", "6:3", "4:1", "4:2"], &["6:1", "4:1", "6:2", "4:2", "6:3"]),
            (&["4:1", "6:1", "6:2", "6:3"], &["4:1", "6:1", "6:2", "6:3"]),
            (&["4:1", "4:2", "6:1"], &["4:1", "6:1", "4:2"]),
        ] {
            let address = |text: &&str| -> SocketAddr {
                let (family, port) = text.split_once(':').expect("a family and a port");
                let ip = if family == "6" { "[::1]" } else { "127.0.0.1" };
                format!("{ip}:{port}").parse().expect("an address")
            };
            let given: Vec<_> = given.iter().map(address).collect();
            let expected: Vec<_> = expected.iter().map(address).collect();
            assert_eq!(interleave(&given), expected);
        }
    }
}
