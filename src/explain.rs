//! Why a signature fails: a search over the ways in which mail is known to be changed.
//!
//! The hash cannot say what changed. But when the right change is undone, it matches again, and that is a proof: a
//! claim is made of a set of changes only when the bytes without them hash to what was signed. Body and header are
//! judged apart. What bh= says is the hash of the body; from an RSA signature the key gives back the hash of the
//! header ([`VerifyingKey::recover`](crate::key::VerifyingKey::recover)), and an Ed25519 key is asked.
//!
//! The whole message is held in memory, and some copies of it while it is searched. The clock is read for the
//! budget alone.

mod body;
mod bytes;
mod change;
mod damage;
mod header;
mod kind;
mod lines;
mod mime;
mod reading;
mod report;
mod search;
mod target;
mod whole;
mod words;

use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

pub use self::change::{Change, Spot};
pub use self::kind::{Kind, Who};
pub use self::report::{
    ChangeReport, ExplanationReport, MendReport, PartReport, SignatureExplanation, SpotReport,
};
pub use self::whole::Surplus;

use self::body::BodySearch;
use self::search::Search;
use self::target::{BodyTarget, HeaderTarget};
use crate::author::Authors;
use crate::domainkeys::{DomainKeysVerdict, DomainKeysVerifier};
use crate::header::FieldIndex;
use crate::message::{Header, SplitError};
use crate::name::{Domain, KeyName};
use crate::policy::Policy;
use crate::report::{DomainKeysReport, Failure, Verdict};
use crate::signature::{FIELD_NAME, Signature};
use crate::time::UnixTime;
use crate::verify::{PublishedKeys, Verifier};

/// How to search.
#[derive(Debug, Clone)]
pub struct Options {
    /// What is refused whatever the hashes say.
    pub policy: Arc<Policy>,
    /// The time at which t= and x= are judged.
    pub now: UnixTime,
    /// How long the search may take, for all signatures together.
    pub budget: Duration,
    /// Whether a bare LF is read as CRLF, as in a file that was saved with the line ends of Unix.
    pub lf_is_crlf: bool,
}

impl Options {
    /// The strict policy, ten seconds, and LF for CRLF.
    pub fn new(now: UnixTime) -> Options {
        Options {
            policy: Arc::new(Policy::default()),
            now,
            budget: Duration::from_secs(10),
            lf_is_crlf: true,
        }
    }
}

/// Says of each DKIM-Signature of a message whether it holds, and if not, what changed.
///
/// `keys` gives what is published at a name.
///
/// ```
/// use std::sync::Arc;
/// use dkimkit::dns::{LookupTxt as _, Zone};
/// use dkimkit::explain::{Kind, Options, Part, explain};
/// use dkimkit::key::{KeyKind, SigningKey};
/// use dkimkit::name::{Domain, Selector};
/// use dkimkit::record::KeyRecord;
/// use dkimkit::sign::{SignOptions, SigningIdentity};
/// use dkimkit::time::UnixTime;
/// use dkimkit::verify::PublishedKeys;
///
/// let now = UnixTime(1_700_000_000);
/// let key = SigningKey::generate(KeyKind::Ed25519)?;
/// let record = KeyRecord::new(key.algorithm().key_type(), key.public_bytes()).to_string();
/// let mut dns = Zone::default();
/// dns.insert_txt("mail._domainkey.example.com.", record.into_bytes());
///
/// let message = b"From: anna@example.com\r\n\r\nHello.\r\n";
/// let identity = SigningIdentity::new(Domain::new("example.com")?, Selector::new("mail")?, key);
/// let fields = dkimkit::sign(message, vec![identity], &SignOptions::new(now))?;
/// let came = [fields[0].as_bytes(), b"\r\n", message, b"-- \r\nA list\r\n"].concat();
///
/// let options = Options::new(now);
/// let keys = |name: &_| Arc::new(PublishedKeys::read(dns.lookup_txt(name), &options.policy));
/// let found = explain(&came, keys, &options)?;
/// let Part::Changed(changes) = &found.signatures[0].body else { panic!() };
/// assert_eq!(changes[0].kind, Kind::TextAppended);
/// assert_eq!(changes[0].spots[0].came, b"-- \r\nA list\r\n");
/// assert_eq!(found.signatures[0].restored().unwrap(), &came[..came.len() - 13]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`SplitError`] for a message whose header cannot be read, not even when its line ends are mended.
pub fn explain(
    message: &[u8],
    keys: impl FnMut(&KeyName) -> Arc<PublishedKeys>,
    options: &Options,
) -> Result<Explanation, SplitError> {
    let read = reading::read(message, options)?;
    let search = Search::new(options.budget);
    let body_line = 1 + memchr::memchr_iter(b'\n', &read.text[..read.body_at]).count();
    let mut work = Work {
        body_line,
        left: 1,
        text: read.text,
        body_at: read.body_at,
        header: Arc::new(read.header),
        raw: message,
        keys,
        options,
        search: &search,
        bodies: RefCell::default(),
    };
    let (verdicts, authors, domainkeys) = work.verdicts();
    let index = FieldIndex::new(&work.header);
    let positions = index.positions(&work.header, FIELD_NAME);
    let mut signatures = Vec::new();
    let count = verdicts.len();
    for (nth, (verdict, position)) in verdicts.into_iter().zip(positions).enumerate() {
        work.left = count - nth;
        signatures.push(work.signature(verdict, position));
    }
    Ok(Explanation {
        signatures,
        reading: read.changes,
        unreadable: read.reason,
        from_domains: authors.domains().to_vec(),
        domainkeys,
        text: work.text.into_owned(),
        header: work.header,
        body_at: work.body_at,
        took: search.elapsed(),
    })
}

