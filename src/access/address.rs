//! Addresses: from where somebody calls, also through proxies that are trusted to say so.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// A range of addresses, such as `10.0.0.0/8`; a single address is one too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    bits: u128,
    prefix: u32,
}

/// Why a text is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is neither an IP address nor a network such as 10.0.0.0/8")]
pub struct NoNetwork;

/// What IPv4 has less than IPv6; addresses of both are compared in the form of the latter.
const V4_BITS_LESS: u32 = 96;

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn mask(prefix: u32) -> u128 {
    u128::MAX.checked_shl(128 - prefix).unwrap_or_default()
}

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let (address, prefix) = text.split_once('/').unwrap_or((text, ""));
        let address: IpAddr = address.parse().map_err(|_| NoNetwork)?;
        let (width, less) = match address {
            IpAddr::V4(_) => (32, V4_BITS_LESS),
            IpAddr::V6(_) => (128, 0),
        };
        let prefix: u32 = match prefix {
            "" if !text.contains('/') => width,
            digits => digits.parse().map_err(|_| NoNetwork)?,
        };
        if prefix > width {
            return Err(NoNetwork);
        }
        let prefix = prefix + less;
        Ok(Self {
            bits: bits(address) & mask(prefix),
            prefix,
        })
    }
}

impl Network {
    /// Returns whether an address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        bits(address) & mask(self.prefix) == self.bits
    }
}

/// Returns who calls: the peer of the connection, or, if that is a trusted proxy, the last address of `X-Forwarded-For`
/// that is not one, too. What stands before that, anybody can write.
pub fn client<'header>(
    peer: IpAddr,
    forwarded_for: impl DoubleEndedIterator<Item = &'header str>,
    trusted: &[Network],
) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = peer;
    let mut hops = forwarded_for.rev().flat_map(|value| value.rsplit(','));
    while is_trusted(client) {
        let Some(Ok(hop)) = hops.next().map(|hop| hop.trim().parse::<IpAddr>()) else {
            break;
        };
        client = hop;
    }
    client.to_canonical()
}

/// What is counted as one: an address of IPv4, or the network of IPv6 that a single customer usually gets, in which
/// they have more addresses than could be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Origin(IpAddr);

impl Origin {
    /// Returns that of an address; none for this machine, which is not counted.
    pub fn of(address: IpAddr) -> Option<Self> {
        let address = address.to_canonical();
        let counted = match address {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & mask(64)).into(),
            IpAddr::V4(_) => address,
        };
        (!address.is_loopback()).then_some(Self(counted))
    }
}
