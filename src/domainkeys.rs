//! DomainKeys (RFC 4870), the ancestor of DKIM: signatures in archives, verified under the policy `legacy` alone.
//!
//! All of it is rsa-sha1, which proves nothing today (RFC 8301 §3.1), so that any other policy names the fields
//! and looks no further; and no result of it ever counts for that of a message.

mod body;
mod signature;

use std::sync::Arc;

use self::body::BodyHashers;
use self::signature::{DomainKey, Form};
use crate::author::Authors;
use crate::authres::{ResInfo, token_or_quoted};
use crate::canon::Sink as _;
use crate::dns::Answer;
use crate::hash::{HashAlgorithm, Hasher};
use crate::header::FieldIndex;
use crate::key::Algorithm;
use crate::message::{Field, Header};
use crate::name::{Domain, KeyName};
use crate::policy::{Level, Policy};
use crate::report::{DomainKeysReport, Failure, KeyFacts, ResultWord};
use crate::tag::TagList;
use crate::verify::{Appetite, KeyUse, Keyring, PublishedKeys};

pub use self::signature::DomainKeysError;

/// The name of the field.
pub const FIELD_NAME: &str = "DomainKey-Signature";

/// Signatures that are tried, from the top down: each takes a pass over the body of its own, since one hash covers
/// header and body.
pub const MAX_TRIED: usize = 4;

/// The verdict on one DomainKey-Signature field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainKeysVerdict {
    /// Which of the DomainKey-Signature fields it is, counted from 0 at the top.
    pub index: usize,
    /// Why it does not hold; `None` for one that does.
    pub failure: Option<DomainKeysFailure>,
    /// d=, as it is written
    pub domain: Option<String>,
    /// s=, as it is written
    pub selector: Option<String>,
    /// c=: `simple` or `nofws`
    pub canonicalization: Option<&'static str>,
    /// The key, where one was found.
    pub key: Option<KeyFacts>,
}

/// Why a DomainKey-Signature does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DomainKeysFailure {
    /// It cannot be used by anybody.
    #[error(transparent)]
    Malformed(#[from] DomainKeysError),
    /// It was not looked at.
    #[error("{}", not_evaluated(.legacy))]
    NotEvaluated {
        /// Whether the policy would let it be.
        legacy: bool,
    },
    /// Its key cannot be used.
    #[error("{0}")]
    Key(Failure),
    /// It is not what was signed.
    #[error(
        "the signature does not match the message: it was changed, or the published key is another one"
    )]
    Mismatch,
}

fn not_evaluated(legacy: &bool) -> String {
    match legacy {
        true => format!("the message has more than {MAX_TRIED} of them, and this one was left out"),
        false => {
            "DomainKeys prove nothing today; --policy legacy verifies them for archives".to_owned()
        }
    }
}

impl DomainKeysFailure {
    /// The word of RFC 8601 §2.7.2.
    pub fn result(&self) -> ResultWord {
        match self {
            DomainKeysFailure::Malformed(_) => ResultWord::PermError,
            DomainKeysFailure::NotEvaluated { .. } => ResultWord::Neutral,
            DomainKeysFailure::Key(failure) => failure.result(),
            DomainKeysFailure::Mismatch => ResultWord::Fail,
        }
    }

    /// The stable word for machines; the README lists them.
    pub fn reason(&self) -> &'static str {
        match self {
            DomainKeysFailure::Malformed(error) => error.reason(),
            DomainKeysFailure::NotEvaluated { .. } => Failure::NotEvaluated.reason(),
            DomainKeysFailure::Key(failure) => failure.reason(),
            DomainKeysFailure::Mismatch => Failure::Mismatch.reason(),
        }
    }
}

impl DomainKeysVerdict {
    /// The word of RFC 8601 §2.7.2.
    pub fn result(&self) -> ResultWord {
        let failure = self.failure.as_ref();
        failure.map_or(ResultWord::Pass, DomainKeysFailure::result)
    }

    /// The same as `verify --json` has it.
    pub fn report(&self) -> DomainKeysReport {
        DomainKeysReport {
            index: self.index,
            result: self.result().as_str(),
            reason: self.failure.as_ref().map(DomainKeysFailure::reason),
            domain: self.domain.clone(),
            selector: self.selector.clone(),
            detail: self.failure.as_ref().map(ToString::to_string),
            canonicalization: self.canonicalization,
            key_bits: self.key.and_then(|key| key.bits),
            testing: self.key.is_some_and(|key| key.testing),
        }
    }

