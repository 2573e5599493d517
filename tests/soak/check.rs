//! What must become of each message.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dkimkit::dns::Answer;
use dkimkit::keystore::KeyStore;
use dkimkit::milter::wire::{Modification, Reply};
use dkimkit::name::{Domain, Selector};
use dkimkit::policy::Policy;
use dkimkit::report::Outcome;
use dkimkit::verify::{PublishedKeys, verify_with};

use crate::mail::{Case, Mail, OWN};
use crate::mta::Answered;
use crate::{Soak, now};

/// The keys that sign, and those that did.
pub(crate) struct Keys {
    store: KeyStore,
    policy: Arc<Policy>,
    lives: RefCell<HashMap<String, Life>>,
    /// The one that signs since the last reload.
    sure: RefCell<Option<String>>,
}

/// When a key was begun to be retired, and when the milter had said that it knows.
#[derive(Default)]
struct Life {
    published: Option<Arc<PublishedKeys>>,
    leaves: Option<Instant>,
    gone: Option<Instant>,
}

impl Keys {
    pub(crate) fn new(place: &Path) -> Keys {
        Keys {
            store: KeyStore::new(place.join("keys")),
            policy: Arc::new(Policy::default()),
            lives: RefCell::default(),
            sure: RefCell::default(),
        }
    }

    pub(crate) fn sure(&self) -> Option<String> {
        self.sure.borrow().clone()
    }

    /// There is a key of this selector; it may sign from now on.
    pub(crate) fn comes(&self, selector: &str) {
        let name = Selector::new(selector).expect("a selector");
        let domain = Domain::new(OWN).expect("a domain");
        let record = self.store.record(&domain, &name).expect("a record");
        let answer = Answer::Records {
            txt: vec![record.into_bytes()],
            ttl: Duration::from_secs(3600),
            secure: None,
        };
        let life = Life {
            published: Some(Arc::new(PublishedKeys::read(answer, &self.policy))),
            ..Life::default()
        };
        self.lives.borrow_mut().insert(selector.to_owned(), life);
    }

    /// The milter has said that it knows this key.
    pub(crate) fn signs(&self, selector: &str) {
        *self.sure.borrow_mut() = Some(selector.to_owned());
    }

    pub(crate) fn leaves(&self, selector: &str) {
        let mut lives = self.lives.borrow_mut();
        lives.entry(selector.to_owned()).or_default().leaves = Some(Instant::now());
    }

    /// The milter has said that it does not use it any more.
    pub(crate) fn gone(&self, selector: &str) {
        let mut lives = self.lives.borrow_mut();
        lives.entry(selector.to_owned()).or_default().gone = Some(Instant::now());
    }

    fn published(&self, selector: &str) -> Arc<PublishedKeys> {
        let lives = self.lives.borrow();
        let known = lives.get(selector).and_then(|life| life.published.clone());
        known.unwrap_or_else(|| Arc::new(PublishedKeys::read(Answer::NoName, &self.policy)))
    }

    /// Whether a message that was begun then may have a signature of this key.
    fn may_have_signed(&self, selector: &str, began: Instant) -> bool {
        let lives = self.lives.borrow();
        let life = lives.get(selector);
        life.is_some_and(|life| life.gone.is_none_or(|gone| gone >= began))
    }

    /// Whether it began to leave.
    fn is_leaving(&self, selector: &str) -> bool {
        let lives = self.lives.borrow();
        lives
            .get(selector)
            .is_some_and(|life| life.leaves.is_some())
    }
}

impl Soak {
    /// What came of a message in a word, or what is wrong with that.
    pub(crate) fn check(
        &self,
        mail: &Mail,
        answered: &Answered,
        began: Instant,
        sure: Option<&str>,
    ) -> Result<String, String> {
        if !matches!(answered.reply, Reply::Accept | Reply::Continue) {
            return Err(format!("answered with {:?}", answered.reply));
        }
        match mail.case {
            Case::Ours => self.check_signed(mail, answered, began, sure),
            case => check_result(case, answered),
        }
    }

    fn check_signed(
        &self,
        mail: &Mail,
        answered: &Answered,
        began: Instant,
        sure: Option<&str>,
    ) -> Result<String, String> {
        let mut message = Vec::new();
        for value in inserted(answered, "DKIM-Signature") {
            message.extend(b"DKIM-Signature:");
            message.extend(value.replace('\n', "\r\n").into_bytes());
            message.extend(b"\r\n");
        }
        message.extend(&mail.bytes);
        let keys = |name: &dkimkit::name::KeyName| {
            let name = name.to_string();
            self.keys.published(name.split('.').next().unwrap_or(&name))
        };
        let verdicts = verify_with(&message, keys, self.keys.policy.clone(), now());
        let verdicts = verdicts.map_err(|error| error.to_string())?;
        let mut selectors = Vec::new();
        for verdict in &verdicts {
            let Outcome::Pass(signature) = &verdict.outcome else {
                return Err(format!("a signature does not hold: {verdict:?}"));
            };
            let selector = signature.selector.to_string();
            if !self.keys.may_have_signed(&selector, began) {
                return Err(format!("signed with {selector}, which was retired before"));
            }
            selectors.push(selector);
        }
        match sure {
            Some(sure) if !selectors.iter().any(|s| s == sure) && !self.keys.is_leaving(sure) => {
                Err(format!("signed by {selectors:?}, and not by {sure}"))
            }
            _ if selectors.is_empty() => Err("not signed".to_owned()),
            _ => Ok(format!("{} signatures", selectors.len())),
        }
    }
}

fn check_result(case: Case, answered: &Answered) -> Result<String, String> {
    let mut fields = inserted(answered, "Authentication-Results");
    let (Some(field), None) = (fields.pop(), fields.pop()) else {
        let got = &answered.modifications;
        return Err(format!("not one Authentication-Results: {got:?}"));
    };
    let word = field.split("dkim=").nth(1).unwrap_or_default();
    let word: String = word.chars().take_while(char::is_ascii_alphabetic).collect();
    match case.words().contains(&word.as_str()) {
        true => Ok(word),
        false => Err(format!("not {:?}: {field}", case.words())),
    }
}

/// The values of the fields with a name that were inserted, the first one on top.
fn inserted(answered: &Answered, wanted: &str) -> Vec<String> {
    let mut values = Vec::new();
    for one in &answered.modifications {
        let (at, name, value) = match one {
            Modification::InsertHeader { index, name, value } => (*index, name, value),
            Modification::AddHeader { name, value } => (u32::MAX, name, value),
            _ => continue,
        };
        if name.eq_ignore_ascii_case(wanted.as_bytes()) {
            let value = String::from_utf8_lossy(value).into_owned();
            match at {
                0 => values.insert(0, value),
                _ => values.push(value),
            }
        }
    }
    values
}
