//! ARC (RFC 8617): the chain of those who handled a message, verified and lengthened.
//!
//! An [`ArcVerifier`] has the stages of a [`Verifier`](crate::verify::Verifier), and may be fed the same answers
//! and the same chunks of a body beside it. A [`Sealer`] has those of a [`Signer`](crate::sign::Signer).
//!
//! A chain passes or fails by RFC 8617 alone under [`Level::Rfc`](crate::policy::Level::Rfc), and that is what others
//! expect of `arc=` and `cv=`. Under `strict` a message signature that leaves open what an attacker profits from is refused, as
//! it is for DKIM. Only rsa-sha1, which was forbidden before there was ARC, is let through by none.

mod chain;
mod coverage;
mod fields;
mod json;
mod report;
mod seal;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::author::Authors;
use crate::canon::{self, Canon};
use crate::dns::{Answer, LookupTxt};
use crate::hash::{BodyHash, BodyHashSpec, BodyHasher, Digest, HashAlgorithm, Hasher};
use crate::header::FieldIndex;
use crate::key::Algorithm;
use crate::message::{Header, SplitError, split};
use crate::name::{Domain, KeyName};
use crate::policy::{Covered, MessageFacts, Policy};
use crate::report::{Failure, KeyFacts, ResultWord};
use crate::time::UnixTime;
use crate::verify::{
    Appetite, HeaderWork, KeyUse, Keyring, PublishedKeys, SignedFields, header_and_body,
    unsigned_octets,
};

pub use self::coverage::Uncovered;
pub use self::fields::{ArcField, ChainStatus, FieldError, MAX_SETS, MessageSignature, Seal};
pub use self::json::{
    ChainReport, InstanceReport, MessageSignatureReport, SealReport, SetSignatureReport,
};
pub use self::report::{
    ARC_REASONS, ArcFailure, ArcReport, FieldFailure, FieldReport, SetReport, unreadable,
    unreadable_result,
};
pub use self::seal::{SealError, SealOptions, Sealed, Sealer};

use self::chain::{Chain, Item, Open, Set};

/// Verifies the chain of a message whose bytes are all at hand.
///
/// `now` is the time at which x= is judged. Line ends are CRLF.
///
/// ```
/// use dkimkit::dns::Zone;
/// use dkimkit::policy::{Level, Policy};
/// use dkimkit::report::ResultWord;
/// use dkimkit::time::UnixTime;
/// let message = b"From: a@example.com\r\n\r\nHi\r\n";
/// let now = UnixTime(1_700_000_000);
/// let report = dkimkit::arc::verify(message, &Zone::default(), &Policy::new(Level::Rfc), now)?;
/// assert_eq!(report.result(), ResultWord::None);
/// # Ok::<(), dkimkit::message::SplitError>(())
/// ```
///
/// # Errors
/// [`SplitError`] for a message whose header cannot be read.
pub fn verify(
    message: &[u8],
    dns: &dyn LookupTxt,
    policy: &Policy,
    now: UnixTime,
) -> Result<ArcReport, SplitError> {
    let (header, body) = split(message, policy.limits.header)?;
    let mut verifier = ArcVerifier::new(header, Arc::new(*policy), now);
    for at in 0..verifier.wanted().len() {
        let name = verifier.wanted()[at].clone();
        verifier.supply(&name, dns.lookup_txt(&name));
    }
    let mut verifier = verifier.start_body();
    let _ = verifier.write(body);
    Ok(verifier.finish())
}

/// The first stage: the header is known, the body is not.
#[derive(Debug)]
pub struct ArcVerifier {
    header: Header,
    index: FieldIndex,
    chain: Chain,
    keyring: Keyring,
    facts: MessageFacts,
    now: UnixTime,
}

