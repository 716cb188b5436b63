//! What a loop keeps for its limits of addresses and tags.

use std::net::IpAddr;

use crate::config::AddressLimits;
use crate::net::proxies::Networks;
use crate::rates::{Allowance, Denied, Rates};
use crate::slots::Key;
use crate::time::Time;

/// The limits of addresses and tags, and what was done because of them.
#[derive(Debug)]
pub(crate) struct Limiter {
    pub(crate) rates: Rates,
    /// Addresses without limits.
    exempt: Networks,
    /// Whether anything is limited, or was.
    pub(crate) is_used: bool,
    /// The connection with limits that is being read from.
    pub(super) reading: Option<Reading>,
    /// Connections and requests that were refused.
    pub(crate) refused: u64,
    /// How often a connection was paused.
    pub(crate) paused: u64,
}

/// A connection with limits that is being read from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reading {
    pub(super) conn: Key,
    /// What had arrived on all connections when its input was last charged.
    pub(super) charged: Arrived,
    pub(super) allowance: Allowance,
}

/// What has arrived on all connections of a loop.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrived {
    pub(super) messages: u64,
    pub(super) bytes: u64,
}

impl Limiter {
    pub(crate) fn new(addresses: Option<AddressLimits>, max_tags: usize) -> Self {
        let rules = addresses.as_ref().map(|addresses| addresses.rules);
        let exempt = addresses.map(|addresses| addresses.exempt).unwrap_or_default();
        Self {
            rates: Rates::new(rules, max_tags),
            exempt: Networks::new(exempt),
            is_used: rules.is_some(),
            reading: None,
            refused: 0,
            paused: 0,
        }
    }

    /// Whether the limits hold for an address.
    pub(super) fn counts(&self, address: IpAddr) -> bool {
        self.rates.limits_addresses() && !self.exempt.contain(address)
    }

    /// Takes a request on a connection, whose client has that address if it counts.
    ///
    /// # Errors
    ///
    /// If it is denied: it exceeds a limit, or the connection was refused.
    pub(crate) fn take_request(
        &mut self,
        conn: Key,
        client: Option<IpAddr>,
        bytes: usize,
        now: Time,
    ) -> Result<(), Denied> {
        if let Some(denied) = self.rates.denied(conn) {
            return Err(denied);
        }
        let Some(client) = client.filter(|client| self.counts(*client)) else {
            return Ok(());
        };
        self.rates.request(client, bytes as u64, now).inspect_err(|_| self.refused += 1)
    }

    /// How many bytes may be received at once from the connection that is being read from.
    pub(crate) fn bytes_allowed(&self) -> usize {
        let bytes = self.reading.map_or(u64::MAX, |reading| reading.allowance.bytes);
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }
}
