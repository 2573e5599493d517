//! Addresses that nobody on the Internet can reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Networks of the registries of special-purpose addresses (RFC 6890 and its successors) that are not reachable
/// globally, with what they are for.
const V4: [(Ipv4Addr, u32, &str); 14] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8, "of this network alone"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "private (RFC 1918)"),
    (
        Ipv4Addr::new(100, 64, 0, 0),
        10,
        "behind a provider's NAT (RFC 6598)",
    ),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "a loopback address"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "link-local"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "private (RFC 1918)"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "for protocols alone"),
    (
        Ipv4Addr::new(192, 0, 2, 0),
        24,
        "for documentation (RFC 5737)",
    ),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "private (RFC 1918)"),
    (
        Ipv4Addr::new(198, 18, 0, 0),
        15,
        "for benchmarks (RFC 2544)",
    ),
    (
        Ipv4Addr::new(198, 51, 100, 0),
        24,
        "for documentation (RFC 5737)",
    ),
    (
        Ipv4Addr::new(203, 0, 113, 0),
        24,
        "for documentation (RFC 5737)",
    ),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "for groups (multicast)"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "reserved"),
];

/// All that is not in 2000::/3, where global addresses are, needs no row.
const V6: [(Ipv6Addr, u32, &str); 4] = [
    (
        Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0),
        23,
        "for protocols alone",
    ),
    (
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0),
        32,
        "for documentation (RFC 3849)",
    ),
    (
        Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0),
        16,
        "of the abandoned 6to4 (RFC 7526)",
    ),
    (
        Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0),
        20,
        "for documentation (RFC 9637)",
    ),
];

/// What an address is that nobody outside can reach; none for one that can be.
pub(crate) fn unreachable(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => unreachable_v4(address),
        IpAddr::V6(address) => {
            if let Some(mapped) = address.to_ipv4_mapped() {
                return unreachable_v4(mapped).or(Some("an IPv4 address in the form of IPv6"));
            }
            let within =
                |net: Ipv6Addr, bits: u32| (address.to_bits() ^ net.to_bits()) >> (128 - bits) == 0;
            if address.is_loopback() {
                return Some("a loopback address");
            }
            if !within(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3) {
                return Some(match address.segments()[0] {
                    0xfe80..=0xfebf => "link-local",
                    0xfc00..=0xfdff => "private (RFC 4193)",
                    0xff00.. => "for groups (multicast)",
                    _ => "outside of the global addresses",
                });
            }
            let row = V6.iter().find(|(net, bits, _)| within(*net, *bits));
            row.map(|(.., why)| *why)
        }
    }
}

/// Whether the address is one for documentation: nobody has it but in examples, where it stands for any of the Internet.
pub(crate) fn is_for_documentation(address: IpAddr) -> bool {
    unreachable(address).is_some_and(|why| why.starts_with("for documentation"))
}

/// Whether nobody but a machine of one's own network, or the machine itself, can have the address. Strangers reach a
/// server under others that cannot be reached too: through NAT64 and 6to4, or a provider's NAT.
pub(crate) fn is_of_own_network(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(own) => own.is_loopback() || own.is_private() || own.is_link_local(),
        IpAddr::V6(own) => {
            own.is_loopback() || matches!(own.segments()[0], 0xfc00..=0xfdff | 0xfe80..=0xfebf)
        }
    }
}

/// The address that has one in all its forms: one of IPv4 may be written as one of IPv6 (RFC 4291 §2.5.5.2), and comes as
/// one through a translator (RFC 6052 §2.1).
pub(crate) fn in_one_form(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(own) => match own.segments() {
            [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
                IpAddr::V4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
            }
            _ => IpAddr::V6(own),
        },
        own => own,
    }
}

fn unreachable_v4(address: Ipv4Addr) -> Option<&'static str> {
    let within = |net: Ipv4Addr, bits: u32| (address.to_bits() ^ net.to_bits()) >> (32 - bits) == 0;
    let row = V4.iter().find(|(net, bits, _)| within(*net, *bits));
    row.map(|(.., why)| *why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_examples_are_known() {
        for (address, is) in [
            ("192.0.2.1", true),
            ("198.51.100.255", true),
            ("203.0.113.0", true),
            ("2001:db8::1", true),
            ("3fff:fff::1", true),
            ("192.0.3.1", false),
            ("10.0.0.1", false),
            ("2001::1", false),
            ("4000::1", false),
        ] {
            assert_eq!(
                is_for_documentation(address.parse().unwrap()),
                is,
                "{address}"
            );
        }
    }

    #[test]
    fn what_is_not_global_is_told() {
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.127.0.1",
            "127.0.0.1",
            "169.254.1.1",
            "172.31.0.1",
            "192.0.2.1",
            "192.168.1.1",
            "198.19.0.1",
            "203.0.113.9",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "2001:db8::1",
            "2002::1",
            "::ffff:10.0.0.1",
            "::ffff:9.9.9.9",
            "64:ff9b::1",
        ] {
            assert!(unreachable(address.parse().unwrap()).is_some(), "{address}");
        }
        for address in [
            "9.9.9.9",
            "100.128.0.1",
            "172.32.0.1",
            "198.20.0.1",
            "2620:fe::fe",
            "2a00::1",
            "2001:4860::1",
        ] {
            assert_eq!(unreachable(address.parse().unwrap()), None, "{address}");
        }
    }
    #[test]
    fn strangers_have_no_address_of_the_own_network() {
        for own in [
            "127.0.0.1",
            "10.1.2.3",
            "172.17.0.1",
            "192.168.1.1",
            "169.254.1.1",
            "::1",
            "fd00::1",
            "fe80::1",
        ] {
            assert!(is_of_own_network(own.parse().unwrap()), "{own}");
        }
        for other in [
            "9.9.9.9",
            "0.0.0.0",
            "100.64.0.1",
            "192.0.2.1",
            "198.18.0.1",
            "224.0.0.1",
            "::",
            "::808:842",
            "64:ff9b::808:842",
            "64:ff9b:1::808:842",
            "2002:808:842::1",
            "2001:0:808:842::1",
            "2001:db8::1",
            "fec0::1",
        ] {
            assert!(!is_of_own_network(other.parse().unwrap()), "{other}");
        }
    }

    #[test]
    fn an_address_of_ipv4_has_one_form() {
        for (form, one) in [
            ("64:ff9b::808:842", "8.8.8.66"),
            ("::ffff:8.8.8.66", "8.8.8.66"),
            ("8.8.8.66", "8.8.8.66"),
            ("64:ff9b:0:0:0:1:808:842", "64:ff9b::1:808:842"),
            ("2a00::1", "2a00::1"),
        ] {
            let one: IpAddr = one.parse().unwrap();
            assert_eq!(in_one_form(form.parse().unwrap()), one, "{form}");
        }
    }
}