/// What is known of a message whose signatures were looked at.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// One for each DKIM-Signature field, from the top down.
    pub signatures: Vec<Explained>,
    /// What had to be undone before there was a header to read: the verdicts are on the message without that, and
    /// the message as it came is a `permerror`.
    pub reading: Vec<Change>,
    /// The reason for that.
    pub unreadable: Option<&'static str>,
    /// The domains of From.
    pub from_domains: Vec<Domain>,
    /// The DomainKey-Signature fields.
    pub domainkeys: Vec<DomainKeysReport>,
    /// How long the search took.
    pub took: Duration,
    text: Vec<u8>,
    header: Arc<Header>,
    body_at: usize,
}

impl Explanation {
    /// The message as it was read, with CRLF: what all places count in.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The header as it came.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Where the body begins in [`text`](Self::text).
    pub fn body_at(&self) -> usize {
        self.body_at
    }

    /// The signature for which the message is fully known as it was signed: one that fails before one that passes,
    /// of which there is nothing to restore, and one aligned with From before others.
    pub fn restorable(&self) -> Option<&Explained> {
        let known = self.signatures.iter().filter(|s| s.is_restorable());
        known.min_by_key(|s| (s.verdict.failure().is_none(), s.verdict.alignment.is_none()))
    }
}

/// What is known of one signature.
#[derive(Debug, Clone)]
pub struct Explained {
    /// The verdict on the message as it came.
    pub verdict: Verdict,
    /// The field, if it could be read.
    pub signature: Option<Signature>,
    /// The position of the DKIM-Signature field in the header, from 0 at the top.
    pub position: usize,
    /// Which field each name of h= means: its position, or none where it is not there.
    pub covered: Vec<(String, Option<usize>)>,
    /// What became of what bh= covers.
    pub body: Part,
    /// What became of what b= covers.
    pub header: Part,
    /// Fields that may stand once, and stand above the one that is signed: who reads the message may be shown them.
    pub surplus: Vec<Surplus>,
    /// Fields that are needed to read the body as it was signed, and are not signed: what they said is not known.
    pub unknown_fields: Vec<&'static str>,
    /// Fields that are not signed, and that [`restored`](Self::restored) has as the body needs them.
    pub fitted_fields: Vec<&'static str>,
    /// The header and body as they were signed, where they are known.
    signed_header: Option<Vec<u8>>,
    signed_body: Option<Arc<Vec<u8>>>,
    /// The line of the message in which the body begins, counted from 1.
    body_line: usize,
    /// Whether the body as it was signed ends with a line end.
    ends_with_line: bool,
}

/// What became of the body, or of the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// It is as it was signed.
    Holds,
    /// The hash proves it: without these changes it is as it was signed.
    Changed(Vec<Change>),
    /// It is not what was signed, and none of the known changes gives that back.
    Unexplained(Effort),
    /// There is nothing to hold it against.
    Unjudged(Unjudged),
}

