use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6};

/// The address of the other end of a stream, in half the space: most are short, and the long ones
/// are allocated.
#[derive(Debug)]
pub(crate) enum PeerAddr {
    /// No address, as on a Unix socket.
    None,
    V4(SocketAddrV4),
    V6(Box<SocketAddrV6>),
}

impl PeerAddr {
    pub(crate) fn get(&self) -> Option<SocketAddr> {
        match self {
            Self::None => None,
            Self::V4(address) => Some(SocketAddr::V4(*address)),
            Self::V6(address) => Some(SocketAddr::V6(**address)),
        }
    }
}

impl From<Option<SocketAddr>> for PeerAddr {
    fn from(address: Option<SocketAddr>) -> Self {
        match address {
            None => Self::None,
            Some(SocketAddr::V4(address)) => Self::V4(address),
            Some(SocketAddr::V6(address)) => Self::V6(Box::new(address)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_comes_out_as_it_went_in() {
        for text in ["127.0.0.1:80", "[fe80::1%3]:9001"] {
            let address = text.parse().ok();
            assert!(address.is_some());
            assert_eq!(PeerAddr::from(address).get(), address);
        }
        assert_eq!(PeerAddr::from(None).get(), None);
        assert_eq!(size_of::<PeerAddr>(), 2 * size_of::<usize>());
    }
}
