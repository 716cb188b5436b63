use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A block of addresses, or a single one.
///
/// ```
/// use eventwire::Network;
///
/// let network: Network = "192.168.0.0/16".parse()?;
/// assert!(network.contains("192.168.7.7".parse().expect("an address")));
/// assert!("::1".parse::<Network>().is_ok() && "10.0.0.0/33".parse::<Network>().is_err());
/// # Ok::<(), eventwire::InvalidNetwork>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    /// The prefix that all addresses of the block have in common, followed by zeros.
    bits: u128,
    mask: u128,
    is_v4: bool,
}

/// The text is neither an address nor a block of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InvalidNetwork;

impl Network {
    /// Whether the block contains the address. An IPv4-mapped IPv6 address (`::ffff:`) counts as
    /// the IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let (bits, is_v4) = bits(address.to_canonical());
        self.has(bits, is_v4)
    }

    const fn has(&self, bits: u128, is_v4: bool) -> bool {
        is_v4 == self.is_v4 && bits & self.mask == self.bits
    }
}

/// The address alone.
impl From<IpAddr> for Network {
    fn from(address: IpAddr) -> Self {
        let (bits, is_v4) = bits(address.to_canonical());
        Self { bits, mask: u128::MAX, is_v4 }
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
        let address: IpAddr = address.parse().map_err(|_| InvalidNetwork)?;
        let (bits, is_v4) = bits(address);
        let width = if is_v4 { 32 } else { 128 };
        let prefix = match prefix {
            None => width,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| InvalidNetwork)?
            }
            Some(_) => return Err(InvalidNetwork),
        };
        if prefix > width {
            return Err(InvalidNetwork);
        }
        let mask = u128::MAX.checked_shl(width - prefix).unwrap_or(0);
        Ok(Self { bits: bits & mask, mask, is_v4 })
    }
}

/// Several networks. An address is looked up without looking at each of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Networks(
    /// Sorted by address, and none within another.
    Vec<Network>,
);

impl Networks {
    pub(crate) fn new(networks: impl IntoIterator<Item = Network>) -> Self {
        let mut networks: Vec<_> = networks.into_iter().collect();
        // The larger of two with the same prefix comes first.
        networks.sort_unstable_by_key(|network| (network.is_v4, network.bits, network.mask));
        networks.dedup_by(|next, last| last.has(next.bits, next.is_v4));
        Self(networks)
    }

    /// Whether one of them contains the address.
    pub(crate) fn contain(&self, address: IpAddr) -> bool {
        let (bits, is_v4) = bits(address.to_canonical());
        let end = self.0.partition_point(|it| (it.is_v4, it.bits) <= (is_v4, bits));
        // Only the last one that begins at or before the address can contain it.
        self.0[..end].last().is_some_and(|network| network.has(bits, is_v4))
    }
}

fn bits(address: IpAddr) -> (u128, bool) {
    match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)), true),
        IpAddr::V6(address) => (u128::from(address), false),
    }
}

impl fmt::Display for InvalidNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("neither an address nor a network such as 10.0.0.0/8")
    }
}

impl std::error::Error for InvalidNetwork {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn several_networks_contain_the_addresses_of_each(
            networks in prop::collection::vec((any::<bool>(), 0_u8..8, 0_u32..=32), 0..12),
            address in (any::<bool>(), any::<u8>()),
        ) {
            // Few addresses, so that networks lie within each other and meet.
            let ip = |(is_v4, low): (bool, u8)| match is_v4 {
                true => IpAddr::from([10, 0, 0, low]),
                false => IpAddr::from([0x20, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, low]),
            };
            let networks = networks.into_iter().map(|(is_v4, low, prefix)| {
                let prefix = if is_v4 { prefix } else { 96 + prefix };
                format!("{}/{prefix}", ip((is_v4, low))).parse::<Network>().unwrap()
            });
            let networks: Vec<_> = networks.collect();
            let address = ip(address);
            let expected = networks.iter().any(|network| network.contains(address));
            prop_assert_eq!(Networks::new(networks).contain(address), expected);
        }
    }

    #[test]
    fn a_network_has_the_addresses_that_begin_like_it() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("10.1.2.3/8", "10.0.0.0", "9.255.255.255"),
            ("0.0.0.0/0", "255.255.255.255", "::"),
            ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
            ("127.0.0.1/32", "::ffff:127.0.0.1", "127.0.0.0"),
            ("fd00::/8", "fdff::1", "fe80::1"),
            ("::/0", "1::2", "1.2.3.4"),
            ("::1", "::1", "::2"),
        ] {
            let parsed: Network = network.parse().unwrap();
            assert!(parsed.contains(inside.parse().unwrap()), "{network} has {inside}");
            assert!(!parsed.contains(outside.parse().unwrap()), "{network} has not {outside}");
        }
    }

    #[test]
    fn other_text_is_refused() {
        for text in ["", "/8", "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.0/+8", "10/8", "a"] {
            assert_eq!(text.parse::<Network>(), Err(InvalidNetwork), "{text}");
        }
    }
}
