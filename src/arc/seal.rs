//! The sealer, in stages: the header and what became of its chain say whether and how it can be lengthened; the
//! body comes in chunks; the end gives the three fields of the next set (RFC 8617 §5.1).

use super::SEAL_CANON;
use super::chain::Chain;
use super::fields::{ArcField, ChainStatus, MAX_SETS, MessageSignature, Seal};
use super::report::ArcFailure;
use crate::authres::{self, AuthservId, ResultsError};
use crate::canon;
use crate::hash::BodyLimit;
use crate::header::{FieldIndex, FieldName};
use crate::key::KeyError;
use crate::message::Header;
use crate::name::{KeyName, NameError};
use crate::policy::Policy;
use crate::sign::{
    Covered, NEVER_SIGNED, SignError, SignOptions, SigningIdentity, check_options, sign_field,
};
use crate::signature;
use crate::time::UnixTime;

/// How a message is sealed: as it would be signed, but for what may not be signed here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealOptions(SignOptions);

impl SealOptions {
    /// The fields that are signed by default, and each DKIM-Signature (RFC 8617 §4.1.2), `relaxed/relaxed`.
    pub fn new(timestamp: UnixTime) -> SealOptions {
        let mut options = SignOptions::new(timestamp);
        options
            .headers
            .extend(FieldName::new(signature::FIELD_NAME));
        SealOptions(options)
    }

    /// The same with another choice of fields, canonicalization or times; whom it is aligned with does not
    /// count here.
    ///
    /// ```
    /// use dkimkit::arc::SealOptions;
    /// use dkimkit::canon::Canonicalization;
    /// use dkimkit::time::UnixTime;
    /// let options = SealOptions::new(UnixTime(1_700_000_000)).with(|options| {
    ///     options.canonicalization = Canonicalization::SIMPLE;
    /// });
    /// assert_ne!(options, SealOptions::new(UnixTime(1_700_000_000)));
    /// ```
    pub fn with(mut self, change: impl FnOnce(&mut SignOptions)) -> SealOptions {
        change(&mut self.0);
        self
    }
}

/// Fields that no message signature of a set covers: those that change on the way, and those of RFC 8617 §4.1.2.
fn never_covered() -> Vec<&'static str> {
    let never = NEVER_SIGNED.into_iter();
    let never = never.filter(|name| *name != signature::FIELD_NAME);
    never.chain(ArcField::ALL.map(ArcField::name)).collect()
}

/// The sealer once it has seen the header: takes the body.
#[derive(Debug)]
pub struct Sealer {
    covered: Covered,
    /// The sets that are there, in canonical form, which the seal covers where they pass; or why they cannot.
    below: Result<Vec<u8>, ArcFailure>,
    /// i= of the new set
    instance: u8,
    identity: SigningIdentity,
    options: SignOptions,
}

/// The fields of a new set, each folded with CRLF and without a final one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// ARC-Seal
    pub seal: String,
    /// ARC-Message-Signature
    pub message_signature: String,
    /// ARC-Authentication-Results
    pub authentication_results: String,
}

impl Sealed {
    /// The fields in the order in which they are put before the message: the seal on top.
    pub fn fields(&self) -> [&str; 3] {
        [
            &self.seal,
            &self.message_signature,
            &self.authentication_results,
        ]
    }
}

