//! The Authentication-Results field (RFC 8601): ours, written from verdicts.
//!
//! Everything that comes from a message is either a checked name, which cannot break the syntax, or is
//! quoted; what cannot be quoted is left out.

#[cfg(test)]
mod tests;

use std::cell::OnceCell;

use crate::key::encode_base64;
use crate::message::{Field, is_wsp};
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
    field.is(FIELD_NAME) && Wanted::new(id).is_named_in(field.value())
}

/// Whether some readers see an Authentication-Results field of this authserv-id within the value of a field,
/// whatever the name of that one is: behind a bare CR or LF, which they take for the end of a line, or behind a
/// NUL. What stands behind it is read as by [`is_forged`], and the field that carries it must be deleted for it.
///
/// ```
/// use dkimkit::authres::{AuthservId, hides_forged};
/// use dkimkit::message::{Header, HeaderLimits};
/// let id = AuthservId::new("mx.example.org").unwrap();
/// let header = b"X: y\rAuthentication-Results: mx.example.org; dkim=pass\r\n\
///     X: y\r\n Authentication-Results: mx.example.org; dkim=pass\r\n";
/// let header = Header::parse(header, HeaderLimits::default())?;
/// assert!(hides_forged(&id, header.field(0)));
/// assert!(!hides_forged(&id, header.field(1)));
/// # Ok::<(), dkimkit::message::SplitError>(())
/// ```
pub fn hides_forged(id: &AuthservId, field: Field<'_>) -> bool {
    value_hides_forged(id, field.value())
}

/// The same of a value that no [`Header`](crate::message::Header) has, since a bare LF stands in it.
pub(crate) fn value_hides_forged(id: &AuthservId, value: &[u8]) -> bool {
    let ends_line = |byte: u8| matches!(byte, b'\r' | b'\n' | 0);
    // A line that begins with a blank is folded, as behind CRLF.
    let begins = |at: &usize| {
        value
            .get(*at)
            .is_some_and(|b| !ends_line(*b) && !is_wsp(*b))
    };
    let breaks = memchr::memchr3_iter(b'\r', b'\n', 0, value).map(|at| at + 1);
    let mut starts = breaks.filter(begins).peekable();
    if starts.peek().is_none() {
        return false;
    }
    let wanted = Wanted::new(id);
    while let Some(start) = starts.next() {
        // Up to the next one alone, so that the work stays linear.
        let line = &value[start..starts.peek().copied().unwrap_or(value.len())];
        if value_of_results(line).is_some_and(|value| wanted.is_named_in(value)) {
            return true;
        }
    }
    false
}

/// What stands behind the colon, if this line begins an Authentication-Results field.
fn value_of_results(line: &[u8]) -> Option<&[u8]> {
    let (name, rest) = line.split_at_checked(FIELD_NAME.len())?;
    let blanks = rest.iter().take_while(|b| is_wsp(**b)).count();
    let value = rest[blanks..].strip_prefix(b":")?;
    name.eq_ignore_ascii_case(FIELD_NAME.as_bytes())
        .then_some(value)
}

/// An authserv-id that is looked for.
struct Wanted {
    /// In small letters, without a final dot.
    ascii: String,
    /// The same with U-labels.
    unicode: OnceCell<String>,
}

impl Wanted {
    fn new(id: &AuthservId) -> Wanted {
        Wanted {
            ascii: id.as_str().trim_end_matches('.').to_ascii_lowercase(),
            unicode: OnceCell::new(),
        }
    }

    fn is_named_in(&self, value: &[u8]) -> bool {
        // To programs in C the text ends at a NUL.
        let ends = [Some(value.len()), memchr::memchr(0, value)];
        let mut ends = ends.into_iter().flatten();
        ends.any(|end| Reading::of(&value[..end]).names(self))
    }

    /// Whether a name is this one, label by label: one may be an A-label and the next a U-label.
    fn is(&self, name: &str) -> bool {
        let unicode = || idna::domain_to_unicode(&self.ascii).0;
        let unicode = self.unicode.get_or_init(unicode);
        let mut rest = Some(name.strip_suffix('.').unwrap_or(name));
        // Without U-labels in it, an id that is no domain name stays as it is.
        for (ascii, unicode) in self.ascii.split('.').zip(unicode.split('.')) {
            let behind = |label: &str| match rest?.strip_prefix(label)? {
                "" => Some(None),
                more => more.strip_prefix('.').map(Some),
            };
            match behind(ascii).or_else(|| behind(unicode)) {
                Some(more) => rest = more,
                None => return false,
            }
        }
        rest.is_none()
    }
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

    fn names(&self, wanted: &Wanted) -> bool {
        let ascii = wanted.ascii.as_bytes();
        let named = |end: &usize| {
            let found = &self.text[..*end];
            found.strip_suffix(b".").unwrap_or(found) == ascii
        };
        // Ends within what cannot be the id are not looked at: the work stays linear.
        self.near_ends().any(|end| named(&end))
            || !self.text.is_ascii() && self.names_in_unicode(wanted)
            || !self.whole && memchr::memmem::find(&self.all, ascii).is_some()
            || self.ends.len() > MAX_ENDS && memchr::memmem::find(&self.text, ascii).is_some()
    }

    fn near_ends(&self) -> impl Iterator<Item = usize> {
        let near = |end: &usize| *end <= 4 * MAX_ID;
        self.ends.iter().copied().filter(near).take(MAX_ENDS)
    }

    fn names_in_unicode(&self, wanted: &Wanted) -> bool {
        let (text, ends) = self.mapped(|label| {
            let (mapped, legal) = idna::domain_to_unicode(label);
            legal.ok().map(|()| mapped)
        });
        ends.into_iter().any(|end| wanted.is(&text[..end]))
    }

    /// The text as IDNA maps it, and where the near ends are in that. Each label is mapped once, or once for each
    /// part where an end cuts it, however many ends there are.
    fn mapped(&self, mut map: impl FnMut(&str) -> Option<String>) -> (String, Vec<usize>) {
        let mut text = String::new();
        let mut from = 0;
        let mut end_in_mapped = |end: usize| {
            let part = String::from_utf8_lossy(&self.text[from..end]);
            from = end;
            for label in part.split_inclusive('.') {
                // Longer ones are none (RFC 1035 §2.3.4), and what is none is not ours.
                match label.len() {
                    _ if label.is_ascii() => text.push_str(label),
                    ..=MAX_U_LABEL => text.push_str(&map(label).unwrap_or("\u{fffd}".into())),
                    _ => text.push('\u{fffd}'),
                }
            }
            text.len()
        };
        let ends = self.near_ends().map(&mut end_in_mapped).collect();
        (text, ends)
    }
}

/// The longest authserv-id.
const MAX_ID: usize = 255;

/// The longest U-label: a character is four octets at most, and takes one in the A-label at least. The dot
/// behind it counts, too.
const MAX_U_LABEL: usize = 4 * 63 + 1;

/// Blanks, comments and quotes that are looked at one by one.
const MAX_ENDS: usize = 100;
