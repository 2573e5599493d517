//! BIMI (draft-brand-indicators-for-message-identification): the mark that mailboxes may show beside a sender.

use super::dmarc::{self, Policies};
use super::facts::Facts;
use super::finding::{CheckReport, Finding};
use super::text::{self, Texts};
use crate::dmarc::record::Policy;
use crate::dmarc::walk::walk;
use crate::dns::lookup::{DnsName, Pending};
use crate::name::Domain;
use crate::tag::TagList;

const NAME: &str = "bimi";

/// The selector where the message names none.
const SELECTOR: &str = "default._bimi";

pub(super) fn judge(facts: &Facts<'_>) -> Result<CheckReport, Pending> {
    let own = records_of(facts, &facts.options.domain);
    let policies = dmarc::in_force(facts);
    let walk = walk(facts, &facts.options.domain);
    let texts = match own? {
        Ok(texts) => texts,
        Err(finding) => return Ok(CheckReport::new(NAME, "", vec![*finding])),
    };
    let organization = walk?.organization().ok().map(|(domain, _)| domain);
    // Without a record of its own that of the organization holds.
    let texts = match (texts, organization) {
        (Some(texts), _) => Some(texts),
        (None, Some(above)) if above != facts.options.domain => {
            records_of(facts, &above)?.ok().flatten()
        }
        (None, _) => None,
    };
    let Some(texts) = texts else {
        let sentence = "there is no BIMI record; nobody has to have one";
        return Ok(CheckReport::new(NAME, sentence, Vec::new()));
    };
    let meant = texts.meant("v=bimi");
    let readings: Vec<Reading> = meant.iter().map(|text| Reading::of(text)).collect();
    let counting = meant
        .iter()
        .zip(&readings)
        .filter(|(_, reading)| reading.counts);
    let counting: Vec<_> = counting.collect();
    let mut findings = Vec::new();
    if counting.len() > 1 {
        findings.push(several(&texts, &counting));
    }
    let chosen = counting
        .first()
        .copied()
        .or_else(|| meant.iter().zip(&readings).next());
    let Some((text, reading)) = chosen else {
        let sentence = "there is no BIMI record; nobody has to have one";
        return Ok(CheckReport::new(NAME, sentence, Vec::new()));
    };
    if counting.len() <= 1 {
        findings.extend(reading.findings(&texts, text));
    }
    if reading.declines() && findings.is_empty() {
        let sentence = "the BIMI record says that there is no mark";
        return Ok(CheckReport::new(NAME, sentence, findings));
    }
    match policies? {
        Ok(policies) => findings.extend(weak(&texts.name, policies.as_ref())),
        Err(missing) => findings.push(dmarc::no_answer(&missing)),
    }
    let sentence = format!(
        "the mark is at {}",
        reading.location.as_deref().unwrap_or_default()
    );
    Ok(CheckReport::new(NAME, sentence, findings)
        .fact("record", text.escape_ascii().to_string())
        .fact("location", &reading.location)
        .fact("certificate", &reading.certificate))
}

/// The texts at the name of the default selector, where one of them is meant as such a record.
fn records_of(
    facts: &Facts<'_>,
    domain: &Domain,
) -> Result<Result<Option<Texts>, Box<Finding>>, Pending> {
    let Ok(name) = DnsName::from(domain).below(SELECTOR) else {
        return Ok(Ok(None));
    };
    let texts = text::at(facts, &name)?;
    Ok(texts.map(|texts| (!texts.meant("v=bimi").is_empty()).then_some(texts)))
}

fn several(texts: &Texts, counting: &[(&&[u8], &Reading)]) -> Finding {
    let best = counting.iter().position(|(_, reading)| reading.is_right());
    let others = counting
        .iter()
        .enumerate()
        .filter(|(at, _)| *at != best.unwrap_or(0));
    let others: Vec<&[u8]> = others.map(|(_, (text, _))| **text).collect();
    let finding = Finding::new(
        "bimi-several",
        &texts.name,
        format!(
            "{} BIMI records stand at {}, and so none counts",
            counting.len(),
            texts.name
        ),
        "leave one of them",
    );
    texts.replace(finding, &others, None)
}

/// The draft wants a policy that keeps strangers out, of the domain and of those below it: p= and sp= of quarantine or
/// reject, and pct=100 with quarantine.
fn weak(name: &DnsName, policies: Option<&Policies>) -> Option<Finding> {
    let why = match policies {
        None => "there is no DMARC policy".to_owned(),
        Some(policies) if policies.in_effect(policies.domain) == Policy::None => {
            "the DMARC policy is none".to_owned()
        }
        Some(policies) if policies.in_effect(policies.subdomains) == Policy::None => {
            "the DMARC policy for subdomains is none".to_owned()
        }
        Some(policies)
            if policies.share < 100
                && [policies.domain, policies.subdomains].contains(&Policy::Quarantine) =>
        {
            return Some(Finding::new(
                "bimi-dmarc-weak",
                name,
                format!(
                    "the DMARC record has pct={}, and a mark is shown only where a policy of quarantine is for all mail",
                    policies.share
                ),
                "take pct= out of the DMARC record when the reports show that all own mail passes",
            ));
        }
        Some(_) => return None,
    };
    Some(Finding::new(
        "bimi-dmarc-weak",
        name,
        format!(
            "{why}, and a mark is shown only where it is quarantine or reject, for subdomains too"
        ),
        "mend the DMARC record first, or take the BIMI record away until then",
    ))
}

