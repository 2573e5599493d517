//! Links that scanners and redirectors put themselves before, led back to where they pointed.

use std::borrow::Cow;

use crate::explain::bytes::{hex, replaced};
use crate::key::decode_base64;

/// The text with the links that it had before a known scanner rewrote them.
pub(super) fn of_text(text: &[u8]) -> Vec<u8> {
    rewritten(text, known)
}

/// The same, where `&` is written as `&amp;` in HTML.
pub(super) fn of_html(text: &[u8]) -> Vec<u8> {
    rewritten(text, |link| {
        let link = replaced(link, b"&amp;", b"&");
        Some(replaced(&known(&link)?, b"&", b"&amp;"))
    })
}

/// The text with all links taken out of links to other hosts.
pub(super) fn of_any(text: &[u8]) -> Vec<u8> {
    rewritten(text, |link| within(link, PARAMETERS))
}

fn rewritten(text: &[u8], before: impl Fn(&[u8]) -> Option<Vec<u8>>) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let (mut from, mut behind) = (0, 0);
    for at in memchr::memmem::find_iter(text, b"http") {
        // What stands within a link belongs to it.
        if at < behind {
            continue;
        }
        let rest = &text[at..];
        if !rest.starts_with(b"https://") && !rest.starts_with(b"http://") {
            continue;
        }
        let ends = |b: &u8| matches!(b, 0..=b' ' | b'"' | b'<' | b'>' | b'\'' | b')' | b']');
        let len = rest.iter().position(ends).unwrap_or(rest.len());
        behind = at + len;
        if let Some(link) = before(&rest[..len]) {
            out.extend_from_slice(&text[from..at]);
            out.extend(link);
            from = at + len;
        }
    }
    out.extend_from_slice(&text[from..]);
    out
}

/// The parameters that name the place where a link leads on to.
const PARAMETERS: &[&[u8]] = &[b"url", b"u", b"q", b"a", b"target", b"link"];

/// Hosts that lead on to what a parameter of the link says.
const SCANNERS: [&[u8]; 12] = [
    b"safelinks.protection.outlook.com",
    b"safelinks.protection.office365.us",
    b"linkprotect.cudasvc.com",
    b"clicktime.symantec.com",
    b"protect.fireeye.com",
    b"protect2.fireeye.com",
    b"ctp.trendmicro.com",
    b"hornetsecurity.com",
    b"www.google.com",
    b"urlsand.esvalabs.com",
    b"linkscan.io",
    b"mailguard.com.au",
];

fn known(link: &[u8]) -> Option<Vec<u8>> {
    let (host, path) = parts(link)?;
    let host = host.to_ascii_lowercase();
    match host.as_slice() {
        b"urldefense.proofpoint.com" | b"urldefense.com" | b"urldefense.us" => {
            if path.starts_with(b"/v3/__") {
                return defended(&path[6..]);
            }
            let escaped = path.starts_with(b"/v2/");
            let value = parameter(path, &[b"u"])?;
            let plain = match escaped {
                true => Cow::Owned(replaced(&replaced(value, b"_", b"/"), b"-", b"%")),
                false => Cow::Borrowed(value),
            };
            target(percent_decoded(&plain))
        }
        // The last part of the path is the link.
        b"secure-web.cisco.com" => {
            let slash = path.iter().rposition(|b| *b == b'/')?;
            target(percent_decoded(&path[slash + 1..]))
        }
        b"url.avanan.click" | b"url.us.m.mimecastprotect.com" => {
            let start = memchr::memmem::find(path, b"/___")? + 4;
            let end = memchr::memmem::find(&path[start..], b"___.")?;
            target(path[start..start + end].to_vec())
        }
        host if host.ends_with(b".protection.sophos.com") => {
            let value = replaced(parameter(path, &[b"u"])?, b"%3D", b"=");
            target(decode_base64(&value)?)
        }
        host => {
            let is = |scanner: &[u8]| {
                host.strip_suffix(scanner)
                    .is_some_and(|sub| sub.is_empty() || sub.ends_with(b"."))
            };
            SCANNERS.iter().find(|scanner| is(scanner))?;
            within(link, PARAMETERS)
        }
    }
}

