//! `dkimkit authenticate`: SPF, DKIM, ARC and DMARC of a received message, as a receiver judges it.

mod shown;

use std::net::IpAddr;
use std::time::Instant;

use dkimkit::arc::{ArcReport, ArcVerifier};
use dkimkit::authenticate::{Given, Judged, MAX_FORESEEN, MAX_QUESTIONS, Origin, foresee, judge};
use dkimkit::author::Authors;
use dkimkit::authres::AuthservId;
use dkimkit::dmarc::{Author, DmarcResult, Reason};
use dkimkit::dns::lookup::{Ask, Known};
use dkimkit::domainkeys::{DomainKeysVerdict, DomainKeysVerifier};
use dkimkit::message::{Header, SplitError};
use dkimkit::name::{Domain, KeyName};
use dkimkit::report::{ResultWord, Verdict};
use dkimkit::spf::{self, SpfResult};
use dkimkit::time::UnixTime;
use dkimkit::verify::{Appetite, Verifier};

use super::Exit;
use super::args::ColorChoice;
use super::examine::{self, ExamineArgs, Examiner, Scene, Seen};
use super::input::Message;
use super::speech::{self, Trouble};

/// Judge a received message as a receiver does: SPF, DKIM, ARC and DMARC
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dkimkit authenticate --ip 192.0.2.25 --helo mail.example.com --mail-from anna@example.com message.eml
  dkimkit authenticate --from-headers --json Maildir/ | jq .dmarc.sentence
  dkimkit authenticate --ip 192.0.2.25 --helo h --mail-from '' --records zone.txt bounce.eml
  dkimkit authenticate --from-headers --authserv-id mx.example.org message.eml

--timeout is for all the lookups of a message together, of keys, SPF and DMARC; what has no answer by then is a temperror.

Exits 0 if DMARC passes, or, where From has one domain and that no DMARC policy, if a domain that passes is that of From,
above or below it; 75 if an answer of DNS is missing for that; else 1. Without SPF a message that fails may yet pass with it.")]
pub(super) struct Args {
    /// The address of the client that handed the message over
    #[arg(long, value_name = "ADDR")]
    ip: Option<IpAddr>,
    /// The name that it gave with HELO or EHLO
    #[arg(long, value_name = "NAME", requires = "ip", allow_hyphen_values = true, value_parser = helo)]
    helo: Option<String>,
    /// The address that it gave with MAIL FROM; empty for a bounce
    #[arg(long, value_name = "ADDRESS", value_parser = mail_from, allow_hyphen_values = true)]
    mail_from: Option<String>,
    /// Take what is not given from the message's own Received and Return-Path fields
    #[arg(long)]
    from_headers: bool,
    /// So many Received fields at the top are of your own servers: look for the client below them
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 0,
        requires = "from_headers"
    )]
    below_received: usize,
    #[command(flatten)]
    examine: ExamineArgs,
}

/// What `--policy` does here.
pub(super) const POLICY: &str = "What is refused: see the table of policies in the README. If left out, signatures are judged by \
    strict, and the chain of ARC by rfc";

/// An address, perhaps in angle brackets.
/// A name may begin with a hyphen; with two, an option has been taken for it.
fn helo(text: &str) -> Result<String, String> {
    match text.starts_with("--") {
        true => Err("no name begins with two hyphens: an option stands where it should".to_owned()),
        false => Ok(text.to_owned()),
    }
}

fn mail_from(text: &str) -> Result<String, String> {
    let bare = text
        .strip_prefix('<')
        .and_then(|text| text.strip_suffix('>'));
    let bare = bare.unwrap_or(text);
    match bare.is_empty() || bare.contains('@') {
        true => Ok(bare.to_owned()),
        false => Err("not an address; it is empty for a bounce".to_owned()),
    }
}

pub(super) fn run(args: &Args, color: ColorChoice) -> Result<Exit, Trouble> {
    if !args.from_headers {
        if args.ip.is_some() && args.mail_from.is_none() {
            return Err(
                Trouble::usage("SPF of an address needs what it gave with MAIL FROM")
                    .hint("--mail-from ADDRESS gives it; it is '' for a bounce")
                    .hint("--from-headers takes it from the message's own Return-Path"),
            );
        }
        let is_empty = |text: &Option<String>| text.as_ref().is_none_or(String::is_empty);
        if args.ip.is_some() && is_empty(&args.helo) && is_empty(&args.mail_from) {
            // RFC 7208 §2.4: HELO stands for an empty MAIL FROM, and there is none.
            return Err(
                Trouble::usage("SPF of a bounce needs the name that it gave with HELO")
                    .hint("--helo NAME gives it")
                    .hint("--from-headers takes it from the message's own Received fields"),
            );
        }
        if args.ip.is_none() {
            speech::note(
                "SPF is not judged without the address of the client: --ip gives it, --from-headers reads it",
            );
        }
    }
    examine::run(args, &args.examine, color)
}

