//! The Authentication-Results field (RFC 8601): ours, written from verdicts, read again, and told from forged ones.
//!
//! Everything that comes from a message is either a checked name, which cannot break the syntax, or is
//! quoted; what cannot be quoted is left out.

mod forged;
mod own;
#[cfg(test)]
mod tests;

use crate::key::encode_base64;
use crate::report::{Failure, Verdict, is_harmful};

#[cfg(any(feature = "milter", test))]
pub(crate) use self::forged::value_hides_forged;
pub use self::forged::{hides_forged, is_forged};
pub use self::own::{OwnResults, ResultsError, own_results};
pub(crate) use self::own::{is_fold, results, skip_cfws};

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

/// The longest authserv-id.
const MAX_ID: usize = 255;

/// Results beyond this number are left out of a field: readers have caps of their own, and where theirs lies
/// an attacker must not decide.
pub const MAX_RESULTS: usize = 16;

/// One result of the field (`resinfo`, RFC 8601 §2.2), made of checked and quoted words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResInfo(pub(crate) String);

impl ResInfo {
    /// The words of a result, the method and its result first, on lines of their own.
    pub(crate) fn of<'w>(words: impl Iterator<Item = &'w str>) -> ResInfo {
        let mut text = String::from(";\r\n\t");
        wrap(&mut text, 8, "\r\n\t ", 9, words);
        ResInfo(text)
    }
}

/// Writes the field of these results. Lines end with CRLF; there is none at the end.
///
/// ```
/// use dkimkit::authres::{AuthservId, dkim_results, with_results};
/// let id = AuthservId::new("mx.example.org").unwrap();
/// let field = with_results(&id, &dkim_results(&[]));
/// assert_eq!(field, dkimkit::authres::field(&id, &[]));
/// ```
pub fn with_results(id: &AuthservId, results: &[ResInfo]) -> String {
    let mut text = format!("{FIELD_NAME}: {}", id.as_str());
    for ResInfo(result) in results {
        text.push_str(result);
    }
    if results.is_empty() {
        // RFC 8601 §2.2: no-result.
        text.push_str("; none");
    }
    text
}

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
    with_results(id, &dkim_results(verdicts))
}

/// The results of [`field`], for a field that tells of other methods, too.
pub fn dkim_results(verdicts: &[Verdict]) -> Vec<ResInfo> {
    let mut results = Vec::new();
    if verdicts.is_empty() {
        results.push(ResInfo::of(
            ["dkim=none (the message is not signed)"].into_iter(),
        ));
    }
    let mut told: Vec<&Verdict> = verdicts.iter().collect();
    if told.len() > MAX_RESULTS {
        told.sort_by_key(|v| (v.result(), v.alignment.map_or(u8::MAX, |a| a as u8)));
        told.truncate(MAX_RESULTS);
        told.sort_by_key(|v| v.index);
        let left_out = verdicts.len() - MAX_RESULTS;
        results.push(ResInfo(format!(
            "\r\n\t({left_out} more signatures are not told of)"
        )));
    }
    let signatures = told.iter().map(|verdict| {
        let signature = verdict.claims.signature.as_ref();
        signature.map(|signature| encode_base64(signature))
    });
    let signatures: Vec<Option<String>> = signatures.collect();
    for (verdict, own) in told.iter().zip(&signatures) {
        let others = signatures.iter().flatten();
        let start = own.as_deref().map(|own| unique_start(own, others));
        results.push(result(verdict, start));
    }
    results
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
fn result(verdict: &Verdict, signature: Option<&str>) -> ResInfo {
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
    ResInfo::of(words.iter().map(String::as_str))
}

/// Puts words behind the beginning of a field, as many on a line as there is room for.
pub(crate) fn wrapped<'w>(start: String, words: impl Iterator<Item = &'w str>) -> String {
    let mut text = start;
    text.push(' ');
    let column = text.len();
    wrap(&mut text, column, "\r\n ", 1, words);
    text
}

/// Adds words to a text that ends in `column`, with folds that lead to another.
fn wrap<'w>(
    text: &mut String,
    column: usize,
    fold: &str,
    folded: usize,
    words: impl Iterator<Item = &'w str>,
) {
    let mut column = column;
    for (at, word) in words.enumerate() {
        if at > 0 && column + 1 + word.len() > 78 {
            text.push_str(fold);
            column = folded;
        } else if at > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += word.len();
    }
}

/// The pvalue of header.i: the local part as an atom where it is one, else quoted. `None` where neither can
/// carry it, or where it is longer than a local part may be (RFC 5321 §4.5.3.1.1).
pub(crate) fn identity_value(local: &[u8], domain: &str) -> Option<String> {
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

pub(crate) fn token_or_quoted(text: &str) -> String {
    if !text.is_empty() && text.bytes().all(is_token_byte) {
        text.to_owned()
    } else {
        quoted(text)
    }
}

pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// The bytes of a token (RFC 2045 §5.1).
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&byte)
}

/// The field for a message that could not be read.
pub fn unreadable(id: &AuthservId, failure: &Failure) -> String {
    with_results(id, &[unreadable_result(failure)])
}

/// The result of [`unreadable`], for a field that tells of other methods, too.
pub fn unreadable_result(failure: &Failure) -> ResInfo {
    let result = format!("dkim={}", failure.result());
    let reason = format!("reason=\"{}\"", failure.reason());
    ResInfo::of([result.as_str(), &reason].into_iter())
}
