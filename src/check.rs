//! What is published against what should be: every finding with its severity, a stable word, a sentence,
//! and what mends it.
//!
//! The servers are asked elsewhere ([`dns::survey`](crate::dns::survey)); here their answers are judged.

mod servers;
mod words;

use crate::dns::survey::{Dnssec, Survey, Told};
use crate::key::weak::{Blocklist, Weakness, weaknesses};
use crate::record::lint::{Linted, PublicKey, RecordFault, Severity, lint};

pub use self::words::WORDS;

/// Something that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The stable word.
    pub word: &'static str,
    /// A sentence, in lower case and without a full stop.
    pub message: String,
    /// The record or the command that mends it.
    pub mend: Option<String>,
}

impl Finding {
    fn new(severity: Severity, word: &'static str, message: String, mend: String) -> Finding {
        debug_assert!(
            WORDS.iter().any(|row| row.0 == word),
            "{word} is not in the table"
        );
        Finding {
            severity,
            word,
            message,
            mend: (severity > Severity::Note).then_some(mend),
        }
    }
}

/// What a key is used for, and so what is right to be published.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Role {
    /// Mail is signed with it.
    #[default]
    Signs,
    /// It is to sign one day: that its record is not there yet is no error.
    Waits,
    /// It has signed: its record may be there or be withdrawn.
    HasSigned,
    /// It is withdrawn: nothing of it may be there.
    Withdrawn,
}

impl Role {
    /// Softens what is no error for such a key.
    fn weigh(self, findings: &mut [Finding]) {
        let absent: &[&str] = match self {
            Role::Waits => &["record-missing", "cname-to-nowhere", "key-revoked"],
            Role::HasSigned => &[
                "record-missing",
                "cname-to-nowhere",
                "key-revoked",
                "different-key",
            ],
            Role::Signs | Role::Withdrawn => &[],
        };
        for finding in findings {
            let is_absent = absent.contains(&finding.word);
            if is_absent && self == Role::Waits {
                finding.severity = Severity::Warning;
            } else if is_absent && self == Role::HasSigned {
                finding.severity = match finding.word {
                    "key-revoked" => Severity::Note,
                    _ => Severity::Warning,
                };
                finding.mend = (finding.word != "key-revoked")
                    .then(|| finding.mend.take())
                    .flatten();
            }
        }
    }
}

/// What should be published.
#[derive(Debug, Clone, Default)]
pub struct Wanted<'a> {
    /// The key with which mail is signed; `None` where it is not known.
    pub key: Option<PublicKey>,
    /// The record, word for word; made from the key where there is none.
    pub record: Option<String>,
    /// What the key is used for.
    pub role: Role,
    /// Fingerprints of keys that are known to be lost.
    pub blocklist: Option<&'a Blocklist>,
    /// The signing domain, for the commands that mend; `DOMAIN` stands there where it is not known.
    pub domain: Option<String>,
}

impl Wanted<'_> {
    /// "publish …", with the record that belongs at `name`: ours, or else the better form of what stands there.
    fn publish(&self, name: &str, seen: Option<&Linted>) -> String {
        let repaired = seen.and_then(|seen| seen.repaired.as_ref());
        let name = name.trim_end_matches('.');
        match self.record.as_ref().or(repaired) {
            Some(record) => format!("publish at {name} this TXT record alone: {record}"),
            None => format!("publish at {name} what `dkimkit record` prints for the key"),
        }
    }

    /// The command that puts another key in the place of this one.
    fn another_key(&self) -> String {
        let domain = self.domain.as_deref().unwrap_or("DOMAIN");
        format!("put another key in its place: dkimkit rotate {domain}")
    }
}