/// Proofpoint's third form: `__LINK__;CHARS!!…`, where `*` in the link stands for the next of the base64 CHARS, and
/// `**` with a letter for several.
fn defended(path: &[u8]) -> Option<Vec<u8>> {
    let end = memchr::memmem::rfind(path, b"__;")?;
    let (link, rest) = (&path[..end], &path[end + 3..]);
    let chars = &rest[..memchr::memmem::find(rest, b"!").unwrap_or(rest.len())];
    let url_safe = |b: &u8| match b {
        b'-' => b'+',
        b'_' => b'/',
        other => *other,
    };
    let mut chars: Vec<u8> = chars.iter().map(url_safe).collect();
    chars.resize(chars.len().next_multiple_of(4), b'=');
    let chars = String::from_utf8(decode_base64(&chars)?).ok()?;
    let mut chars = chars.chars();
    let mut out = Vec::with_capacity(link.len());
    let mut at = 0;
    while let Some(byte) = link.get(at) {
        at += 1;
        if *byte != b'*' {
            out.push(*byte);
            continue;
        }
        let mut count = 1;
        if link.get(at) == Some(&b'*') {
            let run = *link.get(at + 1)?;
            let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
            count = 2 + letters.iter().position(|letter| *letter == run)?;
            at += 2;
        }
        let some: String = chars.by_ref().take(count).collect();
        out.extend_from_slice(some.as_bytes());
    }
    target(out)
}

/// The link that a parameter of this one holds.
fn within(link: &[u8], names: &[&[u8]]) -> Option<Vec<u8>> {
    let (_, path) = parts(link)?;
    target(percent_decoded(parameter(path, names)?))
}

fn target(link: Vec<u8>) -> Option<Vec<u8>> {
    let full = link.starts_with(b"http://") || link.starts_with(b"https://");
    full.then_some(link)
}

/// The host of a link, and what stands behind it.
fn parts(link: &[u8]) -> Option<(&[u8], &[u8])> {
    let start = memchr::memmem::find(link, b"://")? + 3;
    let rest = &link[start..];
    let ends = |b: &u8| matches!(b, b'/' | b'?' | b':');
    let len = rest.iter().position(ends).unwrap_or(rest.len());
    Some(rest.split_at(len))
}

fn parameter<'p>(path: &'p [u8], names: &[&[u8]]) -> Option<&'p [u8]> {
    let query = &path[path.iter().position(|b| *b == b'?')? + 1..];
    let pairs = query.split(|b| *b == b'&');
    let pairs = pairs.map(|pair| pair.strip_prefix(b"amp;").unwrap_or(pair));
    let mut values = pairs.filter_map(|pair| {
        let equal = pair.iter().position(|b| *b == b'=')?;
        names.contains(&&pair[..equal]).then(|| &pair[equal + 1..])
    });
    values.next()
}

fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while at < text.len() {
        let byte = hex(&text[at + 1..]).filter(|_| text[at] == b'%');
        out.push(byte.unwrap_or(text[at]));
        at += if byte.is_some() { 3 } else { 1 };
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_back_to_where_they_pointed() {
        let to = "https://www.test.example/docs?lang=en&step=2";
        for link in [
            "https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fwww.test.example%2Fdocs%3Flang%3Den%26step%3D2&data=05%7C01&reserved=0",
            "https://urldefense.proofpoint.com/v1/url?u=https://www.test.example/docs%3Flang%3Den%26step%3D2&k=x%3D%3D",
            "https://urldefense.proofpoint.com/v2/url?u=https-3A__www.test.example_docs-3Flang-3Den-26step-3D2&d=DwMF&c=x",
            "https://urldefense.com/v3/__https://www.test.example/docs*lang=en&step=2__;Pw!!JG3xiz7c!4PRurbbk$",
            "https://www.google.com/url?q=https%3A%2F%2Fwww.test.example%2Fdocs%3Flang%3Den%26step%3D2&source=gmail",
            "https://linkprotect.cudasvc.com/url?a=https%3a%2f%2fwww.test.example%2fdocs%3flang%3den%26step%3d2&c=E,1",
            "https://secure-web.cisco.com/1Abc_d-e/https%3A%2F%2Fwww.test.example%2Fdocs%3Flang%3Den%26step%3D2",
        ] {
            let text = |link: &str| format!("See {link} for it.\r\n<a href=\"x\">y</a>");
            let undone = String::from_utf8(of_text(text(link).as_bytes())).unwrap();
            assert_eq!(undone, text(to), "{link}");
        }
        let html = "<a href=\"https://eur01.safelinks.protection.outlook.com/?url=https%3A%2F%2Fa.example%2F%3Fb%26c&amp;data=1\">";
        assert_eq!(
            of_html(html.as_bytes()),
            b"<a href=\"https://a.example/?b&amp;c\">"
        );
        // A link of the sender's own that leads on is left alone, but for the last resort.
        let own = b"https://track.test.example/?url=https%3A%2F%2Fa.example";
        assert_eq!(of_text(own), own);
        assert_eq!(of_any(own), b"https://a.example");
        let other = b"https://evilhornetsecurity.com/?u=https%3A%2F%2Fa.example";
        assert_eq!(of_text(other), other);
    }
}