impl Sealer {
    /// Decides from the header whether the message can be sealed, and what the new set covers of it. What became of
    /// the chain is only said at the end, so that one pass over the body verifies and seals.
    ///
    /// All changes to a message, DKIM-Signature fields among them, come before its seal (§5.1).
    ///
    /// ```
    /// use dkimkit::arc::{self, ChainStatus, SealOptions, Sealer};
    /// use dkimkit::authres::AuthservId;
    /// use dkimkit::dns::Zone;
    /// use dkimkit::key::{KeyKind, SigningKey};
    /// use dkimkit::message::{HeaderLimits, split};
    /// use dkimkit::name::{Domain, Selector};
    /// use dkimkit::policy::{Level, Policy};
    /// use dkimkit::record::KeyRecord;
    /// use dkimkit::report::ResultWord;
    /// use dkimkit::sign::SigningIdentity;
    /// use dkimkit::time::UnixTime;
    ///
    /// let now = UnixTime(1_700_000_000);
    /// let key = SigningKey::generate(KeyKind::Rsa(1024))?;
    /// let record = KeyRecord::new(key.algorithm().key_type(), key.public_bytes());
    /// let identity = SigningIdentity::new(Domain::new("example.org")?, Selector::new("arc")?, key);
    ///
    /// let message = b"From: Anna <anna@example.com>\r\nSubject: Hi\r\n\r\nHello.\r\n";
    /// let (header, body) = split(message, HeaderLimits::default())?;
    /// let id = AuthservId::new("mx.example.org").unwrap();
    /// let mut sealer = Sealer::new(&header, identity, &SealOptions::new(now))?;
    /// sealer.write(body);
    /// let set = sealer.finish(ChainStatus::None, &id, "dkim=none")?;
    /// let mut sealed = Vec::new();
    /// for field in set.fields() {
    ///     sealed.extend_from_slice(format!("{field}\r\n").as_bytes());
    /// }
    /// sealed.extend_from_slice(message);
    ///
    /// let mut dns = Zone::default();
    /// dns.insert_txt("arc._domainkey.example.org.", record.to_string().into_bytes());
    /// let report = arc::verify(&sealed, &dns, &Policy::new(Level::Rfc), now)?;
    /// assert_eq!(report.result(), ResultWord::Pass);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`SealError`]: the newest seal says cv=fail already, i= of a field is 50 or more, or a field that is never covered is
    /// to be.
    pub fn new(
        header: &Header,
        identity: SigningIdentity,
        options: &SealOptions,
    ) -> Result<Sealer, SealError> {
        let options = options.0.clone();
        check_options(&options, &never_covered())?;
        KeyName::new(&identity.selector, &identity.domain)?;
        let index = FieldIndex::new(header);
        let chain = Chain::read(header, &index, &Policy::default(), options.timestamp);
        let instance = next_instance(&chain)?;
        Ok(Sealer {
            covered: Covered::new(header, &options)?,
            below: match chain.failure.clone() {
                None => Ok(canonical_sets(&chain, header)),
                Some(failure) => Err(failure),
            },
            instance,
            identity,
            options,
        })
    }

    /// i= of the new set.
    pub fn instance(&self) -> u8 {
        self.instance
    }

    /// Takes the next bytes of the body.
    pub fn write(&mut self, chunk: &[u8]) {
        self.covered.write(chunk);
    }

    /// Ends the body: the fields of the new set.
    ///
    /// `status` is what became of the chain that is there ([`ArcReport::status`](super::ArcReport::status)): on one
    /// that failed, the seal covers its own set alone (RFC 8617 §5.1.2). `results` is what the own
    /// Authentication-Results field says behind the authserv-id, which `id` is.
    ///
    /// # Errors
    /// [`SealError`]: `status` cannot be that of this header, the results are no results (RFC 8601 §2.2), or a signing
    /// operation fails.
    pub fn finish(
        self,
        status: ChainStatus,
        id: &AuthservId,
        results: &str,
    ) -> Result<Sealed, SealError> {
        let results = results_field(self.instance, id, results)?;
        let is_there = self.below.as_ref().map_or(true, |below| !below.is_empty());
        if is_there != (status != ChainStatus::None) {
            return Err(SealError::Status { status });
        }
        let mut covered = match (status, self.below) {
            (ChainStatus::Pass, below) => below.map_err(SealError::Broken)?,
            // §5.1.2: "as if this newest ARC Set was the only set present".
            (ChainStatus::None | ChainStatus::Fail, _) => Vec::new(),
        };
        let names = self.covered.signed_headers.names().clone();
        let (mut canonical, body_hash) = self.covered.finish();
        let SigningIdentity {
            domain,
            selector,
            key,
            ..
        } = self.identity;
        let signature = MessageSignature {
            instance: self.instance,
            algorithm: key.algorithm(),
            canonicalization: self.options.canonicalization,
            domain: domain.clone(),
            selector: selector.clone(),
            signed_headers: names,
            body_limit: BodyLimit::Whole,
            timestamp: Some(self.options.timestamp),
            expiration: self.options.expiration,
            body_hash: body_hash.as_bytes().to_vec(),
            signature: Vec::new(),
        };
        let canon = self.options.canonicalization.header;
        let unsigned = signature.write_unsigned();
        let message_signature = sign_field(&mut canonical, canon, unsigned, &key)?;
        let seal = Seal {
            instance: self.instance,
            status,
            algorithm: key.algorithm(),
            domain,
            selector,
            timestamp: Some(self.options.timestamp),
            signature: Vec::new(),
        };
        // §5.1.1: the sets in rising order, and in each the results, the message signature and the seal.
        for field in [&results, &message_signature] {
            canon::header::text(SEAL_CANON, field.as_bytes(), &mut covered);
        }
        Ok(Sealed {
            seal: sign_field(&mut covered, SEAL_CANON, seal.write_unsigned(), &key)?,
            message_signature,
            authentication_results: results,
        })
    }
}

