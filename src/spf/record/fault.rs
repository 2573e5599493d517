//! What is wrong with a record, and how it is mended.

use std::fmt;
use std::net::IpAddr;
use std::ops::Range;

use super::{MacroError, printable};

/// Why a text is no SPF record that can be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It does not begin with `v=spf1`.
    #[error("the text does not begin with v=spf1 and a blank")]
    NotSpf,
    /// Terms are wrong: one at least.
    #[error("{}", first(.0))]
    Terms(Vec<BadTerm>),
}

impl RecordError {
    /// The terms that are wrong.
    pub fn terms(&self) -> &[BadTerm] {
        match self {
            RecordError::NotSpf => &[],
            RecordError::Terms(terms) => terms,
        }
    }
}

fn first(terms: &[BadTerm]) -> String {
    match terms {
        [] => String::new(),
        [only] => only.to_string(),
        [first, more @ ..] => format!("{first} (and {} more terms are wrong)", more.len()),
    }
}

/// A term that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadTerm {
    /// The term, escaped.
    pub text: String,
    /// Where it stands in the record, in octets.
    pub span: Range<usize>,
    /// What is wrong with it.
    pub fault: TermFault,
}

impl fmt::Display for BadTerm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the term “{}”: {}",
            excerpt(self.text.as_bytes()),
            self.fault
        )
    }
}

/// The beginning of a text.
pub(super) fn excerpt(text: &[u8]) -> String {
    const LONGEST: usize = 100;
    match text.split_at_checked(LONGEST) {
        Some((start, [_, ..])) => format!("{}…", printable(start)),
        _ => printable(text),
    }
}

/// What is wrong with a term.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TermFault {
    /// An octet that is no visible character of ASCII (RFC 7208 §3.1, §4.6.1).
    #[error("the octet {octet:#04x} may not stand in a record")]
    Octet {
        /// The octet.
        octet: u8,
    },
    /// There is no such mechanism (RFC 7208 §5).
    #[error("there is no mechanism “{name}”")]
    Mechanism {
        /// What stands in its place.
        name: String,
    },
    /// redirect or exp with a colon (RFC 7208 §6).
    #[error("redirect and exp are modifiers, which have = and no colon")]
    ModifierWithColon,
    /// The name of a modifier does not begin with a letter (RFC 7208 §4.6.1).
    #[error("the name of a modifier begins with a letter")]
    ModifierName,
    /// A modifier with a qualifier (RFC 7208 §4.6.1).
    #[error("a modifier has no qualifier before it")]
    Qualifier,
    /// A mechanism with an equals sign (RFC 7208 §5).
    #[error("{name} is a mechanism, which has a colon and no =")]
    EqualsForColon {
        /// The mechanism.
        name: &'static str,
    },
    /// redirect or exp stands for the second time (RFC 7208 §6).
    #[error("the modifier may stand only once")]
    Twice,
    /// Something stands behind `all` (RFC 7208 §5.1).
    #[error("nothing may stand behind all")]
    Argument,
    /// There is no name behind the colon or equals sign.
    #[error("{name} needs the name of a domain")]
    NoDomain {
        /// The mechanism or modifier.
        name: &'static str,
    },
    /// There is no address behind the colon (RFC 7208 §5.6).
    #[error("{name} needs an address")]
    NoAddress {
        /// The mechanism.
        name: &'static str,
    },
    /// What stands there is no address of the family (RFC 7208 §5.6).
    #[error("“{found}” is no address that {name} takes")]
    Address {
        /// The mechanism.
        name: &'static str,
        /// What stands there, escaped.
        found: String,
    },
    /// No length of a prefix (RFC 7208 §5).
    #[error(
        "“{found}” is no prefix: a number from 0 to {max} without leading zeros behind one slash"
    )]
    Prefix {
        /// What stands there, escaped.
        found: String,
        /// The longest prefix.
        max: u8,
    },
    /// A prefix where none may stand.
    #[error("{name} takes no prefix")]
    PrefixUnexpected {
        /// The mechanism or modifier.
        name: &'static str,
    },
    /// A macro, or the text around it (RFC 7208 §7.1).
    #[error("{0}")]
    Macro(MacroError),
    /// An address where a name must stand (RFC 7208 §7.1).
    #[error("an address stands where the name of a domain must stand")]
    AddressForDomain {
        /// The address.
        address: IpAddr,
    },
    /// A name of one label (RFC 7208 §7.1).
    #[error("“{found}” is a single label and no name of a domain")]
    SingleLabel {
        /// What stands there, escaped.
        found: String,
    },
    /// A last label that no top-level domain has (RFC 7208 §7.1).
    #[error("no domain ends with “{label}”")]
    TopLabel {
        /// The label, escaped.
        label: String,
    },
}

