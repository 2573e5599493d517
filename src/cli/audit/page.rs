//! `audit --html`: one page for the person who has to act: what is wrong, what mends it, and what was seen.

mod seen;

use dkimkit::audit::{Audit, CheckReport, Finding, Grade, ResourceRecord};
use dkimkit::report::grouped;
use dkimkit::time::UnixTime;

use self::seen::seen;
use super::{parts, title, worst_first, zone_line};
use crate::cli::page::{Html, Script, document, sentence};

/// A page has so many bytes at most, whatever is shown.
const LIMIT: usize = 2_000_000;
/// What is seen has so many of them; what is to be done comes before it.
const SEEN: usize = 700_000;
/// So much of a text is shown.
const TEXT: usize = 3_000;
/// A record of so many bytes is none that anybody could publish.
const RECORD: usize = 20_000;

/// The page of an audit that took place at `now`.
pub(super) fn render(audit: &Audit, now: UnixTime) -> String {
    let mut html = Html::new(LIMIT);
    let findings = worst_first(audit);
    html.element("header", "", |html| {
        html.element("h1", "", |html| {
            html.text("The mail of ");
            html.element("bdi", "", |html| html.brief(&audit.domain, 300));
        });
        html.element("p", "summary", |html| {
            word(html, audit.result);
            html.text(" ");
            html.text(&summary(audit, &findings));
        });
        html.say(
            "p",
            "where",
            &format!("Looked at from outside on {}.", now.to_rfc3339()),
        );
    });
    html.element("main", "", |html| {
        let room = html.room().saturating_sub(SEEN);
        let fits = html.within(room, |html| {
            acts(html, &findings);
            right(html, audit);
        });
        if !fits {
            html.say(
                "p",
                "gap",
                "… the page has no room for more of the findings …",
            );
        }
        let fits = html.within(html.room().saturating_sub(1_000), |html| {
            if let Some(check) = audit.checks.iter().find(|check| check.check == "providers") {
                checklist(html, check);
            }
            facts(html, audit);
        });
        if !fits {
            html.say(
                "p",
                "gap",
                "… the page has no room for more of what was seen …",
            );
        }
    });
    let name: String = audit.domain.chars().take(100).collect();
    let title = format!("{name}: audited by dkimkit");
    document(&title, STYLE, Script::Copy, html)
}

const STYLE: &str = include_str!("page/audit.css");

/// A finding, and the checks that it was found by.
type Found<'a> = (Vec<&'static str>, &'a Finding);

