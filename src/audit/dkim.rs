//! DKIM: the keys of the domain, each looked at as `check` looks at it.

use serde_json::{Value, json};

use super::facts::Facts;
use super::finding::{CheckReport, Finding, ResourceRecord};
use super::place::Place;
use super::selectors::{self, Candidate, Selectors};
use super::spf;
use crate::check;
use crate::dns::lookup::{DnsName, Pending};
use crate::dns::survey::Survey;
use crate::key::{RsaSizes, VerifyingKey};
use crate::record::lint::{PublicKey, Severity};

const NAME: &str = "dkim";

/// The words of `check` for a selector under which there is no key at all.
const NO_KEY: [&str; 5] = [
    "record-missing",
    "name-doubled",
    "cname-to-nowhere",
    "cname-loop",
    "zone-missing",
];

/// So many keys that were found by guessing are looked at: each has all name servers asked, wherever they are.
const MAX_GUESSED: usize = 24;

pub(super) fn judge(facts: &Facts<'_>) -> Result<CheckReport, Pending> {
    let mut selectors = selectors::find(facts)?;
    let all = selectors.list.len();
    let mut room = MAX_GUESSED;
    selectors.list.retain(|one| {
        let fits = one.known || room > 0;
        room -= usize::from(!one.known && fits);
        fits
    });
    let left_out = all - selectors.list.len();
    let surveys: Vec<_> = selectors
        .list
        .iter()
        .map(|one| facts.key(&one.name))
        .collect();
    let mut findings: Vec<Finding> = Vec::new();
    let mut shown = Vec::new();
    for (one, survey) in selectors.list.iter().zip(surveys) {
        let Some(survey) = survey? else {
            findings.push(no_time(one));
            continue;
        };
        let found = check::judge(&survey, &one.wanted);
        shown.push(fact(one, &found));
        for found in found.iter().filter(|found| found.severity > Severity::Note) {
            let finding = told(one, &survey, found);
            // What is wrong with the servers is wrong for every key.
            let known = |other: &Finding| other.sentence == finding.sentence;
            if !findings.iter().any(known) {
                findings.push(finding);
            }
        }
    }
    let usable = shown.iter().filter(|row| !row["bits"].is_null()).count();
    let idle = spf::nobody_sends(facts)?;
    if usable == 0 && !idle && !selectors.list.iter().any(|one| one.known) {
        findings.push(none_found(facts, &selectors));
    }
    let keys = if usable == 1 { "key is" } else { "keys are" };
    let sentence = match usable {
        0 if idle => "SPF says that nobody sends mail of the domain, and it has no key".to_owned(),
        _ if left_out > 0 => {
            format!(
                "{usable} {keys} published as it should be; of {left_out} others there was no room to look at"
            )
        }
        _ => format!("{usable} {keys} published as it should be"),
    };
    Ok(CheckReport::new(NAME, sentence, findings)
        .fact("keys", shown)
        .fact("guessed", selectors.guessed)
        .fact("left_out", left_out)
        .fact("wildcard", selectors.wildcard))
}

fn about(one: &Candidate) -> &str {
    one.name.as_str().trim_end_matches('.')
}

fn no_time(one: &Candidate) -> Finding {
    let name = about(one);
    Finding::new(
        "no-answer",
        format!("{name} TXT"),
        format!("the name servers could not all be asked about {name} in time"),
        format!("run the audit again with a longer --budget, or `dkimkit check` for {name} alone"),
    )
}

fn fact(one: &Candidate, found: &[check::Finding]) -> Value {
    let key = one.records.iter().find_map(|(_, seen)| seen.key.as_ref());
    let words: Vec<Value> = found
        .iter()
        .map(|found| json!({"word": found.word, "severity": found.severity.as_str(), "message": found.message}))
        .collect();
    json!({
        "selector": one.selector.as_str(),
        "name": about(one),
        "known": one.known,
        "chooser": one.chooser,
        "type": key.map(|key| key.key_type.as_str()),
        "bits": key.and_then(bits),
        "check": words,
    })
}

/// The size of a key; none where it is no key.
pub(super) fn bits(key: &PublicKey) -> Option<usize> {
    let any = RsaSizes {
        min: 1,
        max: 16_384,
    };
    let key = VerifyingKey::parse(key.key_type, &key.bytes, any).ok()?;
    Some(key.bits())
}

