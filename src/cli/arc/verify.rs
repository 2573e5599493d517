//! `dkimkit arc verify`: the chains of messages held against published keys.

use dkimkit::arc::{
    ArcReport, ArcVerifier, ChainReport, FieldFailure, FieldReport, SetReport, unreadable,
    unreadable_result,
};
use dkimkit::authres::{self, AuthservId};
use dkimkit::message::Header;
use dkimkit::report::{Failure, ResultWord};
use dkimkit::verify::Appetite;

use crate::cli::Exit;
use crate::cli::args::ColorChoice;
use crate::cli::examine::{self, ExamineArgs, Examiner, Scene, Seen};
use crate::cli::input::Message;
use crate::cli::speech::{Trouble, escape};
use crate::cli::verify::{claimed, paint};

/// Verify the ARC chains of messages
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dkimkit arc verify message.eml
  dkimkit arc verify --json Maildir/ archive.mbox.gz | jq .oldest_pass
  dkimkit arc verify --records zone.txt --now 2026-11-21T12:00:00Z old.eml

Exits 0 if and only if the chain of every message passes; a message without one does not.")]
pub(super) struct Args {
    #[command(flatten)]
    examine: ExamineArgs,
}

pub(super) fn run(args: &Args, color: ColorChoice) -> Result<Exit, Trouble> {
    examine::run(&Chains, &args.examine, color)
}

/// Looks at the chains of messages.
struct Chains;

impl Examiner for Chains {
    type Findings = ArcReport;

    fn check(
        &self,
        scene: &Scene,
        header: Header,
        body: &mut Message<'_>,
    ) -> Result<ArcReport, Trouble> {
        let mut verifier = ArcVerifier::new(header, scene.published.policy.clone(), scene.now);
        for (name, keys) in scene.published.keys(verifier.wanted())? {
            verifier.supply_keys(&name, keys);
        }
        let mut verifier = verifier.start_body();
        body.feed(|chunk| verifier.write(chunk) == Appetite::More)?;
        Ok(verifier.finish())
    }

    fn passes(&self, report: &ArcReport) -> bool {
        report.result() == ResultWord::Pass
    }

    fn exit(&self, report: &ArcReport) -> Exit {
        match report.result() {
            ResultWord::Pass => Exit::Done,
            ResultWord::TempError => Exit::TempFail,
            _ => Exit::No,
        }
    }

    fn json(&self, seen: &Seen<ArcReport>) -> String {
        let file = seen.file.clone();
        let mut report = match &seen.found {
            Ok(report) => ChainReport::new(file, report),
            Err(error) => ChainReport::unreadable(file, *error),
        };
        report.message = seen.number;
        report.to_json()
    }

    fn fields(&self, seen: &Seen<ArcReport>, id: &AuthservId) -> Vec<String> {
        let results = match &seen.found {
            Ok(report) => report.result_for(None),
            Err(error) => unreadable_result(*error),
        };
        vec![authres::with_results(id, &[results])]
    }

    /// A line for the message, then two for each set, the newest first.
    fn text(&self, seen: &Seen<ArcReport>, color: bool) -> String {
        let name = escape(&seen.place());
        let report = match &seen.found {
            Ok(report) => report,
            Err(error) => {
                let result = paint(unreadable(*error), color);
                return format!("{name}: {result}: {}\n", Failure::Message(*error));
            }
        };
        let result = paint(report.result(), color);
        let mut text = format!("{name}: {result}: {}\n", escape(&report.detail()));
        for set in report.sets.iter().rev() {
            text.push_str(&set_text(set, color));
        }
        text
    }
}

fn set_text(set: &SetReport, color: bool) -> String {
    let mut text = String::new();
    let status = set.status.map(|status| format!(" cv={status}"));
    let fields = [
        ("seal", &set.seal, status),
        ("message", &set.message_signature, None),
    ];
    for (what, field, more) in fields {
        let Some(field) = field else { continue };
        let result = paint(field.result(), color);
        let facts = escape(&facts(field, more));
        text.push_str(&format!("  {}. {what} {result}{facts}\n", set.instance));
    }
    if let Some(results) = &set.authentication_results {
        text.push_str(&format!("     {}\n", escape(results)));
    }
    text
}

fn facts(field: &FieldReport, more: Option<String>) -> String {
    let mut line = claimed(&field.claims, field.key);
    line.push_str(&more.unwrap_or_default());
    if let Some(failure) = &field.failure {
        line.push_str(&match failure {
            FieldFailure::Refused(Failure::NotEvaluated) => ": not looked at".to_owned(),
            failure => format!(": {}", failure.detail()),
        });
    }
    line
}