impl ArcVerifier {
    /// Decides from the header alone whether there is a chain that may be tried (RFC 8617 §5.2, steps 1 to 3).
    ///
    /// ```
    /// use std::sync::Arc;
    /// use dkimkit::arc::ArcVerifier;
    /// use dkimkit::message::{Header, HeaderLimits};
    /// use dkimkit::policy::{Level, Policy};
    /// use dkimkit::time::UnixTime;
    /// let header = b"ARC-Seal: i=1; a=rsa-sha256; cv=none; d=example.com; s=s; b=YmFy\r\n";
    /// let header = Header::parse(header, HeaderLimits::default())?;
    /// let policy = Arc::new(Policy::new(Level::Rfc));
    /// let verifier = ArcVerifier::new(header, policy, UnixTime(1_700_000_000));
    /// assert!(verifier.wanted().is_empty());
    /// let report = verifier.start_body().finish();
    /// assert_eq!(report.reason(), Some("field-missing"));
    /// # Ok::<(), dkimkit::message::SplitError>(())
    /// ```
    pub fn new(header: Header, policy: Arc<Policy>, now: UnixTime) -> ArcVerifier {
        let index = FieldIndex::new(&header);
        let facts = MessageFacts::new(&header, &index, &Authors::of(&header));
        let mut chain = Chain::read(&header, &index, &policy, now);
        let wanted = chain.choose_keys(policy.limits.lookups);
        ArcVerifier {
            header,
            index,
            chain,
            keyring: Keyring::new(policy, wanted),
            facts,
            now,
        }
    }

    /// The names of the keys that are wanted, each once, those that decide first.
    pub fn wanted(&self) -> &[KeyName] {
        self.keyring.wanted()
    }

    /// Takes the answer for one of the wanted names. An answer for another name is not kept, and a
    /// second one only where the first was [`Answer::Temporary`].
    pub fn supply(&mut self, name: &KeyName, answer: Answer) {
        self.keyring.supply_answer(name, answer);
    }

    /// [`supply`](ArcVerifier::supply) with an answer that was read before, under the same policy.
    pub fn supply_keys(&mut self, name: &KeyName, keys: Arc<PublishedKeys>) {
        self.keyring.supply(name, keys);
    }

    /// Goes on to the body. No answer is needed for that.
    pub fn start_body(self) -> ArcBodyVerifier {
        let open = match self.chain.failure {
            None => self.chain.sets.as_slice(),
            Some(_) => &[],
        };
        let specs = open.iter().filter_map(|set| set.open_signature());
        ArcBodyVerifier {
            hasher: BodyHasher::new(specs.map(|open| body_spec(&open.value))),
            header: self.header,
            index: self.index,
            chain: self.chain,
            keyring: self.keyring,
            facts: self.facts,
            now: self.now,
        }
    }
}

/// The second stage: the body comes.
#[derive(Debug)]
pub struct ArcBodyVerifier {
    hasher: BodyHasher,
    header: Header,
    index: FieldIndex,
    chain: Chain,
    keyring: Keyring,
    facts: MessageFacts,
    now: UnixTime,
}

impl ArcBodyVerifier {
    /// Takes the answer for one of the wanted names. An answer for another name is not kept, and a
    /// second one only where the first was [`Answer::Temporary`].
    pub fn supply(&mut self, name: &KeyName, answer: Answer) {
        self.keyring.supply_answer(name, answer);
    }

    /// [`supply`](ArcBodyVerifier::supply) with an answer that was read before, under the same policy.
    pub fn supply_keys(&mut self, name: &KeyName, keys: Arc<PublishedKeys>) {
        self.keyring.supply(name, keys);
    }

    /// Takes the next bytes of the body.
    pub fn write(&mut self, chunk: &[u8]) -> Appetite {
        if !self.may_pass() {
            return Appetite::Done;
        }
        self.hasher.write(chunk);
        Appetite::More
    }

    /// Whether the chain may still hold, as far as the header and the key of the newest set tell.
    fn may_pass(&self) -> bool {
        let newest = self.chain.sets.last().and_then(Set::open_signature);
        self.chain.failure.is_none()
            && newest.is_some_and(|open| {
                let wanted = key_use(open.value.algorithm, &open.value.domain);
                self.keyring.may_pass(&open.key_name, wanted)
            })
    }