/// What was found of a message.
pub(super) struct Findings {
    origin: Option<Origin>,
    handover: Handover,
    /// The same where it is enough for SPF.
    client: Option<spf::Query>,
    /// Whether SPF was asked for: by an address, or by what the header says of it.
    wants_spf: bool,
    message: Result<Inside, SplitError>,
    judged: Judged,
}

/// What was found in a message whose header can be read.
struct Inside {
    authors: Authors,
    verdicts: Vec<Verdict>,
    domainkeys: Vec<DomainKeysVerdict>,
    arc: ArcReport,
}

/// Who handed the message over, as far as it is known.
struct Handover {
    ip: Option<IpAddr>,
    helo: Option<String>,
    mail_from: Option<String>,
}

impl Args {
    /// What the header tells beside what is given.
    fn origin(&self, header: &Header) -> Option<Origin> {
        let given = Given {
            ip: self.ip,
            helo: self.helo.is_some(),
            mail_from: self.mail_from.is_some(),
            below_received: self.below_received,
        };
        self.from_headers.then(|| Origin::beside(header, given))
    }

    fn handover(&self, origin: Option<&Origin>) -> Handover {
        let told = origin.cloned().unwrap_or_default();
        Handover {
            ip: self.ip.map(|ip| ip.to_canonical()).or(told.ip),
            helo: self.helo.clone().or(told.helo),
            mail_from: self.mail_from.clone().or(told.mail_from),
        }
    }

    /// What SPF is asked; RFC 7208 §2.4: where MAIL FROM is empty, HELO stands for it.
    fn query(&self, handover: &Handover, now: UnixTime) -> Option<spf::Query> {
        let helo = handover.helo.clone().unwrap_or_default();
        let mail_from = handover.mail_from.clone()?;
        if helo.is_empty() && mail_from.is_empty() {
            return None;
        }
        let mut query = spf::Query::new(handover.ip?, helo, mail_from);
        if let Some(id) = &self.examine.authserv_id {
            id.as_str().clone_into(&mut query.receiver);
        }
        query.now = now;
        Some(query)
    }

    /// Adds what SPF and DMARC say of the client and of what was found in the message. Their answers of DNS come
    /// before `deadline`: RFC 7208 §4.6.4 wants such an end, with the result temperror.
    fn findings(
        &self,
        scene: &Scene,
        mut known: Known,
        deadline: Instant,
        origin: Option<Origin>,
        message: Result<Inside, SplitError>,
    ) -> Result<Box<Findings>, Trouble> {
        let handover = self.handover(origin.as_ref());
        let client = self.query(&handover, scene.now);
        let (author, verdicts) = match &message {
            Ok(inside) => (Author::of(&inside.authors), inside.verdicts.as_slice()),
            Err(_) => (Author::Unreadable, [].as_slice()),
        };
        let judged = scene.published.settle(&mut known, deadline, |dns| {
            judge(dns, client.as_ref(), &author, verdicts)
        })?;
        Ok(Box::new(Findings {
            origin,
            handover,
            client,
            wants_spf: self.ip.is_some() || self.from_headers,
            message,
            judged,
        }))
    }
}

impl Examiner for Args {
    type Findings = Box<Findings>;