/// A finding of `check` as one of ours.
fn told(one: &Candidate, survey: &Survey, found: &check::Finding) -> Finding {
    let word = match found.severity {
        _ if found.word == "no-answer" => "no-answer",
        Severity::Error if NO_KEY.contains(&found.word) => "dkim-no-key",
        Severity::Error => "dkim-record-wrong",
        Severity::Warning | Severity::Note => "dkim-record-doubtful",
    };
    let about = match word {
        "no-answer" => format!("{} TXT", about(one)),
        _ => about(one).to_owned(),
    };
    let mend = found.mend.clone().unwrap_or_default();
    let record = record_of(one, &mend);
    let mut finding = Finding::new(word, about, found.message.clone(), mend);
    finding.check_word = Some(found.word);
    let Some(record) = record else { return finding };
    // The servers know best what stands there, and may differ; a wildcard stands elsewhere, and where its CNAME leads to.
    let name = one.place.name();
    let led = matches!(one.place, Place::Instead(_));
    if !led && DnsName::new(survey.record_name().as_bytes()).as_ref() != Ok(name) {
        return finding;
    }
    let mut texts: Vec<&[u8]> = Vec::new();
    for text in survey.texts().filter(|_| !led) {
        if !survey.is_wildcard(text) && !texts.contains(&text) {
            texts.push(text);
        }
    }
    let there = texts.contains(&record.as_bytes());
    let others = texts.iter().filter(|text| **text != record.as_bytes());
    let others: Result<Vec<&str>, _> = others.map(|text| std::str::from_utf8(text)).collect();
    let Ok(others) = others else { return finding };
    let at = |text: &str| ResourceRecord::new(name, "TXT", text);
    let new = (!there).then(|| at(&record));
    one.place.mend(finding, others.into_iter().map(at), new)
}

/// The record that a mend names, if it names one.
fn record_of(one: &Candidate, mend: &str) -> Option<String> {
    let repaired = one
        .records
        .iter()
        .filter_map(|(_, seen)| seen.repaired.clone());
    let records = one.wanted.record.clone().into_iter().chain(repaired);
    records
        .into_iter()
        .find(|record| mend.contains(record.as_str()))
}

