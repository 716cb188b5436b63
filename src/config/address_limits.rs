use crate::net::proxies::Network;
use crate::rates::{AddressRules, Prefixes, RateLimits};

/// The limits of each client address, for all listeners of a loop together:
/// [`Config::address_limits`](crate::Config::address_limits).
///
/// ```
/// use eventwire::{AddressLimits, Config, Rate, RateLimits};
///
/// let limits = RateLimits::new().connections(20).messages(Rate::per_second(50));
/// let monitoring = ["10.0.0.0/8".parse()?];
/// let config = Config::default().address_limits(AddressLimits::new(limits).exempt(monitoring));
/// # Ok::<(), eventwire::InvalidNetwork>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AddressLimits {
    pub(crate) rules: AddressRules,
    pub(crate) exempt: Vec<Network>,
}

impl AddressLimits {
    /// These limits for each address.
    #[must_use]
    pub const fn new(limits: RateLimits) -> Self {
        let prefixes = Prefixes { v4: 32, v6: 64 };
        Self { rules: AddressRules { limits, prefixes, max: 131_072 }, exempt: Vec::new() }
    }

    /// How many first bits of an IPv4 address count: addresses with the same bits count together.
    /// Default: 32, each address by itself. At most 32.
    #[must_use]
    pub const fn ipv4_prefix(mut self, bits: u8) -> Self {
        self.rules.prefixes.v4 = if bits > 32 { 32 } else { bits };
        self
    }

    /// How many first bits of an IPv6 address count: addresses with the same bits count together.
    /// Default: 64, the network of one site, in which a client chooses its address itself. Some
    /// providers give each customer a longer range: 56 counts those together. At most 128.
    ///
    /// An IPv4-mapped address (`::ffff:`) counts as the IPv4 address.
    #[must_use]
    pub const fn ipv6_prefix(mut self, bits: u8) -> Self {
        self.rules.prefixes.v6 = if bits > 128 { 128 } else { bits };
        self
    }

    /// The networks whose addresses have no limits, such as those of monitoring. Default: none.
    ///
    /// The [trusted proxies](crate::TrustedProxies) of a listener need not be named here: their
    /// clients count, not they.
    #[must_use]
    pub fn exempt(mut self, networks: impl IntoIterator<Item = Network>) -> Self {
        self.exempt = networks.into_iter().collect();
        self
    }

    /// The most addresses whose counts are kept. Default: 131,072, which is two for each of the
    /// most connections: one that is connected, and one that has left. An address takes some 300
    /// bytes, so that this many take some 40 MiB.
    ///
    /// An address that has left is kept, so that it gets no new burst by coming back, until its
    /// limits are as if it had never come. If the room is needed earlier, those go first that have
    /// left for longest. An address with connections stays.
    ///
    /// If there are as many addresses with connections, all further addresses count together, as
    /// if they were one. As long as this is more than
    /// [`Config::max_connections`](crate::Config::max_connections), that does not happen.
    #[must_use]
    pub const fn max_addresses(mut self, count: usize) -> Self {
        self.rules.max = count;
        self
    }
}

impl From<RateLimits> for AddressLimits {
    fn from(limits: RateLimits) -> Self {
        Self::new(limits)
    }
}
