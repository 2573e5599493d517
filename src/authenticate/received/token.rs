//! The words and comments of a Received field.

use super::Obscurity;

/// A word, or a comment without its outer parentheses.
pub(super) enum Token<'t> {
    Word(&'t str),
    Comment(&'t str),
}

impl<'t> Token<'t> {
    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(self, Token::Word(own) if own.eq_ignore_ascii_case(word))
    }

    pub(super) fn word(&self) -> Option<&'t str> {
        match self {
            Token::Word(word) => Some(word),
            Token::Comment(_) => None,
        }
    }

    pub(super) fn comment(&self) -> Option<&'t str> {
        match self {
            Token::Comment(comment) => Some(comment),
            Token::Word(_) => None,
        }
    }
}

/// The words and comments of a field, the date among them. A parenthesis without its other half, or a second semicolon,
/// is no server's. Quotes mean nothing: a parenthesis that stands in quotes is one more that does not fit.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, Obscurity> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_ascii_start();
    let mut dated = false;
    while let Some(first) = rest.bytes().next() {
        let end = match first {
            b'(' => {
                let end = comment_end(rest).ok_or(Obscurity::Ambiguous)?;
                let comment = &rest[1..end - 1];
                if !nests_as_known(comment) {
                    return Err(Obscurity::Ambiguous);
                }
                tokens.push(Token::Comment(comment));
                end
            }
            b')' => return Err(Obscurity::Ambiguous),
            b';' if dated => return Err(Obscurity::Ambiguous),
            b';' => {
                dated = true;
                1
            }
            _ => {
                let ends = |c: char| c.is_ascii_whitespace() || matches!(c, '(' | ')' | ';');
                let end = rest.find(ends).unwrap_or(rest.len());
                tokens.push(Token::Word(&rest[..end]));
                end
            }
        };
        rest = rest[end..].trim_ascii_start();
    }
    Ok(tokens)
}

/// Where a comment ends that begins the text; comments may hold comments (RFC 5322 §3.2.2). None where a parenthesis has
/// a backslash before it: some read that as a part of the text, and others do not.
fn comment_end(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    let mut last = b'(';
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' | b')' if last == b'\\' => return None,
            b'(' => depth += 1,
            b')' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
        last = byte;
    }
    None
}

/// Whether all comments in a comment are known ones. A client whose texts stand at two places of a field can begin a
/// comment in one of them and end it in the other: what the server wrote between, the address and `by`, is then in it.
fn nests_as_known(comment: &str) -> bool {
    let mut rest = comment;
    while let Some((before, behind)) = rest.split_once('(') {
        let Some((inner, after)) = behind.split_once(')') else {
            return false;
        };
        let words = inner
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte.is_ascii_whitespace() || byte == b'/');
        let known = match inner {
            // Sendmail.
            "may be forged" => before.trim_ascii_end().ends_with(']') && after.is_empty(),
            // Postfix, of the client's certificate.
            "verified OK" | "not verified" => comment.starts_with("Client CN "),
            // Postfix, of TLS: `256/256 bits`, `2048 bits`.
            _ if comment.starts_with("using ") => words && inner.ends_with(" bits"),
            // Oracle and Sun: the date of the program.
            _ => words && inner.starts_with("built ") && after.is_empty(),
        };
        if !known {
            return false;
        }
        rest = after;
    }
    true
}
