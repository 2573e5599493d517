//! What was found, in sentences.

use super::change::Change;
use super::kind::Kind;
use super::{Effort, Explained, Part, Unjudged};
use crate::hash::BodyLimit;
use crate::key::KeyType;
use crate::report::{ResultWord, grouped};

impl Change {
    /// What was changed and where, in a sentence; text of the message stands in it, and is escaped.
    pub fn sentence(&self) -> String {
        let about = self.kind.about();
        if self.kind.is_of_signer() {
            return match &self.detail {
                Some(detail) => format!("{about}: {detail}"),
                None => about.to_owned(),
            };
        }
        let detail = self
            .detail
            .as_ref()
            .map(|detail| format!(" ({detail})"))
            .unwrap_or_default();
        let Some(first) = self.spots.first() else {
            return format!("{about}{detail}");
        };
        let line = grouped(first.line as u64);
        let place = match first.exact {
            true => format!("line {line}, byte {}", grouped(first.at.start as u64)),
            false => format!("within what was then changed again, from line {line} on"),
        };
        let text = matches!(
            self.kind,
            Kind::TextAppended | Kind::TextPrepended | Kind::TextInserted
        );
        let beginning = |bytes: &[u8]| match bytes.trim_ascii_start() {
            trimmed if text && !trimmed.is_empty() => shown(trimmed, 40),
            _ => shown(bytes, 40),
        };
        let bytes = |count: u64| match count {
            1 => "1 byte".to_owned(),
            count => format!("{} bytes", grouped(count)),
        };
        let only_came = self.removed == 0;
        let only_went = self.added == 0;
        // What is shown may be whole words around what was counted.
        let came = match self.added > Self::EXCERPT as u64 {
            true => self.added,
            false => first.came.len() as u64,
        };
        let is_shown = came == self.added && first.signed_len as u64 == self.removed;
        let field = self.field.as_ref().filter(|_| !self.kind.names_field());
        let of = field
            .map(|field| format!(", in {}", plain(field)))
            .unwrap_or_default();
        match (self.places, only_came, only_went) {
            (1, true, _) if self.kind == Kind::TextAppended && first.exact => format!(
                "{} were appended after byte {} (line {line}), beginning {}",
                bytes(self.added),
                grouped(first.at.start as u64),
                beginning(&first.came)
            ),
            (1, true, _) if is_shown => format!(
                "{about}{detail}{of}: {} at {place}: {}",
                bytes(self.added),
                beginning(&first.came)
            ),
            (_, _, true) if self.kind == Kind::FieldRemoved => {
                let fields = self.spots.iter().map(|spot| shown(&spot.signed, 60));
                let fields = fields.collect::<Vec<_>>().join(", ");
                format!("{about}{detail}: {fields}; where it stood is not known")
            }
            (1, _, true) if is_shown => format!(
                "{about}{detail}{of}: {} at {place}, gone: {}",
                bytes(self.removed),
                beginning(&first.signed)
            ),
            (1, ..) => format!(
                "{about}{detail}{of}: at {place} stands {}, and {} was signed",
                beginning(&first.came),
                beginning(&first.signed)
            ),
            (places, ..) => {
                format!(
                    "{about}{detail}{of}: at {} places, the first at {place}",
                    grouped(places as u64)
                )
            }
        }
    }
}

impl Explained {
    /// What is known of the signature, in sentences; text of the message stands in them, and is escaped.
    pub fn sentences(&self) -> Vec<String> {
        let domain = self.verdict.claims.domain.as_ref();
        let whose = domain.map_or("the signature".to_owned(), |domain| {
            format!(
                "the signature of {}",
                shown(domain.as_str().as_bytes(), 100).trim_matches('"')
            )
        });
        let mut out = Vec::new();
        match self.verdict.result() {
            ResultWord::Pass => out.push(format!("{whose} passes: {}", self.verdict.detail())),
            result => out.push(format!(
                "{whose} does not pass ({result}): {}",
                self.verdict.detail()
            )),
        }
        if self.verdict.result() == ResultWord::Pass {
            return out;
        }
        let limit = match self.signature.as_ref().map(|s| s.body_limit) {
            Some(BodyLimit::Octets(octets)) => Some(octets),
            _ => None,
        };
        match (&self.body, limit) {
            (Part::Holds, Some(octets)) => out.push(format!(
                "the first {} octets of the body are as they were signed; what stands behind them is not signed (l=)",
                grouped(octets)
            )),
            _ => part("body", &self.body, &mut out),
        }
        if let (Part::Changed(changes), Some(lines)) = (&self.body, self.holding_lines()) {
            let what = changes[0].sentence();
            out.pop();
            let lines = match lines {
                1 => "line".to_owned(),
                lines => format!("{} lines", grouped(lines)),
            };
            out.push(format!(
                "{whose} holds for the first {lines} of the body: {what}"
            ));
        }
        part("header", &self.header, &mut out);
        if matches!(self.header, Part::Unexplained(_)) {
            out.extend(self.absent());
        }
        for surplus in &self.surplus {
            let (name, signed) = (surplus.name, surplus.signed);
            let (line, stands) = (surplus.line, surplus.stands);
            let lowest = match signed {
                1 => "the lowest is".to_owned(),
                signed => format!("the lowest {signed} are"),
            };
            out.push(format!(
                "{name} may stand once and stands {stands} times, of which only {lowest} signed: what stands above, from line {line} on, is not, and may be what is shown"
            ));
        }
        for name in &self.unknown_fields {
            out.push(format!(
                "{name} is not signed: what it said of the body as it was signed is not known"
            ));
        }
        for name in self.fitted_fields.iter().filter(|_| self.is_restorable()) {
            out.push(format!(
                "{name} is not signed: --restore writes one that fits the body as it was signed"
            ));
        }
        if matches!(self.header, Part::Unexplained(_)) && self.is_of_key() {
            out.push("b= was made with the key that is published".to_owned());
        }
        if matches!(self.header, Part::Holds) && matches!(self.body, Part::Unexplained(_)) {
            out.push(
                "bh= is what was signed: the body was changed, and not the signature".to_owned(),
            );
        }
        out
    }

