//! The verifier, in stages: the header says what may be tried and which keys are wanted; the body comes
//! in chunks; the answers of DNS come at any time and in any order; the end gives the verdicts.

mod keyring;
mod published;

use std::ops::Range;
use std::sync::Arc;

use crate::author::{Authors, Rank};
use crate::canon::{self, Canon, Sink};
use crate::dns::{Answer, LookupTxt};
use crate::hash::{BodyHash, BodyHashSpec, BodyHasher, BodyLimit, Digest, HashAlgorithm, Hasher};
use crate::header::{FieldIndex, FieldNames};
use crate::message::{Header, SplitError, split};
use crate::name::{Alignment, KeyName};
use crate::policy::{Covered, Level, MessageFacts, Policy};
use crate::report::{Failure, KeyFacts, Outcome, Verdict};
use crate::signature::{Claims, FIELD_NAME, Signature};
use crate::time::UnixTime;

pub use self::published::{KeyCache, PublishedKeys};

pub(crate) use self::keyring::{Keyring, header_and_body};
pub(crate) use self::published::KeyUse;

/// Verifies a message whose bytes are all at hand.
///
/// `now` is the time at which t= and x= are judged. Line ends are CRLF.
///
/// ```
/// use dkimkit::dns::Zone;
/// use dkimkit::policy::Policy;
/// use dkimkit::report::{ResultWord, overall};
/// use dkimkit::time::UnixTime;
/// let message = b"From: a@example.com\r\n\r\nHi\r\n";
/// let zone = Zone::default();
/// let verdicts = dkimkit::verify(message, &zone, &Policy::default(), UnixTime(1_700_000_000))?;
/// assert_eq!(overall(&verdicts), ResultWord::None);
/// # Ok::<(), dkimkit::message::SplitError>(())
/// ```
///
/// # Errors
/// [`SplitError`] for a message whose header cannot be read; no signature of it was looked at.
pub fn verify(
    message: &[u8],
    dns: &dyn LookupTxt,
    policy: &Policy,
    now: UnixTime,
) -> Result<Vec<Verdict>, SplitError> {
    let ask = |name: &KeyName| Arc::new(PublishedKeys::read(dns.lookup_txt(name), policy));
    verify_with(message, ask, Arc::new(*policy), now)
}

/// [`verify`] with keys that were read before, as those of a [`KeyCache`].
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use dkimkit::dns::{LookupTxt as _, Zone};
/// use dkimkit::policy::Policy;
/// use dkimkit::time::UnixTime;
/// use dkimkit::verify::{KeyCache, verify_with};
/// let zone = Zone::default();
/// let policy = Arc::new(Policy::default());
/// let cache = KeyCache::new(1000);
/// for message in [b"From: a@example.com\r\n\r\nHi\r\n", b"From: b@example.com\r\n\r\nHo\r\n"] {
///     let keys = |name: &_| match cache.get(name) {
///         Some(keys) => keys,
///         None => cache.put(name, zone.lookup_txt(name), &policy, Duration::from_secs(300)),
///     };
///     let verdicts = verify_with(message, keys, policy.clone(), UnixTime(1_700_000_000))?;
///     assert!(verdicts.is_empty());
/// }
/// # Ok::<(), dkimkit::message::SplitError>(())
/// ```
///
/// # Errors
/// Those of [`verify`].
pub fn verify_with(
    message: &[u8],
    mut keys: impl FnMut(&KeyName) -> Arc<PublishedKeys>,
    policy: Arc<Policy>,
    now: UnixTime,
) -> Result<Vec<Verdict>, SplitError> {
    let (header, body) = split(message, policy.limits.header)?;
    let mut verifier = Verifier::new(header, policy, now);
    for at in 0..verifier.wanted().len() {
        let name = verifier.wanted()[at].clone();
        verifier.supply_keys(&name, keys(&name));
    }
    let mut verifier = verifier.start_body();
    let _ = verifier.write(body);
    Ok(verifier.finish())
}

/// The first stage: the header is known, the body is not.
#[derive(Debug)]
pub struct Verifier {
    header: Header,
    index: FieldIndex,
    authors: Authors,
    items: Vec<Item>,
    shared: Shared,
}

/// What both stages hold.
#[derive(Debug)]
struct Shared {
    keyring: Keyring,
    facts: MessageFacts,
    now: UnixTime,
}