    /// The `domainkeys=` result of an Authentication-Results field (RFC 8601 §2.7.2).
    pub fn result_info(&self) -> ResInfo {
        let mut words = vec![format!("domainkeys={}", self.result())];
        if let Some(failure) = &self.failure {
            words.push(format!("reason=\"{}\"", failure.reason()));
        }
        // A name that was not checked may hold anything.
        let domain = self.domain.as_deref().and_then(|d| Domain::new(d).ok());
        if let Some(domain) = domain {
            words.push(format!("header.d={}", token_or_quoted(domain.as_ascii())));
        }
        ResInfo::of(words.iter().map(String::as_str))
    }
}

/// Verifies the DomainKey-Signature fields of a message while its body comes; it may stand beside a
/// [`Verifier`](crate::verify::Verifier) and be fed the same answers and chunks.
///
/// It has one stage: what is signed of the header is hashed at once, and answers may come until the end.
///
/// ```
/// use std::sync::Arc;
/// use dkimkit::domainkeys::DomainKeysVerifier;
/// use dkimkit::message::{Header, HeaderLimits};
/// use dkimkit::policy::{Level, Policy};
/// let header = b"DomainKey-Signature: a=rsa-sha1; c=nofws; d=a.example; s=s; b=YmFy\r\nFrom: x@a.example\r\n";
/// let header = Header::parse(header, HeaderLimits::default())?;
/// let policy = Arc::new(Policy::new(Level::Legacy));
/// let verifier = DomainKeysVerifier::new(&header, policy);
/// assert_eq!(verifier.wanted()[0].as_str(), "s._domainkey.a.example.");
/// assert_eq!(verifier.finish()[0].result().as_str(), "temperror");
/// # Ok::<(), dkimkit::message::SplitError>(())
/// ```
#[derive(Debug)]
pub struct DomainKeysVerifier {
    verdicts: Vec<DomainKeysVerdict>,
    open: Vec<Tried>,
    body: BodyHashers,
    keyring: Keyring,
}

/// A signature that waits for the body and its key.
#[derive(Debug)]
struct Tried {
    /// Which of the verdicts is its own.
    index: usize,
    key: DomainKey,
    key_name: KeyName,
    /// The local part of the sending address.
    sender: Vec<u8>,
}

impl DomainKeysVerifier {
    /// Reads the DomainKey-Signature fields of `header`, and hashes what they sign of it.
    pub fn new(header: &Header, policy: Arc<Policy>) -> DomainKeysVerifier {
        let index = FieldIndex::new(header);
        let legacy = policy.level == Level::Legacy;
        let mut verifier = DomainKeysVerifier {
            verdicts: Vec::new(),
            open: Vec::new(),
            body: BodyHashers::default(),
            keyring: Keyring::new(policy, Vec::new()),
        };
        for (nth, position) in index.positions(header, FIELD_NAME).enumerate() {
            let failure = match legacy && verifier.open.len() < MAX_TRIED {
                false => Some(DomainKeysFailure::NotEvaluated { legacy }),
                true => verifier
                    .open(header, &index, nth, position)
                    .err()
                    .map(Into::into),
            };
            let tags = verifier.keyring.policy.limits.signature.tags;
            let verdict = unknown(header.field(position), tags, nth, failure);
            verifier.verdicts.push(verdict);
        }
        for tried in &verifier.open {
            verifier.verdicts[tried.index].canonicalization = Some(tried.key.form.as_str());
        }
        verifier
    }

    fn open(
        &mut self,
        header: &Header,
        index: &FieldIndex,
        nth: usize,
        position: usize,
    ) -> Result<(), DomainKeysError> {
        let limits = self.keyring.policy.limits.signature;
        let key = DomainKey::parse(header.field(position).value(), limits)?;
        let signed = key.signed_fields(header, index, position);
        let sender = sending_address(header, &signed, &key.domain)?;
        let key_name = KeyName::new(&key.selector, &key.domain).expect("a name that was checked");
        let mut hasher = Hasher::new(HashAlgorithm::Sha1);
        for field in &signed {
            put_field(key.form, *field, &mut hasher);
        }
        self.body.add(key.form, hasher);
        self.keyring.want(&key_name);
        self.open.push(Tried {
            index: nth,
            key,
            key_name,
            sender,
        });
        Ok(())
    }

