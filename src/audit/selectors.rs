//! The keys of the domain: those that are known, and those that stand under names that are often chosen.

use super::facts::Facts;
use super::finding::Finding;
use super::place::{self, Place};
use crate::check::{Role, Wanted};
use crate::dns::Cause;
use crate::dns::lookup::{Ask as _, DnsName, Pending, RecordType};
use crate::dns::survey::NO_SELECTOR;
use crate::name::{KeyName, Selector};
use crate::record::lint::{Linted, RecordFault, lint};

/// Names that are often chosen, with blanks between them, by who chooses them. Those that hold a token of each customer, as with Amazon SES, or
/// a date, cannot be guessed.
const OFTEN_CHOSEN: [(&str, &str); 51] = [
    (
        "nobody in particular",
        "default dkim dkim1 dkim2 mail mail1 mail2 email smtp smtp1 mx mx1 mta key key1 key2 key3 selector s s3 sel1 sel2 sig rsa ed25519 dkim-rsa dkim-ed25519 main primary server server1 postfix x k d test",
    ),
    ("Google", "google 20161025 20210112 20221208 20230601"),
    ("Microsoft 365", "selector1 selector2"),
    ("Yahoo", "s1024 s2048 a2048"),
    ("Apple iCloud", "sig1"),
    ("SendGrid", "s1 s2 m1 smtpapi"),
    ("Mailchimp", "k1 k2 k3"),
    ("Mandrill", "mandrill mte1 mte2"),
    ("Mailgun", "mg mailo pic pdk1 pdk2"),
    ("Fastmail", "fm1 fm2 fm3 mesmtp"),
    ("Proton", "protonmail protonmail2 protonmail3"),
    ("Zoho", "zoho zmail zohomail"),
    ("Amazon SES", "amazonses"),
    ("Mailjet", "mailjet"),
    ("Postmark", "pm"),
    ("Brevo", "brevo1 brevo2"),
    ("HubSpot", "hs1 hs2"),
    ("Klaviyo", "kl kl2"),
    ("Constant Contact", "ctct1 ctct2"),
    ("Campaign Monitor", "cm"),
    ("ActiveCampaign", "dk acdkim1 acdkim2"),
    ("MailerLite", "litesrv ml"),
    ("MailerSend", "mlsend mlsend2"),
    ("Zendesk", "zendesk1 zendesk2"),
    ("Freshworks", "fd fd2"),
    ("Intercom", "intercom"),
    ("Help Scout", "strong1 strong2"),
    ("Mimecast", "mimecast"),
    ("Proofpoint", "proofpoint"),
    ("Everlytic", "everlytickey1 everlytickey2"),
    ("MXvault", "mxvault"),
    ("Emma", "e2ma-k1 e2ma-k2 e2ma-k3"),
    ("Blackbaud", "sm"),
    ("Kit", "cka cka2"),
    ("Resend", "resend"),
    ("Elastic Email", "api"),
    ("turboSMTP", "turbo-smtp"),
    ("SparkPost", "sparkpost"),
    ("Marketo", "mkto"),
    ("Cloudflare", "cf2024-1"),
    ("Gandi", "gm1 gm2 gm3"),
    ("IONOS", "s1-ionos s2-ionos"),
    ("Strato", "strato-dkim-0002 strato-dkim-0003"),
    (
        "Hostinger",
        "hostingermail1 hostingermail2 hostingermail-a hostingermail-b hostingermail-c",
    ),
    ("Titan", "titan1 titan2"),
    ("Namecheap", "privateemail"),
    ("mailbox.org", "mbo0001 mbo0002 mbo0003 mbo0004"),
    ("TransIP", "transip-a transip-b transip-c"),
    ("simply.com", "simplycom1 simplycom2"),
    ("one.com", "rsa1 rsa2 ed1 ed2"),
    ("Mail.ru", "mailru"),
];

/// A selector that may have a key.
pub(super) struct Candidate {
    pub(super) selector: Selector,
    pub(super) name: KeyName,
    /// Where the records are changed.
    pub(super) place: Place,
    /// Whether it is in use, and not only a guess that was right.
    pub(super) known: bool,
    /// Who chooses such names, where it is a guess.
    pub(super) chooser: Option<&'static str>,
    pub(super) wanted: Wanted<'static>,
    /// The TXT records at the name, as the resolver tells them; each looked over.
    pub(super) records: Records,
    /// Why there is no answer.
    pub(super) failure: Option<Cause>,
}

/// Texts, and what was seen in each.
type Records = Vec<(Vec<u8>, Linted)>;

/// The selectors of the domain.
pub(super) struct Selectors {
    /// Those that are known, and the guesses under which there is a key.
    pub(super) list: Vec<Candidate>,
    /// How many names were guessed.
    pub(super) guessed: usize,
    /// Whether the guesses got no answer.
    pub(super) silent: bool,
    /// Whether a wildcard answers for all names.
    pub(super) wildcard: bool,
}