/// A DKIM-Signature field: decided by the header alone, or still to be tried.
#[derive(Debug)]
struct Item {
    index: usize,
    alignment: Option<Alignment>,
    rank: Rank,
    state: State,
}

#[derive(Debug)]
enum State {
    Decided(Failure, Box<Claims>),
    Open(Box<Candidate>),
}

#[derive(Debug)]
struct Candidate {
    signature: Signature,
    key_name: KeyName,
    /// Its field in the header, and where in it the value of b= stands.
    position: usize,
    b_value: Range<usize>,
}

impl Verifier {
    /// Decides from the header alone which signatures may be tried and in which order: first those whose d= has the most
    /// labels in common with From, as one of the same organization has, and among them those that are aligned, equal before
    /// ancestor before below; each from the top down.
    pub fn new(header: Header, policy: Arc<Policy>, now: UnixTime) -> Verifier {
        let index = FieldIndex::new(&header);
        let authors = Authors::of(&header);
        let facts = MessageFacts::new(&header, &index, &authors);
        let mut items = Vec::new();
        let positions = index.positions(&header, FIELD_NAME);
        for (nth, position) in positions.enumerate() {
            items.push(read_item(&header, &authors, &policy, now, nth, position));
        }
        let wanted = choose(&mut items, &policy);
        Verifier {
            header,
            index,
            authors,
            items,
            shared: Shared {
                keyring: Keyring::new(policy, wanted),
                facts,
                now,
            },
        }
    }

    /// The names of the keys that are wanted, each once.
    pub fn wanted(&self) -> &[KeyName] {
        self.shared.keyring.wanted()
    }

    /// The mailboxes of From.
    pub fn authors(&self) -> &Authors {
        &self.authors
    }

    /// Takes the answer for one of the wanted names. An answer for another name is not kept, and a
    /// second one only where the first was [`Answer::Temporary`].
    pub fn supply(&mut self, name: &KeyName, answer: Answer) {
        self.shared.keyring.supply_answer(name, answer);
    }

    /// [`supply`](Verifier::supply) with an answer that was read before, under the same policy.
    pub fn supply_keys(&mut self, name: &KeyName, keys: Arc<PublishedKeys>) {
        self.shared.keyring.supply(name, keys);
    }

    /// Goes on to the body. No answer is needed for that.
    pub fn start_body(self) -> BodyVerifier {
        let mut open = Vec::new();
        let mut decided = Vec::new();
        for item in self.items {
            match item.state {
                State::Decided(failure, claims) => decided.push(Verdict {
                    index: item.index,
                    outcome: Outcome::Refused(failure),
                    claims: *claims,
                    alignment: item.alignment,
                    key: None,
                }),
                State::Open(candidate) => open.push(Tried {
                    index: item.index,
                    alignment: item.alignment,
                    rank: item.rank,
                    position: candidate.position,
                    b_value: candidate.b_value,
                    body: BodyHashSpec {
                        canon: candidate.signature.canonicalization.body,
                        hash: candidate.signature.algorithm.hash(),
                        limit: candidate.signature.body_limit,
                    },
                    signature: candidate.signature,
                    key_name: candidate.key_name,
                }),
            }
        }
        BodyVerifier {
            hasher: BodyHasher::new(open.iter().map(|t| t.body)),
            header: self.header,
            fields: self.index,
            open,
            decided,
            shared: self.shared,
        }
    }
}

fn read_item(
    header: &Header,
    authors: &Authors,
    policy: &Policy,
    now: UnixTime,
    index: usize,
    position: usize,
) -> Item {
    let value = header.field(position).value();
    let state = match Signature::parse(value, policy.limits.signature) {
        Err(rejected) => {
            let claims = Box::new(rejected.claims);
            State::Decided(Failure::Signature(rejected.error), claims)
        }
        Ok((signature, b_value)) => match policy.before_lookup(&signature, now) {
            Some(failure) => State::Decided(failure, Box::new(Claims::from(&signature))),
            None => State::Open(Box::new(Candidate {
                key_name: signature
                    .key_name()
                    .expect("a signature that was read has a name for its key"),
                signature,
                position,
                b_value,
            })),
        },
    };
    let domain = match &state {
        State::Decided(_, claims) => claims.domain.as_ref(),
        State::Open(candidate) => Some(&candidate.signature.domain),
    };
    let alignment = domain.and_then(|d| authors.alignment(d));
    Item {
        index,
        alignment,
        rank: domain.map_or(Authors::LAST, |d| authors.rank(d)),
        state,
    }
}

