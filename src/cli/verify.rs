//! `dkimkit verify`: the signatures of messages held against published keys.

use std::io::IsTerminal as _;
use std::str::FromStr;

use dkimkit::authres::{self, AuthservId};
use dkimkit::domainkeys::{DomainKeysVerdict, DomainKeysVerifier};
use dkimkit::message::{Header, SplitError};
use dkimkit::name::Domain;
use dkimkit::report::{Failure, KeyFacts, MessageReport, ResultWord, Verdict, overall};
use dkimkit::signature::Claims;
use dkimkit::verify::{Appetite, Verifier};

use super::Exit;
use super::args::ColorChoice;
use super::examine::{self, ExamineArgs, Examiner, Scene, Seen};
use super::input::Message;
use super::speech::{Trouble, escape};

/// Verify the DKIM signatures of messages
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dkimkit verify message.eml
  dkimkit verify --json --require aligned Maildir/ archive.mbox.gz | jq .result
  dkimkit verify --keys keys out.eml
  dkimkit verify --records zone.txt --now 2026-11-21T12:00:00Z old.eml

Exits 0 if and only if every message has a signature that passes and meets --require.")]
pub(super) struct Args {
    /// What counts as a pass: any signature, one aligned with From, or one of this domain
    #[arg(long, value_name = "any|aligned|DOMAIN", default_value = "any")]
    require: Require,
    #[command(flatten)]
    examine: ExamineArgs,
}

/// What counts for exit 0.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Require {
    Any,
    Aligned,
    Domain(Domain),
}

impl FromStr for Require {
    type Err = String;

    fn from_str(text: &str) -> Result<Require, String> {
        match text {
            "any" => Ok(Require::Any),
            "aligned" => Ok(Require::Aligned),
            domain => Domain::new(domain)
                .map(Require::Domain)
                .map_err(|e| e.to_string()),
        }
    }
}

impl Require {
    fn is_met_by(&self, verdict: &Verdict) -> bool {
        match self {
            Require::Any => true,
            Require::Aligned => verdict.alignment.is_some(),
            Require::Domain(domain) => verdict.claims.domain.as_ref() == Some(domain),
        }
    }
}

pub(super) fn run(args: &Args, color: ColorChoice) -> Result<Exit, Trouble> {
    examine::run(&args.require, &args.examine, color)
}

/// What was found of a message.
pub(super) struct Findings {
    from_domains: Vec<Domain>,
    verdicts: Vec<Verdict>,
    domainkeys: Vec<DomainKeysVerdict>,
}

impl Examiner for Require {
    type Findings = Findings;

    fn check(
        &self,
        scene: &Scene,
        header: Header,
        body: &mut Message<'_>,
    ) -> Result<Findings, Trouble> {
        let policy = &scene.published.policy;
        let mut domainkeys = DomainKeysVerifier::new(&header, policy.clone());
        let mut verifier = Verifier::new(header, policy.clone(), scene.now);
        let from_domains = verifier.authors().domains().to_vec();
        let mut wanted = verifier.wanted().to_vec();
        let more = domainkeys.wanted().iter();
        wanted.extend(
            more.filter(|name| !verifier.wanted().contains(name))
                .cloned(),
        );
        for (name, keys) in scene.published.keys(&wanted)? {
            verifier.supply_keys(&name, keys.clone());
            domainkeys.supply_keys(&name, keys);
        }
        let mut verifier = verifier.start_body();
        body.feed(|chunk| {
            let appetites = [verifier.write(chunk), domainkeys.write(chunk)];
            appetites.contains(&Appetite::More)
        })?;
        Ok(Findings {
            from_domains,
            verdicts: verifier.finish(),
            domainkeys: domainkeys.finish(),
        })
    }

    fn passes(&self, findings: &Findings) -> bool {
        overall(&findings.verdicts) == ResultWord::Pass
    }

    fn exit(&self, findings: &Findings) -> Exit {
        let counting = findings.verdicts.iter().filter(|v| self.is_met_by(v));
        match counting.map(Verdict::result).min() {
            Some(ResultWord::Pass) => Exit::Done,
            Some(ResultWord::TempError) => Exit::TempFail,
            _ => Exit::No,
        }
    }

    fn json(&self, seen: &Seen<Findings>) -> String {
        let file = seen.file.clone();
        let mut report = match &seen.found {
            Err(error) => MessageReport::unreadable(file, *error),
            Ok(found) => {
                let mut report = MessageReport::new(file, &found.from_domains, &found.verdicts);
                let domainkeys = found.domainkeys.iter();
                report.domainkeys = domainkeys.map(DomainKeysVerdict::report).collect();
                report
            }
        };
        report.message = seen.number;
        report.to_json()
    }

    fn fields(&self, seen: &Seen<Findings>, id: &AuthservId) -> Vec<String> {
        vec![match &seen.found {
            Err(error) => authres::unreadable(id, &Failure::Message(*error)),
            Ok(found) => {
                let mut results = authres::dkim_results(&found.verdicts);
                let told = told(&found.domainkeys).take(authres::MAX_RESULTS);
                results.extend(told.map(DomainKeysVerdict::result_info));
                authres::with_results(id, &results)
            }
        }]
    }