/// A record, as far as it can be read.
struct Reading {
    /// Whether it begins as it must.
    counts: bool,
    /// l=
    location: Option<String>,
    /// a=
    certificate: Option<String>,
    /// The other tags.
    others: Vec<(String, String)>,
    fault: Option<String>,
}

/// More tags than such a record has.
const MAX_TAGS: usize = 20;

impl Reading {
    fn of(text: &[u8]) -> Reading {
        let clean = text::unpasted(text);
        let mut reading = Reading {
            counts: text.starts_with(b"v=BIMI1") && !text.contains(&b'"'),
            location: None,
            certificate: None,
            others: Vec::new(),
            fault: None,
        };
        if clean.as_bytes() != text {
            reading.fault("quotes, backslashes or blanks around it were pasted into it".to_owned());
        }
        let list = match TagList::parse(clean.as_bytes(), MAX_TAGS) {
            Ok(list) => list,
            Err(error) => {
                reading.fault(error.to_string());
                return reading;
            }
        };
        for (at, tag) in list.iter().enumerate() {
            let value = String::from_utf8_lossy(tag.value).into_owned();
            match tag.name {
                "v" if at == 0 && value == "BIMI1" => {}
                "v" => reading.fault("it does not begin with v=BIMI1".to_owned()),
                "l" => reading.location = Some(value),
                "a" => reading.certificate = Some(value),
                name => reading.others.push((name.to_owned(), value)),
            }
        }
        match &reading.location {
            None => reading.fault("it has no l=, which says where the mark is".to_owned()),
            Some(l) => {
                let uris = [Some(l), reading.certificate.as_ref()];
                let wrong = uris.into_iter().flatten().find(|uri| {
                    !uri.is_empty() && !is_under(uri, "https://") && !is_under(uri, "http://")
                });
                let fault = wrong.map(|uri| {
                    let uri = text::excerpt(uri);
                    format!("\"{uri}\" is no place under https")
                });
                if let Some(fault) = fault {
                    reading.fault(fault);
                }
            }
        }
        reading
    }

    fn fault(&mut self, fault: String) {
        self.fault.get_or_insert(fault);
    }

    /// l= and a= are there and empty, or a= is not there.
    fn declines(&self) -> bool {
        let empty = |uri: &Option<String>| uri.as_ref().is_none_or(String::is_empty);
        self.location.is_some() && empty(&self.location) && empty(&self.certificate)
    }

    fn uris(&self) -> impl Iterator<Item = &str> {
        let uris = [self.location.as_deref(), self.certificate.as_deref()];
        uris.into_iter().flatten()
    }

    fn is_right(&self) -> bool {
        let certified = self.certificate.as_ref().is_some_and(|uri| !uri.is_empty());
        self.fault.is_none() && certified && !self.uris().any(|uri| is_under(uri, "http://"))
    }

    /// The record as it should be; none where it is not known where the mark is.
    fn better(&self) -> Option<String> {
        let safe = |uri: &str| match is_under(uri, "http://") {
            true => format!("https://{}", &uri["http://".len()..]),
            false => uri.to_owned(),
        };
        let location = safe(self.location.as_deref()?);
        let mut record = format!("v=BIMI1; l={location}");
        if let Some(certificate) = &self.certificate {
            record.push_str(&format!("; a={}", safe(certificate)));
        }
        for (name, value) in &self.others {
            record.push_str(&format!("; {name}={value}"));
        }
        let right = Reading::of(record.as_bytes()).fault.is_none();
        right.then_some(record)
    }

    fn findings(&self, texts: &Texts, text: &[u8]) -> Vec<Finding> {
        let mut findings = Vec::new();
        let better = self.better();
        let mended = |finding: Finding| match &better {
            Some(better) => texts.replace(finding, &[text], better.clone()),
            None => finding,
        };
        if let Some(fault) = &self.fault {
            findings.push(mended(Finding::new(
                "bimi-syntax",
                &texts.name,
                format!("the BIMI record cannot be used: {fault}"),
                "write it as v=BIMI1; l=https://… (the mark as SVG); a=https://… (its certificate)",
            )));
            return findings;
        }
        if let Some(uri) = self.uris().find(|uri| is_under(uri, "http://")) {
            findings.push(mended(Finding::new(
                "bimi-not-https",
                &texts.name,
                format!(
                    "{} is not under https, and so nobody fetches it",
                    text::excerpt(uri)
                ),
                "offer it under https, and let the record say so",
            )));
        }
        if !self.declines() && self.certificate.as_ref().is_none_or(String::is_empty) {
            findings.push(Finding::new(
                "bimi-no-certificate",
                &texts.name,
                "the BIMI record names no certificate of the mark (a=): Gmail and Apple show no mark without one",
                "get a Verified Mark Certificate or a Common Mark Certificate, and name it in a=",
            ));
        }
        findings
    }
}

