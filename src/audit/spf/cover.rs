//! How many addresses networks hold.

use std::net::IpAddr;

use crate::spf::{Authorised, Network};

/// Whether networks hold more than half of the addresses of a family that are in use: of all of IPv4, or of the eighth
/// of IPv6 that is given out (RFC 4291 §2.4).
pub(super) fn covers_most(networks: &[&Authorised]) -> bool {
    let size = |v4: bool| {
        let mut ranges: Vec<(u128, u128)> = networks
            .iter()
            .map(|one| one.network)
            .filter(|network| network.address().is_ipv4() == v4)
            .map(range)
            .collect();
        ranges.sort_unstable();
        let (mut total, mut from) = (0_u128, 0_u128);
        for (first, last) in ranges {
            let first = first.max(from);
            if last >= first {
                total = total.saturating_add(last - first).saturating_add(1);
                from = last.saturating_add(1);
            }
        }
        total
    };
    size(true) > 1 << 31 || size(false) > 1 << 124
}

/// The first and the last address.
fn range(network: Network) -> (u128, u128) {
    let (first, bits) = match network.address() {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let rest = bits - u32::from(network.prefix());
    let last = match 1_u128.checked_shl(rest) {
        Some(size) => first + (size - 1),
        None => u128::MAX,
    };
    (first, last)
}
