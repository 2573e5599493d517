//! The Authentication-Results field (RFC 8601): ours, written from verdicts.
//!
//! Everything that comes from a message is either a checked name, which cannot break the syntax, or is
//! quoted; what cannot be quoted is left out.

use crate::key::encode_base64;
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
