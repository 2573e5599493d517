//! The table of lists: TOML in, checked values out.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use serde::Deserialize;
use toml::Spanned;

use crate::dns::lookup::DnsName;

/// The lists that are asked, and who tells of networks.
///
/// ```
/// use dkimkit::audit::Lists;
/// let lists = Lists::parse("
///     [[list]]
///     name = \"Ours\"
///     zone = \"dnsbl.example.\"
///     kind = \"address\"
///     listed = { \"127.0.0.2\" = \"a source of spam\" }
/// ")?;
/// assert_eq!(lists.names().collect::<Vec<_>>(), ["Ours"]);
/// # Ok::<(), dkimkit::audit::ListsError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lists {
    pub(in crate::audit) lists: Vec<List>,
    pub(in crate::audit) network: Option<Network>,
}

/// Why a table of lists cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct ListsError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong there.
    pub reason: String,
}

/// A list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::audit) struct List {
    pub(super) name: String,
    pub(super) zone: DnsName,
    pub(super) kind: Kind,
    ipv4: bool,
    ipv6: bool,
    listed: Codes,
    minor: Codes,
    refused: Codes,
    pub(super) removal: Option<String>,
    pub(super) advice: Option<String>,
    /// The domain that is always listed.
    pub(super) test: DnsName,
}

/// What stands on a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Address,
    Domain,
    Backscatter,
}

/// Zones that tell of networks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::audit) struct Network {
    pub(in crate::audit) ipv4: DnsName,
    pub(in crate::audit) ipv6: DnsName,
    pub(in crate::audit) names: DnsName,
}

/// What an answer in 127.0.0.0/8 says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning<'l> {
    /// It is listed, for these reasons; `minor` where that troubles few.
    Listed { why: Vec<&'l str>, minor: bool },
    /// The list does not want to say.
    Refused(&'l str),
    /// The table does not know it.
    Unknown,
}

/// So many lists at most: each costs several questions.
const MAX_LISTS: usize = 100;
/// What stands before a zone has at most so many octets: an IPv6 address, a half-octet a label (RFC 5782 §2.4).
const MAX_REVERSED: usize = 64;
const MAX_NAME: usize = 253;

impl Lists {
    /// The table that the program has, as text.
    pub const TEXT: &'static str = include_str!("table.toml");

    /// The table that the program has.
    pub fn builtin() -> Lists {
        Lists::parse(Lists::TEXT).expect("a test reads the table")
    }

    /// Reads a table.
    ///
    /// # Errors
    /// [`ListsError`], with the line.
    pub fn parse(text: &str) -> Result<Lists, ListsError> {
        let at = |offset: usize, reason: String| ListsError {
            line: text.as_bytes()[..offset.min(text.len())]
                .iter()
                .filter(|byte| **byte == b'\n')
                .count()
                + 1,
            reason,
        };
        let raw: Raw = toml::from_str(text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            at(offset, error.message().trim().replace('\n', ", "))
        })?;
        let mut lists: Vec<List> = Vec::new();
        for raw in raw.list {
            let start = raw.span().start;
            let list = raw
                .into_inner()
                .list()
                .map_err(|reason| at(start, reason))?;
            if lists.iter().any(|known| known.zone == list.zone) {
                return Err(at(
                    start,
                    format!("the zone {} stands here twice", list.zone),
                ));
            }
            if lists.len() == MAX_LISTS {
                return Err(at(start, format!("there are more than {MAX_LISTS} lists")));
            }
            lists.push(list);
        }
        Ok(Lists {
            lists,
            network: raw.network.map(|raw| Network {
                ipv4: raw.ipv4.0,
                ipv6: raw.ipv6.0,
                names: raw.names.0,
            }),
        })
    }

    /// What the lists are called.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.lists.iter().map(|list| list.name.as_str())
    }
}

impl List {
    /// Whether addresses of this family stand on it.
    pub(super) fn takes(&self, address: IpAddr) -> bool {
        match (self.kind, address) {
            (Kind::Domain, _) => false,
            (_, IpAddr::V4(_)) => self.ipv4,
            (_, IpAddr::V6(_)) => self.ipv6,
        }
    }

    /// What it says with one of its codes. That it refuses to answer goes before all else: such codes may have bits
    /// that mean something too.
    pub(super) fn meaning(&self, code: Ipv4Addr) -> Meaning<'_> {
        if let Some(why) = self.refused.of(code).next() {
            return Meaning::Refused(why);
        }
        let listed: Vec<&str> = self.listed.of(code).collect();
        let minor = listed.is_empty();
        let why: Vec<&str> = listed.into_iter().chain(self.minor.of(code)).collect();
        match why.is_empty() {
            true => Meaning::Unknown,
            false => Meaning::Listed { why, minor },
        }
    }
}