fn is_under(uri: &str, scheme: &str) -> bool {
    uri.get(..scheme.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{apply, judge, words};

    const POLICY: &str =
        "_dmarc.example.org. TXT \"v=DMARC1; p=reject; rua=mailto:a@example.org\"\n";

    #[test]
    fn a_record_names_the_mark_and_its_certificate() {
        for (record, expected, after) in [
            (
                "v=BIMI1; l=https://example.org/l.svg; a=https://example.org/c.pem",
                "",
                "",
            ),
            (
                "v=BIMI1;l=https://example.org/l.svg;a=https://example.org/c.pem;avp=brand;",
                "",
                "",
            ),
            ("v=BIMI1; l=; a=;", "", ""),
            ("something else", "", ""),
            (
                "v=BIMI1; l=https://example.org/l.svg",
                "bimi-no-certificate",
                "",
            ),
            ("v=BIMI1; a=https://example.org/c.pem", "bimi-syntax", ""),
            (
                "v=BIMI1; l=example.org/l.svg; a=https://example.org/c.pem",
                "bimi-syntax",
                "",
            ),
            ("v=BIMI1 l=https://example.org/l.svg", "bimi-syntax", ""),
            (
                "v=bimi1; l=https://example.org/l.svg; a=https://example.org/c.pem",
                "bimi-syntax",
                "v=BIMI1; l=https://example.org/l.svg; a=https://example.org/c.pem",
            ),
            (
                "v=BIMI1; l=http://example.org/l.svg; a=https://example.org/c.pem; avp=brand",
                "bimi-not-https",
                "v=BIMI1; l=https://example.org/l.svg; a=https://example.org/c.pem; avp=brand",
            ),
        ] {
            let zone = format!("{POLICY}default._bimi.example.org. TXT \"{record}\"");
            let report = judge("bimi", &zone);
            let expected: Vec<&str> = expected.split_terminator(' ').collect();
            assert_eq!(words(&report), expected, "{record}");
            if !after.is_empty() {
                assert_eq!(report.findings[0].publish[0].value, after);
                assert_eq!(words(&judge("bimi", &apply(&zone, &report))), [""; 0]);
            }
        }
        assert_eq!(words(&judge("bimi", "")), [""; 0]);
        let silent = r#"{"default._bimi.example.org.": {"status": "TIMEOUT"}}"#;
        assert_eq!(words(&judge("bimi", silent)), ["no-answer"]);
    }

    const RIGHT: &str = "default._bimi.example.org. TXT \"v=BIMI1; l=https://example.org/l.svg; a=https://example.org/c.pem\"";

    #[test]
    fn of_several_one_stays() {
        let zone = format!(
            "{POLICY}{RIGHT}\ndefault._bimi.example.org. TXT \"v=BIMI1; l=https://example.org/m.svg\""
        );
        let report = judge("bimi", &zone);
        assert_eq!(words(&report), ["bimi-several"]);
        assert_eq!(words(&judge("bimi", &apply(&zone, &report))), [""; 0]);
    }

    #[test]
    fn a_mark_wants_a_policy() {
        for (policy, expected) in [
            ("p=reject", ""),
            ("p=quarantine", ""),
            ("p=reject; t=y", ""),
            ("p=reject; np=none", ""),
            ("p=none", "bimi-dmarc-weak"),
            ("p=reject; sp=none", "bimi-dmarc-weak"),
            ("p=quarantine; t=y", "bimi-dmarc-weak"),
            ("p=nothing", "bimi-dmarc-weak"),
            ("p=quarantine; pct=50", "bimi-dmarc-weak"),
            ("p=reject; sp=quarantine; pct=99", "bimi-dmarc-weak"),
            ("p=reject; pct=99", ""),
            ("p=quarantine; pct=100", ""),
        ] {
            let zone = format!("_dmarc.example.org. TXT \"v=DMARC1; {policy}\"\n{RIGHT}");
            let expected: Vec<&str> = expected.split_terminator(' ').collect();
            assert_eq!(words(&judge("bimi", &zone)), expected, "{policy}");
        }
        assert_eq!(words(&judge("bimi", RIGHT)), ["bimi-dmarc-weak"]);
    }
}
