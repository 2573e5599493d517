//! Sender ID (RFC 4406): a historic relative of SPF that nobody evaluates any more.

use super::facts::Facts;
use super::finding::{CheckReport, Finding};
use super::text;
use crate::dns::lookup::Pending;

const NAME: &str = "sender-id";

pub(super) fn judge(facts: &Facts<'_>) -> Result<CheckReport, Pending> {
    let texts = match text::at(facts, &facts.domain())? {
        Ok(texts) => texts,
        Err(finding) => return Ok(CheckReport::new(NAME, "", vec![*finding])),
    };
    // RFC 4406 §3.1: the version, a slash, and for what it holds.
    let records = texts.meant("spf2.0/");
    let beside = !texts.meant("v=spf1").is_empty();
    let findings = records.iter().map(|record| {
        let other = match beside {
            true => "the v=spf1 record beside it says all that is asked for today",
            false => "a v=spf1 record must say what it says",
        };
        let finding = Finding::new(
            "sender-id-obsolete",
            &texts.name,
            format!("there is a record of Sender ID, which nobody evaluates any more; {other}"),
            "take the spf2.0 record away",
        );
        texts.replace(finding, &[record], None)
    });
    let findings = findings.collect();
    let sentence = "there is no record of the abandoned Sender ID";
    Ok(CheckReport::new(NAME, sentence, findings))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{judge, mended, words};

    #[test]
    fn a_record_of_sender_id_goes() {
        let check = |zone: &str| judge("sender-id", zone);
        assert_eq!(words(&check("example.org. TXT \"v=spf1 -all\"")), [""; 0]);
        assert_eq!(words(&check("example.org. A 192.88.1.1")), [""; 0]);
        for zone in [
            "example.org. TXT \"spf2.0/pra -all\"",
            "example.org. TXT \"v=spf1 -all\"\nexample.org. TXT \"SPF2.0/mfrom,pra ~all\"",
        ] {
            assert_eq!(words(&check(zone)), ["sender-id-obsolete"], "{zone}");
            assert_eq!(words(&mended("sender-id", zone)), [""; 0], "{zone}");
        }
        let silent = r#"{"example.org.": {"status": "SERVFAIL"}}"#;
        assert_eq!(words(&check(silent)), ["no-answer"]);
    }
}
