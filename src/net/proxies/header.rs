//! The PROXY protocol, version 2: the header in which a proxy says whom it passes on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Where the command, the kind of address, and the addresses are.
const COMMAND: usize = 12;
const KIND: usize = 13;
const ADDRESSES: usize = 16;

/// The connection is another's, not the proxy's own, as to check whether this end lives.
const PROXY: u8 = 1;

const TCP_OVER_IPV4: u8 = 0x11;
const TCP_OVER_IPV6: u8 = 0x21;

/// The address that the connection comes from. The header is of the right form and length, as
/// `Event::ProxyHeader` has it.
pub(super) fn source(header: &[u8]) -> Option<SocketAddr> {
    if header.get(COMMAND)? & 0x0F != PROXY {
        return None;
    }
    let addresses = header.get(ADDRESSES..)?;
    // The source's address, the destination's, and then the ports of both.
    let (ip, ports): (IpAddr, _) = match *header.get(KIND)? {
        TCP_OVER_IPV4 => (Ipv4Addr::from(*addresses.first_chunk()?).into(), addresses.get(8..)?),
        TCP_OVER_IPV6 => {
            (Ipv6Addr::from(*addresses.first_chunk::<16>()?).into(), addresses.get(32..)?)
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, u16::from_be_bytes(*ports.first_chunk()?)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(command: u8, kind: u8, addresses: &[u8]) -> Vec<u8> {
        let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
        header.extend([0x20 | command, kind]);
        header.extend((addresses.len() as u16).to_be_bytes());
        header.extend(addresses);
        header
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            source(&bytes);
            source(&header(1, 0x11, &bytes));
            source(&header(1, 0x21, &bytes));
        }
    }

    #[test]
    fn the_source_is_told_and_what_has_none_tells_nothing() {
        let v4 = [203, 0, 113, 9, 10, 0, 0, 1, 0x30, 0x39, 0x00, 0x50];
        let told = |header: &[u8]| source(header).map(|address| address.to_string());
        assert_eq!(told(&header(1, 0x11, &v4)).as_deref(), Some("203.0.113.9:12345"));
        let mut v6 = [0; 36];
        (v6[0], v6[1], v6[15], v6[33]) = (0x20, 0x01, 7, 9);
        assert_eq!(told(&header(1, 0x21, &v6)).as_deref(), Some("[2001::7]:9"));
        // What else the proxy has to tell comes behind.
        let longer = [&v4[..], &[4, 0, 1, 0]].concat();
        assert_eq!(told(&header(1, 0x11, &longer)).as_deref(), Some("203.0.113.9:12345"));
        // Its own connection, no address, a Unix socket's, and too few bytes.
        for other in [header(0, 0x11, &v4), header(1, 0, &[]), header(1, 0x31, &[0; 216])] {
            assert_eq!(told(&other), None);
        }
        assert_eq!(told(&header(1, 0x11, &v4[..9])), None);
        assert_eq!(told(&header(1, 0x21, &v6[..32])), None);
    }
}
