//! What names an entry of a table.

use std::net::IpAddr;
use std::sync::Arc;

/// What is counted together. Ordered, not hashed: peers may choose addresses and keys, and no
/// choice of them makes a tree slow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RateKey {
    /// The first bits of addresses, followed by zeros.
    V4(u32),
    V6(u128),
    /// All addresses that have found no room in the table.
    OtherAddresses,
    /// A tag.
    Text(Arc<str>),
    Number(u64),
}

/// How many first bits of an address are its client's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prefixes {
    pub(crate) v4: u8,
    pub(crate) v6: u8,
}

impl Prefixes {
    /// The key of an address. An IPv4-mapped address of IPv6 counts as the one of IPv4.
    pub(crate) fn key(self, address: IpAddr) -> RateKey {
        match address.to_canonical() {
            IpAddr::V4(address) => {
                let ignored = 32_u32.saturating_sub(self.v4.into());
                let mask = u32::MAX.checked_shl(ignored).unwrap_or(0);
                RateKey::V4(u32::from(address) & mask)
            }
            IpAddr::V6(address) => {
                let ignored = 128_u32.saturating_sub(self.v6.into());
                let mask = u128::MAX.checked_shl(ignored).unwrap_or(0);
                RateKey::V6(u128::from(address) & mask)
            }
        }
    }
}
