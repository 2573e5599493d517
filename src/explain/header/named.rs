//! What kind of change leads from the field that was signed to the one that came, whatever hypothesis it was found
//! by: a word that excuses what happened is used only where both say the same.

use mail_parser::DateTime;

use super::draft::{is, name, unfolded, value};
use super::{address, encoded, subject};
use crate::explain::kind::Kind;

/// The kind of a field that was replaced; `kind` where it is no matter of its value.
pub(super) fn replaced(kind: Kind, came: &[u8], signed: &[u8]) -> Kind {
    /// What is tried, in this order, where the kind that was thought of is not true.
    const KINDS: [Kind; 6] = [
        Kind::EncodedWords,
        Kind::SubjectTagged,
        Kind::DateRewritten,
        Kind::NamesRequoted,
        Kind::FromRewritten,
        Kind::Parameters,
    ];
    let of_value = matches!(
        kind,
        Kind::Refolded | Kind::FieldBlanks | Kind::Recased | Kind::FieldChanged
    ) || KINDS.contains(&kind);
    let (was, now) = (name(signed), name(came));
    if !of_value || !was.eq_ignore_ascii_case(&now) {
        return kind;
    }
    if squeezed(value(came)) == squeezed(value(signed)) {
        return match () {
            () if was != now => Kind::Recased,
            () if folds(came) != folds(signed) => Kind::Refolded,
            () => Kind::FieldBlanks,
        };
    }
    let holds = |kind: &Kind| is_true(*kind, came, signed);
    let mut kinds = [kind].into_iter().chain(KINDS);
    kinds.find(holds).unwrap_or(Kind::FieldChanged)
}

/// Whether both say what this kind of change leaves alone.
fn is_true(kind: Kind, came: &[u8], signed: &[u8]) -> bool {
    let (now, was) = (unfolded(came), unfolded(signed));
    match kind {
        Kind::EncodedWords => {
            let word =
                |text: &[u8]| !text.is_ascii() || memchr::memmem::find(text, b"=?").is_some();
            let plain = |text: &[u8]| encoded::decoded(text).map(|text| squeezed(&text));
            (word(&now) || word(&was)) && plain(&was).is_some_and(|was| Some(was) == plain(&now))
        }
        Kind::SubjectTagged => is(came, "Subject") && subject::is_tagged(&now, &was),
        Kind::DateRewritten => {
            let moment = |text: &[u8]| {
                let date = DateTime::parse_rfc822(std::str::from_utf8(text).ok()?)?;
                Some(date.to_timestamp())
            };
            is(came, "Date") && moment(&was).is_some_and(|was| Some(was) == moment(&now))
        }
        Kind::NamesRequoted => {
            address::is_list(came)
                && address::addresses(&now) == address::addresses(&was)
                && address::plain_names(&now) == address::plain_names(&was)
        }
        Kind::FromRewritten => {
            is(came, "From") && address::addresses(&now) != address::addresses(&was)
        }
        Kind::Parameters => {
            // The value before the parameters is the same.
            let first = |text: &[u8]| {
                let first = text.split(|b| *b == b';').next().unwrap_or_default();
                squeezed(first).to_ascii_lowercase()
            };
            let name = name(came).to_ascii_lowercase();
            (name.starts_with("content-") || name == "mime-version") && first(&now) == first(&was)
        }
        _ => false,
    }
}

fn squeezed(text: &[u8]) -> Vec<u8> {
    let visible = text.iter().filter(|b| !b.is_ascii_whitespace());
    visible.copied().collect()
}

/// Where the lines end, counted in what is no white space.
fn folds(raw: &[u8]) -> Vec<usize> {
    let mut seen = 0;
    let mut folds = Vec::new();
    for byte in raw {
        match byte {
            b'\n' => folds.push(seen),
            b if b.is_ascii_whitespace() => {}
            _ => seen += 1,
        }
    }
    folds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_excuses_is_used_where_both_say_the_same() {
        use Kind::{
            DateRewritten, EncodedWords, FieldBlanks, FieldChanged, FromRewritten, NamesRequoted,
            Parameters, Recased, Refolded, SubjectTagged,
        };
        for (thought, came, signed, is) in [
            (
                NamesRequoted,
                "From: a <b@c.example>",
                "From:\r\n a <b@c.example>",
                Refolded,
            ),
            (
                NamesRequoted,
                "From: a  <b@c.example>",
                "From: a <b@c.example>",
                FieldBlanks,
            ),
            (
                Parameters,
                "FROM: a <b@c.example>",
                "From: a <b@c.example>",
                Recased,
            ),
            (
                NamesRequoted,
                "From: \"a\" <b@c.example>",
                "From: a <b@c.example>",
                NamesRequoted,
            ),
            (
                FieldChanged,
                "To: b@c.example (a)",
                "To: a <b@c.example>",
                NamesRequoted,
            ),
            (
                NamesRequoted,
                "From: \"Your Bank\" <b@c.example>",
                "From: Anna <b@c.example>",
                FieldChanged,
            ),
            (
                NamesRequoted,
                "From: Boss <b@c.example>",
                "From: b@c.example",
                FieldChanged,
            ),
            (
                FromRewritten,
                "From: Boss <b@c.example>",
                "From: Anna <b@c.example>",
                FieldChanged,
            ),
            (
                FieldChanged,
                "From: a <l@l.example>",
                "From: a <b@c.example>",
                FromRewritten,
            ),
            (
                EncodedWords,
                "From: =?utf-8?q?=C3=A9?= <b@c.example>",
                "From: \"é\" <b@c.example>",
                NamesRequoted,
            ),
            (
                EncodedWords,
                "Subject: é",
                "Subject: =?utf-8?q?=C3=A9?=",
                EncodedWords,
            ),
            (
                DateRewritten,
                "Date: Sun, 22 Nov 2020 10:00:00 +0000",
                "Date: Sun, 22 Nov 2026 10:00:00 +0000",
                FieldChanged,
            ),
            (
                FieldChanged,
                "Date: Sun, 22 Nov 2026 11:00:00 +0100",
                "Date: 22 Nov 2026 10:00:00 GMT",
                DateRewritten,
            ),
            (
                SubjectTagged,
                "Subject: Hello",
                "Subject: Re: Hello",
                FieldChanged,
            ),
            (
                SubjectTagged,
                "Subject: This is not an offer",
                "Subject: an offer",
                FieldChanged,
            ),
            (
                SubjectTagged,
                "Subject: PAY NOW: an offer",
                "Subject: an offer",
                FieldChanged,
            ),
            (
                SubjectTagged,
                "Subject: offers",
                "Subject: offer",
                FieldChanged,
            ),
            (
                SubjectTagged,
                "Subject: Re: [list] an offer",
                "Subject: Re: an offer",
                SubjectTagged,
            ),
            (
                FieldChanged,
                "Subject: SPAM: an offer",
                "Subject: an offer",
                SubjectTagged,
            ),
            (
                Parameters,
                "Content-Type: text/plain; charset=\"utf-8\"",
                "Content-Type: text/plain; charset=utf-8",
                Parameters,
            ),
            (
                Parameters,
                "Content-Type: text/html",
                "Content-Type: text/plain",
                FieldChanged,
            ),
        ] {
            assert_eq!(
                replaced(thought, came.as_bytes(), signed.as_bytes()),
                is,
                "{came:?} for {signed:?}"
            );
        }
    }
}