/// How much was tried without success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effort {
    /// Texts whose hash was compared.
    pub tried: u64,
    /// Whether all that is known was tried; otherwise the budget ended before.
    pub finished: bool,
}

/// Why header or body could not be held against a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unjudged {
    /// The DKIM-Signature field cannot be read.
    Field,
    /// There is no key that can be used: without it, b= says nothing.
    NoKey,
    /// The key that is published did not make the signature, or b= was damaged.
    OtherKey,
}

impl Explained {
    /// Whether header and body are known as they were signed, and all that is needed to read them.
    pub fn is_restorable(&self) -> bool {
        self.signed_header.is_some() && self.signed_body.is_some() && self.unknown_fields.is_empty()
    }

    /// The message as it was signed, where that is fully known: with the fields that are not signed, about which the
    /// signature says nothing, but without those of [`surplus`](Self::surplus).
    pub fn restored(&self) -> Option<Vec<u8>> {
        if !self.is_restorable() {
            return None;
        }
        let (header, body) = (self.signed_header.as_ref()?, self.signed_body.as_ref()?);
        Some([header.as_slice(), b"\r\n", body.as_slice()].concat())
    }

    /// Whether the reason of the failure is known: for what holds there is none to find.
    pub fn is_explained(&self) -> bool {
        let known = |part: &Part| matches!(part, Part::Holds | Part::Changed(_));
        match self.verdict.failure() {
            None => true,
            Some(Failure::BodyHash { .. } | Failure::BodyTooShort { .. } | Failure::Mismatch) => {
                known(&self.body) && known(&self.header)
            }
            // The verdict says why; but what was changed besides is to be known too.
            Some(_) => {
                let unknown = |part: &Part| matches!(part, Part::Unexplained(_));
                !unknown(&self.body) && !unknown(&self.header)
            }
        }
    }

    /// The changes of header and body.
    pub fn changes(&self) -> impl Iterator<Item = &Change> {
        [&self.body, &self.header]
            .into_iter()
            .flat_map(|part| match part {
                Part::Changed(changes) => changes.as_slice(),
                _ => &[],
            })
    }
}

/// What is at hand while a message is explained.
struct Work<'m, K> {
    /// The line in which the body begins, counted from 1.
    body_line: usize,
    /// How many signatures are still to be judged: each is to have its share of the time.
    left: usize,
    text: Cow<'m, [u8]>,
    body_at: usize,
    header: Arc<Header>,
    /// The message before anything was done with its line ends.
    raw: &'m [u8],
    keys: K,
    options: &'m Options,
    search: &'m Search,
    /// What was found for bodies: signatures often share theirs.
    bodies: RefCell<Vec<(BodyTarget, body::Found)>>,
}