/// Looks for them. Only the questions whether there is a TXT record are asked here.
pub(super) fn find(facts: &Facts<'_>) -> Result<Selectors, Pending> {
    let mut list = known(facts);
    let mut guesses = Vec::new();
    let domain = &facts.options.domain;
    for (chooser, name) in names() {
        let Ok(selector) = Selector::new(name) else {
            continue;
        };
        // Nobody says that it is in use: it may as well be withdrawn.
        let wanted = Wanted {
            role: Role::HasSigned,
            domain: Some(domain.as_str().to_owned()),
            ..Wanted::default()
        };
        if !list.iter().any(|other| other.selector == selector)
            && let Some(guess) = Candidate::new(facts, &selector, wanted)
        {
            guesses.push(Candidate {
                known: false,
                chooser: Some(chooser),
                ..guess
            });
        }
    }
    // All are asked for before the first that waits ends it.
    let nobody = Selector::new(NO_SELECTOR).and_then(|selector| KeyName::new(&selector, domain));
    let wild = nobody.map(|name| records(facts, &DnsName::from(&name)));
    let of = |one: &Candidate| records(facts, &DnsName::from(&one.name));
    let of_known: Vec<_> = list.iter().map(of).collect();
    let found: Vec<_> = guesses.iter().map(of).collect();
    let wild = match wild {
        Ok(wild) => wild?.map_or_else(|_| Vec::new(), |(_, records)| records),
        Err(_) => Vec::new(),
    };
    for (one, found) in list.iter_mut().zip(of_known) {
        match found? {
            Ok((place, records)) => (one.place, one.records) = (place, records),
            Err(cause) => one.failure = Some(cause),
        }
    }
    let guessed = guesses.len();
    let mut silent = guessed > 0;
    for (mut guess, found) in guesses.into_iter().zip(found) {
        let Ok((place, records)) = found? else {
            continue;
        };
        silent = false;
        let is_key = |(_, seen): &(Vec<u8>, Linted)| seen.faults != [RecordFault::NotKeyRecord];
        if records != wild && records.iter().any(is_key) {
            (guess.place, guess.records) = (place, records);
            list.push(guess);
        }
    }
    Ok(Selectors {
        list,
        guessed,
        silent,
        wildcard: !wild.is_empty(),
    })
}

impl Selectors {
    /// What is to be said where no question for a key got an answer.
    pub(super) fn no_answer(&self, facts: &Facts<'_>) -> Option<Finding> {
        let domain = facts.domain();
        self.silent.then(|| {
            Finding::new(
                "no-answer",
                format!("_domainkey.{domain} TXT"),
                format!("no question for a key of {domain} got an answer"),
                "run the audit again, with a longer --timeout or --budget, or ask another resolver with --nameserver",
            )
        })
    }
}

/// Those of the options.
fn known(facts: &Facts<'_>) -> Vec<Candidate> {
    let options = facts.options;
    let mut list: Vec<Candidate> = Vec::new();
    let stored = options
        .keys
        .iter()
        .map(|(selector, wanted)| (selector, wanted.clone()));
    let named = options.selectors.iter().map(|selector| {
        let wanted = Wanted {
            domain: Some(options.domain.as_str().to_owned()),
            ..Wanted::default()
        };
        (selector, wanted)
    });
    for (selector, wanted) in stored.chain(named) {
        if !list.iter().any(|other| other.selector == *selector) {
            list.extend(Candidate::new(facts, selector, wanted));
        }
    }
    list
}

impl Candidate {
    /// One that is in use; none where its name is too long to be asked for.
    fn new(facts: &Facts<'_>, selector: &Selector, wanted: Wanted<'static>) -> Option<Candidate> {
        let name = KeyName::new(selector, &facts.options.domain).ok()?;
        Some(Candidate {
            selector: selector.clone(),
            place: Place::At(DnsName::from(&name)),
            name,
            known: true,
            chooser: None,
            wanted,
            records: Vec::new(),
            failure: None,
        })
    }
}

/// The names that are tried, with who chooses them.
pub(super) fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    let rows = OFTEN_CHOSEN.iter();
    rows.flat_map(|(chooser, names)| names.split(' ').map(move |name| (*chooser, name)))
}

/// The TXT records at a name, and where they are changed; or why there is no answer.
fn records(facts: &Facts<'_>, name: &DnsName) -> Result<Result<(Place, Records), Cause>, Pending> {
    let found = facts.look(name, RecordType::Txt)?;
    if let Some(cause) = found.failure() {
        return Ok(Err(cause));
    }
    let read = |text: &[u8]| (text.to_vec(), lint(text, None));
    let place = place::of(facts, name, RecordType::Txt, &found.aliases)?;
    Ok(Ok((place, found.texts().map(read).collect())))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_name_is_a_selector_and_is_tried_once() {
        let names: Vec<&str> = names().map(|(_, name)| name).collect();
        assert!(names.iter().all(|name| Selector::new(name).is_ok()));
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
    }
}
