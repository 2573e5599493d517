//! The messages of the soak: each is known by the seed of the run and its number, and so is what must become
//! of it.

use std::sync::Arc;

use dkimkit::key::SigningKey;
use dkimkit::name::{Domain, Selector};
use dkimkit::sign::{SignOptions, SigningIdentity};
use dkimkit::time::UnixTime;

use crate::messages::{self, Kind};
use crate::random::Random;

/// The domain whose keys rotate.
pub(crate) const OWN: &str = "own.test";

/// What comes to the milter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Case {
    /// From ourselves, to be signed.
    Ours,
    /// Signed, with a record that is there.
    Good,
    /// From a domain with a fault, and what its keys come to.
    Named(&'static str, &'static [&'static str]),
    /// Signed, and changed since.
    Altered,
    /// Not signed.
    Bare,
}

const NAMED: [(usize, &str, &[&str]); 8] = [
    (30, "other.test", &["fail"]),
    (30, "gone.test", &["permerror"]),
    (15, "broken.test", &["temperror"]),
    (15, "late.test", &["pass"]),
    (15, "long.test", &["pass"]),
    (15, "lies.test", &["pass"]),
    (6, "flaky.test", &["pass", "temperror"]),
    (2, "silent.test", &["temperror"]),
];

impl Case {
    /// A case of ours or of others.
    fn pick(random: &mut Random, ours: bool) -> Case {
        if ours {
            return Case::Ours;
        }
        let mut at = random.below(600);
        for (share, domain, words) in NAMED {
            if at < share {
                return Case::Named(domain, words);
            }
            at -= share;
        }
        match at {
            0..40 => Case::Altered,
            40..60 => Case::Bare,
            _ => Case::Good,
        }
    }

    /// The words that the result may have; none where it is to be signed.
    pub(crate) fn words(self) -> &'static [&'static str] {
        match self {
            Case::Ours => &[],
            Case::Good => &["pass"],
            Case::Named(_, words) => words,
            Case::Altered => &["fail"],
            Case::Bare => &["none"],
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Case::Ours => "to be signed",
            Case::Good => "good",
            Case::Named(domain, _) => domain,
            Case::Altered => "altered",
            Case::Bare => "not signed",
        }
    }
}

/// A message, and what it is.
#[derive(Debug, Clone)]
pub(crate) struct Mail {
    pub(crate) number: usize,
    pub(crate) case: Case,
    pub(crate) bytes: Vec<u8>,
}

impl Mail {
    pub(crate) fn new(
        seed: u64,
        number: usize,
        ours: bool,
        key: &Arc<SigningKey>,
        now: UnixTime,
    ) -> Mail {
        let mut random = Random::new(seed ^ (number as u64) << 20);
        let case = Case::pick(&mut random, ours);
        let size = match random.below(50) {
            0 => 100 << 10,
            1..5 => 20 << 10,
            _ => 200 + random.below(4000),
        };
        let kind = *random.pick(&[Kind::Text, Kind::Text, Kind::Base64]);
        let bytes = messages::message(&mut random, kind, size);
        let domain = match case {
            Case::Ours => OWN,
            Case::Named(domain, _) => domain,
            Case::Good | Case::Altered | Case::Bare => "good.test",
        };
        let text = String::from_utf8(bytes).expect("the messages are ASCII");
        let mut bytes = text.replace("test.example", domain).into_bytes();
        let selector = match case {
            Case::Good | Case::Altered => format!("s{}", random.below(100)),
            // Few enough that all caches are full when memory begins to be watched; they are asked for again
            // when they are too old.
            _ => format!("n{}", random.below(300)),
        };
        if !matches!(case, Case::Ours | Case::Bare) {
            bytes = signed(&bytes, domain, &selector, key, now);
        }
        if case == Case::Altered {
            bytes.extend(b"This line was not there.\r\n");
        }
        Mail {
            number,
            case,
            bytes,
        }
    }

    pub(crate) fn queue_id(&self) -> String {
        format!("4Soak{:07X}", self.number)
    }
}

fn signed(
    message: &[u8],
    domain: &str,
    selector: &str,
    key: &Arc<SigningKey>,
    now: UnixTime,
) -> Vec<u8> {
    let domain = Domain::new(domain).expect("a domain");
    let selector = Selector::new(selector).expect("a selector");
    let identity = SigningIdentity::new(domain, selector, key.clone());
    let fields = dkimkit::sign(message, vec![identity], &SignOptions::new(now));
    let fields = fields.expect("a message can be signed");
    [fields[0].as_bytes(), b"\r\n", message].concat()
}
