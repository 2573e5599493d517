//! Our own Authentication-Results fields, read again to be passed on. What is believed is read by the grammar of RFC 8601 §2.2
//! and nothing besides: a field that has to be guessed at is not ours.

use super::{AuthservId, FIELD_NAME, is_token_byte};
use crate::message::{Field, Header, is_wsp};
use crate::report::is_harmful;

/// What the Authentication-Results fields of an authserv-id say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnResults {
    /// The results of all of them, from the top down, on one line with semicolons between; `None` where there is no
    /// such field, or none that can be read.
    pub text: Option<String>,
    /// What is not in the text: results against the grammar, or with what no field may hold, and whole fields in which one
    /// result cannot be told from the next.
    pub unreadable: usize,
    /// Fields of this name that stand too low, and may have come from outside: nothing of them is in the text.
    pub below: usize,
}

/// Reads the Authentication-Results fields of this authserv-id that stand above the Received fields, or below
/// `received` of them: above what a server adds on arrival nobody else can have put them (RFC 8601 §5), where
/// those that came with the message were removed.
///
/// ```
/// use dkimkit::authres::{AuthservId, own_results};
/// use dkimkit::message::{Header, HeaderLimits};
/// let id = AuthservId::new("mx.example.org").unwrap();
/// let header = b"Authentication-Results: mx.example.org;\r\n\tspf=none\r\n\
///     Authentication-Results: mx.example.org 1; dkim=pass\r\nReceived: x\r\n\
///     Authentication-Results: mx.example.org; dmarc=pass\r\n";
/// let header = Header::parse(header, HeaderLimits::default())?;
/// let own = own_results(&id, &header, 0);
/// assert_eq!(own.text.as_deref(), Some("spf=none; dkim=pass"));
/// assert_eq!(own.below, 1);
/// # Ok::<(), dkimkit::message::SplitError>(())
/// ```
pub fn own_results(id: &AuthservId, header: &Header, received: usize) -> OwnResults {
    let mut own = OwnResults {
        text: None,
        unreadable: 0,
        below: 0,
    };
    let (mut texts, mut passed) = (Vec::new(), 0);
    let mut says_none = false;
    for field in header.fields() {
        if field.is("Received") {
            passed += 1;
        } else if let Some(results) = results_of(id, field) {
            if passed > received {
                own.below += 1;
                continue;
            }
            // Each by itself: what is left open in one field must not swallow the next.
            let Some(items) = items(&results) else {
                own.unreadable += 1;
                continue;
            };
            says_none |= items.is_empty();
            for item in items {
                if is_none(item) {
                    says_none = true;
                } else if is_result(item) {
                    texts.push(item.to_owned());
                } else {
                    own.unreadable += 1;
                }
            }
        }
    }
    // RFC 8617 §4.1.1: all that was found of the message, however many fields it stands in.
    own.text = match texts.as_slice() {
        [] => says_none.then(|| "none".to_owned()),
        _ => Some(texts.join("; ")),
    };
    own
}

/// Whether others may read it as we do. What it names is the sender's, who must not keep the other results from being told
/// on: it is left out by itself.
fn is_result(item: &str) -> bool {
    let named = method(item.as_bytes());
    named.is_some_and(|name| !is_instance(name)) && is_printable(item)
}

/// What a field of this authserv-id says behind it, on one line without the semicolons at both ends; `None` for any
/// other field.
fn results_of(id: &AuthservId, field: Field<'_>) -> Option<String> {
    if !field.is(FIELD_NAME) {
        return None;
    }
    let (found, results) = head(field.value())?;
    if !found.eq_ignore_ascii_case(id.as_str().as_bytes()) {
        return None;
    }
    let text = String::from_utf8_lossy(results);
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let at_ends = |c: char| c == ';' || c == ' ';
    Some(words.join(" ").trim_matches(at_ends).to_owned())
}

/// The authserv-id at the beginning of a field, and what begins with the semicolon behind it and its version
/// (RFC 8601 §2.2).
fn head(value: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (id, rest) = value_token(skip_cfws(value)?)?;
    let rest = skip_cfws(rest)?;
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let rest = skip_cfws(&rest[digits..])?;
    (rest.is_empty() || rest.starts_with(b";")).then_some((id, rest))
}

/// A token or a quoted string (RFC 2045 §5.1), and what stands behind it.
fn value_token(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let Some(mut rest) = text.strip_prefix(b"\"") else {
        let end = text.iter().take_while(|b| is_token_byte(**b)).count();
        let (token, rest) = text.split_at(end);
        return (end > 0).then(|| (token.to_vec(), rest));
    };
    let mut found = Vec::new();
    loop {
        match rest {
            [b'"', tail @ ..] => return Some((found, tail)),
            [b'\\', byte, tail @ ..] | [byte, tail @ ..] => {
                found.push(*byte);
                rest = tail;
            }
            [] => return None,
        }
    }
}