    /// Ends the body: the report on the chain.
    ///
    /// A wanted name for which no answer was supplied gives `temperror`.
    pub fn finish(self) -> ArcReport {
        let begun = !self.chain.sets.is_empty() || self.chain.failure.is_some();
        let may_pass = self.may_pass();
        if self.chain.failure.is_some() || !begun {
            return ArcReport {
                failure: self.chain.failure,
                oldest_pass: None,
                sets: self.chain.sets.into_iter().map(unlooked).collect(),
                begun,
            };
        }
        let hashes = self.hasher.finish();
        let limit = self.keyring.policy.limits.hashed_header;
        let judge = Judge {
            header: &self.header,
            keyring: &self.keyring,
            facts: &self.facts,
            now: self.now,
        };
        // §5.2, steps 4 and 5: from the newest down.
        let mut work = HeaderWork::new(&self.header, &self.index, limit);
        let signatures = self.chain.sets.iter().rev().map(|set| {
            let newest = set.instance == self.chain.len();
            set.message_signature.as_ref().map(|item| match &item.read {
                // Where the newest cannot hold, the body was perhaps left unread.
                Ok(_) if !may_pass && !newest => not_evaluated(item),
                Ok(open) => {
                    let body = hashes.get(&body_spec(&open.value));
                    judge.signature(item, open, body, &mut work)
                }
                Err(failure) => refused(item, failure.clone()),
            })
        });
        let mut signatures: Vec<_> = signatures.collect();
        signatures.reverse();
        // Step 6.
        let seals = judge.seals(&self.chain.sets);
        let sets = self.chain.sets.into_iter().zip(signatures).zip(seals);
        let sets: Vec<SetReport> = sets
            .map(|((set, message_signature), seal)| SetReport {
                instance: set.instance,
                authentication_results: set.results.map(|(_, text)| text),
                message_signature,
                seal,
                status: set.status,
            })
            .collect();
        let failure = decisive(&sets);
        ArcReport {
            oldest_pass: failure.is_none().then(|| oldest_pass(&sets)),
            failure,
            sets,
            begun,
        }
    }
}

/// §5.2, steps 4 and 6: what does not hold, in their order; what may hold another time only where all else does.
fn decisive(sets: &[SetReport]) -> Option<ArcFailure> {
    let newest = sets.last()?;
    let signature = newest.message_signature.as_ref();
    let seals = sets.iter().rev().map(|set| {
        let seal = set.seal.as_ref();
        (set.instance, ArcField::Seal, seal)
    });
    let deciding = std::iter::once((newest.instance, ArcField::MessageSignature, signature))
        .chain(seals)
        .filter_map(|(instance, field, report)| {
            let failure = report?.failure.clone()?;
            Some(ArcFailure::Field {
                instance,
                field,
                failure,
            })
        });
    let mut failures: Vec<ArcFailure> = deciding.collect();
    let permanent = failures.iter().position(|f| f.result() == ResultWord::Fail);
    (!failures.is_empty()).then(|| failures.swap_remove(permanent.unwrap_or(0)))
}

/// §5.2, step 5.
fn oldest_pass(sets: &[SetReport]) -> u8 {
    let holds = |set: &&SetReport| {
        let signature = set.message_signature.as_ref();
        signature.is_some_and(|signature| signature.failure.is_none())
    };
    let broken = sets.iter().rev().find(|set| !holds(set));
    broken.map_or(0, |set| set.instance + 1)
}

/// A set of a chain that was decided by the header alone.
fn unlooked(set: Set) -> SetReport {
    SetReport {
        instance: set.instance,
        authentication_results: set.results.map(|(_, text)| text),
        message_signature: set.message_signature.as_ref().map(unless_refused),
        seal: set.seal.as_ref().map(unless_refused),
        status: set.status,
    }
}

fn unless_refused<T>(item: &Item<T>) -> FieldReport {
    match &item.read {
        Ok(_) => not_evaluated(item),
        Err(failure) => refused(item, failure.clone()),
    }
}

fn not_evaluated<T>(item: &Item<T>) -> FieldReport {
    refused(item, FieldFailure::Refused(Failure::NotEvaluated))
}

fn refused<T>(item: &Item<T>, failure: FieldFailure) -> FieldReport {
    FieldReport {
        failure: Some(failure),
        claims: item.claims.clone(),
        key: None,
        uncovered: Uncovered::default(),
    }
}