    fn text(&self, seen: &Seen<Findings>, color: bool) -> String {
        match &seen.found {
            Err(error) => unreadable(&seen.place(), *error, color),
            Ok(found) => {
                let mut text = text(&seen.place(), &found.verdicts, self, color);
                for verdict in told(&found.domainkeys) {
                    text.push_str(&domainkeys_line(verdict, color));
                }
                text
            }
        }
    }
}

/// A line for a message whose header cannot be read.
pub(super) fn unreadable(place: &str, error: SplitError, color: bool) -> String {
    let failure = Failure::Message(error);
    let word = paint(failure.result(), color);
    let advice = failure.advice().map(|a| format!(": {a}"));
    let advice = advice.unwrap_or_default();
    format!("{}: {word}: {failure}{advice}\n", escape(place))
}

/// Whether results are colored.
pub(super) fn colored(choice: ColorChoice) -> bool {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => wanted && std::io::stdout().is_terminal(),
    }
}

/// The name of a file, and the number of the message in it.
pub(super) fn place(file: &str, number: Option<u64>) -> String {
    match number {
        Some(number) => format!("{file} message {number}"),
        None => file.to_owned(),
    }
}

/// A line for the message, then a line a signature.
fn text(file: &str, verdicts: &[Verdict], require: &Require, color: bool) -> String {
    let result = overall(verdicts);
    let passes = |v: &&Verdict| v.result() == ResultWord::Pass;
    let stranger = result == ResultWord::Pass
        && verdicts
            .iter()
            .filter(passes)
            .all(|v| v.alignment.is_none());
    let mut remark = match (result, stranger) {
        (ResultWord::None, _) => ": the message has no DKIM-Signature".to_owned(),
        (_, true) => ", but not for the domain of From".to_owned(),
        _ => String::new(),
    };
    let met = verdicts.iter().filter(passes).any(|v| require.is_met_by(v));
    if result == ResultWord::Pass && !met {
        remark.push_str(match require {
            Require::Any | Require::Aligned => " (--require aligned)",
            Require::Domain(_) => " (no signature of the domain that --require names passes)",
        });
    }
    let mut text = format!("{}: {}{remark}\n", escape(file), paint(result, color));
    for verdict in verdicts {
        let number = verdict.index + 1;
        let result = paint(verdict.result(), color);
        text.push_str(&format!("  {number}. {result}{}", escape(&facts(verdict))));
        text.push('\n');
    }
    text
}

/// The DomainKey-Signature fields that were looked at: of the others there is nothing to tell.
pub(super) fn told(domainkeys: &[DomainKeysVerdict]) -> impl Iterator<Item = &DomainKeysVerdict> {
    let looked_at = |verdict: &&DomainKeysVerdict| verdict.result() != ResultWord::Neutral;
    domainkeys.iter().filter(looked_at)
}

/// The line of a DomainKey-Signature field.
fn domainkeys_line(verdict: &DomainKeysVerdict, color: bool) -> String {
    let mut facts = String::new();
    for (tag, value) in [("d", &verdict.domain), ("s", &verdict.selector)] {
        if let Some(value) = value {
            facts.push_str(&format!(" {tag}={value}"));
        }
    }
    if let Some(form) = verdict.canonicalization {
        facts.push_str(&format!(" rsa-sha1 {form}"));
    }
    if let Some(bits) = verdict.key.and_then(|key| key.bits) {
        facts.push_str(&format!(" {bits} bits"));
    }
    match &verdict.failure {
        Some(failure) => facts.push_str(&format!(": {failure}")),
        None => facts.push_str(": does not count"),
    }
    let result = paint(verdict.result(), color);
    let number = verdict.index + 1;
    format!("  DomainKeys {number}. {result}{}\n", escape(&facts))
}

/// Who signed, how, and with how long a key.
pub(super) fn claimed(claims: &Claims, key: Option<KeyFacts>) -> String {
    let mut line = String::new();
    if let Some(domain) = &claims.domain {
        line.push_str(&format!(" d={domain}"));
    }
    if let Some(selector) = &claims.selector {
        line.push_str(&format!(" s={selector}"));
    }
    if let Some(algorithm) = claims.algorithm {
        line.push_str(&format!(" {}", algorithm.as_str()));
    }
    if let Some(bits) = key.and_then(|key| key.bits) {
        line.push_str(&format!(" {bits} bits"));
    }
    line
}

/// What is said of a signature behind its result.
pub(super) fn facts(verdict: &Verdict) -> String {
    let mut line = claimed(&verdict.claims, verdict.key);
    if verdict.key.is_some_and(|k| k.testing) {
        line.push_str(" (testing)");
    }
    if verdict.failure().is_some() {
        line.push_str(&format!(": {}", verdict.detail()));
    } else if verdict.alignment.is_none() {
        line.push_str(": passes, but not for the domain of From");
    }
    line
}

pub(super) fn paint(result: ResultWord, color: bool) -> String {
    if !color {
        return result.to_string();
    }
    let code = match result {
        ResultWord::Pass => 32,
        ResultWord::Fail | ResultWord::PermError => 31,
        ResultWord::TempError | ResultWord::Policy | ResultWord::Neutral | ResultWord::None => 33,
    };
    format!("\x1b[{code}m{result}\x1b[0m")
}
