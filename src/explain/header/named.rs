//! What kind of change leads from the field that was signed to the one that came, whatever hypothesis it was found
//! by: a word that excuses what happened is used only where both say the same.

use super::draft::{is, name, unfolded, value};
use super::{address, date, encoded, mime_field, subject};
use crate::explain::bytes::squeezed;
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
    ) || KINDS.contains(&kind)
        || kind == Kind::TransferEncoding && is_true(Kind::Parameters, came, signed);
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
            let mailboxes = |text: &[u8]| address::is_list(came).then(|| address::addresses(text));
            (word(&now) || word(&was))
                && plain(&was).is_some_and(|was| Some(was) == plain(&now))
                && mailboxes(&was) == mailboxes(&now)
                && !(address::is_list(came) && address::is_ambiguous(&now))
        }
        Kind::SubjectTagged => is(came, "Subject") && subject::is_tagged(&now, &was),
        Kind::DateRewritten => {
            is(came, "Date")
                && date::moment(&was).is_some_and(|was| Some(was) == date::moment(&now))
        }
        Kind::NamesRequoted => {
            address::is_list(came)
                && !address::is_ambiguous(&now)
                && address::addresses(&now) == address::addresses(&was)
                && address::plain_names(&now) == address::plain_names(&was)
        }
        Kind::FromRewritten => {
            is(came, "From") && address::addresses(&now) != address::addresses(&was)
        }
        Kind::Parameters => {
            let name = name(came).to_ascii_lowercase();
            match name.as_str() {
                "content-type" | "content-disposition" => {
                    mime_field::parameters(&now) == mime_field::parameters(&was)
                }
                "content-transfer-encoding" | "mime-version" => {
                    squeezed(&now).eq_ignore_ascii_case(&squeezed(&was))
                }
                _ => false,
            }
        }
        _ => false,
    }
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
            (
                Parameters,
                "Content-Disposition: attachment; filename=invoice.exe",
                "Content-Disposition: attachment; filename=invoice.pdf",
                FieldChanged,
            ),
            (
                Parameters,
                "Content-Description: Invoice; pay Eve",
                "Content-Description: Invoice; pay Bob",
                FieldChanged,
            ),
            (
                Kind::TransferEncoding,
                "Content-Transfer-Encoding: 8BIT",
                "Content-Transfer-Encoding: 8bit",
                Parameters,
            ),
            (
                NamesRequoted,
                "From: Boss <boss@bank.example> <b@c.example>",
                "From: \"Boss <boss@bank.example>\" <b@c.example>",
                FieldChanged,
            ),
            (
                EncodedWords,
                "From: évil@bank.example, <b@c.example>",
                "From: =?utf-8?q?=C3=A9vil=40bank=2Eexample=2C?= <b@c.example>",
                FromRewritten,
            ),
            (
                DateRewritten,
                "Date: Sat, 22 Nov 2026 10:00:00 +0000",
                "Date: Sun, 22 Nov 2026 10:00:00 +0000",
                FieldChanged,
            ),
            (
                DateRewritten,
                "Date: Sun, 22 Nov 2026 10:00:00 +0000 (paid, see Eve)",
                "Date: Sun, 22 Nov 2026 10:00:00 +0000",
                FieldChanged,
            ),
            (
                DateRewritten,
                "Date: Sun, 22 Nov 2026 10:00:00 +0000 (UTC)",
                "Date: Sun, 22 Nov 2026 10:00:00 +0000",
                DateRewritten,
            ),
            (
                SubjectTagged,
                "Subject: An offer (withdrawn: send the money to Eve)",
                "Subject: An offer",
                FieldChanged,
            ),
            (
                SubjectTagged,
                "Subject: An offer - EXTERNAL: withdrawn, pay Eve",
                "Subject: An offer",
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