/// What stands behind white space and comments (RFC 5322 §3.2.2); `None` where a comment does not end.
pub(crate) fn skip_cfws(text: &[u8]) -> Option<&[u8]> {
    let mut depth = 0usize;
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        match byte {
            b'(' => depth += 1,
            b')' if depth > 0 => depth -= 1,
            b'\\' if depth > 0 => at += 1,
            _ if depth > 0 || is_wsp(byte) || matches!(byte, b'\r' | b'\n') => {}
            _ => break,
        }
        at += 1;
    }
    (depth == 0).then(|| text.get(at..).unwrap_or_default())
}

/// Why a text is not what may stand behind an authserv-id (RFC 8601 §2.2).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResultsError {
    /// A comment or a quoted string is not closed, or was never opened: a reader takes for part of it what follows.
    #[error("a comment or a quoted string in the authentication results has only one end")]
    Unbalanced,
    /// What stands between two semicolons does not begin with a method and its result.
    #[error("\"{found}\" among the authentication results is not a method and its result")]
    NotAResult {
        /// Its start, escaped.
        found: String,
    },
    /// A result begins with i=, which is for whoever adds a set.
    #[error("the authentication results have an i= of their own")]
    Instance,
    /// There is a character that no field may hold, or a word longer than a line may be.
    #[error("the authentication results hold a control character, or a word longer than a line")]
    Unprintable,
}

/// RFC 5322 §2.1.1: a line has 998 characters at most. A blank stands before a word, and a semicolon may behind it.
const MAX_WORD: usize = 990;

/// Whether a result can be folded into a field, and holds no character that nobody sees.
fn is_printable(item: &str) -> bool {
    let harmful = |c: char| is_harmful(c) && !is_fold(c);
    item.split(is_fold).all(|word| word.len() <= MAX_WORD) && !item.chars().any(harmful)
}

/// What may stand where a field is folded.
pub(crate) fn is_fold(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// Reads `no-result / 1*resinfo` as far as one result is told from the next: what a method says beside its result is not
/// looked at, and where nothing stands between two semicolons nothing is missed.
pub(crate) fn results(text: &str) -> Result<Vec<&str>, ResultsError> {
    let items = items(text).ok_or(ResultsError::Unbalanced)?;
    match items[..] {
        [] => return Ok(vec!["none"]),
        [item] if is_none(item) => {
            let fits = is_printable(item);
            return fits.then_some(items).ok_or(ResultsError::Unprintable);
        }
        _ => {}
    }
    for item in &items {
        let method = method(item.as_bytes()).ok_or_else(|| ResultsError::NotAResult {
            found: item
                .chars()
                .take(60)
                .flat_map(char::escape_default)
                .collect(),
        })?;
        if is_instance(method) {
            return Err(ResultsError::Instance);
        }
        if !is_printable(item) {
            return Err(ResultsError::Unprintable);
        }
    }
    Ok(items)
}

/// Whether it is no method, but the number of a set.
fn is_instance(method: &[u8]) -> bool {
    method.eq_ignore_ascii_case(b"i")
}

fn is_none(item: &str) -> bool {
    let behind = |rest: &[u8]| Some(skip_cfws(rest.strip_prefix(b"none")?)?.is_empty());
    skip_cfws(item.as_bytes()).and_then(behind) == Some(true)
}

/// What stands between semicolons outside of comments and quoted strings; `None` where one of these has only one end.
fn items(text: &str) -> Option<Vec<&str>> {
    let (mut items, mut start) = (Vec::new(), 0);
    let (mut depth, mut quoted) = (0usize, false);
    let mut at = 0;
    while let Some(&byte) = text.as_bytes().get(at) {
        match byte {
            b'\\' if quoted || depth > 0 => at += 1,
            b'"' if depth == 0 => quoted = !quoted,
            _ if quoted => {}
            b'(' => depth += 1,
            b')' => depth = depth.checked_sub(1)?,
            b';' if depth == 0 => {
                items.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    items.push(text[start..].trim());
    items.retain(|item| !item.is_empty());
    (depth == 0 && !quoted && at == text.len()).then_some(items)
}

/// The method of a result that begins with `method [/ version] = result`.
fn method(item: &[u8]) -> Option<&[u8]> {
    let keyword = |text: &[u8]| {
        let letter = |b: &&u8| b.is_ascii_alphanumeric() || **b == b'-';
        let end = text.iter().take_while(letter).count();
        (end > 0).then_some(end)
    };
    let start = skip_cfws(item)?;
    let (method, rest) = start.split_at(keyword(start)?);
    let mut rest = skip_cfws(rest)?;
    if let Some(version) = rest.strip_prefix(b"/") {
        let version = skip_cfws(version)?;
        let digits = version.iter().take_while(|b| b.is_ascii_digit()).count();
        rest = skip_cfws(&version[digits..])?;
    }
    let rest = skip_cfws(rest.strip_prefix(b"=")?)?;
    let behind = rest.get(keyword(rest)?..)?;
    let ends = behind.first().is_none_or(|b| is_wsp(*b) || *b == b'(');
    ends.then_some(method)
}
