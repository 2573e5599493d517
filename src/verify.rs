//! The verifier, in stages: the header says what may be tried and which keys are wanted; the body comes
//! in chunks; the answers of DNS come at any time and in any order; the end gives the verdicts.

mod published;

use std::ops::Range;
use std::sync::Arc;

use crate::author::Authors;
use crate::canon::{self, Sink};
use crate::dns::{Answer, Cause, LookupTxt};
use crate::hash::{BodyHash, BodyHashSpec, BodyHasher, BodyLimit, Digest, Hasher};
use crate::header::FieldIndex;
use crate::message::{Header, SplitError, split};
use crate::name::{Alignment, KeyName};
use crate::policy::{Level, MessageFacts, Policy};
use crate::record::RecordError;
use crate::report::{DomainKeysReport, Failure, KeyFacts, Outcome, Verdict};
use crate::signature::{Claims, FIELD_NAME, Signature};
use crate::tag::TagList;
use crate::time::UnixTime;

pub use self::published::{KeyCache, PublishedKeys};

use self::published::{Keys, Published};

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
    for at in 0..verifier.wanted.len() {
        let name = verifier.wanted[at].clone();
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
    facts: MessageFacts,
    items: Vec<Item>,
    wanted: Vec<KeyName>,
    shared: Shared,
}

/// What both stages hold.
#[derive(Debug)]
struct Shared {
    policy: Arc<Policy>,
    now: UnixTime,
    /// At most as many as may be looked up.
    keys: Vec<(KeyName, Arc<PublishedKeys>)>,
}

/// A DKIM-Signature field: decided by the header alone, or still to be tried.
#[derive(Debug)]
struct Item {
    index: usize,
    alignment: Option<Alignment>,
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
    /// Decides from the header alone which signatures may be tried and in which order: those aligned with
    /// From first, equal before ancestor before below, each from the top down.
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
        let keys = Vec::new();
        Verifier {
            header,
            index,
            authors,
            facts,
            items,
            wanted,
            shared: Shared { policy, now, keys },
        }
    }

    /// The names of the keys that are wanted, each once.
    pub fn wanted(&self) -> &[KeyName] {
        &self.wanted
    }

    /// The mailboxes of From.
    pub fn authors(&self) -> &Authors {
        &self.authors
    }

    /// The DomainKey-Signature fields of the header (RFC 4870), which are named and not verified.
    pub fn domainkeys(&self) -> Vec<DomainKeysReport> {
        let positions = self.index.positions(&self.header, "DomainKey-Signature");
        let tags = self.shared.policy.limits.signature.tags;
        positions
            .map(|position| self.header.field(position))
            .enumerate()
            .map(|(index, field)| {
                let list = TagList::parse(field.value(), tags).ok();
                let text = |name: &str| {
                    let tag = list.as_ref()?.get(name)?;
                    Some(String::from_utf8_lossy(tag.value).into_owned())
                };
                DomainKeysReport {
                    index,
                    result: "neutral",
                    reason: "not-evaluated",
                    domain: text("d"),
                    selector: text("s"),
                }
            })
            .collect()
    }

    /// Takes the answer for one of the wanted names. An answer for another name is not kept, and a
    /// second one only where the first was [`Answer::Temporary`].
    pub fn supply(&mut self, name: &KeyName, answer: Answer) {
        if self.wanted.contains(name) {
            let keys = PublishedKeys::read(answer, &self.shared.policy);
            self.shared.supply(name, Arc::new(keys));
        }
    }

    /// [`supply`](Verifier::supply) with an answer that was read before, under the same policy.
    pub fn supply_keys(&mut self, name: &KeyName, keys: Arc<PublishedKeys>) {
        if self.wanted.contains(name) {
            self.shared.supply(name, keys);
        }
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
            facts: self.facts,
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
        state,
    }
}

/// Leaves out what is beyond the caps, the least aligned first; returns the keys of the others.
fn choose(items: &mut [Item], policy: &Policy) -> Vec<KeyName> {
    let mut order: Vec<usize> = (0..items.len()).collect();
    order.sort_by_key(|at| items[*at].alignment.map_or(u8::MAX, |a| a as u8));
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
    let canon = signature.canonicalization.header;
    let names = signature.signed_headers.names();
    index.pick_each(header, names, Some(position), |field| {
        if let Some(field) = field {
            canon::header::field(canon, field, sink);
        }
    });
    canon::header::signature(canon, header.field(position), b_value, sink);
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
    facts: MessageFacts,
    open: Vec<Tried>,
    decided: Vec<Verdict>,
    shared: Shared,
}