/// Answers, and what they mean.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
struct Codes(BTreeMap<Code, String>);

impl Codes {
    fn of(&self, code: Ipv4Addr) -> impl Iterator<Item = &str> {
        let matching = self.0.iter().filter(move |(key, _)| key.is(code));
        matching.map(|(_, why)| why.as_str())
    }
}

/// One answer or several, in 127.0.0.0/8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
enum Code {
    /// From this to that, both included.
    Range(Ipv4Addr, Ipv4Addr),
    /// All that have one of these bits in the last number, and the other numbers as here.
    Bits([u8; 3], u8),
}

impl Code {
    fn is(self, code: Ipv4Addr) -> bool {
        match self {
            Code::Range(first, last) => (first..=last).contains(&code),
            Code::Bits(front, bits) => {
                let [a, b, c, last] = code.octets();
                front == [a, b, c] && last & bits != 0
            }
        }
    }
}

impl FromStr for Code {
    type Err = String;

    fn from_str(text: &str) -> Result<Code, String> {
        let wrong = || {
            format!(
                "\"{text}\" is no answer of a list: \"127.0.0.2\", \"127.0.0.4-7\" or \"127.0.0.&8\" are"
            )
        };
        let (front, last) = text.rsplit_once('.').ok_or_else(wrong)?;
        let whole = |last: &str| {
            let address: Ipv4Addr = format!("{front}.{last}").parse().ok()?;
            address.is_loopback().then_some(address)
        };
        let code = match (last.strip_prefix('&'), last.split_once('-')) {
            (Some(bits), _) => whole(bits).map(|address| {
                let [a, b, c, bits] = address.octets();
                Code::Bits([a, b, c], bits)
            }),
            (None, Some((first, last))) => whole(first)
                .zip(whole(last))
                .filter(|(first, last)| first <= last)
                .map(|(first, last)| Code::Range(first, last)),
            (None, None) => whole(last).map(|address| Code::Range(address, address)),
        };
        code.ok_or_else(wrong)
    }
}

impl TryFrom<String> for Code {
    type Error = String;

    fn try_from(text: String) -> Result<Code, String> {
        text.parse()
    }
}

/// A name of DNS below which lists are asked.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct ZoneName(DnsName);

impl TryFrom<String> for ZoneName {
    type Error = String;

