//! Macros (RFC 7208 §7): read once, expanded for each query.

use std::fmt;

/// Text with macros in it (`macro-string` of RFC 7208 §7.1, or `explain-string`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MacroString {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(Vec<u8>),
    /// `%%`, `%_` and `%-` with what they stand for.
    Escape(&'static [u8]),
    Macro(Macro),
}

/// `%{…}`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Macro {
    letter: Letter,
    /// The letter is a capital: the value is escaped as in a URL (§7.3).
    escaped: bool,
    /// How many parts from the right are taken.
    keep: Option<usize>,
    reversed: bool,
    /// Where the value is split; at dots where there are none.
    delimiters: Vec<u8>,
}

/// What a macro stands for (RFC 7208 §7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Letter {
    /// `s`: the sender.
    Sender,
    /// `l`: the local part of the sender.
    LocalPart,
    /// `o`: the domain of the sender.
    SenderDomain,
    /// `d`: the domain whose record is evaluated.
    Domain,
    /// `i`: the address of the client, with dots.
    Address,
    /// `p`: the validated name of the address.
    ValidatedName,
    /// `v`: `in-addr` or `ip6`.
    Family,
    /// `h`: the name that HELO or EHLO gave.
    Helo,
    /// `c`: the address as people write it.
    ReadableAddress,
    /// `r`: the name of the host that checks.
    Receiver,
    /// `t`: the time, in seconds since 1970.
    Time,
}

impl Letter {
    fn of(byte: u8) -> Option<Letter> {
        Some(match byte.to_ascii_lowercase() {
            b's' => Letter::Sender,
            b'l' => Letter::LocalPart,
            b'o' => Letter::SenderDomain,
            b'd' => Letter::Domain,
            b'i' => Letter::Address,
            b'p' => Letter::ValidatedName,
            b'v' => Letter::Family,
            b'h' => Letter::Helo,
            b'c' => Letter::ReadableAddress,
            b'r' => Letter::Receiver,
            b't' => Letter::Time,
            _ => return None,
        })
    }

    /// §7.2: allowed only in the text of an explanation.
    fn is_for_explanations(self) -> bool {
        matches!(
            self,
            Letter::ReadableAddress | Letter::Receiver | Letter::Time
        )
    }
}

/// Where a text with macros stands, which decides what may stand in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The name that a mechanism or modifier asks for.
    Domain,
    /// The text of an explanation: it may have blanks, and every macro (§6.2).
    Explanation,
    /// The value of a modifier that is not known: every macro that the grammar has (§6).
    UnknownModifier,
}

/// What is wrong with a macro, or with the text around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MacroError {
    /// A percent sign that begins nothing.
    #[error("a % stands for nothing there")]
    Percent,
    /// A macro without its closing brace.
    #[error("a macro that begins with %{{ does not end with }}")]
    Unended,
    /// A letter that stands for nothing.
    #[error("there is no macro with the letter {letter:?}")]
    Letter {
        /// The letter.
        letter: char,
    },
    /// A letter that only explanations may have.
    #[error("the macro %{{{letter}}} may stand only in the text of an explanation")]
    OnlyInExplanations {
        /// The letter.
        letter: char,
    },
    /// Zero parts are to be taken.
    #[error("a macro takes 0 parts of its value")]
    NoParts,
    /// Something behind the letter that is no number, no `r` and no delimiter.
    #[error("{character:?} is no transformer and no delimiter of a macro")]
    Delimiter {
        /// It.
        character: char,
    },
    /// An octet that may not stand there.
    #[error("the octet {octet:#04x} may not stand there")]
    Octet {
        /// The octet.
        octet: u8,
    },
}

/// Gives values to macros while a text is expanded.
pub(super) trait Values {
    /// The value of a letter.
    fn value(&self, letter: Letter) -> &[u8];
}

/// An expansion is not made longer: no name is, and no explanation should be.
const MAX_EXPANSION: usize = 16 * 1024;