/// A signature that waits for the body and its key.
#[derive(Debug)]
struct Tried {
    index: usize,
    alignment: Option<Alignment>,
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
        if self.open.iter().any(|t| t.key_name == *name) {
            let keys = PublishedKeys::read(answer, &self.shared.policy);
            self.shared.supply(name, Arc::new(keys));
        }
    }

    /// [`supply`](BodyVerifier::supply) with an answer that was read before, under the same policy.
    pub fn supply_keys(&mut self, name: &KeyName, keys: Arc<PublishedKeys>) {
        if self.open.iter().any(|t| t.key_name == *name) {
            self.shared.supply(name, keys);
        }
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
        let strict = self.shared.policy.level == Level::Strict;
        let wants = |tried: &Tried| {
            let bounded = tried.body.limit != BodyLimit::Whole;
            // To say how much lies behind l=, strict reads to the end.
            let open = !bounded || strict || !self.hasher.is_known(&tried.body);
            open && self.shared.may_pass(tried)
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
        let mut work = HeaderWork {
            header: &self.header,
            fields: &self.fields,
            left: self.shared.policy.limits.hashed_header,
            canonical: Vec::new(),
        };
        let mut open = self.open;
        open.sort_by_key(|tried| tried.alignment.map_or(u8::MAX, |a| a as u8));
        for tried in open {
            let body = hashes.get(&tried.body);
            let (outcome, key) = self.shared.judge(&tried, body, &self.facts, &mut work);
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

/// The hashing of a header for one signature after the other, which ends at a cap.
struct HeaderWork<'h> {
    header: &'h Header,
    fields: &'h FieldIndex,
    /// Bytes that may still be hashed.
    left: usize,
    canonical: Vec<u8>,
}

impl HeaderWork<'_> {
    /// The hash that b= signs; `None` beyond the cap.
    fn digest(&mut self, tried: &Tried) -> Option<Digest> {
        if self.left == 0 {
            return None;
        }
        self.canonical.clear();
        self.canonical.reserve(self.header.as_bytes().len());
        put_signed_header(
            self.header,
            self.fields,
            &tried.signature,
            tried.position,
            tried.b_value.clone(),
            &mut self.canonical,
        );
        self.left = self.left.saturating_sub(self.canonical.len());
        let mut hasher = Hasher::new(tried.signature.algorithm.hash());
        hasher.put(&self.canonical);
        Some(hasher.finish())
    }
}

impl Shared {
    fn supply(&mut self, name: &KeyName, keys: Arc<PublishedKeys>) {
        // The first answer stands, because the body may have been left unread for it; only a temporary
        // failure, for which nothing is left unread, gives way to a later answer.
        let known = self.keys.iter_mut().find(|(known, _)| known == name);
        match known {
            None => self.keys.push((name.clone(), keys)),
            Some((_, old)) if matches!(old.0, Keys::None(Failure::Temporary(_))) => *old = keys,
            Some(_) => {}
        }
    }

    fn keys(&self, name: &KeyName) -> Option<&Keys> {
        let known = self.keys.iter().find(|(known, _)| known == name);
        known.map(|(_, keys)| &keys.0)
    }

    /// Whether an answer may still come, or there is a key that the signature may use.
    fn may_pass(&self, tried: &Tried) -> bool {
        match self.keys(&tried.key_name) {
            None | Some(Keys::None(Failure::Temporary(_))) => true,
            Some(Keys::None(_)) => false,
            Some(Keys::Records(records)) => {
                records.iter().any(|r| r.usable(&tried.signature).is_ok())
            }
        }
    }

    fn judge(
        &self,
        tried: &Tried,
        body: BodyHash,
        facts: &MessageFacts,
        work: &mut HeaderWork<'_>,
    ) -> (Result<(), Failure>, Option<KeyFacts>) {
        let records = match self.keys(&tried.key_name) {
            None => return (Err(Failure::Temporary(Cause::NotAsked)), None),
            Some(Keys::None(failure)) => return (Err(failure.clone()), None),
            Some(Keys::Records(records)) => records,
        };
        // Only a key that may be used is worth the hashing of the header.
        let usable = records.iter().any(|r| r.usable(&tried.signature).is_ok());
        let mut digest = None;
        if usable {
            digest = work.digest(tried);
            if digest.is_none() {
                return (Err(Failure::NotEvaluated), None);
            }
        }
        let mut worst = None;
        for record in records {
            let key = record.facts();
            match judge_with(tried, record, body, digest.as_ref()) {
                Ok(()) => {
                    let unsigned = match tried.body.limit {
                        BodyLimit::Whole => 0,
                        BodyLimit::Octets(n) => body.canonical_len.saturating_sub(n),
                    };
                    let refusal =
                        self.policy
                            .after_success(&tried.signature, facts, unsigned, self.now);
                    return (refusal.map_or(Ok(()), Err), key);
                }
                // Of several records, the one that came furthest tells the most.
                Err(failure) => match &worst {
                    Some((known, _)) if progress(known) >= progress(&failure) => {}
                    _ => worst = Some((failure, key)),
                },
            }
        }
        let (failure, key) = worst.expect("an answer with records has at least one");
        (Err(failure), key)
    }
}

/// `digest` is the hash of the header, which is there if any key may be used.
fn judge_with(
    tried: &Tried,
    record: &Published,
    body: BodyHash,
    digest: Option<&Digest>,
) -> Result<(), Failure> {
    let signature = &tried.signature;
    let key = record.usable(signature)?;
    let hash = signature.algorithm.hash();
    let header_holds = digest.is_some_and(|digest| key.verify(digest, hash, &signature.signature));
    match (body.digest, tried.body.limit) {
        (None, BodyLimit::Octets(limit)) => Err(Failure::BodyTooShort {
            limit,
            len: body.canonical_len,
        }),
        (Some(digest), _) if digest.as_bytes() == signature.body_hash => {
            header_holds.then_some(()).ok_or(Failure::Mismatch)
        }
        _ => Err(Failure::BodyHash { header_holds }),
    }
}

/// How far a signature came with one of several records.
fn progress(failure: &Failure) -> u8 {
    match failure {
        Failure::Record(RecordError::NotDkim) => 0,
        Failure::Record(_) | Failure::RecordTooLong { .. } => 1,
        Failure::Revoked => 2,
        Failure::BodyHash { header_holds: true } => 6,
        Failure::BodyHash { .. } | Failure::Mismatch | Failure::BodyTooShort { .. } => 5,
        Failure::Key(_) => 4,
        _ => 3,
    }
}