    fn try_from(text: String) -> Result<ZoneName, String> {
        let name = DnsName::new(text.as_bytes()).map_err(|e| format!("\"{text}\": {e}"))?;
        if name.is_root() {
            return Err("the name of a zone is empty".to_owned());
        }
        if name.as_bytes().len() + MAX_REVERSED > MAX_NAME {
            return Err(format!("\"{text}\" is too long to be asked below"));
        }
        Ok(ZoneName(name))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Family {
    Ipv4,
    Ipv6,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    list: Vec<Spanned<RawList>>,
    network: Option<RawNetwork>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawNetwork {
    ipv4: ZoneName,
    ipv6: ZoneName,
    names: ZoneName,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawList {
    name: String,
    zone: ZoneName,
    kind: Kind,
    families: Option<Vec<Family>>,
    #[serde(default)]
    listed: Codes,
    #[serde(default)]
    minor: Codes,
    #[serde(default)]
    refused: Codes,
    removal: Option<String>,
    advice: Option<String>,
    test: Option<ZoneName>,
}

impl RawList {
    fn list(self) -> Result<List, String> {
        let name = self.name;
        if name.trim().is_empty() {
            return Err("a list has no name".to_owned());
        }
        if self.listed.0.is_empty() && self.minor.0.is_empty() {
            return Err(format!(
                "the list {name} has neither `listed` nor `minor`: nothing would ever be on it"
            ));
        }
        let of_domains = self.kind == Kind::Domain;
        if of_domains && self.families.is_some() {
            return Err(format!(
                "{name} is a list of domains: they have no `families`"
            ));
        }
        if !of_domains && self.test.is_some() {
            return Err(format!(
                "{name} is a list of addresses: 127.0.0.2 is its `test` (RFC 5782 section 5)"
            ));
        }
        let families = self.families.unwrap_or_else(|| vec![Family::Ipv4]);
        if !of_domains && families.is_empty() {
            return Err(format!("the list {name} has no `families`"));
        }
        let test = self.test.map(|test| test.0);
        Ok(List {
            name,
            zone: self.zone.0,
            kind: self.kind,
            ipv4: families.contains(&Family::Ipv4),
            ipv6: families.contains(&Family::Ipv6),
            listed: self.listed,
            minor: self.minor,
            refused: self.refused,
            removal: self.removal,
            advice: self.advice,
            test: test.unwrap_or_else(|| DnsName::new(b"test").expect("a label is a name")),
        })
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Address => "address",
            Kind::Domain => "domain",
            Kind::Backscatter => "backscatter",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "[[list]]\nname = \"A\"\nzone = \"a.example\"\nkind = \"address\"\n";

    fn codes(text: &str) -> List {
        Lists::parse(&format!("{LIST}{text}"))
            .unwrap()
            .lists
            .remove(0)
    }

    #[test]
    fn the_table_of_the_program_can_be_read() {
        let lists = Lists::builtin();
        assert!(lists.lists.len() > 20 && lists.network.is_some());
        for list in &lists.lists {
            let removal = list.removal.as_deref().unwrap_or_default();
            assert!(removal.starts_with("https://"), "{}", list.name);
            // RFC 5782 §5: the test entry of an address list answers 127.0.0.2, which must not be a refusal.
            let code = Ipv4Addr::new(127, 0, 0, 2);
            assert!(!matches!(list.meaning(code), Meaning::Refused(_)));
        }
    }

    #[test]
    fn codes_are_single_ranges_or_bits() {
        let list = codes(
            "listed = { \"127.0.0.4-7\" = \"xbl\", \"127.0.1.&64\" = \"abuse\", \"127.0.1.&8\" = \"ph\" }\n\
             minor = { \"127.0.0.9\" = \"few\", \"127.0.1.&2\" = \"grey\" }\nrefused = { \"127.0.1.9\" = \"no\" }",
        );
        let says = |last: [u8; 2]| list.meaning(Ipv4Addr::new(127, 0, last[0], last[1]));
        let listed = |why: &[&'static str], minor| Meaning::Listed {
            why: why.to_vec(),
            minor,
        };
        assert_eq!(says([0, 3]), Meaning::Unknown);
        assert_eq!(says([0, 4]), listed(&["xbl"], false));
        assert_eq!(says([0, 7]), listed(&["xbl"], false));
        assert_eq!(says([0, 9]), listed(&["few"], true));
        assert_eq!(says([1, 72]), listed(&["ph", "abuse"], false));
        assert_eq!(says([1, 66]), listed(&["abuse", "grey"], false));
        assert_eq!(says([1, 2]), listed(&["grey"], true));
        // A refusal is none of its bits.
        assert_eq!(says([1, 9]), Meaning::Refused("no"));
        assert_eq!(says([2, 64]), Meaning::Unknown);
    }

    #[test]
    fn what_cannot_be_used_is_told_with_its_line() {
        let listed = "listed = { \"127.0.0.2\" = \"spam\" }\n";
        for (text, line, part) in [
            (LIST.to_owned(), 1, "neither `listed` nor `minor`"),
            (
                format!("{LIST}listed = {{ \"10.0.0.2\" = \"x\" }}"),
                5,
                "\"10.0.0.2\" is no answer",
            ),
            (
                format!("{LIST}listed = {{ \"127.0.0.7-4\" = \"x\" }}"),
                5,
                "no answer of a list",
            ),
            (
                format!("{LIST}listed = {{ \"127.0.0.256\" = \"x\" }}"),
                5,
                "no answer of a list",
            ),
            (format!("{LIST}listd = 1"), 5, "unknown field `listd`"),
            (
                format!("{LIST}{listed}test = \"test\""),
                1,
                "127.0.0.2 is its `test`",
            ),
            (
                format!("{LIST}{listed}families = []"),
                1,
                "has no `families`",
            ),
            (
                format!("{LIST}{listed}{LIST}{listed}"),
                6,
                "stands here twice",
            ),
            (
                LIST.replace("a.example", "a..example"),
                3,
                "a label is empty",
            ),
            (
                LIST.replace("a.example", &"a.".repeat(100)),
                3,
                "too long to be asked below",
            ),
            (LIST.replace("address", "adress"), 4, "unknown variant"),
            ("[[list]]\nname = \"A\n".to_owned(), 2, ""),
            (
                "[network]\nipv4 = \"a.example\"".to_owned(),
                1,
                "missing field `ipv6`",
            ),
        ] {
            let error = Lists::parse(&text).unwrap_err();
            assert!(error.reason.contains(part), "{text}: {error}");
            assert_eq!(error.line, line, "{text}: {error}");
        }
    }

    #[test]
    fn a_table_may_be_empty() {
        let lists = Lists::parse("").unwrap();
        assert_eq!((lists.lists.len(), lists.network), (0, None));
    }
}
