//! What RFC 6376 and RFC 8601 say, in the plainest code that says it: the library is held against this.

use std::ops::Range;

use dkimkit::canon::Canon;
use dkimkit::message::{Field, Header};

/// Body canonicalization on lines (RFC 6376 §3.4.3 and §3.4.4).
pub fn body(canon: Canon, body: &[u8]) -> Vec<u8> {
    let mut lines = lines(body);
    if canon == Canon::Relaxed {
        for line in &mut lines {
            *line = reduced(line);
            if line.ends_with(b" ") {
                line.pop();
            }
        }
    }
    while lines.last().is_some_and(Vec::is_empty) {
        lines.pop();
    }
    if lines.is_empty() && canon == Canon::Simple {
        lines.push(Vec::new());
    }
    lines
        .into_iter()
        .flat_map(|l| [l, b"\r\n".to_vec()].concat())
        .collect()
}

/// Header canonicalization of a field without its final CRLF (RFC 6376 §3.4.1 and §3.4.2).
pub fn field(canon: Canon, raw: &[u8]) -> Vec<u8> {
    if canon == Canon::Simple {
        return raw.to_vec();
    }
    let colon = raw.iter().position(|b| *b == b':').expect("a colon");
    let name = raw[..colon].trim_ascii_end().to_ascii_lowercase();
    let value = reduced(&lines(&raw[colon + 1..]).concat());
    let value = value.strip_prefix(b" ").unwrap_or(&value);
    let value = value.strip_suffix(b" ").unwrap_or(value);
    [&name, &b":"[..], value].concat()
}

/// What b= signs: the fields that `names` picks from the bottom up, then the signature field at
/// `position` without its value of b= (RFC 6376 §3.7 and §5.4.2).
pub fn signed_header(header: &Header, canon: Canon, names: &[&str], position: usize) -> Vec<u8> {
    let mut left: Vec<Field<'_>> = header
        .fields()
        .filter(|f| f.position() != position)
        .collect();
    let mut out = Vec::new();
    for name in names {
        let found = left
            .iter()
            .rposition(|f| f.name().eq_ignore_ascii_case(name));
        if let Some(at) = found {
            out.extend(field(canon, left.remove(at).raw()));
            out.extend_from_slice(b"\r\n");
        }
    }
    let own = header.field(position);
    let b = tag_value(own.value(), b"b").expect("a signature has b=");
    let at = own.value_offset();
    let raw = [&own.raw()[..at + b.start], &own.raw()[at + b.end..]].concat();
    out.extend(field(canon, &raw));
    out
}

/// Where the value of a tag stands, blanks and all.
pub fn tag_value(list: &[u8], name: &[u8]) -> Option<Range<usize>> {
    let mut start = 0;
    for item in list.split(|b| *b == b';') {
        let end = start + item.len();
        if let Some(equals) = item.iter().position(|b| *b == b'=')
            && item[..equals].trim_ascii() == name
        {
            return Some(start + equals + 1..end);
        }
        start = end + 1;
    }
    None
}

/// The parts of a structured field value that semicolons separate, without comments (RFC 8601 §2.2).
/// `None` where a quoted string or a comment does not end.
pub fn parts(value: &str) -> Option<Vec<String>> {
    let mut parts = vec![String::new()];
    let (mut quoted, mut depth) = (false, 0);
    let mut characters = value.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' if quoted || depth > 0 => {
                characters.next()?;
            }
            '"' if depth == 0 => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted && depth > 0 => depth -= 1,
            ';' if !quoted && depth == 0 => parts.push(String::new()),
            c if depth == 0 && !quoted => parts.last_mut()?.push(c),
            _ => {}
        }
    }
    (!quoted && depth == 0).then(|| parts.iter().map(|p| p.trim().to_owned()).collect())
}

fn lines(text: &[u8]) -> Vec<Vec<u8>> {
    let mut lines = vec![Vec::new()];
    let mut rest = text;
    while let Some((byte, tail)) = rest.split_first() {
        if let Some(tail) = rest.strip_prefix(b"\r\n") {
            lines.push(Vec::new());
            rest = tail;
        } else {
            lines.last_mut().expect("there is a line").push(*byte);
            rest = tail;
        }
    }
    lines
}

/// Each run of SP and HTAB made one SP.
fn reduced(line: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::new();
    for byte in line {
        match byte {
            b' ' | b'\t' if out.last() == Some(&b' ') => {}
            b' ' | b'\t' => out.push(b' '),
            byte => out.push(*byte),
        }
    }
    out
}

/// What a tree walk comes to (RFC 9989 §4.10).
pub struct TreeWalk {
    /// The names that are asked for.
    pub asked: Vec<String>,
    /// The organizational domain.
    pub organization: String,
    /// Where the policy stands.
    pub policy: Option<String>,
}

/// A tree walk from `domain`; `psd` gives the flag of the only record at a name.
pub fn tree_walk(domain: &str, psd: impl Fn(&str) -> Option<char>) -> TreeWalk {
    let labels: Vec<&str> = domain.split('.').collect();
    let last = |count: usize| labels[labels.len() - count..].join(".");
    let mut asked = Vec::new();
    let mut records = Vec::new();
    let mut count = labels.len();
    while count > 0 {
        let name = last(count);
        asked.push(name.clone());
        if let Some(flag) = psd(&name) {
            records.push((name, count, flag));
            if flag != 'u' {
                break;
            }
        }
        count = if count >= 8 { 7 } else { count - 1 };
    }
    let mut organization = records
        .last()
        .map_or(domain.to_owned(), |(name, ..)| name.clone());
    for (name, count, flag) in &records {
        if *flag == 'n' {
            organization = name.clone();
        } else if *flag == 'y' && name != domain {
            organization = last(count + 1);
        }
    }
    let at = |wanted: &str| records.iter().any(|(name, ..)| name == wanted);
    let policy = if at(domain) {
        Some(domain.to_owned())
    } else if at(&organization) {
        Some(organization.clone())
    } else {
        let suffix = records.into_iter().find(|(.., flag)| *flag == 'y');
        suffix.map(|(name, ..)| name)
    };
    TreeWalk {
        asked,
        organization,
        policy,
    }
}