/// How many findings there are of each kind.
fn summary(audit: &Audit, findings: &[Found<'_>]) -> String {
    let count = |grade| findings.iter().filter(|(_, f)| f.result == grade).count();
    let things = |n: usize, one: &str, more: &str| match n {
        0 => None,
        1 => Some(format!("one thing {one}")),
        n => Some(format!("{} things {more}", grouped(n))),
    };
    let parts = [
        things(count(Grade::Fail), "is wrong", "are wrong"),
        things(count(Grade::Warning), "could be better", "could be better"),
        things(
            count(Grade::Unknown),
            "could not be known",
            "could not be known",
        ),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    match parts.is_empty() {
        true => format!("All {} checks found nothing to mend.", audit.checks.len()),
        false => sentence(&parts.join(", ")),
    }
}

/// What is to be done, the worst first.
fn acts(html: &mut Html, findings: &[Found<'_>]) {
    let kinds = [
        (Grade::Fail, "wrong", "What is wrong"),
        (Grade::Unknown, "unknown", "What could not be known"),
        (Grade::Warning, "better", "What could be better"),
    ];
    let mut number = 0;
    for (grade, id, heading) in kinds {
        let mut of_kind = findings
            .iter()
            .filter(|(_, f)| f.result == grade)
            .peekable();
        if of_kind.peek().is_none() {
            continue;
        }
        section(html, "kind", id, |html| {
            html.with("h2", &[("id", id)], |html| html.text(heading));
            for (checks, finding) in of_kind {
                number += 1;
                act(html, number, checks, finding);
            }
        });
    }
}

fn section(html: &mut Html, class: &'static str, id: &str, inner: impl FnOnce(&mut Html)) {
    html.with(
        "section",
        &[("class", class), ("aria-labelledby", id)],
        inner,
    );
}

fn act(html: &mut Html, number: usize, checks: &[&'static str], finding: &Finding) {
    let class = match finding.result {
        Grade::Fail => "finding bad",
        Grade::Unknown => "finding dark",
        Grade::Warning | Grade::Pass => "finding mid",
    };
    let id = format!("f{number}");
    section(html, class, &id, |html| {
        html.with("h3", &[("id", &id)], |html| {
            html.brief(&sentence(&finding.sentence), TEXT)
        });
        html.element("p", "where", |html| {
            word(html, finding.result);
            html.text(" ");
            let titles: Vec<&str> = checks.iter().map(|check| title(check)).collect();
            html.text(&titles.join(", "));
            html.text(" · ");
            html.say("code", "", finding.finding);
            if !finding.about.is_empty() {
                html.text(" · ");
                html.element("bdi", "", |html| html.brief(&finding.about, 300));
            }
        });
        let (mend, file) = parts(&finding.mend);
        if !mend.is_empty() {
            html.element("p", "", |html| html.brief(&sentence(mend), TEXT));
        }
        if let Some(file) = file.filter(|file| file.len() <= RECORD) {
            html.element("div", "record", |html| html.copied("File", file));
        }
        for record in &finding.remove {
            html.element("div", "record old", |html| {
                html.say("p", "", &format!("Remove this {} record", record.kind));
                fields(html, record);
            });
        }
        for record in &finding.publish {
            html.element("div", "record", |html| {
                html.say("p", "", &format!("Publish this {} record", record.kind));
                fields(html, record);
                line(html, record);
            });
        }
    });
}

/// A record in the fields that the panel of a DNS host has.
fn fields(html: &mut Html, record: &ResourceRecord) {
    for (what, text) in [("Name", &record.name), ("Value", &record.value)] {
        match text.len() > RECORD {
            false => html.copied(what, text),
            true => html.element("p", "gap", |html| html.brief(text, TEXT)),
        }
    }
}

fn line(html: &mut Html, record: &ResourceRecord) {
    if record.value.len() <= RECORD {
        html.element("details", "", |html| {
            html.say("summary", "", "As a line of a zone file");
            html.copied("Line", &zone_line(record));
        });
    }
}

fn word(html: &mut Html, grade: Grade) {
    let class = match grade {
        Grade::Pass => "word good",
        Grade::Fail => "word bad",
        Grade::Warning | Grade::Unknown => "word mid",
    };
    html.say("strong", class, grade.as_str());
}

/// What passes.
fn right(html: &mut Html, audit: &Audit) {
    let passes = |check: &&CheckReport| check.result == Grade::Pass && check.check != "providers";
    let mut right = audit.checks.iter().filter(passes).peekable();
    if right.peek().is_none() {
        return;
    }
    section(html, "kind", "right", |html| {
        html.with("h2", &[("id", "right")], |html| html.text("What is right"));
        html.element("ul", "right", |html| {
            for check in right {
                html.element("li", "", |html| {
                    word(html, check.result);
                    html.text(" ");
                    html.say("b", "", title(check.check));
                    html.text(": ");
                    html.brief(&sentence(&check.sentence), TEXT);
                });
            }
        });
    });
}

/// What the large providers want, derived from the other checks.
fn checklist(html: &mut Html, check: &CheckReport) {
    section(html, "kind", "providers", |html| {
        html.with("h2", &[("id", "providers")], |html| {
            html.text("What large providers want")
        });
        html.element("p", "", |html| html.brief(&sentence(&check.sentence), TEXT));
        seen(html, &check.facts);
    });
}

/// What was seen.
fn facts(html: &mut Html, audit: &Audit) {
    let told = |check: &&CheckReport| !check.facts.is_empty() && check.check != "providers";
    let mut told = audit.checks.iter().filter(told).peekable();
    if told.peek().is_none() {
        return;
    }
    section(html, "kind", "seen", |html| {
        html.with("h2", &[("id", "seen")], |html| html.text("What was seen"));
        let count = audit.checks.len();
        for check in told {
            let most = SEEN / count;
            html.element("details", "", |html| {
                html.say("summary", "", title(check.check));
                let fits = html.within(most.min(html.room()), |html| seen(html, &check.facts));
                if !fits {
                    html.say("p", "gap", "… the page has no room for the rest …");
                }
            });
        }
    });
}

#[cfg(test)]
mod tests;
