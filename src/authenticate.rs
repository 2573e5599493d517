//! A received message as a receiver judges it: SPF, DKIM, ARC and DMARC together.
//!
//! DKIM and ARC are judged by their verifiers, over one pass of the body; what is left, and needs answers of DNS of
//! other types, is [`judge`].

mod origin;
mod received;

use serde::Serialize;

use crate::dmarc::{self, Author, DkimIdentity, Input, Nameless, SpfIdentity, SpfScope, SpfWord};
use crate::dns::lookup::{Ask, Pending};
use crate::name::Domain;
use crate::report::{ResultWord, Verdict};
use crate::spf::{self, SpfResult};

pub use self::origin::{Given, Origin};
pub use self::received::{Client, Obscurity, Received};

/// Of so many signers the walks may be foreseen, one after the other, as it turns out that others have no key.
pub const MAX_FORESEEN: usize = 64;

/// What one judgement asks of DNS at most: both checks of SPF, and the tree walks of DMARC for the
/// author and for other domains, those foreseen, those announced and those that are judged, and whether the author
/// domain exists.
pub const MAX_QUESTIONS: usize =
    2 * spf::MAX_QUESTIONS + dmarc::walk::MAX_QUERIES * (MAX_FORESEEN + 3 * dmarc::MAX_WALKS) + 2;

/// What SPF and DMARC say of a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Judged {
    /// SPF of HELO and of MAIL FROM; none where the client is not known.
    pub spf: Option<spf::Both>,
    /// DMARC, with what counts for it and what not.
    pub dmarc: dmarc::Outcome,
}

/// Judges a message by its client, its author, and what became of its DKIM signatures.
///
/// ```
/// use dkimkit::authenticate::judge;
/// use dkimkit::author::Authors;
/// use dkimkit::dmarc::{Author, DmarcResult};
/// use dkimkit::dns::Zone;
/// use dkimkit::message::{Header, HeaderLimits};
/// use dkimkit::spf::Query;
/// let dns = Zone::parse(
///     "example.com. TXT \"v=spf1 ip4:192.0.2.1 -all\"\n_dmarc.example.com. TXT \"v=DMARC1; p=reject\"",
/// )?;
/// let header = Header::parse(b"From: a@example.com\r\n", HeaderLimits::default())?;
/// let author = Author::of(&Authors::of(&header));
/// let client = Query::new("192.0.2.1".parse()?, "mx.example.com", "a@example.com");
/// let judged = judge(&dns, Some(&client), &author, &[]).unwrap();
/// assert_eq!(judged.dmarc.result, DmarcResult::Pass);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Pending`] while an answer is missing.
pub fn judge(
    dns: &dyn Ask,
    client: Option<&spf::Query>,
    author: &Author,
    verdicts: &[Verdict],
) -> Result<Judged, Pending> {
    let mut input = Input {
        dkim: verdicts.iter().filter_map(DkimIdentity::of).collect(),
        thorough: true,
        ..Input::new(author.clone())
    };
    let passing = input.dkim.iter();
    let passing = passing.filter(|passing| passing.result == ResultWord::Pass);
    let signers = passing.map(|passing| &passing.domain);
    // Who waits for the walks asks again.
    let (spf, _) = ask_in_turn(dns, client, author, signers);
    let spf = spf?;
    if let Some((both, query)) = spf.as_ref().zip(client) {
        vouch(&mut input, both, query);
    }
    let dmarc = dmarc::evaluate(dns, &input)?;
    Ok(Judged { spf, dmarc })
}

/// Asks for what [`judge`] will most likely ask for, before it is known which signatures pass: those of `signers`
/// may. Whoever looks up the keys of a message looks this up beside them, since its sender chose how slowly they come. Only
/// the first signers are looked at: call it again without those that turn out to have no key, and with those first that have
/// one. Of all its calls, [`MAX_FORESEEN`] signers have room in [`MAX_QUESTIONS`].
///
/// ```
/// use dkimkit::authenticate::foresee;
/// use dkimkit::dmarc::Author;
/// use dkimkit::dns::lookup::{Known, Pending};
/// use dkimkit::name::Domain;
/// let author = Author::One(Domain::new("example.com")?);
/// let known = Known::new(100);
/// assert_eq!(foresee(&known, None, &author, &[Domain::new("mail.example.com")?]), Err(Pending));
/// assert_eq!(known.wanted()[0].to_string(), "_dmarc.example.com TXT");
/// # Ok::<(), dkimkit::name::NameError>(())
/// ```
///
/// # Errors
/// [`Pending`] while an answer is missing.
pub fn foresee(
    dns: &dyn Ask,
    client: Option<&spf::Query>,
    author: &Author,
    signers: &[Domain],
) -> Result<(), Pending> {
    let (spf, walks) = ask_in_turn(dns, client, author, signers.iter());
    spf?;
    walks
}

