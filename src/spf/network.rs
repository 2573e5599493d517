//! Networks of addresses, as ip4 and ip6 name them.

use std::fmt;
use std::net::IpAddr;

use serde::{Serialize, Serializer};

/// An address and how many of its bits count (RFC 7208 §5.6).
///
/// ```
/// use dkimkit::spf::Network;
/// let network = Network::new("192.0.2.77".parse().unwrap(), 24).unwrap();
/// assert!(network.contains("192.0.2.1".parse().unwrap()));
/// assert!(!network.contains("::ffff:192.0.2.1".parse().unwrap()));
/// assert_eq!(network.to_string(), "192.0.2.0/24");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// The network of this many bits around an address; `None` where the address has fewer.
    pub fn new(address: IpAddr, prefix: u8) -> Option<Network> {
        (prefix <= bits(address)).then(|| Network {
            address: masked(address, prefix),
            prefix,
        })
    }

    /// An address alone.
    pub fn host(address: IpAddr) -> Network {
        Network {
            address,
            prefix: bits(address),
        }
    }

    /// Its first address.
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// How many bits its addresses have in common.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// Whether an address lies in it. One of the other family never does.
    pub fn contains(self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4() && masked(address, self.prefix) == self.address
    }
}

fn bits(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4((address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6((address.to_bits() & mask).into())
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)?;
        if self.prefix < bits(self.address) {
            write!(f, "/{}", self.prefix)?;
        }
        Ok(())
    }
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_may_have_no_bit_and_all() {
        let address = |text: &str| -> IpAddr { text.parse().unwrap() };
        let network = |text: &str, prefix| Network::new(address(text), prefix);
        assert!(
            network("1.2.3.4", 0)
                .unwrap()
                .contains(address("255.0.0.1"))
        );
        assert!(!network("1.2.3.4", 0).unwrap().contains(address("::1")));
        assert!(network("1.2.3.4", 32).unwrap().contains(address("1.2.3.4")));
        assert!(!network("1.2.3.4", 31).unwrap().contains(address("1.2.3.6")));
        assert!(network("2001:db8::1", 0).unwrap().contains(address("::")));
        assert!(
            network("2001:db8::1", 127)
                .unwrap()
                .contains(address("2001:db8::"))
        );
        assert_eq!((network("1.2.3.4", 33), network("::1", 129)), (None, None));
        assert_eq!(network("1.2.3.4", 0).unwrap().to_string(), "0.0.0.0/0");
        assert_eq!(Network::host(address("::1")).to_string(), "::1");
    }
}
