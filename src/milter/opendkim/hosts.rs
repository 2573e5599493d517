//! Sets of hosts, as InternalHosts, ExternalIgnoreList and PeerList name them.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::dataset::{DataSet, Remark};

/// Names, domains behind a dot, addresses and networks, each perhaps behind a `!`.
///
/// OpenDKIM compares text: it asks the set for the name of a client and its domains, then for its address and
/// every network around it, each time first with `!` before it. The first that is there decides. So do we.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostSet {
    entries: HashSet<String>,
    /// The lengths of the prefixes that networks among them have, the longest first: only they can be found.
    prefixes: Vec<u32>,
    /// The set itself, where its entries are patterns.
    patterns: Option<DataSet>,
    remarks: Vec<Remark>,
}

impl HostSet {
    /// The set of these entries.
    ///
    /// ```
    /// use dkimkit::milter::opendkim::HostSet;
    /// let hosts = HostSet::new(["192.0.2.0/24", "!192.0.2.7", ".example.com"]);
    /// assert!(hosts.contains("192.0.2.1".parse().unwrap(), ""));
    /// assert!(!hosts.contains("192.0.2.7".parse().unwrap(), ""));
    /// assert!(hosts.contains("203.0.113.1".parse().unwrap(), "mx.example.com"));
    /// ```
    pub fn new<'a>(entries: impl IntoIterator<Item = &'a str>) -> HostSet {
        let entries: HashSet<String> = entries.into_iter().map(str::to_ascii_lowercase).collect();
        let length = |entry: &String| entry.rsplit_once('/')?.1.parse().ok();
        let mut prefixes: Vec<u32> = entries.iter().filter_map(length).collect();
        prefixes.sort_unstable_by(|a, b| b.cmp(a));
        prefixes.dedup();
        HostSet {
            entries,
            prefixes,
            patterns: None,
            remarks: Vec::new(),
        }
    }

    /// The hosts that a data set names. Entries that OpenDKIM never finds are remarked upon.
    pub fn of(set: &DataSet) -> HostSet {
        let mut hosts = HostSet::new(set.entries().iter().map(|entry| entry.key.as_str()));
        hosts.remarks = set.remarks().to_vec();
        if set.has_patterns() {
            hosts.patterns = Some(set.clone());
            // A pattern may find any of them.
            hosts.prefixes = (0..=128).rev().collect();
            hosts
                .remarks
                .extend(set.entries().first().map(|entry| Remark {
                    file: set.source().to_owned(),
                    line: entry.line,
                    text: PATTERNS.to_owned(),
                }));
            return hosts;
        }
        for entry in set.entries() {
            if let Some(text) = never_found(&entry.key) {
                let (file, line) = (set.source().to_owned(), entry.line);
                hosts.remarks.push(Remark { file, line, text });
            }
        }
        hosts
    }

    /// What is wrong with an entry that looks like an address and is none that is ever found.
    ///
    /// ```
    /// use dkimkit::milter::opendkim::HostSet;
    /// assert_eq!(HostSet::fault("192.0.2.1/24").unwrap(), "write 192.0.2.0/24");
    /// assert_eq!(HostSet::fault("192.0.2.0/24"), None);
    /// ```
    pub fn fault(entry: &str) -> Option<String> {
        if entry.contains('*') {
            return Some(
                "write .example.com for all below a domain, and a network for addresses".to_owned(),
            );
        }
        let text = never_found(entry)?;
        // The way out stands behind the reason, which is OpenDKIM's.
        let mend = text.rsplit_once(": ").map(|(_, mend)| mend.to_owned());
        Some(mend.unwrap_or(text))
    }

    /// What is to be known of single entries.
    pub fn remarks(&self) -> &[Remark] {
        &self.remarks
    }

    /// The entries in lower case, sorted; with `*`, where the data set has patterns.
    pub fn entries(&self) -> Vec<&str> {
        let mut entries: Vec<&str> = self.entries.iter().map(String::as_str).collect();
        entries.sort_unstable();
        entries
    }

    /// Whether its entries are patterns.
    pub(super) fn has_patterns(&self) -> bool {
        self.patterns.is_some()
    }

    /// The entries that are found by their text alone, addresses without brackets; and the others.
    pub(super) fn listed(&self) -> (Vec<String>, Vec<&str>) {
        let bare = |entry: &str| entry.replace(['[', ']'], "");
        let plain = |entry: &&str| {
            !entry.contains('*')
                && [entry, bare(entry).as_str()]
                    .iter()
                    .all(|e| never_found(e).is_none())
        };
        let (said, unsaid): (Vec<&str>, Vec<&str>) = self.entries().into_iter().partition(plain);
        (said.into_iter().map(bare).collect(), unsaid)
    }

    /// Whether a client of this address and host name (which may be empty) is in the set. A name that is
    /// refused does not keep the address from being found.
    pub fn contains(&self, ip: IpAddr, hostname: &str) -> bool {
        !self.entries.is_empty() && (self.has_name(hostname) || self.has_address(ip))
    }

    /// Whether it is in the set where what is refused is refused, whether by its name or by its address: so the
    /// lists of our own configuration are read.
    ///
    /// ```
    /// use dkimkit::milter::opendkim::HostSet;
    /// let hosts = HostSet::new(["192.0.2.0/24", "!bad.example.com"]);
    /// let ip = "192.0.2.1".parse().unwrap();
    /// assert!(hosts.contains(ip, "bad.example.com") && !hosts.admits(ip, "bad.example.com"));
    /// assert!(hosts.admits(ip, "good.example.com"));
    /// ```
    pub fn admits(&self, ip: IpAddr, hostname: &str) -> bool {
        if self.entries.is_empty() {
            return false;
        }
        let verdicts = [self.name_verdict(hostname), self.address_verdict(ip)];
        verdicts.contains(&Some(true)) && !verdicts.contains(&Some(false))
    }

    fn has_name(&self, hostname: &str) -> bool {
        self.name_verdict(hostname).unwrap_or(false)
    }

    fn name_verdict(&self, hostname: &str) -> Option<bool> {
        if hostname.is_empty() || hostname.len() > MAX_NAME {
            return None;
        }
        let hostname = hostname.to_ascii_lowercase();
        let dots = hostname.match_indices('.').map(|(at, _)| at);
        let mut tails = std::iter::once(0)
            .chain(dots.filter(|at| *at > 0))
            .map(|at| &hostname[at..]);
        tails.find_map(|name| self.verdict(name))
    }

    fn has_address(&self, ip: IpAddr) -> bool {
        self.address_verdict(ip).unwrap_or(false)
    }

    fn address_verdict(&self, ip: IpAddr) -> Option<bool> {
        let alone = text_of(ip);
        let alone = self
            .verdict(&alone)
            .or_else(|| self.verdict(&format!("[{alone}]")));
        let bits = if ip.is_ipv4() { 32 } else { 128 };
        let networks = || {
            let prefixes = self.prefixes.iter().copied();
            prefixes
                .filter(|prefix| *prefix <= bits)
                .find_map(|prefix| {
                    let network = text_of(masked(ip, prefix));
                    self.verdict(&format!("{network}/{prefix}"))
                        .or_else(|| self.verdict(&format!("[{network}]/{prefix}")))
                })
        };
        alone.or_else(networks)
    }

    /// What the set says of this very text: no, yes, or nothing.
    fn verdict(&self, text: &str) -> Option<bool> {
        let has = |text: &str| match &self.patterns {
            Some(patterns) => patterns.get(text).is_some(),
            None => self.entries.contains(text),
        };
        if has(&format!("!{text}")) {
            Some(false)
        } else {
            has(text).then_some(true)
        }
    }
}

