//! Header fields between what an MTA hands over, folded with LF, and what a message has, folded with CRLF.

use super::{EncodeError, Modification, put_string};

/// Appends a field as the message has it: `name:value` and CRLF.
///
/// MTAs fold with LF alone; each becomes CRLF, and one that stands behind a CR already stays. All else is as it
/// came, so that it can be hashed.
///
/// ```
/// use dkimkit::milter::wire::put_field_bytes;
/// let mut header = Vec::new();
/// put_field_bytes(&mut header, b"Subject", b" one\n\ttwo")?;
/// assert_eq!(header, b"Subject: one\r\n\ttwo\r\n");
/// assert!(put_field_bytes(&mut header, b"To", b" a\nBcc: b").is_err());
/// # Ok::<(), dkimkit::milter::wire::FieldBytesError>(())
/// ```
///
/// # Errors
/// [`FieldBytesError`]: this is not one field; `out` is as it was.
pub fn put_field_bytes(
    out: &mut Vec<u8>,
    name: &[u8],
    value: &[u8],
) -> Result<(), FieldBytesError> {
    // RFC 5322 §4.5: blanks may stand before the colon.
    let end = name.iter().rposition(|b| !matches!(b, b' ' | b'\t'));
    if !is_field_name(end.map_or(&[], |end| &name[..=end])) {
        return Err(FieldBytesError::Name);
    }
    if let Some(at) = unfolded(value) {
        return Err(FieldBytesError::LineBreak { at });
    }
    out.reserve(name.len() + value.len() + b":\r\n".len());
    out.extend(name);
    out.push(b':');
    let mut rest = value;
    while let Some(at) = memchr::memchr(b'\n', rest) {
        let (line, next) = rest.split_at(at);
        out.extend(line.strip_suffix(b"\r").unwrap_or(line));
        out.extend(b"\r\n");
        rest = &next[1..];
    }
    out.extend(rest);
    out.extend(b"\r\n");
    Ok(())
}

/// Why a name and a value are not a field of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FieldBytesError {
    /// A name that is empty, or has what no field name has: RFC 5322 §2.2.
    #[error("the name of a field is not one")]
    Name,
    /// A line break that folds nothing: what follows it would be another field, or the body (RFC 5322 §2.2.3).
    #[error("the line break at octet {at} of the value of a field folds nothing")]
    LineBreak {
        /// Where its LF stands in the value.
        at: usize,
    },
}

/// Where an LF stands that no blank follows.
fn unfolded(value: &[u8]) -> Option<usize> {
    let folds = |at: usize| matches!(value.get(at + 1), Some(b' ' | b'\t'));
    memchr::memchr_iter(b'\n', value).find(|&at| !folds(at))
}

/// RFC 5322 §2.2: printable ASCII but the colon.
pub(in crate::milter) fn is_field_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|&b| b.is_ascii_graphic() && b != b':')
}

impl Modification {
    /// Inserts a field as the signer and [`authres`](crate::authres) write it: `Name: value`, folded with CRLF,
    /// with or without one at the end. `index` is that of [`InsertHeader`](Modification::InsertHeader).
    ///
    /// What is not a field cannot be [encoded](super::Reply::encode).
    ///
    /// ```
    /// use dkimkit::milter::wire::Modification;
    /// assert_eq!(
    ///     Modification::insert_field(1, "DKIM-Signature: v=1;\r\n\ta=rsa-sha256"),
    ///     Modification::InsertHeader {
    ///         index: 1,
    ///         name: b"DKIM-Signature".to_vec(),
    ///         value: b" v=1;\n\ta=rsa-sha256".to_vec(),
    ///     }
    /// );
    /// ```
    pub fn insert_field(index: u32, field: &str) -> Modification {
        let (name, value) = field.split_once(':').unwrap_or_default();
        let value = value.strip_suffix("\r\n").unwrap_or(value);
        Modification::InsertHeader {
            index,
            name: name.into(),
            value: value.replace("\r\n", "\n").into(),
        }
    }
}