/// SPF, and what DMARC needs beside it: whoever sends the message chooses how slowly SPF goes, and must not take the time of
/// the rest. So what counts most is asked for first: the policy of the author; SPF of MAIL FROM, where that may be aligned; the
/// walks of others; SPF of a stranger, which may ask for some twenty names at a time; and last SPF of HELO, on which DMARC
/// does not depend.
fn ask_in_turn<'a>(
    dns: &dyn Ask,
    client: Option<&spf::Query>,
    author: &Author,
    signers: impl Iterator<Item = &'a Domain>,
) -> (Result<Option<spf::Both>, Pending>, Result<(), Pending>) {
    let author = match author {
        Author::One(author) => Some(author),
        _ => None,
    };
    let own = author.map(|author| {
        let walk = dmarc::walk::walk(dns, author);
        (author, walk, dmarc::walk::existence(dns, author).map(drop))
    });
    let sender = client.and_then(sender_of);
    let organization = own.as_ref().and_then(|(_, walk, _)| {
        let walk = walk.as_ref().ok()?;
        Some(walk.organization().ok()?.0)
    });
    // While it is not known whose the author's domain is, the walk alone is before this.
    let sender_is_stranger = organization
        .zip(sender.as_ref())
        .is_some_and(|(organization, sender)| !is_of(sender, &organization));
    let of_mail_from = || client.map(|query| spf::evaluate(dns, query));
    let first = (!sender_is_stranger).then(of_mail_from);
    let walks = own.map_or(Ok(()), |(author, walk, existence)| {
        let others = sender.into_iter().chain(signers.cloned());
        walk_others(dns, author, walk, others).and(existence)
    });
    let mail_from = first.unwrap_or_else(of_mail_from);
    let has_helo = |query: &&spf::Query| !query.helo.is_empty();
    let helo = client.filter(has_helo);
    let helo = helo.map(|query| spf::evaluate_helo(dns, query));
    let both = || {
        let helo = helo.transpose()?;
        let mail_from = mail_from.transpose()?;
        Ok(mail_from.map(|mail_from| spf::Both { helo, mail_from }))
    };
    (both(), walks)
}

/// Of those who may vouch for the message only those are looked at that may be aligned: an organizational domain is the
/// domain itself or stands above it (RFC 9989 §4.10.2), and what strangers sign besides must not take a turn.
fn walk_others(
    dns: &dyn Ask,
    author: &Domain,
    walk: Result<dmarc::walk::Walk, Pending>,
    others: impl Iterator<Item = Domain>,
) -> Result<(), Pending> {
    let Ok((organization, _)) = walk?.organization() else {
        return Ok(());
    };
    let mut done = Ok(());
    let mut walked: Vec<Domain> = vec![author.clone()];
    for domain in others.filter(|domain| is_of(domain, &organization)) {
        if walked.len() == dmarc::MAX_WALKS {
            break;
        }
        if !walked.contains(&domain) {
            done = done.and(dmarc::walk::walk(dns, &domain).map(drop));
            walked.push(domain);
        }
    }
    done
}

/// Whether a domain is its organizational domain's, as far as names tell.
fn is_of(domain: &Domain, organization: &Domain) -> bool {
    domain == organization || domain.is_below(organization)
}

/// The domain that SPF may vouch for (RFC 9989 §4.4.2, RFC 7208 §2.4).
fn sender_of(query: &spf::Query) -> Option<Domain> {
    let domain = match query.mail_from.rsplit(|byte| *byte == b'@').next()? {
        [] => &query.helo,
        domain => domain,
    };
    Domain::new(std::str::from_utf8(domain).ok()?).ok()
}

