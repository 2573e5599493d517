//! DomainKeys (RFC 4870) and ADSP (RFC 5617): what is left of methods that nobody uses any more.

use super::facts::Facts;
use super::finding::{CheckReport, Finding};
use super::selectors::{self, Candidate};
use super::text::{self, Texts};
use crate::dns::lookup::{DnsName, Pending};
use crate::record::lint::{Linted, RecordFault};
use crate::tag::TagList;

const NAME: &str = "domainkeys";

pub(super) fn judge(facts: &Facts<'_>) -> Result<CheckReport, Pending> {
    let domain = facts.domain();
    let policy = below(facts, &domain, "_domainkey");
    let practices = below(facts, &domain, "_adsp._domainkey");
    let selectors = selectors::find(facts)?;
    let mut findings = Vec::new();
    for (texts, method) in [(policy?, Method::DomainKeys), (practices?, Method::Adsp)] {
        let texts = match texts {
            Ok(Some(texts)) => texts,
            Ok(None) => continue,
            Err(finding) => {
                findings.push(*finding);
                continue;
            }
        };
        for text in texts.list.iter().filter(|text| method.is_policy(text)) {
            let finding = Finding::new(
                "domainkeys-policy",
                &texts.name,
                format!(
                    "there is a policy record of {}, which nobody asks for any more",
                    method.as_str()
                ),
                "take the record away; what receivers are to do is said by DMARC",
            );
            findings.push(texts.replace(finding, &[text], None));
        }
    }
    findings.extend(selectors.list.iter().flat_map(granularity));
    let sentence = "nothing is left of DomainKeys";
    Ok(CheckReport::new(NAME, sentence, findings))
}

/// The records at a name below the domain; none where there is no such name.
fn below(
    facts: &Facts<'_>,
    domain: &DnsName,
    labels: &str,
) -> Result<Result<Option<Texts>, Box<Finding>>, Pending> {
    match domain.below(labels) {
        Ok(name) => Ok(text::at(facts, &name)?.map(Some)),
        Err(_) => Ok(Ok(None)),
    }
}

/// More tags than such a record has.
const MAX_TAGS: usize = 20;

/// Whose policy it is.
#[derive(Clone, Copy)]
enum Method {
    DomainKeys,
    Adsp,
}

impl Method {
    fn as_str(self) -> &'static str {
        match self {
            Method::DomainKeys => "DomainKeys",
            Method::Adsp => "ADSP",
        }
    }

    fn is_policy(self, text: &[u8]) -> bool {
        let Ok(list) = TagList::parse(text, MAX_TAGS) else {
            return false;
        };
        match self {
            // RFC 4870 §3.6: notes, whether all mail is signed, an address for reports, and whether it is a test.
            Method::DomainKeys => list
                .iter()
                .all(|tag| ["n", "o", "r", "t"].contains(&tag.name)),
            // RFC 5617 §4.2.1.
            Method::Adsp => list.iter().next().is_some_and(|tag| tag.name == "dkim"),
        }
    }
}

/// g=, of which RFC 6376 §3.6.1 knows nothing any more (appendix D there).
fn granularity(one: &Candidate) -> Vec<Finding> {
    let has = |(_, seen): &&(Vec<u8>, Linted)| seen.faults.contains(&RecordFault::Granularity);
    let list = one.records.iter().map(|(text, _)| text.clone());
    let texts = Texts::seen(one.place.clone(), list.collect());
    let finding = |(text, seen): &(Vec<u8>, Linted)| {
        let finding = Finding::new(
            "domainkeys-granularity",
            &texts.name,
            "the record of the key has the tag g=, which DKIM gave up; verifiers from before still refuse mail because of it",
            "publish the record without g=",
        );
        match &seen.repaired {
            Some(repaired) => texts.replace(finding, &[text], repaired.clone()),
            None => finding,
        }
    };
    one.records.iter().filter(has).map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing::{judge, mended, words};

    #[test]
    fn records_of_methods_that_are_gone_go() {
        for (zone, expected) in [
            ("example.org. A 192.88.1.1", &[][..]),
            (
                "_domainkey.example.org. TXT \"o=~; r=a@example.org\"",
                &["domainkeys-policy"],
            ),
            (
                "_domainkey.example.org. TXT \"t=y; o=-\"",
                &["domainkeys-policy"],
            ),
            (
                "_adsp._domainkey.example.org. TXT \"dkim=all\"",
                &["domainkeys-policy"],
            ),
            // What a wildcard says of every name.
            ("_domainkey.example.org. TXT \"v=spf1 -all\"", &[]),
            ("_domainkey.example.org. TXT \"v=DKIM1; n=x; p=\"", &[]),
            (
                "mail._domainkey.example.org. TXT \"v=DKIM1; g=*; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\"",
                &["domainkeys-granularity"],
            ),
        ] {
            assert_eq!(words(&judge("domainkeys", zone)), expected, "{zone}");
            assert_eq!(words(&mended("domainkeys", zone)), [""; 0], "{zone}");
        }
        let silent = r#"{"_domainkey.example.org.": {"status": "SERVFAIL"}}"#;
        assert_eq!(words(&judge("domainkeys", silent)), ["no-answer"]);
    }
}