/// i= of the set that is added to this chain.
fn next_instance(chain: &Chain) -> Result<u8, SealError> {
    // §5.1, step 2.
    if chain.newest_status == Some(ChainStatus::Fail) {
        return Err(SealError::AlreadyFailed);
    }
    match &chain.failure {
        Some(failure @ ArcFailure::TooManySets { .. }) => {
            Err(SealError::BeyondLimit(failure.clone()))
        }
        _ if chain.len() == MAX_SETS => Err(SealError::TooManySets),
        _ => Ok(chain.len() + 1),
    }
}

/// The fields of all sets of a chain whose structure is right, as a seal covers them.
fn canonical_sets(chain: &Chain, header: &Header) -> Vec<u8> {
    let mut out = Vec::new();
    for set in &chain.sets {
        let results = set.results.as_ref().map(|(position, _)| *position);
        let signature = set.message_signature.as_ref().map(|item| item.position);
        let seal = set.seal.as_ref().map(|item| item.position);
        for position in [results, signature, seal].into_iter().flatten() {
            canon::header::field(SEAL_CANON, header.field(position), &mut out);
        }
    }
    out
}

/// The ARC-Authentication-Results field (§4.1.1), folded at 78 columns where blanks stand.
fn results_field(instance: u8, id: &AuthservId, results: &str) -> Result<String, SealError> {
    // A reader must find the results that are meant, and no other number of a set before them.
    let results = authres::results(results)?.join("; ");
    let words = results.split(authres::is_fold);
    let words = words.filter(|word| !word.is_empty());
    let name = ArcField::AuthenticationResults.name();
    let first = [format!("i={instance};"), format!("{};", id.as_str())];
    let words = first.iter().map(String::as_str).chain(words);
    Ok(authres::wrapped(format!("{name}:"), words))
}

/// Why a message is not sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The newest seal says cv=fail, and nothing more is to be said of such a chain (RFC 8617 §5.1, step 2).
    #[error("the newest ARC-Seal says cv=fail, and a chain that failed is not sealed again")]
    AlreadyFailed,
    /// There is a set of i=50, if only a part of one.
    #[error("the message has an ARC field of i=50 already, and no set may follow")]
    TooManySets,
    /// i= of a field is greater than 50, however many sets there are.
    #[error("{0}")]
    BeyondLimit(ArcFailure),
    /// The status is not that of this header.
    #[error("cv={status} cannot be the status of this message")]
    Status {
        /// The status.
        status: ChainStatus,
    },
    /// A chain that is said to pass cannot be one.
    #[error("the chain does not pass: {0}")]
    Broken(ArcFailure),
    /// The results are not what may stand behind an authserv-id.
    #[error(transparent)]
    Results(#[from] ResultsError),
    /// The fields that are to be covered.
    #[error(transparent)]
    Sign(#[from] SignError),
    /// Selector and domain together are too long.
    #[error("the name of the key is too long: {0}")]
    KeyName(#[from] NameError),
    /// The key failed.
    #[error(transparent)]
    Key(#[from] KeyError),
}