    /// Whether it is known, whatever became of the header, that the key made the signature: RSA gives back what was
    /// signed.
    fn is_of_key(&self) -> bool {
        let signature = self.signature.as_ref();
        signature.is_some_and(|s| s.algorithm.key_type() == KeyType::Rsa)
    }

    /// The number of lines of the body before what was appended, if that is all that was changed.
    fn holding_lines(&self) -> Option<u64> {
        let Part::Changed(changes) = &self.body else {
            return None;
        };
        match changes.as_slice() {
            [change] if change.kind == Kind::TextAppended && change.places == 1 => {
                // Only where whole lines are left.
                let spot = change
                    .spots
                    .first()
                    .filter(|spot| spot.exact && self.ends_with_line)?;
                let lines = spot.line.saturating_sub(self.body_line);
                (lines > 0).then_some(lines as u64)
            }
            _ => None,
        }
    }

    /// What h= says of fields that are not there.
    fn absent(&self) -> Vec<String> {
        let mut seen: Vec<String> = Vec::new();
        let (mut gone, mut never, mut more) = (Vec::new(), Vec::new(), Vec::new());
        for (name, _) in &self.covered {
            let lower = name.to_ascii_lowercase();
            if seen.contains(&lower) {
                continue;
            }
            let same = || {
                let named = self.covered.iter();
                named.filter(|(other, _)| other.eq_ignore_ascii_case(name))
            };
            let (named, there) = (
                same().count(),
                same().filter(|(_, at)| at.is_some()).count(),
            );
            seen.push(lower);
            let name = plain(name);
            match (named, there) {
                (1, 0) => never.push(name),
                (_, 0) => gone.push(name),
                (named, there) if named == there + 1 => more.push(name),
                (named, there) if named > there => {
                    gone.push(format!("{name} ({there} of {named} are there)"));
                }
                _ => {}
            }
        }
        let mut out = Vec::new();
        if !gone.is_empty() {
            out.push(format!(
                "signed, and likely removed: {}: h= names more of them than signers do that only want to keep others from being added",
                gone.join(", ")
            ));
        }
        if !never.is_empty() {
            out.push(format!(
                "h= names what is not there, and was removed, or signed so that none can be added: {}",
                never.join(", ")
            ));
        }
        if !more.is_empty() {
            out.push(format!(
                "h= names one more than there is, so that none can be added (or one was removed): {}",
                more.join(", ")
            ));
        }
        out
    }
}

/// A name as it is, with what cannot be seen escaped.
fn plain(name: &str) -> String {
    shown(name.as_bytes(), 60).trim_matches('"').to_owned()
}

fn part(name: &str, part: &Part, out: &mut Vec<String>) {
    match part {
        Part::Holds => out.push(format!("the {name} is as it was signed")),
        Part::Changed(changes) => out.extend(changes.iter().map(Change::sentence)),
        Part::Unexplained(effort) => out.push(format!("the {name} is not what was signed: {}", effort.sentence())),
        Part::Unjudged(Unjudged::Field) => {}
        Part::Unjudged(Unjudged::NoKey) => {
            out.push(format!("the {name} cannot be judged: there is no key that may be used"));
        }
        Part::Unjudged(Unjudged::OtherKey) => out.push(
            "b= was not made with the key that is published, or it was damaged: compare the record with the private key (`dkimkit check`)"
                .to_owned(),
        ),
    }
}

impl Effort {
    /// What was tried, in words.
    pub fn sentence(&self) -> String {
        let tried = grouped(self.tried);
        match self.finished {
            true => format!("no known change gives that back ({tried} texts were compared)"),
            false => format!(
                "no known change was found that gives that back ({tried} texts were compared until the budget ended; --budget gives more)"
            ),
        }
    }
}

/// Bytes of a message in quotes, shortened, with what cannot be seen escaped.
pub(super) fn shown(bytes: &[u8], most: usize) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::from("\"");
    for (count, c) in text.chars().enumerate() {
        if count == most {
            out.push('…');
            break;
        }
        match c {
            '\r' => out.push_str("\\r"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '"' | '\\' => out.extend(['\\', c]),
            c if crate::report::is_harmful(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