/// Adds what SPF vouches for: the domain of MAIL FROM, which HELO stands for where it is empty (RFC 7208 §2.4).
fn vouch(input: &mut Input, both: &spf::Both, query: &spf::Query) {
    let outcome = &both.mail_from;
    let result = word(outcome.result);
    let scope = match query.mail_from.is_empty() {
        true => SpfScope::EmptyMailFrom,
        false => SpfScope::MailFrom,
    };
    match Domain::new(&outcome.domain) {
        Ok(domain) => {
            input.spf = Some(SpfIdentity {
                scope,
                domain,
                result,
            });
        }
        Err(_) => {
            let text = outcome.domain.clone();
            input.nameless = Some(Nameless { text, result });
        }
    }
}

/// The word of DMARC for a result of SPF.
fn word(result: SpfResult) -> SpfWord {
    match result {
        SpfResult::None => SpfWord::None,
        SpfResult::Neutral => SpfWord::Neutral,
        SpfResult::Pass => SpfWord::Pass,
        SpfResult::Fail => SpfWord::Fail,
        SpfResult::SoftFail => SpfWord::SoftFail,
        SpfResult::TempError => SpfWord::TempError,
        SpfResult::PermError => SpfWord::PermError,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Zone;
    use crate::dns::lookup::{DnsName, Known, Question, RecordType};
    use crate::spf::Query;

    #[test]
    fn what_dmarc_needs_is_asked_beside_spf() {
        let author = Author::One(Domain::new("new.bank.example").unwrap());
        let client = Query::new("8.8.8.66".parse().unwrap(), "h.example", "a@slow.example");
        let known = Known::new(MAX_QUESTIONS);
        assert_eq!(judge(&known, Some(&client), &author, &[]), Err(Pending));
        let name = |text: &str| DnsName::new(text.as_bytes()).unwrap();
        for (text, kind) in [
            ("slow.example", RecordType::Txt),
            ("_dmarc.bank.example", RecordType::Txt),
            ("new.bank.example", RecordType::A),
        ] {
            let question = Question::new(name(text), kind);
            assert!(known.wanted().contains(&question), "{question}");
        }
    }

    /// The names under evil.example have no answers; those that are open in the end, in their order.
    fn open_questions(sender: &str) -> Vec<String> {
        let domain = |name: &str| Domain::new(name).unwrap();
        let author = Author::One(domain("mail.bank.example"));
        let client = Query::new("8.8.8.66".parse().unwrap(), "h.evil.example", sender);
        let signers = [domain("slow.evil.example"), domain("out.bank.example")];
        let zone = Zone::parse("_dmarc.bank.example. TXT \"v=DMARC1; p=reject\"").unwrap();
        let mut known = Known::new(MAX_QUESTIONS);
        loop {
            known.start_over();
            assert_eq!(
                foresee(&known, Some(&client), &author, &signers),
                Err(Pending)
            );
            let open = known.wanted();
            let walk = |question: &Question| {
                let name = question.name.to_string();
                ["example", "bank.example", "mail.bank.example"]
                    .iter()
                    .any(|end| name == *end || name == format!("_dmarc.{end}"))
            };
            let Some(question) = open.iter().find(|one| walk(one)) else {
                return open.iter().map(ToString::to_string).collect();
            };
            known.tell(question.clone(), zone.answer(question));
        }
    }

    #[test]
    fn spf_of_a_stranger_waits_for_those_who_may_be_aligned() {
        let place = |open: &[String], name: &str| {
            let found = open.iter().position(|one| one.starts_with(name));
            found.unwrap_or_else(|| panic!("{name}: {open:?}"))
        };
        let open = open_questions("x@mf.evil.example");
        assert!(place(&open, "_dmarc.out.bank.example") < place(&open, "mf.evil.example"));
        assert!(place(&open, "mf.evil.example") < place(&open, "h.evil.example"));
        let open = open_questions("x@mf.bank.example");
        assert!(place(&open, "mf.bank.example") < place(&open, "_dmarc.out.bank.example"));
    }

    #[test]
    fn strangers_that_signed_do_not_delay_the_authors_organization() {
        let domain = |name: &str| Domain::new(name).unwrap();
        let author = Author::One(domain("new.bank.example"));
        let strangers = (0..30).map(|at| domain(&format!("s{at}.example")));
        let signers: Vec<Domain> = strangers.chain([domain("mail.bank.example")]).collect();
        let zone = Zone::parse("_dmarc.bank.example. TXT \"v=DMARC1; p=reject\"").unwrap();
        let mut known = Known::new(MAX_QUESTIONS);
        let mut rounds = Vec::new();
        let client = Query::new("8.8.8.66".parse().unwrap(), "", "a@out.bank.example");
        while foresee(&known, Some(&client), &author, &signers) == Err(Pending) {
            let wanted = known.wanted();
            for question in &wanted {
                known.tell(question.clone(), zone.answer(question));
            }
            rounds.push(wanted.iter().map(ToString::to_string).collect::<Vec<_>>());
        }
        let own = ["new.bank.example", "bank.example", "example"];
        let mut first: Vec<String> = own.map(|own| format!("_dmarc.{own} TXT")).into();
        first.push("new.bank.example A".to_owned());
        first.push("out.bank.example TXT".to_owned());
        let second = ["out", "mail"].map(|own| format!("_dmarc.{own}.bank.example TXT"));
        let second = second.to_vec();
        assert_eq!(rounds, [first, second]);
    }

    #[test]
    fn what_helo_leads_to_is_asked_for_behind_all_that_decides() {
        let author = Author::One(Domain::new("bank.example").unwrap());
        let client = Query::new("8.8.8.66".parse().unwrap(), "h.example", "a@bank.example");
        let zone = Zone::parse(
            "bank.example. TXT \"v=spf1 include:spf.bank.example -all\"\n\
             h.example. TXT \"v=spf1 mx -all\"\nh.example. MX 1 a.example.\nh.example. MX 2 b.example.",
        )
        .unwrap();
        let mut known = Known::new(MAX_QUESTIONS);
        let mut last = Vec::new();
        while judge(&known, Some(&client), &author, &[]) == Err(Pending) {
            let wanted = known.wanted();
            let at = |name: &str| wanted.iter().position(|q| q.to_string().starts_with(name));
            last.extend(at("spf.bank.example").zip(at("h.example")));
            // That of HELO is answered sooner.
            let is_helos = |question: &&Question| !question.to_string().contains("spf.bank");
            let next = wanted.iter().find(is_helos).unwrap_or(&wanted[0]);
            known.tell(next.clone(), zone.answer(next));
            known.start_over();
        }
        assert!(last.iter().all(|(own, helo)| own < helo) && !last.is_empty());
    }

    #[test]
    fn what_spf_passes_for_without_a_name_is_told() {
        let mut dns = Zone::parse(
            "bank.example. TXT \"v=spf1 -all\"\n_dmarc.bank.example. TXT \"v=DMARC1; p=reject\"",
        )
        .unwrap();
        dns.insert_txt("a!b.bank.example", b"v=spf1 +all".to_vec());
        let author = Author::One(Domain::new("bank.example").unwrap());
        let client = Query::new("8.8.8.66".parse().unwrap(), "h", "x@a!b.bank.example");
        let judged = judge(&dns, Some(&client), &author, &[]).unwrap();
        assert_eq!(judged.spf.unwrap().mail_from.result, SpfResult::Pass);
        assert_eq!(judged.dmarc.reason, dmarc::Reason::NotAligned);
        let sentence = judged.dmarc.sentence;
        assert!(
            sentence.contains("\u{201c}a!b.bank.example\u{201d} passes"),
            "{sentence}"
        );
    }

    #[test]
    fn without_spf_a_failure_is_not_claimed() {
        let dns = Zone::parse("_dmarc.bank.example. TXT \"v=DMARC1; p=reject\"").unwrap();
        let author = Author::One(Domain::new("bank.example").unwrap());
        let judged = judge(&dns, None, &author, &[]).unwrap();
        assert_eq!(judged.dmarc.reason, dmarc::Reason::SpfNotJudged);
        assert!(judged.dmarc.sentence.contains("SPF was not judged"));
        assert!(dmarc::resinfo(&judged.dmarc).is_none());
    }
}
