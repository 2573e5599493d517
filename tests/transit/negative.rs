//! Messages for which nothing must be claimed: unchanged, forged, random.

use std::time::{Duration, Instant};

use dkimkit::dns::Zone;
use dkimkit::explain::{Explained, Part, Unjudged};

use crate::cases::{self, Sent};
use crate::footers;
use crate::judge::{Outcome, ask, said};
use crate::mail::Mail;
use crate::random::Random;
use crate::signing::Keys;
use crate::words;

pub(crate) const NAMES: [&str; 11] = [
    "unchanged",
    "unsigned",
    "body of random text",
    "signed with another key",
    "key gone",
    "key gone, footer",
    "b= altered",
    "signature of another message",
    "random signature",
    "random fields",
    "random bytes",
];

pub(crate) struct Negative {
    pub(crate) name: &'static str,
    pub(crate) message: Vec<u8>,
    pub(crate) outcome: Outcome,
}

pub(crate) fn run(rng: &mut Random, keys: &Keys, which: usize, budget: Duration) -> Negative {
    let name = NAMES[which % NAMES.len()];
    // What holds a bare LF would be mended, and is tried with the edits; any text is an empty body with text added.
    let regular = |sent: &Sent| {
        let mended = crate::signing::with_crlf(&sent.message) == sent.message;
        mended && !sent.mail.body.trim_ascii().is_empty()
    };
    let sent = (0..100).find_map(|_| cases::send(rng, keys, None).filter(regular));
    let sent = sent.expect("most messages are regular");
    let gone = Zone::default();
    let zone = if name.starts_with("key gone") {
        &gone
    } else {
        &keys.zone
    };
    let message = message(rng, keys, name, &sent);
    let began = Instant::now();
    let explanation = ask(&message, zone, &sent.policy, true, budget);
    let mut outcome = Outcome {
        took: began.elapsed(),
        ..Outcome::default()
    };
    match &explanation {
        Ok(explanation) => {
            outcome.said = said(explanation);
            for explained in &explanation.signatures {
                check(name, sent.plan.z, explained, &mut outcome);
            }
        }
        Err(why) => outcome.unasked(why, name == "random bytes"),
    }
    Negative {
        name,
        message,
        outcome,
    }
}

fn message(rng: &mut Random, keys: &Keys, name: &str, sent: &Sent) -> Vec<u8> {
    let mut mail = Mail::parse(&sent.message).expect("it was made as a message");
    match name {
        "unchanged" => return [cases::trace(rng).as_bytes(), &sent.message].concat(),
        "unsigned" => mail.fields.retain(|f| !f.is("DKIM-Signature")),
        "body of random text" => {
            mail.body = (0..40)
                .map(|_| words::token(rng, 60) + "\r\n")
                .collect::<String>()
                .into_bytes()
        }
        "signed with another key" => {
            // The value is that of another key, and the rest says otherwise.
            for field in mail.fields.iter_mut().filter(|f| f.is("DKIM-Signature")) {
                let raw = String::from_utf8_lossy(&field.raw).into_owned();
                let other = match raw.contains("s=rsa2048;") {
                    true => raw.replace("s=rsa2048;", "s=rsa1024;"),
                    false => raw.replace("s=rsa1024;", "s=rsa2048;"),
                };
                // There is but one key of Ed25519.
                let other = if other == raw {
                    altered(rng, raw)
                } else {
                    other
                };
                field.raw = other.into_bytes();
            }
        }
        "key gone, footer" => mail
            .body
            .extend_from_slice(footers::ascii_footer(rng).as_bytes()),
        "b= altered" => {
            for field in mail.fields.iter_mut().filter(|f| f.is("DKIM-Signature")) {
                field.raw =
                    altered(rng, String::from_utf8_lossy(&field.raw).into_owned()).into_bytes();
            }
        }
        "signature of another message" => {
            let other = (0..100).find_map(|_| {
                cases::send(rng, keys, None)
                    .filter(|o| o.mail.body.len() > 60 && o.mail.body != mail.body)
            });
            let other = other.expect("most are longer");
            let mut forged = other.mail;
            let own = mail.fields.iter().filter(|f| f.is("DKIM-Signature"));
            forged.fields.splice(0..0, own.cloned());
            forged.push("Subject", "Urgent");
            return forged.bytes();
        }
        "random signature" => {
            for field in mail.fields.iter_mut().filter(|f| f.is("DKIM-Signature")) {
                let raw = String::from_utf8_lossy(&field.raw).into_owned();
                let at = raw.find("bh=").expect("it is there") + 3;
                let raw = format!("{}{}{}", &raw[..at], words::token(rng, 42), &raw[at + 42..]);
                field.raw = altered(rng, raw).into_bytes();
            }
        }
        "random fields" => {
            let own = mail.fields.iter().find(|f| f.is("DKIM-Signature")).cloned();
            mail.fields = (0..30)
                .map(|_| crate::mail::Field::new(&words::token(rng, 8), words::token(rng, 50)))
                .collect();
            mail.fields.extend(own);
            mail.body = (0..3000).map(|_| rng.next() as u8).collect();
        }
        "random bytes" => return (0..rng.below(5000)).map(|_| rng.next() as u8).collect(),
        _ => {}
    }
    mail.bytes()
}

/// Twelve letters of b= become others.
fn altered(rng: &mut Random, raw: String) -> String {
    let at = raw.rfind("b=").expect("it is there") + 2;
    let mut bytes = raw.into_bytes();
    for byte in bytes[at + 5..at + 17]
        .iter_mut()
        .filter(|b| b.is_ascii_alphanumeric())
    {
        *byte = if *byte == b'A' {
            b'B' + rng.below(20) as u8
        } else {
            b'A'
        };
    }
    String::from_utf8(bytes).expect("it is ASCII")
}

fn check(name: &str, z: bool, explained: &Explained, outcome: &mut Outcome) {
    let mut claim = |part: &Part, what: &str| {
        if matches!(part, Part::Changed(_)) {
            outcome
                .false_claims
                .push(format!("the {what} is said to be changed in a known way"));
        }
    };
    if name != "key gone, footer" {
        claim(&explained.body, "body");
    }
    // The header that was signed stands in z=, whatever the message is.
    if !z || name == "random signature" {
        claim(&explained.header, "header");
    }
    let (body, header) = match name {
        "unchanged" => (true, true),
        "body of random text" => (false, true),
        "signed with another key" | "key gone" | "b= altered" => (true, false),
        _ => (false, false),
    };
    if body && explained.body != Part::Holds {
        outcome
            .unproven
            .push("the body holds, and that is not said".into());
    }
    if header && explained.header != Part::Holds {
        outcome
            .unproven
            .push("the header holds, and that is not said".into());
    }
    if !header && explained.header == Part::Holds {
        outcome
            .false_claims
            .push("the header is said to hold and does not".into());
    }
    if name.starts_with("key gone") && explained.header != Part::Unjudged(Unjudged::NoKey) {
        outcome
            .unproven
            .push("there is no key, and that is not said".into());
    }
}
