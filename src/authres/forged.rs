//! Authentication-Results fields that claim to be ours, found so that they can be deleted (RFC 8601 §5). The reading is as
//! generous as that of any reader might be: right for deleting, wrong for believing, which is for
//! [`own_results`](super::own_results).

use std::cell::OnceCell;

use super::{AuthservId, FIELD_NAME, MAX_ID};
use crate::message::{Field, is_wsp};

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
pub(super) struct Reading {
    /// What is left, without white space, in small letters.
    pub(super) text: Vec<u8>,
    /// Where in it a reader may take the id to end: at the end, and wherever white space, a comment or a quote
    /// stood.
    ends: Vec<usize>,
    /// Whether every quote and comment ends, and no control character stands anywhere.
    whole: bool,
    /// All up to the first semicolon wherever it stands, comments too, in small letters.
    all: Vec<u8>,
}

impl Reading {
    pub(super) fn of(value: &[u8]) -> Reading {
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
    pub(super) fn mapped(
        &self,
        mut map: impl FnMut(&str) -> Option<String>,
    ) -> (String, Vec<usize>) {
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

/// The longest U-label: a character is four octets at most, and takes one in the A-label at least. The dot
/// behind it counts, too.
const MAX_U_LABEL: usize = 4 * 63 + 1;

/// Blanks, comments and quotes that are looked at one by one.
pub(super) const MAX_ENDS: usize = 100;