const PATTERNS: &str = "OpenDKIM asks patterns for the networks around an address as well, so that 192.0.2.* finds \
    192.0.3.1 too (in 192.0.2.0/23): write networks, in a file without patterns";

/// No name of a host is longer.
const MAX_NAME: usize = 1024;

/// The address of the network of `prefix` bits around `ip`.
fn masked(ip: IpAddr, prefix: u32) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
            Ipv4Addr::from_bits(ip.to_bits() & mask).into()
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
            Ipv6Addr::from_bits(ip.to_bits() & mask).into()
        }
    }
}

/// The text of an address as the C library writes it: one that holds an IPv4 address shows it.
fn text_of(ip: IpAddr) -> String {
    match ip {
        IpAddr::V6(ip) if ip.to_bits() >> 32 == 0 && ip.to_bits() >= 1 << 16 => {
            let low = u32::try_from(ip.to_bits()).unwrap_or_default();
            format!("::{}", Ipv4Addr::from_bits(low))
        }
        _ => ip.to_string(),
    }
}

/// Why OpenDKIM never finds this entry, if it looks like an address.
fn never_found(entry: &str) -> Option<String> {
    let bare = entry.strip_prefix('!').unwrap_or(entry);
    let (address, prefix) = match bare.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (bare, None),
    };
    let inner = address.strip_prefix('[').and_then(|a| a.strip_suffix(']'));
    let address = inner.unwrap_or(address);
    let numeric = address.contains(':') || address.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let Ok(ip) = address.parse::<IpAddr>() else {
        return (numeric || prefix.is_some())
            .then(|| format!("{entry} is no address that OpenDKIM finds: write all parts of it"));
    };
    let most = if ip.is_ipv4() { 32 } else { 128 };
    let network = match prefix.map(str::parse::<u32>) {
        None => ip,
        Some(Ok(bits)) if bits <= most => masked(ip, bits),
        Some(_) => {
            return Some(format!(
                "{entry} has no prefix from 0 to {most}: nothing matches it"
            ));
        }
    };
    let right = text_of(network);
    (right != address.to_ascii_lowercase()).then(|| {
        let end = prefix.map(|p| format!("/{p}")).unwrap_or_default();
        format!("OpenDKIM never finds {entry}, because it compares text: write {right}{end}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_that_opendkim_never_finds_are_named() {
        for (entry, mend) in [
            ("192.0.2.1", None),
            ("!192.0.2.0/24", None),
            ("[2001:db8::]/32", None),
            ("2001:DB8::1", None),
            ("mail.example", None),
            (".example", None),
            ("192.0.2.1/24", Some("192.0.2.0/24")),
            ("10/8", Some("all parts")),
            ("10.1", Some("all parts")),
            ("2001:db8:0::1", Some("2001:db8::1")),
            ("10.0.0.0/33", Some("0 to 32")),
            ("mail.example/24", Some("all parts")),
        ] {
            let got = never_found(entry);
            assert_eq!(got.is_some(), mend.is_some(), "{entry}: {got:?}");
            assert!(
                got.is_none_or(|text| text.contains(mend.unwrap())),
                "{entry}"
            );
        }
    }

    #[test]
    fn the_most_precise_entry_decides() {
        let hosts = HostSet::new([
            "::/0",
            "!2001:db8::/32",
            "2001:db8::1",
            "0.0.0.0/0",
            "!10.0.0.0/8",
        ]);
        for (ip, inside) in [
            ("2001:db7::1", true),
            ("2001:db8::2", false),
            ("2001:db8::1", true),
            ("9.0.0.1", true),
            ("10.0.0.1", false),
        ] {
            assert_eq!(hosts.contains(ip.parse().unwrap(), ""), inside, "{ip}");
        }
    }

    #[test]
    fn addresses_are_written_as_the_c_library_writes_them() {
        for text in [
            "::",
            "::1",
            "::ffff",
            "::0.1.0.0",
            "::1.2.3.4",
            "::ffff:1.2.3.4",
            "2001:db8::",
            "64:ff9b::102:304",
        ] {
            assert_eq!(text_of(text.parse().unwrap()), text);
        }
    }
}
