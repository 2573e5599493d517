//! A comment of a Received field: what the server wrote, and what the client said.

use super::{Obscurity, address};

/// A comment, and what of it stands before that which the client said of itself.
pub(super) struct Comment<'t> {
    text: &'t str,
    pub(super) of_server: &'t str,
    pub(super) helo: Option<&'t str>,
}

impl<'t> Comment<'t> {
    /// What the client said stands last: `HELO name` (qmail), `LHLO name` (Zimbra), `helo=name ident=name` (Exim). More
    /// words behind it, or a comment, are not what a server writes there: they may be the server's own, behind what a
    /// client chose to be called.
    ///
    /// # Errors
    /// [`Obscurity::Ambiguous`] for such a one.
    pub(super) fn new(text: &'t str) -> Result<Comment<'t>, Obscurity> {
        let mut rest = text.trim_ascii_start();
        while !rest.is_empty() {
            let (word, behind) = rest.split_at(word_end(rest));
            let greeting = is_any(word, &["helo", "ehlo", "lhlo"]);
            let key = word.split_once('=').map(|(key, _)| key);
            if greeting || key.is_some_and(|key| is_any(key, &["helo", "ehlo", "ident"])) {
                let helo = match greeting {
                    true => only_word(behind),
                    false => pairs(rest),
                };
                return Ok(Comment {
                    text,
                    of_server: &text[..text.len() - rest.len()],
                    helo: helo.ok_or(Obscurity::Ambiguous)?,
                });
            }
            rest = behind.trim_ascii_start();
        }
        Ok(Comment {
            text,
            of_server: text,
            helo: None,
        })
    }

    pub(super) fn said(&self) -> &'t str {
        &self.text[self.of_server.len()..]
    }

    pub(super) fn says_an_address(&self) -> bool {
        let split = |c: char| c.is_ascii_whitespace() || matches!(c, '=' | '@');
        let mut words = self.said().split(split);
        words.any(|word| word.contains('[') || address(word).is_some())
    }

    /// Whether what the client said begins with a key, `helo=name`.
    pub(super) fn says_in_pairs(&self) -> bool {
        let first = self.said().split_ascii_whitespace().next();
        first.is_some_and(|word| word.contains('='))
    }

    /// `192.0.2.1`, `user@192.0.2.1` or `[192.0.2.1]`, and nothing else (qmail and its kin).
    pub(super) fn is_an_address(&self) -> bool {
        let alone = |word: &str| {
            let last = word.rsplit('@').next().unwrap_or(word);
            let inner = last.strip_prefix('[').and_then(|own| own.strip_suffix(']'));
            address(inner.unwrap_or(last)).is_some()
        };
        self.word().is_some_and(alone)
    }

    /// What servers write of a user who logged in, where it begins the comment: there no client has a say.
    pub(super) fn says_a_login(&self) -> bool {
        let words: Vec<&str> = self.text.split_ascii_whitespace().take(3).collect();
        match words[..] {
            // CommuniGate Pro.
            ["account", _, "HELO"] => true,
            // Postfix and Sendmail, where the client's address has no such name; Courier.
            [first, _, ..] if is_any(first, &["authenticated"]) => !self.names_an_address(),
            [first, _, ..] => is_any(first, &["auth:"]),
            _ => false,
        }
    }

    /// The only word of a comment that says nothing else.
    pub(super) fn word(&self) -> Option<&'t str> {
        let word = self.text.trim_ascii();
        let alone = self.said().is_empty() && !word.is_empty() && word_end(word) == word.len();
        alone.then_some(word)
    }

    /// `name [address]`, perhaps with `user@` before and `(may be forged)` behind: nobody but a server writes that.
    pub(super) fn names_an_address(&self) -> bool {
        let Some((name, rest)) = self.text.split_once('[') else {
            return false;
        };
        let Some((_, behind)) = rest.split_once(']') else {
            return false;
        };
        let one = only_word(name).is_some();
        let spaced = name.ends_with(|c: char| c.is_ascii_whitespace());
        let behind = behind.trim_ascii();
        one && spaced && self.said().is_empty() && matches!(behind, "" | "(may be forged)")
    }

    /// `HELO name` or `account name HELO name` (CommuniGate Pro).
    pub(super) fn is_greeting(&self) -> bool {
        let words: Vec<&str> = self.text.split_ascii_whitespace().take(5).collect();
        matches!(words[..], ["HELO", name] | ["account", _, "HELO", name] if !name.contains('@'))
    }

    /// `port=25 helo=name ident=name`, each or none of them (Exim). What Sendmail writes for a client that answers in
    /// the same way to the question of RFC 1413 has an `@` or more words.
    pub(super) fn is_pairs(&self) -> bool {
        let words: Vec<&str> = self.text.split_ascii_whitespace().take(5).collect();
        let mut known = ["port", "helo", "ident"].into_iter();
        let fits = |word: &&str| {
            let Some((key, value)) = word.split_once('=') else {
                return false;
            };
            let digits = || value.bytes().all(|byte| byte.is_ascii_digit());
            // They stand in this order, and each once.
            let plain = !value.contains('@');
            known.any(|own| own == key) && plain && (key != "port" || digits())
        };
        !words.is_empty() && words.iter().all(fits)
    }
}

/// One word without parentheses, and nothing else.
fn only_word(text: &str) -> Option<Option<&str>> {
    let word = text.trim_ascii();
    let one = !word.is_empty() && word_end(word) == word.len() && !word.contains(['(', ')']);
    one.then_some(Some(word))
}

/// `helo=name`, `helo=name ident=name` or `ident=name`, and nothing else: the name of HELO.
fn pairs<'t>(text: &'t str) -> Option<Option<&'t str>> {
    if text.contains(['(', ')']) {
        return None;
    }
    let words: Vec<&str> = text.split_ascii_whitespace().take(3).collect();
    let value = |word: &&str, keys: &[&str]| {
        let (key, _) = word.split_once('=')?;
        is_any(key, keys).then_some(key.len() + 1)
    };
    let helo = |word: &&'t str| value(word, &["helo", "ehlo"]).map(|at| &word[at..]);
    let ident = |word: &&'t str| value(word, &["ident"]).is_some();
    match &words[..] {
        [one] if ident(one) => Some(None),
        [one] => helo(one).map(Some),
        [one, two] if ident(two) => helo(one).map(Some),
        _ => None,
    }
}

fn word_end(text: &str) -> usize {
    text.find(|c: char| c.is_ascii_whitespace())
        .unwrap_or(text.len())
}

fn is_any(word: &str, known: &[&str]) -> bool {
    known.iter().any(|known| known.eq_ignore_ascii_case(word))
}
