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

/// What has arrived of an HTTP request, by its length.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RequestPart {
    Head(usize),
    /// The body of a request whose head came before.
    Body(usize),
}

impl RequestPart {
    /// The part that is new.
    pub(crate) fn of(head: &[u8], body: Option<&[u8]>) -> Self {
        body.map_or(Self::Head(head.len()), |body| Self::Body(body.len()))
    }
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

    /// Takes a part of a request on a connection, whose client has that address if it counts. The
    /// body of a request whose head was taken is taken, too, whatever is left.
    ///
    /// # Errors
    ///
    /// If the request is denied: it exceeds a limit, or the connection was refused.
    pub(crate) fn take_request(
        &mut self,
        conn: Key,
        client: Option<IpAddr>,
        part: RequestPart,
        now: Time,
    ) -> Result<(), Denied> {
        if let Some(denied) = self.rates.denied(conn) {
            return Err(denied);
        }
        let Some(client) = client.filter(|client| self.counts(*client)) else {
            return Ok(());
        };
        match part {
            RequestPart::Head(bytes) => {
                self.rates.request(client, bytes as u64, now).inspect_err(|_| self.refused += 1)
            }
            RequestPart::Body(bytes) => {
                self.rates.request_bytes(client, bytes as u64, now);
                Ok(())
            }
        }
    }

    /// How many bytes may be received at once from the connection that is being read from.
    pub(crate) fn bytes_allowed(&self) -> usize {
        let bytes = self.reading.map_or(u64::MAX, |reading| reading.allowance.bytes);
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }
}
