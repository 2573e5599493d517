//! `explain --html`: one page with the signatures of each message, what was found, and the message itself.

mod message;
mod panel;
mod rows;
mod state;

use dkimkit::explain::{Explained, Explanation};
use dkimkit::message::SplitError;
use dkimkit::report::{Failure, ResultWord, Verdict, overall};

use self::panel::panel;
use crate::cli::page::{Html, Script, document, sentence};
use dkimkit::report::grouped;

/// A page has so many bytes at most, whatever is shown.
const LIMIT: usize = 2_000_000;
/// What one message has of them, and what stands around all.
const MESSAGE: usize = 700_000;
const FRAME: usize = 20_000;
/// So many signatures of a message are shown.
const SIGNATURES: usize = 20;

/// A page on its way.
pub(super) struct Page {
    html: Html,
    messages: usize,
    not_shown: usize,
    /// The name of the first message.
    name: String,
}

impl Page {
    pub(super) fn new() -> Page {
        Page {
            html: Html::new(LIMIT - FRAME),
            messages: 0,
            not_shown: 0,
            name: String::new(),
        }
    }

    /// A message that was looked at.
    pub(super) fn message(&mut self, name: &str, explanation: &Explanation) {
        self.section(name, |html, number| {
            let verdicts = explanation
                .signatures
                .iter()
                .map(|explained| explained.verdict.clone());
            let verdicts: Vec<Verdict> = verdicts.collect();
            head(html, explanation, &verdicts);
            let many = explanation.signatures.len() > 1;
            // What does not pass is what the reader came for.
            let first = verdicts
                .iter()
                .position(|v| v.failure().is_some())
                .unwrap_or(0)
                .min(SIGNATURES - 1);
            if verdicts.is_empty() {
                html.element("section", "panel", |html| {
                    state::legend(html);
                    message::message(html, explanation, None, html.room().saturating_sub(2_000));
                });
            }
            html.element("div", if many { "choice" } else { "" }, |html| {
                for (at, explained) in explanation.signatures.iter().take(SIGNATURES).enumerate() {
                    if many {
                        chooser(html, number, at, explained, at == first);
                    }
                    let left = explanation.signatures.len().min(SIGNATURES) - at;
                    let room = html.room().saturating_sub(2_000) / left;
                    let id = format!("m{number}s{}", at + 1);
                    html.with(
                        "section",
                        &[("class", "panel"), ("aria-labelledby", &format!("{id}h"))],
                        |html| {
                            panel(html, &id, explanation, explained, room);
                        },
                    );
                }
            });
            let more = explanation.signatures.len().saturating_sub(SIGNATURES);
            if more > 0 {
                html.say(
                    "p",
                    "gap",
                    &format!("… {} more signatures not shown here …", grouped(more)),
                );
            }
        });
    }

    /// A message whose header cannot be read.
    pub(super) fn unreadable(&mut self, name: &str, error: SplitError) {
        let failure = Failure::Message(error);
        self.section(name, |html, _| {
            html.element("p", "", |html| {
                word(html, failure.result());
                html.text(" ");
                html.text(&sentence(&failure.to_string()));
                if let Some(advice) = failure.advice() {
                    html.text(" ");
                    html.text(&sentence(advice));
                }
            });
        });
    }

    fn section(&mut self, name: &str, inner: impl FnOnce(&mut Html, usize)) {
        self.messages += 1;
        if self.messages == 1 {
            self.name = name.to_owned();
        }
        // A message of which there would be but a beginning is told of at the end.
        if self.not_shown > 0 || self.html.room() < 20_000 {
            self.not_shown += 1;
            return;
        }
        let number = self.messages;
        let id = format!("m{number}");
        let fits = self.html.within(MESSAGE, |html| {
            html.with(
                "section",
                &[("class", "message"), ("aria-labelledby", &id)],
                |html| {
                    html.with("h2", &[("id", &id)], |html| {
                        html.element("bdi", "", |html| html.brief(name, 500))
                    });
                    inner(html, number);
                },
            );
        });
        if !fits {
            let text = format!("… the page has no room for the rest of message {number} …");
            self.html.say("p", "gap", &text);
        }
    }

    /// The page as a file.
    pub(super) fn finish(self) -> String {
        let Page {
            html: sections,
            messages,
            not_shown,
            name,
        } = self;
        let mut html = Html::new(LIMIT);
        html.element("header", "", |html| {
            html.say("h1", "", "Why signatures hold or fail");
            if messages > 1 {
                html.say("p", "", &format!("{} messages.", grouped(messages)));
            }
        });
        html.element("main", "", |html| {
            html.append(sections);
            if not_shown > 0 {
                let text = format!(
                    "{} more of the messages are not shown: a page has {} bytes at most. Explain them in smaller \
                     groups.",
                    grouped(not_shown),
                    grouped(LIMIT)
                );
                html.say("p", "gap", &text);
            }
        });
        document(
            &format!("{}: explained by dkimkit", title(&name, messages)),
            STYLE,
            Script::Nothing,
            html,
        )
    }
}

const STYLE: &str = include_str!("page/explain.css");

/// What the page is called.
fn title(name: &str, messages: usize) -> String {
    match messages {
        1 => name.chars().take(100).collect(),
        _ => format!("{} messages", grouped(messages)),
    }
}

fn head(html: &mut Html, explanation: &Explanation, verdicts: &[Verdict]) {
    html.element("p", "", |html| {
        word(html, overall(verdicts));
        html.text(&match verdicts.len() {
            0 => " No signature.".to_owned(),
            1 => " One signature.".to_owned(),
            n => format!(" {} signatures.", grouped(n)),
        });
        let from: Vec<&str> = explanation
            .from_domains
            .iter()
            .take(10)
            .map(|d| d.as_str())
            .collect();
        if !from.is_empty() {
            html.text(" From: ");
            html.element("bdi", "", |html| html.brief(&from.join(", "), 600));
            html.text(".");
        }
    });
    for change in &explanation.reading {
        html.element("p", "", |html| {
            html.text("Before it could be read at all: ");
            html.brief(&format!("{}.", change.sentence()), 2_000);
        });
    }
}

/// The result of RFC 8601, with what it means for those who do not know the word.
fn word(html: &mut Html, result: ResultWord) {
    let class = match result {
        ResultWord::Pass => "word good",
        ResultWord::Fail | ResultWord::PermError => "word bad",
        ResultWord::TempError | ResultWord::Policy | ResultWord::Neutral | ResultWord::None => {
            "word mid"
        }
    };
    html.say("strong", class, result.as_str());
}

/// One of several signatures, to be chosen.
fn chooser(html: &mut Html, number: usize, at: usize, explained: &Explained, checked: bool) {
    let id = format!("m{number}s{}", at + 1);
    let name = format!("m{number}");
    let mut attributes = vec![
        ("type", "radio"),
        ("name", name.as_str()),
        ("id", id.as_str()),
    ];
    if checked {
        attributes.push(("checked", ""));
    }
    html.empty("input", &attributes);
    html.with("label", &[("for", &id)], |html| {
        html.text(&format!("{}. ", at + 1));
        if let Some(domain) = &explained.verdict.claims.domain {
            html.element("bdi", "", |html| html.brief(domain.as_str(), 100));
            html.text(" ");
        }
        word(html, explained.verdict.result());
    });
}

#[cfg(test)]
mod tests;