/// Leaves out what is beyond the caps, the strangers to the author first; returns the keys of the others.
fn choose(items: &mut [Item], policy: &Policy) -> Vec<KeyName> {
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by_key(|at| items[*at].rank);
    let mut wanted: Vec<KeyName> = Vec::new();
    let mut tried = 0;
    for at in order {
        let State::Open(candidate) = &items[at].state else {
            continue;
        };
        let known = wanted.contains(&candidate.key_name);
        let room = known || wanted.len() < policy.limits.lookups;
        if tried == policy.limits.signatures || !room {
            let claims = Box::new(Claims::from(&candidate.signature));
            items[at].state = State::Decided(Failure::NotEvaluated, claims);
            continue;
        }
        tried += 1;
        if !known {
            wanted.push(candidate.key_name.clone());
        }
    }
    wanted
}

/// Puts into `sink` what b= signs: the fields that h= picks, and the signature field itself without the
/// value of b= (RFC 6376 §3.7).
///
/// `position` is that of the signature field in `header`, and `b_value` what [`Signature::parse`] returned.
pub fn put_signed_header(
    header: &Header,
    index: &FieldIndex,
    signature: &Signature,
    position: usize,
    b_value: Range<usize>,
    sink: &mut dyn Sink,
) {
    let signed = SignedFields {
        canon: signature.canonicalization.header,
        names: signature.signed_headers.names(),
        position,
        b_value,
    };
    signed.put(header, index, sink);
}

/// Whether more bytes of the body are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Appetite {
    /// They are.
    More,
    /// No signature that may still pass depends on them; they may come all the same.
    Done,
}

/// The second stage: the body comes.
#[derive(Debug)]
pub struct BodyVerifier {
    hasher: BodyHasher,
    header: Header,
    fields: FieldIndex,
    open: Vec<Tried>,
    decided: Vec<Verdict>,
    shared: Shared,
}

/// A signature that waits for the body and its key.
#[derive(Debug)]
struct Tried {
    index: usize,
    alignment: Option<Alignment>,
    rank: Rank,
    signature: Signature,
    key_name: KeyName,
    /// Its field in the header, and where in it the value of b= stands.
    position: usize,
    b_value: Range<usize>,
    body: BodyHashSpec,
}

impl BodyVerifier {
    /// Takes the answer for one of the wanted names. An answer for another name is not kept, and a
    /// second one only where the first was [`Answer::Temporary`].
    pub fn supply(&mut self, name: &KeyName, answer: Answer) {
        self.shared.keyring.supply_answer(name, answer);
    }

    /// [`supply`](BodyVerifier::supply) with an answer that was read before, under the same policy.
    pub fn supply_keys(&mut self, name: &KeyName, keys: Arc<PublishedKeys>) {
        self.shared.keyring.supply(name, keys);
    }

    /// Takes the next bytes of the body.
    pub fn write(&mut self, chunk: &[u8]) -> Appetite {
        if self.appetite() == Appetite::Done {
            return Appetite::Done;
        }
        self.hasher.write(chunk);
        self.appetite()
    }

    fn appetite(&self) -> Appetite {
        let strict = self.shared.keyring.policy.level == Level::Strict;
        let wants = |tried: &Tried| {
            let bounded = tried.body.limit != BodyLimit::Whole;
            // To say how much lies behind l=, strict reads to the end.
            let open = !bounded || strict || !self.hasher.is_known(&tried.body);
            open && self
                .shared
                .keyring
                .may_pass(&tried.key_name, KeyUse::from(&tried.signature))
        };
        if self.open.iter().any(wants) {
            Appetite::More
        } else {
            Appetite::Done
        }
    }

