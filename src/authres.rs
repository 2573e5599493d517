//! The Authentication-Results field (RFC 8601): ours, written from verdicts.
//!
//! Everything that comes from a message is either a checked name, which cannot break the syntax, or is
//! quoted; what cannot be quoted is left out.

use crate::key::encode_base64;
use crate::message::Field;
use crate::report::{Failure, ResultWord, Verdict, is_harmful};

/// The name of the field.
pub const FIELD_NAME: &str = "Authentication-Results";

/// The authserv-id of RFC 8601 §2.5: the name of whoever vouches for the field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthservId(String);

impl AuthservId {
    /// Checks and keeps an authserv-id: a token or host name.
    ///
    /// ```
    /// use dkimkit::authres::AuthservId;
    /// assert!(AuthservId::new("mx.example.org").is_some());
    /// assert!(AuthservId::new("mx; dkim=pass").is_none());
    /// ```
    pub fn new(text: &str) -> Option<AuthservId> {
        let legal = !text.is_empty() && text.len() <= MAX_ID && text.bytes().all(is_token_byte);
        legal.then(|| AuthservId(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Results beyond this number are left out of a field: readers have caps of their own, and where theirs lies
/// an attacker must not decide.
pub const MAX_RESULTS: usize = 16;

/// Writes the field for a message: a `dkim=` result for each signature, or `dkim=none`.
///
/// Lines end with CRLF; there is none at the end. Of more than [`MAX_RESULTS`] signatures, those with the best
/// results are told, of them the aligned ones first, and a comment says how many others there are.
///
/// ```
/// use dkimkit::authres::{AuthservId, field};
/// let id = AuthservId::new("mx.example.org").unwrap();
/// assert_eq!(
///     field(&id, &[]),
///     "Authentication-Results: mx.example.org;\r\n\tdkim=none (the message is not signed)"
/// );
/// ```
pub fn field(id: &AuthservId, verdicts: &[Verdict]) -> String {
    let mut text = format!("{FIELD_NAME}: {}", id.as_str());
    if verdicts.is_empty() {
        text.push_str(";\r\n\tdkim=none (the message is not signed)");
    }
    let mut told: Vec<&Verdict> = verdicts.iter().collect();
    if told.len() > MAX_RESULTS {
        told.sort_by_key(|v| (v.result(), v.alignment.map_or(u8::MAX, |a| a as u8)));
        told.truncate(MAX_RESULTS);
        told.sort_by_key(|v| v.index);
        let left_out = verdicts.len() - MAX_RESULTS;
        text.push_str(&format!(
            "\r\n\t({left_out} more signatures are not told of)"
        ));
    }
    let signatures = told.iter().map(|verdict| {
        let signature = verdict.claims.signature.as_ref();
        signature.map(|signature| encode_base64(signature))
    });
    let signatures: Vec<Option<String>> = signatures.collect();
    for (verdict, own) in told.iter().zip(&signatures) {
        let others = signatures.iter().flatten();
        let start = own.as_deref().map(|own| unique_start(own, others));
        text.push_str(&result(verdict, start));
    }
    text
}

/// As much of a signature as tells it from the others, eight characters at least (RFC 6008 §3).
fn unique_start<'a>(own: &'a str, others: impl Iterator<Item = &'a String>) -> &'a str {
    let alike = |other: &String| {
        own.bytes()
            .zip(other.bytes())
            .take_while(|(a, b)| a == b)
            .count()
    };
    let longest = others.filter(|other| *other != own).map(alike).max();
    let len = longest.map_or(8, |alike| 8.max(alike + 1));
    &own[..len.min(own.len())]
}

/// One `resinfo` of RFC 8601 §2.2, on lines of its own; `signature` is the beginning of b=.
fn result(verdict: &Verdict, signature: Option<&str>) -> String {
    let claims = &verdict.claims;
    let mut words = vec![format!("dkim={}", verdict.result())];
    if let Some(bits) = verdict.key.and_then(|k| k.bits) {
        let testing = verdict.key.is_some_and(|k| k.testing);
        let testing = if testing { ", testing" } else { "" };
        words.push(format!("({bits}-bit key{testing})"));
    }
    if let Some(failure) = verdict.failure() {
        words.push(format!("reason=\"{}\"", failure.reason()));
    }
    // §2.7.1: what names the signature; RFC 6008 for header.b.
    if let Some(domain) = &claims.domain {
        words.push(format!("header.d={}", domain.as_ascii()));
        let identity = match &claims.identity {
            Some(identity) => identity_value(
                identity.local_part.as_deref().unwrap_or_default(),
                identity.domain.as_ascii(),
            ),
            None => Some(format!("@{}", domain.as_ascii())),
        };
        words.extend(identity.map(|i| format!("header.i={i}")));
    }
    if let Some(selector) = &claims.selector {
        words.push(format!("header.s={}", token_or_quoted(selector.as_ascii())));
    }
    if let Some(algorithm) = claims.algorithm {
        words.push(format!("header.a={}", algorithm.as_str()));
    }
    if let Some(start) = signature {
        words.push(format!("header.b={}", token_or_quoted(start)));
    }
    let mut text = String::from(";\r\n\t");
    let mut column = 8;
    for (at, word) in words.iter().enumerate() {
        if at > 0 && column + 1 + word.len() > 78 {
            text.push_str("\r\n\t ");
            column = 9;
        } else if at > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += word.len();
    }
    text
}

/// The pvalue of header.i: the local part as an atom where it is one, else quoted. `None` where neither can
/// carry it, or where it is longer than a local part may be (RFC 5321 §4.5.3.1.1).
fn identity_value(local: &[u8], domain: &str) -> Option<String> {
    if local.len() > 64 {
        return None;
    }
    let atom = local.iter().all(|b| is_token_byte(*b));
    let local = std::str::from_utf8(local).ok()?;
    if atom {
        return Some(format!("{local}@{domain}"));
    }
    (!local.chars().any(is_harmful)).then(|| format!("{}@{domain}", quoted(local)))
}

fn token_or_quoted(text: &str) -> String {
    if !text.is_empty() && text.bytes().all(is_token_byte) {
        text.to_owned()
    } else {
        quoted(text)
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The bytes of a token (RFC 2045 §5.1).
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&byte)
}

/// The words of a result that is not about a signature, for callers that could not read a message.
pub fn unreadable(id: &AuthservId, failure: &Failure) -> String {
    let result: ResultWord = failure.result();
    format!(
        "{FIELD_NAME}: {};\r\n\tdkim={result} reason=\"{}\"",
        id.as_str(),
        failure.reason()
    )
}

/// Whether a field claims to be an Authentication-Results field of this authserv-id, in whatever spelling:
/// such a field in a message that comes from outside is forged and must be deleted (RFC 8601 §5).
///
/// The reading is as generous as that of any reader of such fields might be: comments, folds, quotes,
/// backslashes, letter case, a final dot, blanks within the id, U-labels, and a missing or extra part behind the
/// id all do not matter. What cannot be read at all is taken for forged if it names the id anywhere before its
/// first semicolon.
///
/// ```
/// use dkimkit::authres::{AuthservId, is_forged};
/// use dkimkit::message::{Header, HeaderLimits};
/// let id = AuthservId::new("mx.example.org").unwrap();
/// let header = b"Authentication-Results: (hi) MX.Example.ORG 1;\r\n dkim=pass\r\n\
///     Authentication-Results: other.example; dkim=pass\r\n";
/// let header = Header::parse(header, HeaderLimits::default())?;
/// assert!(is_forged(&id, header.field(0)));
/// assert!(!is_forged(&id, header.field(1)));
/// # Ok::<(), dkimkit::message::SplitError>(())
/// ```
pub fn is_forged(id: &AuthservId, field: Field<'_>) -> bool {
    if !field.is(FIELD_NAME) {
        return false;
    }
    let wanted = id.as_str().trim_end_matches('.').to_ascii_lowercase();
    let wanted = wanted.as_bytes();
    let value = field.value();
    let mut readings = vec![Reading::of(value)];
    if let Some(end) = memchr::memchr(0, value) {
        // To programs in C the text ends here.
        readings.push(Reading::of(&value[..end]));
    }
    readings.iter().any(|reading| reading.names(wanted))
}

/// How the beginning of a field's value may be read: up to the first semicolon, without comments, quotes and
/// backslashes.
struct Reading {
    /// What is left, without white space, in small letters.
    text: Vec<u8>,
    /// Where in it a reader may take the id to end: at the end, and wherever white space, a comment or a quote
    /// stood.
    ends: Vec<usize>,
    /// Whether every quote and comment ends, and no control character stands anywhere.
    whole: bool,
    /// All up to the first semicolon wherever it stands, comments too, in small letters.
    all: Vec<u8>,
}

impl Reading {
    fn of(value: &[u8]) -> Reading {
        let mut text = Vec::new();
        let mut ends = vec![0];
        let mut end_at = |len: usize| {
            if ends.last() != Some(&len) {
                ends.push(len);
            }
        };
        let (mut depth, mut quoted, mut whole) = (0usize, false, true);
        let mut rest = value;
        while let Some((&byte, tail)) = rest.split_first() {
            rest = tail;
            match byte {
                b'\\' => match rest.split_first() {
                    Some((&next, tail)) => {
                        rest = tail;
                        if depth == 0 {
                            text.push(next.to_ascii_lowercase());
                        }
                    }
                    None => whole = false,
                },
                b'"' if depth == 0 => {
                    end_at(text.len());
                    quoted = !quoted;
                }
                _ if quoted => text.push(byte.to_ascii_lowercase()),
                b'(' => {
                    end_at(text.len());
                    depth += 1;
                }
                // One without its counterpart is passed over by some.
                b')' => depth = depth.saturating_sub(1),
                _ if depth > 0 => {}
                b'\t'..=b'\r' | b' ' => end_at(text.len()),
                b';' => break,
                b'/' | b'=' => {
                    end_at(text.len());
                    text.push(byte);
                }
                byte => {
                    whole &= !byte.is_ascii_control();
                    text.push(byte.to_ascii_lowercase());
                }
            }
            // No id is so long; what follows is of no interest.
            if text.len() > 4 * MAX_ID {
                break;
            }
        }
        end_at(text.len());
        let end = memchr::memchr(b';', value).unwrap_or(value.len());
        let mut all = value[..end].to_ascii_lowercase();
        all.retain(|b| !matches!(b, b'\\' | b'"'));
        Reading {
            text,
            ends,
            whole: whole && depth == 0 && !quoted,
            all,
        }
    }

    fn names(&self, wanted: &[u8]) -> bool {
        let named = |end: &usize| {
            let found = &self.text[..*end];
            let found = found.strip_suffix(b".").unwrap_or(found);
            found == wanted
                || !found.is_ascii()
                    && idna::domain_to_ascii_cow(found, idna::AsciiDenyList::EMPTY)
                        .is_ok_and(|ascii| ascii.as_bytes() == wanted)
        };
        // Ends within what cannot be the id are not looked at: the work stays linear.
        let near = |end: &&usize| **end <= 4 * MAX_ID;
        self.ends.iter().filter(near).take(MAX_ENDS).any(named)
            || !self.whole && memchr::memmem::find(&self.all, wanted).is_some()
            || self.ends.len() > MAX_ENDS && memchr::memmem::find(&self.text, wanted).is_some()
    }
}

/// The longest authserv-id.
const MAX_ID: usize = 255;

/// Blanks, comments and quotes that are looked at one by one.
const MAX_ENDS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Header, HeaderLimits};

    /// The verdicts on a message whose keys do not exist, as `field` tells them.
    fn told(header: &str) -> String {
        let message = format!("{header}From: a@example.com\r\n\r\n");
        let zone = crate::dns::Zone::default();
        let policy = crate::policy::Policy::default();
        let now = crate::time::UnixTime(1_700_000_000);
        let verdicts = crate::verify(message.as_bytes(), &zone, &policy, now).unwrap();
        field(&AuthservId::new("mx.example.org").unwrap(), &verdicts)
    }

    fn signature(domain: &str, more: &str, b: &str) -> String {
        format!(
            "DKIM-Signature: v=1; a=rsa-sha256; d={domain}; s=s; h=from; bh=Zm9v;{more} b={b}\r\n"
        )
    }

    #[test]
    fn signatures_are_told_apart_by_as_much_of_b_as_that_takes() {
        let text = told(
            &[
                signature("example.com", "", "AAAAAAAAAABBAAAA"),
                signature("example.com", "", "AAAAAAAAAACCAAAA"),
                signature("example.com", "", "AAAAAAAAAACCAAAA"),
                signature("example.com", "", "Zm9v"),
            ]
            .concat(),
        );
        for start in ["AAAAAAAAAAB\r", "AAAAAAAAAAC\r", "Zm9v"] {
            assert!(
                format!("{text};\r").replace(';', "\r").contains(start),
                "{text}"
            );
        }
    }

    #[test]
    fn an_identity_that_is_too_long_for_a_mailbox_is_left_out() {
        let of_len = |len| {
            let i = format!(" i={}@example.com;", "x".repeat(len));
            told(&signature("example.com", &i, "Zm9v"))
        };
        assert!(of_len(64).contains("header.i=xxx"));
        let text = of_len(65);
        assert!(
            !text.contains("header.i") && text.contains("header.d=example.com"),
            "{text}"
        );
    }

    #[test]
    fn of_many_signatures_the_best_are_told() {
        let mut header = signature("junk.example", "", "Zm9v").repeat(40);
        header.push_str(&signature("example.com", "", "YmFy"));
        header.push_str(&"DKIM-Signature: x\r\n".repeat(40));
        let text = told(&header);
        assert_eq!(text.matches("dkim=").count(), MAX_RESULTS);
        assert!(
            text.contains("(65 more signatures are not told of)"),
            "{text}"
        );
        assert!(text.contains("header.d=example.com"), "{text}");
        assert!(text.lines().all(|line| line.len() <= 78), "{text}");
    }

    #[test]
    fn our_id_is_recognised_in_every_spelling() {
        let id = AuthservId::new("mx.example.org").unwrap();
        for (value, forged) in [
            (" mx.example.org; dkim=pass", true),
            ("mx.example.org;dkim=pass", true),
            ("\r\n\tMX.EXAMPLE.ORG\r\n\t; dkim=pass", true),
            (" mx.example.org", true),
            (" mx.example.org 1; dkim=pass", true),
            (" mx.example.org/1; dkim=pass", true),
            (" mx.example.org.; dkim=pass", true),
            (" \"mx.example.org\"; dkim=pass", true),
            (" \"mx.ex\\ample.org\" 1; dkim=pass", true),
            (" mx\\.example.org; dkim=pass", true),
            (" (a(b)\\)c) mx.example.org (d); none", true),
            (" mx.example.org(d); none", true),
            (" mx.(x)example.org; none", true),
            (" mx.example.org(x)evil; none", true),
            (" \"mx.example.org\"evil; none", true),
            (" mx.\"example\".org; none", true),
            (" mx.example.org\"\"; none", true),
            (" mx.example(x); none", false),
            (" \"mx.ex\\ample.org\" (unended", true),
            (" (unended mx.ex\\ample.org; none", true),
            (" mx.example.org\\", true),
            (" mx .example.org; none", true),
            (" mx.\r\n example.org; none", true),
            (" mx (c) . (c) example . org 1; none", true),
            ("\x0bmx.example.org\x0c; none", true),
            (" mx.example.org\0; none", true),
            (" mx.example.org\0.evil; none", true),
            (" mx.example.org\x01; none", true),
            (" (a)) mx.example.org; none", true),
            (" ) mx.example.org; none", true),
            (" mx example.org; none", false),
            (" (mx.example.org) other.example; none", false),
            (" \"(\" mx.example.org; none", false),
            (" (unended mx.example.org; dkim=pass", true),
            (" \"mx.example.org; dkim=pass", true),
            (" ; mx.example.org; dkim=pass", false),
            (" mx.example.org.evil.example; dkim=pass", false),
            (" evil.mx.example.org; dkim=pass", false),
            (" other.example; dkim=pass header.d=mx.example.org", false),
            ("", false),
        ] {
            for name in [
                "Authentication-Results",
                "authentication-RESULTS ",
                "Authentication-Results\t",
            ] {
                let text = format!("{name}:{value}\r\n");
                let header = Header::parse(text.as_bytes(), HeaderLimits::default()).unwrap();
                assert_eq!(is_forged(&id, header.field(0)), forged, "{text}");
            }
        }
        let id = AuthservId::new("mx.xn--bcher-kva.example").unwrap();
        let text = "Authentication-Results: mx.B\u{fc}cher.example; none\r\n";
        let header = Header::parse(text.as_bytes(), HeaderLimits::default()).unwrap();
        assert!(is_forged(&id, header.field(0)));
        let other = Header::parse(b"X: mx.example.org;\r\n", HeaderLimits::default()).unwrap();
        assert!(!is_forged(&id, other.field(0)));
    }
}
