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
        let legal = !text.is_empty() && text.len() <= 255 && text.bytes().all(is_token_byte);
        legal.then(|| AuthservId(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Writes the field for a message: a `dkim=` result for each signature, or `dkim=none`.
///
/// Lines end with CRLF; there is none at the end.
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
    for verdict in verdicts {
        text.push_str(&result(verdict));
    }
    text
}

/// One `resinfo` of RFC 8601 §2.2, on lines of its own.
fn result(verdict: &Verdict) -> String {
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
    if let Some(signature) = &claims.signature {
        let b: String = encode_base64(signature).chars().take(8).collect();
        words.push(format!("header.b={}", token_or_quoted(&b)));
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
/// carry it.
fn identity_value(local: &[u8], domain: &str) -> Option<String> {
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
/// backslashes, letter case, a final dot, and a missing or extra part behind the id all do not matter. What
/// cannot be read at all is taken for forged if it names the id anywhere before its first semicolon.
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
    let wanted = id.as_str().trim_end_matches('.').as_bytes();
    let reading = authserv_ids(field.value());
    let named = reading.ends.into_iter().any(|end| {
        let found = &reading.id[..end];
        let found = found.strip_suffix(b".").unwrap_or(found);
        found.eq_ignore_ascii_case(wanted)
    });
    if named || reading.whole {
        return named;
    }
    let mut text = field.value();
    text = &text[..memchr::memchr(b';', text).unwrap_or(text.len())];
    let plain = text.iter().filter(|b| !matches!(b, b'\\' | b'"'));
    let plain: Vec<u8> = plain.map(u8::to_ascii_lowercase).collect();
    memchr::memmem::find(&plain, &wanted.to_ascii_lowercase()).is_some()
}

/// How the authserv-id of a field may be read.
struct Reading {
    /// The bytes, their quotes and escapes undone.
    id: Vec<u8>,
    /// Where in them a reader may take the id to end: at the end, and wherever a comment or a quote stands.
    ends: Vec<usize>,
    /// Whether there is an id, and every quote and comment before or in it ends.
    whole: bool,
}

fn authserv_ids(value: &[u8]) -> Reading {
    let mut rest = value;
    let mut id = Vec::new();
    let mut ends = Vec::new();
    let mut depth = 0usize;
    let mut quoted = false;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        let escaped = byte == b'\\';
        let byte = match (escaped, rest.split_first()) {
            (true, Some((&next, tail))) => {
                rest = tail;
                next
            }
            (true, None) => break,
            (false, _) => byte,
        };
        match byte {
            _ if escaped && depth == 0 => id.push(byte),
            _ if escaped => {}
            b'"' if depth == 0 => {
                ends.push(id.len());
                quoted = !quoted;
            }
            _ if quoted => id.push(byte),
            b'(' => {
                ends.extend((depth == 0).then_some(id.len()));
                depth += 1;
            }
            b')' if depth > 0 => depth -= 1,
            _ if depth > 0 => {}
            b' ' | b'\t' | b'\r' | b'\n' if id.is_empty() => {}
            b' ' | b'\t' | b'\r' | b'\n' | b';' | b'/' | b'=' => break,
            byte => id.push(byte),
        }
    }
    ends.push(id.len());
    Reading {
        whole: !id.is_empty() && depth == 0 && !quoted,
        id,
        ends,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Header, HeaderLimits};

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
        let other = Header::parse(b"X: mx.example.org;\r\n", HeaderLimits::default()).unwrap();
        assert!(!is_forged(&id, other.field(0)));
    }
}
