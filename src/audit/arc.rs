//! ARC (RFC 8617): whether a key is there with which forwarded mail could be sealed.

use super::dkim::bits;
use super::facts::Facts;
use super::finding::{CheckReport, Finding};
use super::selectors::{self, Candidate, Selectors};
use super::spf;
use crate::dns::lookup::{DnsName, Pending, Question, RecordType};
use crate::key::KeyType;
use crate::record::lint::RecordFault;

const NAME: &str = "arc";

/// RFC 8301 §3.2.
const LEAST_BITS: usize = 1024;

const ABOUT: &str = "ARC (RFC 8617, experimental) lets a forwarder or a mailing list seal what it found out about a message before it changed it. It needs no record but the key. Gmail and Microsoft still read seals of forwarders that they trust; the IETF is about to end the experiment, so nobody who only sends mail needs it";

pub(super) fn judge(facts: &Facts<'_>) -> Result<CheckReport, Pending> {
    let selectors = selectors::find(facts)?;
    // RFC 8617 §4.1.2 takes the algorithms of RFC 6376, and what reads seals knows rsa-sha256 alone.
    let can_seal = selectors.list.iter().filter(|one| {
        let mut keys = one.records.iter().filter_map(|(_, seen)| seen.key.as_ref());
        keys.any(|key| key.key_type == KeyType::Rsa && bits(key) >= Some(LEAST_BITS))
    });
    let can_seal: Vec<&str> = can_seal.map(|one| one.selector.as_str()).collect();
    if can_seal.is_empty() && spf::nobody_sends(facts)? {
        let sentence = "SPF says that nobody sends mail of the domain, and so nobody seals any";
        return Ok(CheckReport::new(NAME, sentence, Vec::new()).fact("about", ABOUT));
    }
    let mut silent = selectors.list.iter();
    let silent = silent.find_map(|one| Some((DnsName::from(&one.name), one.failure?)));
    let finding = match silent {
        _ if !can_seal.is_empty() => None,
        Some((name, cause)) => Some(Finding::no_answer(
            &Question::new(name, RecordType::Txt),
            cause,
        )),
        None => selectors
            .no_answer(facts)
            .or_else(|| seals_with(&selectors, KeyType::Ed25519).then(|| no_key(&facts.domain()))),
    };
    let sentence = match can_seal.is_empty() {
        true => "no key is there to seal with, of which the check dkim tells".to_owned(),
        false => format!("mail can be sealed with the key of {}", can_seal.join(", ")),
    };
    Ok(
        CheckReport::new(NAME, sentence, finding.into_iter().collect())
            .fact("about", ABOUT)
            .fact("selectors", can_seal),
    )
}

/// Whether all keys that could be used are of this type. Where there is no key, or one is broken, dkim tells of it.
fn seals_with(selectors: &Selectors, kind: KeyType) -> bool {
    let of_kind = |one: &Candidate| {
        let mut seen = one.records.iter().map(|(_, seen)| seen);
        seen.any(|seen| seen.key.as_ref().is_some_and(|key| key.key_type == kind))
    };
    let withdrawn = |one: &Candidate| {
        let mut seen = one.records.iter().map(|(_, seen)| seen);
        seen.any(|seen| seen.faults.contains(&RecordFault::Revoked))
    };
    let list = &selectors.list;
    list.iter().any(of_kind) && list.iter().all(|one| of_kind(one) || withdrawn(one))
}

fn no_key(domain: &DnsName) -> Finding {
    Finding::new(
        "arc-no-key",
        domain,
        format!(
            "no RSA key of {domain} was found; without one it cannot seal mail that it forwards (ARC)"
        ),
        format!(
            "only where mail is forwarded: make an RSA key with `dkimkit generate -d {domain}` and publish its record"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::super::testing::{judge, judge_with, options, words};
    use crate::name::Selector;

    #[test]
    fn only_rsa_keys_seal() {
        let rsa = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDE1iiZw1uZAtHZQNZs+B5CZZ6Q8QXxcEhfiF6p1FR+eYN/U2ZHv/2zaWGVN4dS6XvB6zG2xSmUBJ9ApBwBzC1aQqAF7iWq+7RwRWZXIVRM9c6DPKdPkAcUgk0vkcJ8k5YUVVOIHzMPm7ZXHg+FMdqRFs2uLDkUpxl2NYwlR3UcXQIDAQAB";
        let ed = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
        for (record, expected) in [
            (format!("v=DKIM1; k=rsa; p={rsa}"), &[][..]),
            (format!("v=DKIM1; k=ed25519; p={ed}"), &["arc-no-key"]),
            // Of these the check of DKIM tells.
            ("v=DKIM1; p=".to_owned(), &[]),
            (format!("v=DKIM1; k=rsa; p={}", &rsa[..90]), &[]),
            ("other".to_owned(), &[]),
        ] {
            let zone = format!("mail._domainkey.example.org. TXT \"{record}\"");
            assert_eq!(words(&judge("arc", &zone)), expected, "{record}");
        }
        let both = format!(
            "mail._domainkey.example.org. TXT \"v=DKIM1; k=ed25519; p={ed}\"\ndkim._domainkey.example.org. TXT \""
        );
        for (other, expected) in [
            ("v=DKIM1; p=\"", &["arc-no-key"][..]),
            ("v=DKIM1; p=MIGf\"", &[]),
        ] {
            assert_eq!(words(&judge("arc", &format!("{both}{other}"))), expected);
        }
    }

    #[test]
    fn a_key_without_an_answer_may_be_there() {
        let zone = r#"{"mail._domainkey.example.org.": {"status": "TIMEOUT"}}"#;
        let mut options = options();
        options.selectors = vec![Selector::new("mail").unwrap()];
        let report = judge_with("arc", zone, &options, |_| None);
        assert_eq!(words(&report), ["no-answer"]);
        assert!(report.findings[0].about.starts_with("mail._domainkey"));
    }
}
