//! What several hypotheses do with bytes.

use crate::message::is_wsp;

/// The text with each `what` as `with`.
pub(super) fn replaced(text: &[u8], what: &[u8], with: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut from = 0;
    for at in memchr::memmem::find_iter(text, what) {
        out.extend_from_slice(&text[from..at]);
        out.extend_from_slice(with);
        from = at + what.len();
    }
    out.extend_from_slice(&text[from..]);
    out
}

/// The line without the white space at its end.
pub(super) fn trimmed(line: &[u8]) -> &[u8] {
    let end = line.iter().rposition(|b| !is_wsp(*b));
    &line[..end.map_or(0, |at| at + 1)]
}

/// The text without its white space, line ends among it.
pub(super) fn squeezed(text: &[u8]) -> Vec<u8> {
    let visible = text.iter().filter(|b| !b.is_ascii_whitespace());
    visible.copied().collect()
}

/// The byte that two hexadecimal digits at the beginning stand for.
pub(super) fn hex(text: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (high, low) = (digit(*text.first()?)?, digit(*text.get(1)?)?);
    u8::try_from(16 * high + low).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_digits_are_those_alone() {
        assert_eq!((hex(b"C3="), hex(b"e9")), (Some(0xc3), Some(0xe9)));
        assert_eq!(
            (hex(b"+5"), hex(b"4"), hex(b" 4"), hex(b"")),
            (None, None, None, None)
        );
        assert_eq!(trimmed(b" a \t "), b" a");
        assert_eq!(replaced(b"aXbX", b"X", b""), b"ab");
    }
}