    /// The names of the keys that are wanted, each once; none but under `legacy`.
    pub fn wanted(&self) -> &[KeyName] {
        self.keyring.wanted()
    }

    /// Takes the answer for one of the wanted names. An answer for another name is not kept, and a
    /// second one only where the first was [`Answer::Temporary`].
    pub fn supply(&mut self, name: &KeyName, answer: Answer) {
        self.keyring.supply_answer(name, answer);
    }

    /// [`supply`](DomainKeysVerifier::supply) with an answer that was read before, under the same policy.
    pub fn supply_keys(&mut self, name: &KeyName, keys: Arc<PublishedKeys>) {
        self.keyring.supply(name, keys);
    }

    /// Takes the next bytes of the body.
    pub fn write(&mut self, chunk: &[u8]) -> Appetite {
        let may_pass = |tried: &Tried| self.keyring.may_pass(&tried.key_name, tried.wanted());
        if !self.open.iter().any(may_pass) {
            return Appetite::Done;
        }
        self.body.write(chunk);
        Appetite::More
    }

    /// Ends the body: the verdict on each DomainKey-Signature field, from the top down.
    ///
    /// A wanted name for which no answer was supplied gives `temperror`.
    pub fn finish(self) -> Vec<DomainKeysVerdict> {
        let mut verdicts = self.verdicts;
        for (tried, digest) in self.open.iter().zip(self.body.finish()) {
            let (outcome, key) = self.keyring.judge(
                &tried.key_name,
                tried.wanted(),
                &tried.key.signature,
                || Some(digest),
                |holds| holds.then_some(()).ok_or(Failure::Mismatch),
            );
            let verdict = &mut verdicts[tried.index];
            verdict.key = key;
            verdict.failure = outcome.err().map(|failure| match failure {
                Failure::Mismatch => DomainKeysFailure::Mismatch,
                failure => DomainKeysFailure::Key(failure),
            });
        }
        verdicts
    }
}

impl Tried {
    fn wanted(&self) -> KeyUse<'_> {
        KeyUse {
            algorithm: Algorithm::RsaSha1,
            domain: &self.key.domain,
            identity: None,
            sender: Some(&self.sender),
        }
    }
}

/// What a field says of itself, whether or not it can be used.
fn unknown(
    field: Field<'_>,
    tags: usize,
    index: usize,
    failure: Option<DomainKeysFailure>,
) -> DomainKeysVerdict {
    let list = TagList::parse(field.value(), tags).ok();
    let text = |name: &str| {
        let tag = list.as_ref()?.get(name)?;
        Some(String::from_utf8_lossy(tag.value).into_owned())
    };
    DomainKeysVerdict {
        index,
        failure,
        domain: text("d"),
        selector: text("s"),
        canonicalization: None,
        key: None,
    }
}

/// The local part of the sending address: the first of Sender, or of From where there is no Sender. d= must be its
/// domain or lie above it (RFC 4870 §3.3, d=).
///
/// Only a field that the signature covers counts: one that it does not may have been added by anybody.
fn sending_address(
    header: &Header,
    signed: &[Field<'_>],
    domain: &Domain,
) -> Result<Vec<u8>, DomainKeysError> {
    let covers = |name: &&str| signed.iter().any(|field| field.is(name));
    let name = ["Sender", "From"].into_iter().find(covers);
    let name = name.ok_or(DomainKeysError::SenderNotSigned)?;
    let senders = Authors::in_field(header, name);
    // Of several fields, a reader may take another one than we do.
    let address = match (senders.fields(), senders.addresses()) {
        (1, [first, ..]) if senders.all_have_domains() => first,
        _ => return Err(DomainKeysError::SenderUnreadable),
    };
    if address.domain != *domain && !address.domain.is_below(domain) {
        return Err(DomainKeysError::SenderNotInDomain);
    }
    Ok(address.local_part.clone())
}

/// Puts a field in canonical form (RFC 4870 §3.4.2), with its final CRLF.
fn put_field(form: Form, field: Field<'_>, hasher: &mut Hasher) {
    match form {
        Form::Simple => hasher.put(field.raw()),
        Form::Nofws => {
            let blank = |b: &u8| matches!(b, b' ' | b'\t' | b'\r' | b'\n');
            for piece in field.raw().split(blank) {
                hasher.put(piece);
            }
        }
    }
    hasher.put(b"\r\n");
}
