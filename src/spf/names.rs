//! Names that records and macros make.

use crate::dns::lookup::DnsName;

/// §7.3: labels are taken from the left of a name that is too long, and a final dot does not matter.
pub(super) fn fitting(name: &[u8]) -> &[u8] {
    const MAX_NAME: usize = 253;
    let name = name.strip_suffix(b".").unwrap_or(name);
    let mut rest = name;
    while rest.len() > MAX_NAME {
        match memchr::memchr(b'.', rest) {
            Some(dot) => rest = &rest[dot + 1..],
            None => return name,
        }
    }
    rest
}

/// A name that can be asked for.
pub(super) fn askable(name: &[u8]) -> Option<DnsName> {
    DnsName::new(name).ok().filter(|name| !name.is_root())
}

/// A name of a domain that may send mail: §4.3 wants several labels, and an address in brackets is none.
pub(super) fn sending_domain(name: &[u8]) -> Option<DnsName> {
    let name = askable(name)?;
    (name.labels().count() > 1 && !name.as_bytes().starts_with(b"[")).then_some(name)
}

/// A name that may be none, as it is shown.
pub(super) fn shown(name: &[u8]) -> String {
    match DnsName::new(name) {
        Ok(name) => name.to_string(),
        Err(_) => name.escape_ascii().to_string(),
    }
}
