//! The explanation of a fail (RFC 7208 §6.2).

use super::super::macros::{Letter, MacroString, Place};
use super::super::names::{askable, fitting};
use super::Check;
use super::values::InRecord;
use crate::dns::lookup::{Pending, RecordType};

impl Check<'_> {
    /// §6.2: the explanation of a fail. What is wrong with it only means that there is none, and nothing that is asked for
    /// it counts (§4.6.4).
    pub(super) fn explanation(&mut self) -> Result<Option<String>, Pending> {
        let Some((target, domain)) = self.explained_by.take() else {
            return Ok(None);
        };
        let mut validated = Vec::new();
        if target.uses(Letter::ValidatedName) {
            validated = self.validated_name(&domain, None);
        }
        let values = InRecord {
            sender: &self.sender,
            domain: &domain,
            validated: &validated,
        };
        let name = target
            .expand(&values)
            .and_then(|name| askable(fitting(&name)));
        let Some(name) = name else {
            return Ok(None);
        };
        let found = self.dns.look(&name, RecordType::Txt)?;
        let texts: Vec<&[u8]> = found.texts().collect();
        let [text] = texts[..] else {
            return Ok(None);
        };
        let Ok(text) = MacroString::parse(text, Place::Explanation) else {
            return Ok(None);
        };
        if text.uses(Letter::ValidatedName) {
            validated = self.validated_name(&domain, None);
        }
        let expanded = text.expand(&InRecord {
            sender: &self.sender,
            domain: &domain,
            validated: &validated,
        });
        // It is told in an answer of SMTP, which is ASCII (RFC 5321 §2.4).
        let printable = |text: &Vec<u8>| text.iter().all(|b| b.is_ascii_graphic() || *b == b' ');
        Ok(expanded
            .filter(printable)
            .and_then(|text| String::from_utf8(text).ok()))
    }
}