impl<K: FnMut(&KeyName) -> Arc<PublishedKeys>> Work<'_, K> {
    fn verdicts(&mut self) -> (Vec<Verdict>, Authors, Vec<DomainKeysReport>) {
        let policy = self.options.policy.clone();
        let header = Header::clone(&self.header);
        let mut domainkeys = DomainKeysVerifier::new(&header, policy.clone());
        let mut verifier = Verifier::new(header, policy, self.options.now);
        for name in verifier.wanted().to_vec() {
            let keys = (self.keys)(&name);
            verifier.supply_keys(&name, keys);
        }
        for name in domainkeys.wanted().to_vec() {
            domainkeys.supply_keys(&name, (self.keys)(&name));
        }
        let authors = verifier.authors().clone();
        let mut verifier = verifier.start_body();
        let body = &self.text[self.body_at..];
        let _ = (verifier.write(body), domainkeys.write(body));
        let domainkeys = domainkeys
            .finish()
            .iter()
            .map(DomainKeysVerdict::report)
            .collect();
        (verifier.finish(), authors, domainkeys)
    }

    /// A signature, with the characters back that its base64 lost.
    fn signature(&mut self, verdict: Verdict, position: usize) -> Explained {
        let limits = self.options.policy.limits.signature;
        match damage::repaired(&self.header, position, limits) {
            None => self.judge(verdict, position, self.header.clone()),
            Some((header, change)) => {
                let mut explained = self.judge(verdict, position, Arc::new(header));
                explained.header = match explained.header {
                    Part::Holds => Part::Changed(vec![change]),
                    Part::Changed(mut changes) => {
                        changes.insert(0, change);
                        Part::Changed(changes)
                    }
                    other => other,
                };
                explained
            }
        }
    }

    fn judge(&mut self, verdict: Verdict, position: usize, header: Arc<Header>) -> Explained {
        let value = header.field(position).value();
        let limits = self.options.policy.limits.signature;
        let mut explained = Explained {
            verdict,
            signature: None,
            position,
            covered: Vec::new(),
            body: Part::Unjudged(Unjudged::Field),
            header: Part::Unjudged(Unjudged::Field),
            surplus: Vec::new(),
            unknown_fields: Vec::new(),
            fitted_fields: Vec::new(),
            signed_header: None,
            signed_body: None,
            body_line: self.body_line,
            ends_with_line: false,
        };
        let Ok((signature, b_value)) = Signature::parse(value, limits) else {
            return explained;
        };
        let names = signature.signed_headers.names();
        if matches!(explained.verdict.failure(), Some(Failure::NotEvaluated)) {
            explained.signature = Some(signature);
            return explained;
        }
        let index = FieldIndex::new(&header);
        let picked = index.pick(&header, names, Some(position));
        let picked = picked.iter().map(|field| field.map(|f| f.position()));
        explained.covered = names.iter().map(str::to_owned).zip(picked).collect();
        let Ok(name) = signature.key_name() else {
            return explained;
        };
        let keys = (self.keys)(&name);
        let usable = keys.usable_for(&signature);
        let targets = usable
            .iter()
            .filter_map(|key| HeaderTarget::of(&signature, key));
        let targets: Vec<HeaderTarget<'_>> = targets.collect();
        let task = header::Task {
            header: &header,
            signature: &signature,
            position,
            b_value,
            body: &self.text[self.body_at..],
        };
        // Where there is nothing to search in the header, all the time is for the body.
        let holds = header::holds(&task, &targets);
        let part = if holds || targets.is_empty() {
            1.0
        } else {
            0.6
        };
        // The signatures that follow want some of it too.
        let fair = 1.0 / self.left.min(4) as f64;
        let target = BodyTarget::of(&signature);
        (explained.body, explained.signed_body) = self.body(&target, part * fair);
        let signed = explained.signed_body.as_ref();
        explained.ends_with_line = signed.is_some_and(|body| body.ends_with(b"\r\n"));
        (explained.header, explained.signed_header) = match (usable.is_empty(), holds) {
            (true, _) => (Part::Unjudged(Unjudged::NoKey), None),
            (false, _) if targets.is_empty() => (Part::Unjudged(Unjudged::OtherKey), None),
            (false, true) => (Part::Holds, Some(header::as_it_came(&task))),
            (false, false) => header::explain(&task, &targets, self.search, fair),
        };
        // A label that says otherwise is no other encoding, where the body is the same.
        if let (Part::Holds, Part::Changed(changes)) = (&explained.body, &mut explained.header) {
            let label = |c: &&mut Change| matches!(c.kind, Kind::TransferEncoding | Kind::Charset);
            let labels = changes.iter_mut().filter(label);
            labels.for_each(|change| change.kind = Kind::FieldChanged);
        }
        explained.signature = Some(signature);
        let body = &self.text[self.body_at..];
        if let Ok(Some(whole)) = whole::of(&explained, &self.header, body) {
            explained.signed_header = Some(whole.header);
            explained.surplus = whole.surplus;
            explained.unknown_fields = whole.unknown;
            explained.fitted_fields = whole.fitted;
        }
        explained
    }

    fn body(&self, target: &BodyTarget, part: f64) -> (Part, Option<Arc<Vec<u8>>>) {
        if let Some((_, found)) = self
            .bodies
            .borrow()
            .iter()
            .find(|(known, _)| known == target)
        {
            return found.clone();
        }
        let search = BodySearch {
            text: &self.text,
            body_at: self.body_at,
            header: &self.header,
            raw: self.raw,
            target,
            search: self.search,
            part,
        };
        let found = search.run();
        self.bodies
            .borrow_mut()
            .push((target.clone(), found.clone()));
        found
    }
}
