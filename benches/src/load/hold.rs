//! Connections that are open and idle.

use std::net::{IpAddr, Ipv4Addr};

use mio::net::TcpStream;

use super::handshake;
use super::make_room;
use super::opening::reset;
use crate::error::Error;
use crate::target::Target;

/// How many connections are made from one address: fewer than it has ports.
const FROM_ONE: usize = 20_000;

/// Calls `measure`, opens `count` connections one after the other, calls `measure` again while they
/// are open, and resets them. Returns both measurements.
///
/// If the server listens on a loopback address, the connections come from several loopback
/// addresses, because one address does not have enough ports.
pub(crate) fn hold<T, F>(target: &Target, count: usize, mut measure: F) -> Result<(T, T), Error>
where
    F: FnMut() -> Result<T, Error>,
{
    make_room(count)?;
    let local = target.host.parse().is_ok_and(|host: Ipv4Addr| host.is_loopback());
    let before = measure()?;
    let mut held = Vec::with_capacity(count);
    for index in 0..count {
        let source = local.then(|| source(index));
        let nonce = (index as u128).to_le_bytes();
        let (stream, _) = handshake::open(target, source, nonce)?;
        held.push(TcpStream::from_std(stream));
    }
    let after = measure()?;
    for stream in &held {
        reset(stream)?;
    }
    Ok((before, after))
}

/// The address that connection `index` comes from: 127.0.0.2 and those after it.
fn source(index: usize) -> IpAddr {
    const FIRST: u32 = Ipv4Addr::new(127, 0, 0, 2).to_bits();
    IpAddr::V4(Ipv4Addr::from_bits(FIRST + (index / FROM_ONE) as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_is_the_source_of_more_connections_than_it_has_ports() {
        let address = |last| IpAddr::V4(Ipv4Addr::new(127, 0, 0, last));
        assert_eq!(source(0), address(2));
        assert_eq!(source(FROM_ONE - 1), address(2));
        assert_eq!(source(FROM_ONE), address(3));
        assert_eq!(source(99_999), address(6));
    }
}