impl MacroString {
    pub(super) fn parse(text: &[u8], place: Place) -> Result<MacroString, MacroError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((&byte, tail)) = rest.split_first() {
            if byte != b'%' {
                let end = memchr::memchr(b'%', rest).unwrap_or(rest.len());
                let (literal, tail) = rest.split_at(end);
                // §7.1: macro-literal is every visible character but the percent sign.
                let legal =
                    |b: &u8| b.is_ascii_graphic() || *b == b' ' && place == Place::Explanation;
                if let Some(&octet) = literal.iter().find(|b| !legal(b)) {
                    return Err(MacroError::Octet { octet });
                }
                parts.push(Part::Literal(literal.to_vec()));
                rest = tail;
                continue;
            }
            let (part, tail) = match tail.split_first() {
                Some((b'%', tail)) => (Part::Escape(b"%"), tail),
                Some((b'_', tail)) => (Part::Escape(b" "), tail),
                Some((b'-', tail)) => (Part::Escape(b"%20"), tail),
                Some((b'{', tail)) => {
                    let end = memchr::memchr(b'}', tail).ok_or(MacroError::Unended)?;
                    (
                        Part::Macro(Macro::parse(&tail[..end], place)?),
                        &tail[end + 1..],
                    )
                }
                _ => return Err(MacroError::Percent),
            };
            parts.push(part);
            rest = tail;
        }
        Ok(MacroString { parts })
    }

    /// The letters of its macros.
    pub(super) fn letters(&self) -> impl Iterator<Item = Letter> {
        self.parts.iter().filter_map(|part| match part {
            Part::Macro(found) => Some(found.letter),
            _ => None,
        })
    }

    /// Whether a macro is among them.
    pub(super) fn uses(&self, letter: Letter) -> bool {
        self.letters().any(|used| used == letter)
    }

    /// The literal text behind the last macro or escape; none where one of them stands last.
    pub(super) fn literal_end(&self) -> Option<&[u8]> {
        match self.parts.last() {
            Some(Part::Literal(text)) => Some(text),
            Some(_) => None,
            None => Some(b""),
        }
    }

    /// What it comes to; `None` where that is longer than anybody needs.
    pub(super) fn expand(&self, values: &impl Values) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        for part in &self.parts {
            match part {
                Part::Literal(text) => out.extend_from_slice(text),
                Part::Escape(text) => out.extend_from_slice(text),
                Part::Macro(found) => found.expand(values.value(found.letter), &mut out),
            }
            if out.len() > MAX_EXPANSION {
                return None;
            }
        }
        Some(out)
    }
}

impl Macro {
    /// Reads what stands between the braces.
    fn parse(text: &[u8], place: Place) -> Result<Macro, MacroError> {
        let (&first, rest) = text.split_first().ok_or(MacroError::Percent)?;
        let letter = Letter::of(first).ok_or(MacroError::Letter {
            letter: char::from(first),
        })?;
        if letter.is_for_explanations() && place == Place::Domain {
            return Err(MacroError::OnlyInExplanations {
                letter: char::from(first),
            });
        }
        let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let (number, rest) = rest.split_at(digits);
        let keep = number.iter().fold(None, |sum: Option<usize>, digit| {
            let sum = sum.unwrap_or(0).saturating_mul(10);
            Some(sum.saturating_add(usize::from(digit - b'0')))
        });
        // §7.3: the number must not be zero.
        if keep == Some(0) {
            return Err(MacroError::NoParts);
        }
        let reversed = rest.first().is_some_and(|b| b.eq_ignore_ascii_case(&b'r'));
        let delimiters = &rest[usize::from(reversed)..];
        if let Some(wrong) = delimiters.iter().find(|b| !b".-+,/_=".contains(b)) {
            return Err(MacroError::Delimiter {
                character: char::from(*wrong),
            });
        }
        Ok(Macro {
            letter,
            escaped: first.is_ascii_uppercase(),
            keep,
            reversed,
            delimiters: delimiters.to_vec(),
        })
    }

    /// §7.3: split, reversed, cut from the left, joined with dots, and escaped last.
    fn expand(&self, value: &[u8], out: &mut Vec<u8>) {
        let mut put = |text: &[u8]| match self.escaped {
            true => escape_url(text, out),
            false => out.extend_from_slice(text),
        };
        if self.keep.is_none() && !self.reversed && self.delimiters.is_empty() {
            return put(value);
        }
        let is_delimiter = |byte: &u8| match self.delimiters.as_slice() {
            [] => *byte == b'.',
            delimiters => delimiters.contains(byte),
        };
        let mut parts: Vec<&[u8]> = value.split(is_delimiter).collect();
        if self.reversed {
            parts.reverse();
        }
        let skipped = parts.len().saturating_sub(self.keep.unwrap_or(usize::MAX));
        for (at, part) in parts[skipped..].iter().enumerate() {
            if at > 0 {
                put(b".");
            }
            put(part);
        }
    }
}