impl TermFault {
    /// What is wrong with a name whose end is no top-level domain.
    pub(super) fn no_domain(text: &[u8], label: &[u8], single: bool) -> TermFault {
        let found = excerpt(text);
        let address = found.parse::<IpAddr>().ok();
        match address {
            Some(address) => TermFault::AddressForDomain { address },
            None if single => TermFault::SingleLabel { found },
            None => TermFault::TopLabel {
                label: excerpt(label),
            },
        }
    }

    pub(super) fn prefix(found: &[u8], max: u8) -> TermFault {
        TermFault::Prefix {
            found: excerpt(found),
            max,
        }
    }

    /// What would mend it, where that can be told.
    pub fn mend(&self) -> Option<String> {
        Some(match self {
            TermFault::Octet {
                octet: b'\t' | b'\r' | b'\n',
            } => "put a blank, and nothing else, between two terms".to_owned(),
            TermFault::Octet { .. } => "write the record anew in plain ASCII".to_owned(),
            TermFault::Mechanism { name } => return mechanism_meant(name),
            TermFault::ModifierWithColon => "write redirect= or exp=".to_owned(),
            TermFault::ModifierName => "remove the term".to_owned(),
            TermFault::Qualifier => "remove the sign before the modifier".to_owned(),
            TermFault::EqualsForColon { name } => format!("write {name}:"),
            TermFault::Twice => "keep one of the two".to_owned(),
            TermFault::Argument => "write all alone, as in -all".to_owned(),
            TermFault::NoDomain { name } if matches!(*name, "a" | "mx" | "ptr") => {
                format!("write {name} alone where the domain itself is meant")
            }
            TermFault::NoDomain { name } if matches!(*name, "redirect" | "exp") => {
                format!("write {name}= and the name of a domain, or remove the term")
            }
            TermFault::NoDomain { name } => {
                format!("write {name}: and the name of a domain, or remove the term")
            }
            TermFault::NoAddress { name } => format!("write {name}: and an address"),
            TermFault::Address { name, found } => return address_meant(name, found),
            TermFault::Prefix { max, .. } => format!("write a number from 0 to {max}"),
            TermFault::PrefixUnexpected { .. } => "remove the slash and the number".to_owned(),
            TermFault::Macro(MacroError::Percent) => {
                "write %% where a percent sign is meant".to_owned()
            }
            TermFault::AddressForDomain { address } => match address {
                IpAddr::V4(address) => format!("write ip4:{address}"),
                IpAddr::V6(address) => format!("write ip6:{address}"),
            },
            TermFault::SingleLabel { .. } | TermFault::TopLabel { .. } => {
                "write the whole name of the domain".to_owned()
            }
            TermFault::Macro(_) => return None,
        })
    }
}

/// What was meant by a word that is no mechanism, where it is a common slip.
fn mechanism_meant(name: &str) -> Option<String> {
    let meant = match name {
        "ipv4" | "ip" => "ip4",
        "ipv6" => "ip6",
        "includes" | "inlude" | "incldue" => "include",
        "exist" => "exists",
        "aaaa" => "a",
        "mx1" | "mxs" => "mx",
        _ if name.parse::<IpAddr>().is_ok() => {
            return Some("write ip4: before the address".to_owned());
        }
        _ if name.contains('.') => {
            return Some(format!(
                "write include:{name} or a:{name}, whichever is meant"
            ));
        }
        _ => return None,
    };
    Some(format!("write {meant}"))
}

fn address_meant(name: &str, found: &str) -> Option<String> {
    match (name, found.parse::<IpAddr>()) {
        ("ip4", Ok(IpAddr::V6(_))) => Some(format!("write ip6:{found}")),
        ("ip6", Ok(IpAddr::V4(_))) => Some(format!("write ip4:{found}")),
        ("ip4", _) => Some("write four numbers from 0 to 255 with dots between them".to_owned()),
        _ => None,
    }
}