    /// Ends the body: the verdict on each DKIM-Signature field, from the top down.
    ///
    /// A wanted name for which no answer was supplied gives `temperror`.
    pub fn finish(self) -> Vec<Verdict> {
        let hashes = self.hasher.finish();
        let mut verdicts = self.decided;
        let limit = self.shared.keyring.policy.limits.hashed_header;
        let mut work = HeaderWork::new(&self.header, &self.fields, limit);
        let mut open = self.open;
        open.sort_by_key(|tried| tried.rank);
        for tried in open {
            let body = hashes.get(&tried.body);
            let (outcome, key) = self.shared.judge(&tried, body, &mut work);
            verdicts.push(Verdict {
                index: tried.index,
                claims: Claims::from(&tried.signature),
                alignment: tried.alignment,
                outcome: match outcome {
                    Ok(()) => Outcome::Pass(Box::new(tried.signature)),
                    Err(failure) => Outcome::Refused(failure),
                },
                key,
            });
        }
        verdicts.sort_by_key(|v| v.index);
        verdicts
    }
}

impl Shared {
    fn judge(
        &self,
        tried: &Tried,
        body: BodyHash,
        work: &mut HeaderWork<'_>,
    ) -> (Result<(), Failure>, Option<KeyFacts>) {
        let signature = &tried.signature;
        let (outcome, key) = self.keyring.judge(
            &tried.key_name,
            KeyUse::from(signature),
            &signature.signature,
            || work.digest(signature.algorithm.hash(), &tried.signed()),
            |holds| header_and_body(holds, body, &tried.body, &signature.body_hash),
        );
        let covered = Covered {
            domain: &signature.domain,
            names: signature.signed_headers.names(),
            timestamp: signature.timestamp,
            unsigned: unsigned_octets(&tried.body, body),
        };
        let policy = &self.keyring.policy;
        let refusal = || policy.after_success(&covered, &self.facts, self.now);
        (outcome.and_then(|()| refusal().map_or(Ok(()), Err)), key)
    }
}

/// The number of canonical body octets behind those that l= covers.
pub(crate) fn unsigned_octets(spec: &BodyHashSpec, body: BodyHash) -> u64 {
    match spec.limit {
        BodyLimit::Whole => 0,
        BodyLimit::Octets(limit) => body.canonical_len.saturating_sub(limit),
    }
}

impl Tried {
    fn signed(&self) -> SignedFields<'_> {
        SignedFields {
            canon: self.signature.canonicalization.header,
            names: self.signature.signed_headers.names(),
            position: self.position,
            b_value: self.b_value.clone(),
        }
    }
}

/// What b= signs of a header: the fields that h= names, and the signature field itself, without the value of b=
/// (RFC 6376 §3.7).
#[derive(Debug)]
pub(crate) struct SignedFields<'a> {
    pub(crate) canon: Canon,
    pub(crate) names: &'a FieldNames,
    /// Where the signature field stands in the header, and where in it the value of b= does.
    pub(crate) position: usize,
    pub(crate) b_value: Range<usize>,
}

impl SignedFields<'_> {
    fn put(&self, header: &Header, index: &FieldIndex, sink: &mut dyn Sink) {
        index.pick_each(header, self.names, Some(self.position), |field| {
            if let Some(field) = field {
                canon::header::field(self.canon, field, sink);
            }
        });
        let own = header.field(self.position);
        canon::header::signature(self.canon, own, self.b_value.clone(), sink);
    }
}

/// The hashing of a header for one signature after the other, which ends at a cap.
pub(crate) struct HeaderWork<'h> {
    header: &'h Header,
    fields: &'h FieldIndex,
    /// Bytes that may still be hashed.
    left: usize,
    canonical: Vec<u8>,
}

impl<'h> HeaderWork<'h> {
    pub(crate) fn new(header: &'h Header, fields: &'h FieldIndex, limit: usize) -> HeaderWork<'h> {
        HeaderWork {
            header,
            fields,
            left: limit,
            canonical: Vec::new(),
        }
    }

    /// The hash that b= signs; `None` beyond the cap.
    pub(crate) fn digest(
        &mut self,
        hash: HashAlgorithm,
        signed: &SignedFields<'_>,
    ) -> Option<Digest> {
        if self.left == 0 {
            return None;
        }
        self.canonical.clear();
        self.canonical.reserve(self.header.as_bytes().len());
        signed.put(self.header, self.fields, &mut self.canonical);
        self.left = self.left.saturating_sub(self.canonical.len());
        let mut hasher = Hasher::new(hash);
        hasher.put(&self.canonical);
        Some(hasher.finish())
    }
}
