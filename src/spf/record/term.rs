//! One term: a directive or a modifier (RFC 7208 §4.6.1).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    Directive, DomainSpec, MacroString, Mechanism, Network, Place, Prefixes, Qualifier, TermFault,
    TermKind, excerpt, printable,
};

pub(super) fn parse(text: &[u8]) -> Result<TermKind, TermFault> {
    // §3.1: a record is ASCII, and §4.6.1 has blanks between terms and no other control character.
    if let Some(&octet) = text.iter().find(|b| !b.is_ascii_graphic()) {
        return Err(TermFault::Octet { octet });
    }
    let named = text.iter().take_while(|b| is_name_byte(**b)).count();
    // A hyphen may be a qualifier too, but no name begins with it.
    if text[named..].starts_with(b"=") && !text.starts_with(b"-") {
        return modifier(&text[..named], &text[named + 1..]);
    }
    let qualifier = text.first().and_then(|byte| Qualifier::of(*byte));
    let text = &text[usize::from(qualifier.is_some())..];
    let mechanism = mechanism(text, qualifier.is_some())?;
    Ok(TermKind::Directive(Directive {
        qualifier: qualifier.unwrap_or(Qualifier::Pass),
        mechanism,
    }))
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

fn modifier(name: &[u8], value: &[u8]) -> Result<TermKind, TermFault> {
    // §4.6.1: a name begins with a letter.
    if !name.first().is_some_and(u8::is_ascii_alphabetic) {
        return Err(TermFault::ModifierName);
    }
    let name = printable(name);
    // The grammar alone would make "redirect=-all" an unknown modifier; it is meant to be a redirect (§6.1).
    match name.to_ascii_lowercase().as_str() {
        "redirect" => Ok(TermKind::Redirect(domain("redirect", value)?)),
        "exp" => Ok(TermKind::Explanation(domain("exp", value)?)),
        _ => {
            MacroString::parse(value, Place::UnknownModifier).map_err(TermFault::Macro)?;
            Ok(TermKind::Unknown { name })
        }
    }
}

/// The mechanisms that may have something behind a colon.
pub(in crate::spf) const MECHANISMS: [&str; 7] =
    ["include", "a", "mx", "ptr", "ip4", "ip6", "exists"];

fn mechanism(text: &[u8], qualified: bool) -> Result<Mechanism, TermFault> {
    let end = text.iter().position(|b| matches!(b, b':' | b'/'));
    let (name, rest) = text.split_at(end.unwrap_or(text.len()));
    let name = name.to_ascii_lowercase();
    match name.as_slice() {
        b"all" if rest.is_empty() => Ok(Mechanism::All),
        b"all" => Err(TermFault::Argument),
        b"include" => Ok(Mechanism::Include(argument("include", rest)?)),
        b"exists" => Ok(Mechanism::Exists(argument("exists", rest)?)),
        b"ptr" => match rest {
            [] => Ok(Mechanism::Ptr(None)),
            rest => Ok(Mechanism::Ptr(Some(argument("ptr", rest)?))),
        },
        b"a" => {
            let (target, prefixes) = target("a", rest)?;
            Ok(Mechanism::A(target, prefixes))
        }
        b"mx" => {
            let (target, prefixes) = target("mx", rest)?;
            Ok(Mechanism::Mx(target, prefixes))
        }
        b"ip4" => Ok(Mechanism::Ip(network("ip4", rest, |text| {
            text.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
        })?)),
        b"ip6" => Ok(Mechanism::Ip(network("ip6", rest, |text| {
            text.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
        })?)),
        b"redirect" | b"exp" => Err(TermFault::ModifierWithColon),
        _ if qualified && memchr::memchr(b'=', &name).is_some() => {
            let before = name.split(|b| *b == b'=').next();
            let meant = MECHANISMS
                .iter()
                .find(|known| before == Some(known.as_bytes()));
            Err(match meant {
                Some(name) => TermFault::EqualsForColon { name },
                None => TermFault::Qualifier,
            })
        }
        _ => Err(TermFault::Mechanism {
            name: excerpt(&name),
        }),
    }
}

/// The name behind the colon of a mechanism that has no prefix.
fn argument(name: &'static str, rest: &[u8]) -> Result<DomainSpec, TermFault> {
    match rest {
        [b':', value @ ..] => domain(name, value),
        [] => Err(TermFault::NoDomain { name }),
        _ => Err(TermFault::PrefixUnexpected { name }),
    }
}

fn domain(name: &'static str, value: &[u8]) -> Result<DomainSpec, TermFault> {
    if value.is_empty() {
        return Err(TermFault::NoDomain { name });
    }
    // What ends with a slash and digits is no name (§7.1): it is meant to be a prefix.
    let (before, prefix) = split_digits(value, b"/");
    let result = DomainSpec::parse(value);
    match prefix {
        Some(_) if result.is_err() && DomainSpec::parse(before).is_ok() => {
            Err(TermFault::PrefixUnexpected { name })
        }
        _ => result,
    }
}

/// `[ ":" domain-spec ] [ dual-cidr-length ]` (§5.3, §5.4).
fn target(name: &'static str, rest: &[u8]) -> Result<(Option<DomainSpec>, Prefixes), TermFault> {
    let (rest, v6) = split_digits(rest, b"//");
    let (rest, v4) = split_digits(rest, b"/");
    let target = match rest {
        [] => None,
        [b':', value @ ..] => Some(domain(name, value)?),
        _ => return Err(TermFault::prefix(rest, 32)),
    };
    let prefixes = Prefixes {
        v4: prefix(v4, 32)?,
        v6: prefix(v6, 128)?,
    };
    Ok((target, prefixes))
}

fn network(
    name: &'static str,
    rest: &[u8],
    read: impl Fn(&str) -> Option<IpAddr>,
) -> Result<Network, TermFault> {
    let Some(value) = rest.strip_prefix(b":").filter(|value| !value.is_empty()) else {
        return Err(TermFault::NoAddress { name });
    };
    let (address, digits) = split_digits(value, b"/");
    let found = excerpt(address);
    let address = read(&found).ok_or(TermFault::Address { name, found })?;
    let prefix = prefix(digits, if address.is_ipv4() { 32 } else { 128 })?;
    Ok(Network::new(address, prefix).expect("the prefix is within the bits of the address"))
}

/// Cuts digits and the slashes before them from the end.
fn split_digits<'a>(text: &'a [u8], slashes: &[u8]) -> (&'a [u8], Option<&'a [u8]>) {
    let digits = text.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let (before, digits) = text.split_at(text.len() - digits);
    match before.strip_suffix(slashes) {
        Some(before) if !digits.is_empty() => (before, Some(digits)),
        _ => (text, None),
    }
}

/// §5: a number without leading zeros, up to the bits of the address; all of them where none stands there.
fn prefix(digits: Option<&[u8]>, bits: u8) -> Result<u8, TermFault> {
    let Some(digits) = digits else {
        return Ok(bits);
    };
    let number = std::str::from_utf8(digits)
        .ok()
        .filter(|text| *text == "0" || !text.starts_with('0'));
    let number = number.and_then(|text| text.parse::<u8>().ok());
    let number = number.filter(|number| *number <= bits);
    number.ok_or_else(|| TermFault::prefix(digits, bits))
}