fn none_found(facts: &Facts<'_>, selectors: &Selectors) -> Finding {
    let domain = facts.domain();
    if let Some(finding) = selectors.no_answer(facts) {
        return finding;
    }
    let wildcard = match selectors.wildcard {
        true => ", and a wildcard record hides which are there",
        false => "",
    };
    Finding::new(
        "dkim-none-found",
        &domain,
        format!(
            "no key stands under the {} names of selectors that are often chosen{wildcard}",
            selectors.guessed
        ),
        format!(
            "name the selector with --selector: it is s= of a DKIM-Signature field in mail of {domain}. Where mail is not signed yet, make a key with `dkimkit generate -d {domain}` and publish its record"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::super::testing::{judge, judge_with, mended, options, words};
    use super::*;
    use crate::check::Wanted;
    use crate::key::{KeyKind, SigningKey, encode_base64};
    use crate::name::Selector;
    use crate::record::KeyRecord;

    fn key() -> PublicKey {
        PublicKey::of(&SigningKey::generate(KeyKind::Ed25519).unwrap())
    }

    fn record(key: &PublicKey) -> String {
        KeyRecord::new(key.key_type, key.bytes.clone()).to_string()
    }

    #[test]
    fn keys_under_names_that_are_often_chosen_are_found() {
        let zone = format!("mail._domainkey.example.org. TXT \"{}\"", record(&key()));
        let report = judge("dkim", &zone);
        assert_eq!(words(&report), [""; 0]);
        let keys = report.facts["keys"].as_array().unwrap();
        assert_eq!(keys.len(), 1);
        assert_eq!(keys[0]["selector"], "mail");
        assert_eq!(keys[0]["type"], "ed25519");
        assert_eq!(words(&judge("dkim", "")), ["dkim-none-found"]);
        // Who once signed with it may have withdrawn it.
        let revoked = "mail._domainkey.example.org. TXT \"v=DKIM1; p=\"";
        assert_eq!(words(&judge("dkim", revoked)), ["dkim-none-found"]);
        let parked = "example.org. TXT \"v=spf1 -all\"";
        assert_eq!(words(&judge("dkim", parked)), [""; 0]);
        let other = "mail._domainkey.example.org. TXT \"v=spf1 -all\"";
        assert_eq!(words(&judge("dkim", other)), ["dkim-none-found"]);
    }

    #[test]
    fn of_many_guesses_that_are_right_some_are_looked_at_and_all_that_are_known() {
        let record = record(&key());
        let every = |selector: &str| format!("{selector}._domainkey.example.org. TXT \"{record}\"");
        let mut options = options();
        options.selectors.push(Selector::new("own").unwrap());
        let chosen = selectors::names().map(|(_, name)| name);
        let zone: Vec<String> = chosen.take(40).chain(["own"]).map(every).collect();
        let report = judge_with("dkim", &zone.join("\n"), &options, |_| None);
        assert_eq!(
            report.facts["keys"].as_array().unwrap().len(),
            MAX_GUESSED + 1
        );
        assert_eq!(report.facts["left_out"], 40 - MAX_GUESSED);
        assert!(report.sentence.contains("16 others"), "{}", report.sentence);
    }

    #[test]
    fn what_check_finds_is_told_with_its_word_and_its_mend() {
        let p = encode_base64(&key().bytes);
        for (text, word, of_check) in [
            (
                format!("v=DKIM1\\\\; k=ed25519\\\\; p={p}"),
                "dkim-record-wrong",
                "backslash-in-record",
            ),
            (
                format!("v=DKIM1; k=ed25519; t=y; p={p}"),
                "dkim-record-doubtful",
                "testing-flag",
            ),
            (
                format!("v=DKIM1; k=ed25519; h=sha1; p={p}"),
                "dkim-record-wrong",
                "hash-unusable",
            ),
        ] {
            let zone = format!("mail._domainkey.example.org. TXT \"{text}\"");
            let report = judge("dkim", &zone);
            assert_eq!(words(&report), [word], "{text}");
            assert_eq!(report.findings[0].check_word, Some(of_check));
            assert_eq!(words(&mended("dkim", &zone)), [""; 0], "{text}");
        }
    }

    #[test]
    fn a_key_in_the_zone_of_somebody_else_is_mended_there() {
        let p = encode_base64(&key().bytes);
        let zone = format!(
            "mail._domainkey.example.org. CNAME key.example.net.\nkey.example.net. TXT \"v=DKIM1; k=ed25519; t=y; p={p}\""
        );
        for (zone, own) in [
            (zone.clone(), false),
            (zone.replace("example.net", "example.org"), true),
        ] {
            let report = judge("dkim", &zone);
            assert_eq!(words(&report), ["dkim-record-doubtful"]);
            let finding = &report.findings[0];
            assert_eq!(finding.publish.len(), usize::from(own));
            assert_eq!(finding.remove.len(), usize::from(own));
            assert_eq!(finding.mend.contains("a CNAME to"), !own);
        }
    }

    #[test]
    fn a_selector_that_is_in_use_must_have_its_key() {
        let mut options = options();
        options.selectors = vec![Selector::new("gone").unwrap()];
        let nothing = |_: &_| None;
        let report = judge_with("dkim", "", &options, nothing);
        assert_eq!(words(&report), ["dkim-no-key"]);
        assert_eq!(report.findings[0].check_word, Some("record-missing"));

        let own = key();
        let wanted = Wanted {
            record: Some(record(&own)),
            key: Some(own.clone()),
            ..Wanted::default()
        };
        options.selectors.clear();
        options.keys = vec![(Selector::new("own").unwrap(), wanted)];
        let right = format!("own._domainkey.example.org. TXT \"{}\"", record(&own));
        let other = format!("own._domainkey.example.org. TXT \"{}\"", record(&key()));
        assert_eq!(
            words(&judge_with("dkim", &right, &options, nothing)),
            [""; 0]
        );
        let report = judge_with("dkim", &other, &options, nothing);
        assert_eq!(words(&report), ["dkim-record-wrong"]);
        assert_eq!(report.findings[0].check_word, Some("different-key"));
        assert_eq!(report.findings[0].publish[0].value, record(&own));
        assert_eq!(report.findings[0].remove.len(), 1);
    }

    #[test]
    fn silence_is_not_absence() {
        let zone = r#"{"example.org.": {"status": "TIMEOUT"}}"#;
        assert_eq!(words(&judge("dkim", zone)), ["dkim-none-found"]);
        let names = selectors::names().map(|(_, name)| {
            format!("\"{name}._domainkey.example.org.\": {{\"status\": \"TIMEOUT\"}}")
        });
        let silent = format!("{{{}}}", names.collect::<Vec<_>>().join(","));
        assert_eq!(words(&judge("dkim", &silent)), ["no-answer"]);
    }
}