/// RFC 3986 §2.3: all but unreserved characters are escaped.
fn escape_url(text: &[u8], out: &mut Vec<u8>) {
    for &byte in text {
        match byte {
            b'-' | b'.' | b'_' | b'~' => out.push(byte),
            _ if byte.is_ascii_alphanumeric() => out.push(byte),
            _ => out.extend_from_slice(format!("%{byte:02X}").as_bytes()),
        }
    }
}

impl fmt::Display for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Letter::Sender => "s",
            Letter::LocalPart => "l",
            Letter::SenderDomain => "o",
            Letter::Domain => "d",
            Letter::Address => "i",
            Letter::ValidatedName => "p",
            Letter::Family => "v",
            Letter::Helo => "h",
            Letter::ReadableAddress => "c",
            Letter::Receiver => "r",
            Letter::Time => "t",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of the examples in RFC 7208 §7.4.
    struct Examples;

    impl Values for Examples {
        fn value(&self, letter: Letter) -> &[u8] {
            match letter {
                Letter::Sender => b"strong-bad@email.example.com",
                Letter::LocalPart => b"strong-bad",
                Letter::SenderDomain | Letter::Domain => b"email.example.com",
                Letter::Address | Letter::ReadableAddress => b"192.0.2.3",
                Letter::ValidatedName => b"mx.example.org",
                Letter::Family => b"in-addr",
                Letter::Helo | Letter::Receiver => b"unknown",
                Letter::Time => b"0",
            }
        }
    }

    #[test]
    fn the_examples_of_the_rfc_expand_as_it_says() {
        for (text, expansion) in [
            ("%{s}", "strong-bad@email.example.com"),
            ("%{o}", "email.example.com"),
            ("%{d}", "email.example.com"),
            ("%{d4}", "email.example.com"),
            ("%{d3}", "email.example.com"),
            ("%{d2}", "example.com"),
            ("%{d1}", "com"),
            ("%{dr}", "com.example.email"),
            ("%{d2r}", "example.email"),
            ("%{l}", "strong-bad"),
            ("%{l-}", "strong.bad"),
            ("%{lr}", "strong-bad"),
            ("%{lr-}", "bad.strong"),
            ("%{l1r-}", "strong"),
            (
                "%{ir}.%{v}._spf.%{d2}",
                "3.2.0.192.in-addr._spf.example.com",
            ),
            ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
            (
                "%{lr-}.lp.%{ir}.%{v}._spf.%{d2}",
                "bad.strong.lp.3.2.0.192.in-addr._spf.example.com",
            ),
            (
                "%{d2}.trusted-domains.example.net",
                "example.com.trusted-domains.example.net",
            ),
            ("%{S}", "strong-bad%40email.example.com"),
            ("a%%b%_c%-d", "a%b c%20d"),
            ("%{l99999999999999999999}", "strong-bad"),
        ] {
            let parsed = MacroString::parse(text.as_bytes(), Place::Domain).unwrap();
            let found = parsed.expand(&Examples).unwrap();
            assert_eq!(String::from_utf8(found).unwrap(), expansion, "{text}");
        }
    }

    #[test]
    fn what_is_no_macro_is_refused() {
        let letter = |letter| MacroError::Letter { letter };
        for (text, error) in [
            ("%", MacroError::Percent),
            ("%a", MacroError::Percent),
            ("%{}", MacroError::Percent),
            ("%{d", MacroError::Unended),
            ("%{a}", letter('a')),
            ("%{d0}", MacroError::NoParts),
            ("%{d00r}", MacroError::NoParts),
            ("%{drr}", MacroError::Delimiter { character: 'r' }),
            ("%{d!}", MacroError::Delimiter { character: '!' }),
            ("%{t}", MacroError::OnlyInExplanations { letter: 't' }),
            ("a b", MacroError::Octet { octet: b' ' }),
        ] {
            let found = MacroString::parse(text.as_bytes(), Place::Domain);
            assert_eq!(found, Err(error), "{text}");
        }
        assert!(MacroString::parse(b"at %{t}", Place::Explanation).is_ok());
        assert!(MacroString::parse(b"%{t}", Place::UnknownModifier).is_ok());
        assert!(MacroString::parse(b"a\nb", Place::Explanation).is_err());
    }

    #[test]
    fn an_expansion_has_a_limit() {
        let text = "%{s}".repeat(1000);
        let parsed = MacroString::parse(text.as_bytes(), Place::Domain).unwrap();
        assert_eq!(parsed.expand(&Examples), None);
    }
}