/// A field cannot smuggle in another one (RFC 5322 §2.2), and it looks the same to everybody: MTAs and verifiers
/// disagree about lines of a folded value that have nothing but blanks.
pub(super) fn put_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) -> Result<(), EncodeError> {
    if !is_field_name(name) {
        return Err(EncodeError::FieldName);
    }
    if value.contains(&b'\r') || unfolded(value).is_some() {
        return Err(EncodeError::LineBreak);
    }
    let is_blank = |line: &[u8]| line.iter().all(|b| matches!(b, b' ' | b'\t'));
    if value.split(|&b| b == b'\n').skip(1).any(is_blank) {
        return Err(EncodeError::BlankLine);
    }
    put_string(out, name, "the name of a field")?;
    put_string(out, value, "the value of a field")
}

/// An address, or what else stands in one line: a control character there can mislead whoever logs or relays it.
pub(super) fn put_line(
    out: &mut Vec<u8>,
    line: &[u8],
    what: &'static str,
) -> Result<(), EncodeError> {
    match line
        .iter()
        .find(|b| b.is_ascii_control() && **b != b'\t' && **b != 0)
    {
        Some(&octet) => Err(EncodeError::Control { what, octet }),
        None => put_string(out, line, what),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(name: &[u8], value: &[u8]) -> Result<Vec<u8>, FieldBytesError> {
        let mut out = b"kept".to_vec();
        let result = put_field_bytes(&mut out, name, value);
        let appended = out.split_off(4);
        assert!(out == b"kept" && (result.is_ok() || appended.is_empty()));
        result.map(|()| appended)
    }

    #[test]
    fn folds_become_those_of_the_message_and_all_else_is_kept() {
        for (name, value, expected) in [
            (&b"A"[..], &b""[..], &b"A:\r\n"[..]),
            (b"A", b" b", b"A: b\r\n"),
            (b"A", b"\tb \xe9\x01 ", b"A:\tb \xe9\x01 \r\n"),
            (b"A", b"\n b\n\tc", b"A:\r\n b\r\n\tc\r\n"),
            (b"A", b" b\r\n c\n d", b"A: b\r\n c\r\n d\r\n"),
            (b"A", b" b\rc\r\r\n d", b"A: b\rc\r\r\n d\r\n"),
            (b"A", b" b\n \n ", b"A: b\r\n \r\n \r\n"),
            (b"A \t", b" b", b"A \t: b\r\n"),
            (b"!~", b"", b"!~:\r\n"),
        ] {
            assert_eq!(bytes(name, value).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn what_is_not_one_field_is_refused() {
        for name in [
            &b""[..],
            b" ",
            b"A:",
            b" A",
            b"A B",
            b"A\xe9",
            b"A\x7f",
            b"A\n",
            b"A\r",
            b"A \x0c",
        ] {
            assert_eq!(bytes(name, b" b"), Err(FieldBytesError::Name), "{name:?}");
        }
        for (value, at) in [
            (&b"\n"[..], 0),
            (b" a\n", 2),
            (b" a\r\n", 3),
            (b" a\nB: c", 2),
            (b" a\r\nB: c", 3),
            (b" a\n b\n\n c", 5),
            (b" a\n\r\n b", 2),
        ] {
            assert_eq!(bytes(b"A", value), Err(FieldBytesError::LineBreak { at }));
        }
    }

    #[test]
    fn a_field_of_ours_is_inserted_with_the_folds_of_an_mta() {
        let parts = |field| match Modification::insert_field(7, field) {
            Modification::InsertHeader {
                index: 7,
                name,
                value,
            } => (name, value),
            other => panic!("{other:?}"),
        };
        for (field, name, value) in [
            ("A: b", "A", " b"),
            ("A:b:c\r\n d\r\n", "A", "b:c\n d"),
            ("A:\r\n\tb", "A", "\n\tb"),
            ("A:", "A", ""),
            ("A", "", ""),
            (": b", "", " b"),
        ] {
            assert_eq!(parts(field), (name.into(), value.into()));
        }
    }
}