/// The findings of a survey, the worst first; a name whose record is right has none but notes.
///
/// ```no_run
/// use std::time::Duration;
/// use dkimkit::check::{Wanted, judge};
/// use dkimkit::dns::survey::Surveyor;
/// use dkimkit::name::{Domain, KeyName, Selector};
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let surveyor = Surveyor::new(vec!["192.0.2.53:53".parse()?], Duration::from_secs(5), None)?;
/// let name = KeyName::new(&Selector::new("mail")?, &Domain::new("example.com")?)?;
/// for finding in judge(&surveyor.survey(&name).await, &Wanted::default()) {
///     println!("{}: {}", finding.word, finding.message);
/// }
/// # Ok(())
/// # }
/// ```
pub fn judge(survey: &Survey, wanted: &Wanted<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let told = servers::judge(survey, wanted, &mut findings);
    if let Some((name, Told::Txt { txt, ttl })) = &told {
        let wildcard = survey.links.first().and_then(|link| link.wildcard.as_ref());
        let shadowed = wildcard.is_some_and(|wildcard| told_is(wildcard, txt, survey));
        records(txt, name, wanted, shadowed, &mut findings);
        if wanted.role != Role::Withdrawn {
            lifetime(*ttl, &mut findings);
        }
    }
    if survey.dnssec == Dnssec::Bogus {
        findings.push(Finding::new(
            Severity::Error,
            "dnssec-bogus",
            "the signatures of DNSSEC do not hold, so that validating resolvers give no answer at all"
                .to_owned(),
            "sign the zone anew, and compare the DS records of the parent with its keys; `delv` shows where the chain breaks"
                .to_owned(),
        ));
    }
    if findings.iter().any(|finding| finding.word == "no-answer") {
        // That the resolver does not answer is said with it.
        findings.retain(|finding| finding.word != "resolver-failed");
    }
    wanted.role.weigh(&mut findings);
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

/// Whether a wildcard says just what stands at the name.
fn told_is(wildcard: &Told, txt: &[Vec<u8>], survey: &Survey) -> bool {
    match wildcard {
        Told::Txt { .. } => wildcard.agrees(&Told::Txt {
            txt: txt.to_vec(),
            ttl: 0,
        }),
        Told::Alias { target, .. } => {
            let own = survey.links.first().and_then(|link| link.target());
            own == Some(target.as_str())
        }
        Told::NoData | Told::NoName => false,
    }
}

/// The findings about TXT records at one name, each with its strings joined, without asking anybody.
///
/// ```
/// use dkimkit::check::{Wanted, judge_records};
/// let records = [b"v=DKIM1; h=rsa-sha256; p=".to_vec()];
/// let findings = judge_records(&records, "mail._domainkey.example.com.", &Wanted::default());
/// assert_eq!(findings[0].word, "key-revoked");
/// ```
pub fn judge_records(txt: &[Vec<u8>], name: &str, wanted: &Wanted<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    records(txt, name, wanted, false, &mut findings);
    wanted.role.weigh(&mut findings);
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

fn records(
    txt: &[Vec<u8>],
    name: &str,
    wanted: &Wanted<'_>,
    wildcard: bool,
    findings: &mut Vec<Finding>,
) {
    let seen: Vec<Linted> = txt
        .iter()
        .map(|text| lint(text, wanted.key.as_ref()))
        .collect();
    if wanted.role == Role::Withdrawn {
        let ours = |seen: &Linted| match &wanted.key {
            Some(own) => seen.key.as_ref() == Some(own),
            None => seen.key.is_some(),
        };
        if seen.iter().any(ours) {
            findings.push(Finding::new(
                Severity::Warning,
                "key-still-published",
                "the key is withdrawn, but its record still offers it".to_owned(),
                wanted.publish(name, None),
            ));
        }
        return;
    }
    let is_key = |seen: &&Linted| seen.faults != [RecordFault::NotKeyRecord];
    let keys: Vec<&Linted> = seen.iter().filter(is_key).collect();
    // Where several stand, the one that is ours is looked at.
    let own = keys.iter().find(|seen| {
        let others = seen.faults.contains(&RecordFault::DifferentKey);
        wanted.key.is_some() && seen.key.is_some() && !others
    });
    let looked_at = own.or(keys.first()).copied();
    let publish = wanted.publish(name, looked_at);
    let mut find = |severity, word, message: String, mend: &str| {
        findings.push(Finding::new(severity, word, message, mend.to_owned()));
    };
    if wildcard {
        let right = looked_at
            .is_some_and(|seen| seen.key.is_some() && (own.is_some() || wanted.key.is_none()));
        let idle = matches!(wanted.role, Role::Waits | Role::HasSigned);
        if !right && idle {
            let message = format!(
                "there is no TXT record of its own at {}",
                name.trim_end_matches('.')
            );
            find(Severity::Error, "record-missing", message, &publish);
            return;
        }
        let severity = if right {
            Severity::Note
        } else {
            Severity::Error
        };
        find(
            severity,
            "wildcard-record",
            "what stands there is a wildcard record, which answers for every selector".to_owned(),
            &publish,
        );
        if !right {
            return;
        }
    }
    let Some(record) = looked_at else {
        let start = txt
            .first()
            .map(|text| text[..text.len().min(40)].escape_ascii().to_string());
        let start = start.unwrap_or_default();
        find(
            Severity::Error,
            "not-a-key-record",
            format!("what stands there is no DKIM key record; it begins \"{start}\""),
            &publish,
        );
        return;
    };
    if keys.len() > 1 {
        find(
            Severity::Error,
            "several-records",
            format!(
                "{} key records stand there, and each verifier takes another one (RFC 6376 section 3.6.2.2)",
                keys.len()
            ),
            &publish,
        );
    }
    if keys.len() < txt.len() {
        find(
            Severity::Warning,
            "other-records",
            "other TXT records stand beside the key record; some verifiers take the first they see"
                .to_owned(),
            &publish,
        );
    }
    one_record(record, wanted, &publish, findings);
}

fn one_record(record: &Linted, wanted: &Wanted<'_>, publish: &str, findings: &mut Vec<Finding>) {
    let weak = record.held.as_ref().map(|key| judge_key(key, wanted));
    let weak = weak.unwrap_or_default();
    for fault in &record.faults {
        let mend = if fault.needs_new_key() {
            wanted.another_key()
        } else if *fault == RecordFault::DifferentKey {
            format!("{publish}; or sign with the private key that belongs to the record")
        } else {
            publish.to_owned()
        };
        // What is known of the numbers says more than that they cannot be used.
        let says_less = matches!(fault, RecordFault::BadKey { .. }) && !weak.is_empty();
        if !says_less {
            findings.push(Finding::new(
                fault.severity(),
                fault.word(),
                fault.to_string(),
                mend,
            ));
        }
    }
    findings.extend(weak);
}

/// What is known against a key itself: its numbers, or that its private half is public.
///
/// ```
/// use dkimkit::check::{Wanted, judge_key};
/// use dkimkit::key::{KeyKind, SigningKey};
/// use dkimkit::record::lint::PublicKey;
/// let key = SigningKey::generate(KeyKind::Ed25519)?;
/// let public = PublicKey { key_type: key.algorithm().key_type(), bytes: key.public_bytes() };
/// assert_eq!(judge_key(&public, &Wanted::default()), []);
/// # Ok::<(), dkimkit::key::KeyError>(())
/// ```
pub fn judge_key(key: &PublicKey, wanted: &Wanted<'_>) -> Vec<Finding> {
    let found = weaknesses(key.key_type, &key.bytes, wanted.blocklist).unwrap_or_default();
    let finding = |weakness: Weakness| {
        let severity = match weakness.is_fatal() {
            true => Severity::Error,
            false => Severity::Warning,
        };
        let message = weakness.to_string();
        Finding::new(severity, weakness.word(), message, wanted.another_key())
    };
    found.into_iter().map(finding).collect()
}

/// Resolvers keep nothing longer than a day or so, but a day is long when a key must be withdrawn.
const LONG: u32 = 24 * 3600;
const SHORT: u32 = 60;

fn lifetime(ttl: u32, findings: &mut Vec<Finding>) {
    let (word, message) = match ttl {
        0..SHORT => (
            "ttl-short",
            format!(
                "the TTL is {ttl} seconds, so that nearly every message costs a lookup that may fail"
            ),
        ),
        SHORT..=LONG => return,
        _ => (
            "ttl-long",
            format!(
                "the TTL is {ttl} seconds; for so long nothing that is changed or withdrawn is seen"
            ),
        ),
    };
    let mend = "publish the record with a TTL of 3600 seconds".to_owned();
    findings.push(Finding::new(Severity::Warning, word, message, mend));
}