    fn check(
        &self,
        scene: &Scene,
        header: Header,
        body: &mut Message<'_>,
    ) -> Result<Box<Findings>, Trouble> {
        let policy = &scene.published.policy;
        let mut deadline = scene.published.deadline();
        let origin = self.origin(&header);
        let mut domainkeys = DomainKeysVerifier::new(&header, policy.clone());
        let chains = scene.published.chains.clone();
        let mut arc = ArcVerifier::new(header.clone(), chains, scene.now);
        let mut dkim = Verifier::new(header, policy.clone(), scene.now);
        let authors = dkim.authors().clone();
        let mut wanted = dkim.wanted().to_vec();
        for name in arc.wanted().iter().chain(domainkeys.wanted()) {
            if !wanted.contains(name) {
                wanted.push(name.clone());
            }
        }
        let client = self.query(&self.handover(origin.as_ref()), scene.now);
        let author = Author::of(&authors);
        let signers = dkim.wanted()[..dkim.wanted().len().min(MAX_FORESEEN)].to_vec();
        let mut known = Known::new(MAX_QUESTIONS);
        let foresee = |dns: &dyn Ask, keys: &[KeyName]| {
            let keys = keys.iter().filter(|name| signers.contains(name));
            let signers: Vec<Domain> = keys.filter_map(KeyName::domain).collect();
            foresee(dns, client.as_ref(), &author, &signers)
        };
        let published = &scene.published;
        for (name, keys) in published.keys_beside(&wanted, deadline, &mut known, foresee)? {
            dkim.supply_keys(&name, keys.clone());
            arc.supply_keys(&name, keys.clone());
            domainkeys.supply_keys(&name, keys);
        }
        let (mut dkim, mut arc) = (dkim.start_body(), arc.start_body());
        let looked_up = Instant::now();
        body.feed(|chunk| {
            let appetites = [dkim.write(chunk), arc.write(chunk), domainkeys.write(chunk)];
            appetites.contains(&Appetite::More)
        })?;
        let inside = Inside {
            authors,
            verdicts: dkim.finish(),
            domainkeys: domainkeys.finish(),
            arc: arc.finish(),
        };
        // The time is for lookups: a long body takes none of it from those that are left.
        deadline += looked_up.elapsed();
        self.findings(scene, known, deadline, origin, Ok(inside))
    }

    /// SPF needs no header, and DMARC has a result for such a message.
    fn refused(
        &self,
        scene: &Scene,
        error: SplitError,
    ) -> Result<Result<Box<Findings>, SplitError>, Trouble> {
        let deadline = scene.published.deadline();
        let known = Known::new(MAX_QUESTIONS);
        Ok(Ok(self.findings(
            scene,
            known,
            deadline,
            None,
            Err(error),
        )?))
    }

    /// Another reading of a message in an mbox matters to signatures alone.
    fn passes(&self, findings: &Box<Findings>) -> bool {
        let mut verdicts = findings.verdicts().iter();
        verdicts.any(|verdict| verdict.result() == ResultWord::Pass)
    }

    fn exit(&self, findings: &Box<Findings>) -> Exit {
        findings.exit()
    }

    fn json(&self, seen: &Seen<Box<Findings>>) -> String {
        shown::json(seen)
    }

    fn fields(&self, seen: &Seen<Box<Findings>>, id: &AuthservId) -> Vec<String> {
        shown::fields(seen, id)
    }

    fn text(&self, seen: &Seen<Box<Findings>>, color: bool) -> String {
        shown::text(seen, color)
    }
}

impl Findings {
    fn verdicts(&self) -> &[Verdict] {
        match &self.message {
            Ok(inside) => &inside.verdicts,
            Err(_) => &[],
        }
    }

    fn exit(&self) -> Exit {
        // From of several domains does without a policy, too, and each of them may have one that is not met.
        let without = [Reason::NoRecord, Reason::RecordNotApplied];
        let without = without.contains(&self.judged.dmarc.reason);
        match self.judged.dmarc.result {
            DmarcResult::Pass => Exit::Done,
            DmarcResult::TempError => Exit::TempFail,
            _ if !without => Exit::No,
            _ if self.near_has(ResultWord::Pass, SpfResult::Pass) => Exit::Done,
            _ if self.near_has(ResultWord::TempError, SpfResult::TempError) => Exit::TempFail,
            _ => Exit::No,
        }
    }

    /// Whether a domain that is that of From, above or below it, has such a result.
    fn near_has(&self, dkim: ResultWord, spf: SpfResult) -> bool {
        let Ok(inside) = &self.message else {
            return false;
        };
        let signed = |verdict: &Verdict| verdict.result() == dkim && verdict.alignment.is_some();
        let by_spf = || {
            let outcome = &self.judged.spf.as_ref()?.mail_from;
            let domain = Domain::new(&outcome.domain).ok()?;
            let near = inside.authors.alignment(&domain).is_some();
            Some(outcome.result == spf && near)
        };
        inside.verdicts.iter().any(signed) || by_spf() == Some(true)
    }
}
