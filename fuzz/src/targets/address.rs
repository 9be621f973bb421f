//! Whoever calls is the peer, unless that is a trusted proxy: then it is an address that the header holds, behind which
//! only trusted ones stand, whatever else is written there.
//!
//! The bytes: a line with the peer, one with a trusted network, and lines of `X-Forwarded-For`.

use std::net::IpAddr;

use avow::access::address::{Network, Origin, client};

/// Reads the bytes as addresses.
pub(crate) fn holds(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else {
        return;
    };
    let mut lines = text.split('\n');
    let peer = lines.next().and_then(|line| line.parse::<IpAddr>().ok());
    let trusted = lines.next().and_then(|line| line.parse::<Network>().ok());
    let (Some(peer), Some(trusted)) = (peer, trusted) else {
        return;
    };
    let lines: Vec<&str> = lines.collect();

    let found = client(peer, lines.iter().copied(), &[trusted]);

    assert_eq!(found, found.to_canonical());
    assert_eq!(Origin::of(found).is_none(), found.is_loopback());
    if !trusted.contains(peer) {
        assert_eq!(found, peer.to_canonical());
    }
    assert_eq!(
        client(peer, lines.iter().copied(), &[]),
        peer.to_canonical()
    );
    // What is written before an address that nobody trusts changes nothing.
    let before: Vec<&str> = ["192.0.2.77, junk"].into_iter().chain(lines).collect();
    if !trusted.contains(found) {
        assert_eq!(client(peer, before.into_iter(), &[trusted]), found);
    }
}