fn body_spec(signature: &MessageSignature) -> BodyHashSpec {
    BodyHashSpec {
        canon: signature.canonicalization.body,
        hash: signature.algorithm.hash(),
        limit: signature.body_limit,
    }
}

/// i= is no identity here, so that t=s of a record says nothing.
fn key_use(algorithm: Algorithm, domain: &Domain) -> KeyUse<'_> {
    KeyUse {
        algorithm,
        domain,
        identity: None,
        sender: None,
    }
}

/// Holds the signatures of a chain against their keys.
struct Judge<'a> {
    header: &'a Header,
    keyring: &'a Keyring,
    facts: &'a MessageFacts,
    now: UnixTime,
}

impl Judge<'_> {
    fn signature(
        &self,
        item: &Item<MessageSignature>,
        open: &Open<MessageSignature>,
        body: BodyHash,
        work: &mut HeaderWork<'_>,
    ) -> FieldReport {
        let signature = &open.value;
        let signed = SignedFields {
            canon: signature.canonicalization.header,
            names: &signature.signed_headers,
            position: item.position,
            b_value: open.b_value.clone(),
        };
        let spec = body_spec(signature);
        let judged = self.keyring.judge(
            &open.key_name,
            key_use(signature.algorithm, &signature.domain),
            &signature.signature,
            || work.digest(spec.hash, &signed),
            |holds| header_and_body(holds, body, &spec, &signature.body_hash),
        );
        let unsigned = unsigned_octets(&spec, body);
        let covered = Covered {
            domain: &signature.domain,
            names: &signature.signed_headers,
            timestamp: signature.timestamp,
            unsigned,
        };
        let policy = &self.keyring.policy;
        let refusal = || policy.after_success(&covered, self.facts, self.now);
        let (outcome, key) = judged;
        let outcome = outcome.and_then(|()| refusal().map_or(Ok(()), Err));
        FieldReport {
            uncovered: Uncovered {
                octets: unsigned,
                fields: self.facts.uncovered_by(&signature.signed_headers),
            },
            ..judged_report(item, (outcome, key))
        }
    }

    /// The seals, from 1 to N.
    fn seals(&self, sets: &[Set]) -> Vec<Option<FieldReport>> {
        let mut covered = Hasher::new(HashAlgorithm::Sha256);
        let each = sets.iter().map(|set| {
            let (results, _) = set.results.as_ref()?;
            let (signature, item) = (set.message_signature.as_ref()?, set.seal.as_ref()?);
            // §5.1.1: the sets in rising order, and in each the fields in this one, all relaxed.
            for position in [*results, signature.position] {
                canon::header::field(SEAL_CANON, self.header.field(position), &mut covered);
            }
            let mut own = covered.clone();
            let seal = self.header.field(item.position);
            canon::header::field(SEAL_CANON, seal, &mut covered);
            let open = match &item.read {
                Ok(open) => open,
                Err(failure) => return Some(refused(item, failure.clone())),
            };
            canon::header::signature(SEAL_CANON, seal, open.b_value.clone(), &mut own);
            Some(self.seal(item, open, own.finish()))
        });
        each.collect()
    }

    fn seal(&self, item: &Item<Seal>, open: &Open<Seal>, digest: Digest) -> FieldReport {
        let seal = &open.value;
        let judged = self.keyring.judge(
            &open.key_name,
            key_use(seal.algorithm, &seal.domain),
            &seal.signature,
            || Some(digest),
            |holds| holds.then_some(()).ok_or(Failure::Mismatch),
        );
        judged_report(item, judged)
    }
}

/// RFC 8617 §4.1.3: a seal knows no c=, and is always relaxed.
const SEAL_CANON: Canon = Canon::Relaxed;

fn judged_report<T>(
    item: &Item<T>,
    (outcome, key): (Result<(), Failure>, Option<KeyFacts>),
) -> FieldReport {
    FieldReport {
        failure: outcome.err().map(FieldFailure::Refused),
        claims: item.claims.clone(),
        key,
        uncovered: Uncovered::default(),
    }
}

impl Set {
    fn open_signature(&self) -> Option<&Open<MessageSignature>> {
        self.message_signature.as_ref()?.read.as_ref().ok()
    }
}
