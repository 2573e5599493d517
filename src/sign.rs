//! The signer, in stages: the header says whether and how the message can be signed; the body comes in
//! chunks; the end gives the DKIM-Signature fields. All signatures of a message share one body pass.

use std::sync::Arc;

use crate::author::Authors;
use crate::canon::{self, Canon, Canonicalization, Sink as _};
use crate::hash::{BodyHashSpec, BodyHasher, BodyLimit, Digest, HashAlgorithm, Hasher};
use crate::header::{FieldIndex, FieldName, JoinedNames};
use crate::key::{KeyError, KeyType, SigningKey};
use crate::message::{Header, HeaderLimits, SplitError, split};
use crate::name::{Auid, Domain, KeyName, NameError, Selector};
use crate::signature::{FIELD_NAME, Signature, SignatureLimits, SignedHeaders, filled};
use crate::tag::FoldingWriter;
use crate::time::UnixTime;

/// Signs a message whose bytes are all at hand; returns the fields to put before it.
///
/// Each field is folded with CRLF and has no final CRLF.
///
/// ```
/// use dkimkit::key::{KeyKind, SigningKey};
/// use dkimkit::name::{Domain, Selector};
/// use dkimkit::sign::{SignOptions, SigningIdentity, sign};
/// use dkimkit::time::UnixTime;
/// let key = SigningKey::generate(KeyKind::Ed25519)?;
/// let identity = SigningIdentity::new(Domain::new("example.com")?, Selector::new("mail")?, key);
/// let options = SignOptions::new(UnixTime(1_700_000_000));
/// let fields = sign(b"From: a@example.com\r\n\r\nHi\r\n", vec![identity], &options)?;
/// assert!(fields[0].starts_with("DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Those of [`Signer::new`] and [`Signer::finish`], and [`SignError::Split`].
pub fn sign(
    message: &[u8],
    identities: Vec<SigningIdentity>,
    options: &SignOptions,
) -> Result<Vec<String>, SignError> {
    let (header, body) = split(message, HeaderLimits::default())?;
    let mut signer = Signer::new(&header, identities, options)?;
    signer.write(body);
    signer.finish()
}

/// Who signs, and with which key.
#[derive(Debug, Clone)]
pub struct SigningIdentity {
    /// d=
    pub domain: Domain,
    /// s=
    pub selector: Selector,
    /// i=, where one is wanted
    pub identity: Option<Auid>,
    /// The private key.
    pub key: Arc<SigningKey>,
}

impl SigningIdentity {
    /// A signing identity without i=.
    pub fn new(
        domain: Domain,
        selector: Selector,
        key: impl Into<Arc<SigningKey>>,
    ) -> SigningIdentity {
        SigningIdentity {
            domain,
            selector,
            identity: None,
            key: key.into(),
        }
    }
}

/// How a message is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignOptions {
    /// c=
    pub canonicalization: Canonicalization,
    /// The fields that are signed, every instance that is there.
    pub headers: Vec<FieldName>,
    /// The fields that are signed once more than they are there, so that none can be added.
    pub oversign: Vec<FieldName>,
    /// The fields that are so, but only where at least one is there.
    pub oversign_present: Vec<FieldName>,
    /// Whether a domain may sign that is not aligned with From.
    pub third_party: bool,
    /// t=
    pub timestamp: UnixTime,
    /// x=
    pub expiration: Option<UnixTime>,
}

impl SignOptions {
    /// What is right for most mail: `relaxed/relaxed`, the fields of RFC 6376 §5.4.1 and those that a
    /// reader is shown or that decide how a message is read, and the most abused of them oversigned.
    pub fn new(timestamp: UnixTime) -> SignOptions {
        SignOptions {
            canonicalization: Canonicalization::RELAXED,
            headers: names(&SIGNED),
            oversign: names(&OVERSIGNED),
            oversign_present: names(&OVERSIGNED_IF_PRESENT),
            third_party: false,
            timestamp,
            expiration: None,
        }
    }

    /// Signs these fields and no others; of them, those are still oversigned that were.
    ///
    /// ```
    /// use dkimkit::header::FieldName;
    /// use dkimkit::sign::SignOptions;
    /// use dkimkit::time::UnixTime;
    /// let mut options = SignOptions::new(UnixTime(1_700_000_000));
    /// options.restrict_to(&[FieldName::new("From").unwrap()]);
    /// assert_eq!(options.oversign, options.headers);
    /// ```
    pub fn restrict_to(&mut self, names: &[FieldName]) {
        self.headers = names.to_vec();
        self.oversign.retain(|name| names.contains(name));
        self.oversign_present.retain(|name| names.contains(name));
    }
}

const SIGNED: [&str; 27] = [
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "Resent-Date",
    "Resent-From",
    "Resent-To",
    "Resent-Cc",
    "List-Id",
    "List-Help",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Subscribe",
    "List-Post",
    "List-Owner",
    "List-Archive",
    "Feedback-ID",
    "Autocrypt",
];

const OVERSIGNED: [&str; 4] = ["From", "Subject", "To", "Cc"];

const OVERSIGNED_IF_PRESENT: [&str; 6] = [
    "Date",
    "Message-ID",
    "Reply-To",
    "Content-Type",
    "Content-Transfer-Encoding",
    "MIME-Version",
];

/// Fields that change on the way as a matter of course (RFC 6376 §5.4), or that must not be told (Bcc).
pub const NEVER_SIGNED: [&str; 5] = [
    "Return-Path",
    "Received",
    "Bcc",
    "Authentication-Results",
    FIELD_NAME,
];

/// Whether fields of this name are signed where nobody says otherwise.
pub(crate) fn is_signed_by_default(name: &FieldName) -> bool {
    SIGNED.iter().any(|signed| name == *signed)
}

fn names(list: &[&str]) -> Vec<FieldName> {
    list.iter()
        .map(|name| FieldName::new(name).expect("a field name"))
        .collect()
}

/// The signer once it has seen the header: takes the body.
#[derive(Debug)]
pub struct Signer {
    covered: Covered,
    authors: Authors,
    options: SignOptions,
    unsigned: Vec<(Signature, Arc<SigningKey>)>,
}

impl Signer {
    /// Decides whether the message can be signed soundly, and which fields h= names.
    ///
    /// Signatures come out in the order of `identities`, RSA before Ed25519.
    ///
    /// # Errors
    /// [`SignError`]: no From field or several, From without a mailbox, a domain that is not aligned with
    /// every mailbox of From (unless `third_party`), i= outside of d=, a field that is never signed, no
    /// From among `headers`, x= not later than t=.
    pub fn new(
        header: &Header,
        identities: Vec<SigningIdentity>,
        options: &SignOptions,
    ) -> Result<Signer, SignError> {
        check_message(header)?;
        check_options(options, &NEVER_SIGNED)?;
        let authors = Authors::of(header);
        if authors.mailboxes() == 0 && authors.all_have_domains() {
            return Err(SignError::NoAuthor);
        }
        let mut signer = Signer {
            covered: Covered::new(header, options)?,
            authors,
            options: options.clone(),
            unsigned: Vec::new(),
        };
        signer.set_identities(identities)?;
        Ok(signer)
    }

    /// Lets others sign in place of those who were to do so: neither the choice of fields nor the hash of the
    /// body depends on who signs. Keys may be replaced while the body comes.
    ///
    /// # Errors
    /// [`SignError`] where one of them may not sign this message; then nobody is replaced.
    pub fn set_identities(&mut self, identities: Vec<SigningIdentity>) -> Result<(), SignError> {
        let mut identities = identities;
        identities.sort_by_key(|i| i.key.algorithm().key_type() != KeyType::Rsa);
        let mut unsigned = Vec::with_capacity(identities.len());
        for identity in identities {
            check_identity(&identity, &self.authors, &self.options)?;
            let signature = Signature {
                algorithm: identity.key.algorithm(),
                canonicalization: self.options.canonicalization,
                domain: identity.domain,
                selector: identity.selector,
                identity: identity.identity,
                signed_headers: self.covered.signed_headers.clone(),
                body_limit: BodyLimit::Whole,
                timestamp: Some(self.options.timestamp),
                expiration: self.options.expiration,
                body_hash: Vec::new(),
                signature: Vec::new(),
            };
            unsigned.push((signature, identity.key));
        }
        self.unsigned = unsigned;
        Ok(())
    }

    /// The signatures that will be written, each with its key; bh= and b= are still empty.
    ///
    /// ```
    /// use dkimkit::key::{KeyKind, SigningKey};
    /// use dkimkit::message::{Header, HeaderLimits};
    /// use dkimkit::name::{Domain, Selector};
    /// use dkimkit::sign::{SignOptions, Signer, SigningIdentity};
    /// use dkimkit::time::UnixTime;
    /// let key = SigningKey::generate(KeyKind::Ed25519)?;
    /// let identity = SigningIdentity::new(Domain::new("example.com")?, Selector::new("mail")?, key);
    /// let header = Header::parse(b"From: a@example.com\r\n", HeaderLimits::default())?;
    /// let signer = Signer::new(&header, vec![identity], &SignOptions::new(UnixTime(1_700_000_000)))?;
    /// let (signature, key) = signer.signatures().next().unwrap();
    /// assert_eq!((signature.selector.as_str(), key.bits()), ("mail", 256));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn signatures(&self) -> impl ExactSizeIterator<Item = (&Signature, &SigningKey)> {
        let each = self.unsigned.iter();
        each.map(|(signature, key)| (signature, &**key))
    }

    /// Takes the next bytes of the body.
    pub fn write(&mut self, chunk: &[u8]) {
        self.covered.write(chunk);
    }

    /// Ends the body: the fields to put before the message, each folded with CRLF and without a final one.
    ///
    /// # Errors
    /// [`SignError::Key`] where the signing operation fails.
    pub fn finish(self) -> Result<Vec<String>, SignError> {
        let (mut canonical, body_hash) = self.covered.finish();
        let mut fields = Vec::with_capacity(self.unsigned.len());
        for (mut signature, key) in self.unsigned {
            signature.body_hash = body_hash.as_bytes().to_vec();
            let canon = signature.canonicalization.header;
            let field = signature.write_unsigned();
            fields.push(sign_field(&mut canonical, canon, field, &key)?);
        }
        Ok(fields)
    }
}

/// What the signatures of a message cover: the chosen fields in canonical form, and the body as it comes.
#[derive(Debug)]
pub(crate) struct Covered {
    hasher: BodyHasher,
    body: BodyHashSpec,
    /// The signed fields, as they are hashed for every signature.
    canonical: Vec<u8>,
    pub(crate) signed_headers: SignedHeaders,
}

impl Covered {
    pub(crate) fn new(header: &Header, options: &SignOptions) -> Result<Covered, SignError> {
        let index = FieldIndex::new(header);
        let signed_headers = choose_fields(header, &index, options)?;
        let mut canonical = Vec::with_capacity(header.as_bytes().len() + 1024);
        index.pick_each(header, signed_headers.names(), None, |field| {
            if let Some(field) = field {
                canon::header::field(options.canonicalization.header, field, &mut canonical);
            }
        });
        let body = BodyHashSpec {
            canon: options.canonicalization.body,
            hash: HashAlgorithm::Sha256,
            limit: BodyLimit::Whole,
        };
        Ok(Covered {
            hasher: BodyHasher::new([body]),
            body,
            canonical,
            signed_headers,
        })
    }

    pub(crate) fn write(&mut self, chunk: &[u8]) {
        self.hasher.write(chunk);
    }

    /// The signed fields in canonical form, and the hash of the body.
    pub(crate) fn finish(self) -> (Vec<u8>, Digest) {
        let digest = self.hasher.finish().get(&self.body).digest;
        (self.canonical, digest.expect("the whole body has a hash"))
    }
}

/// Signs `canonical` and the field itself, whose b= is still empty, and fills that in. The field is hashed last
/// (RFC 6376 §3.7).
pub(crate) fn sign_field(
    canonical: &mut Vec<u8>,
    canon: Canon,
    unsigned: FoldingWriter,
    key: &SigningKey,
) -> Result<String, KeyError> {
    let len = canonical.len();
    let (name, value) = unsigned.as_str().split_once(':').expect("a field");
    canon::header::unsigned(canon, name, value, canonical);
    let mut hasher = Hasher::new(HashAlgorithm::Sha256);
    hasher.put(canonical);
    canonical.truncate(len);
    Ok(filled(unsigned, &key.sign(&hasher.finish())?))
}

fn check_message(header: &Header) -> Result<(), SignError> {
    let count = header.fields().filter(|f| f.is("From")).count();
    // What a bare CR hides, some readers see.
    match count + hidden(header, "From") {
        1 => {}
        0 => return Err(SignError::NoFrom),
        count => return Err(SignError::SeveralFrom { count }),
    }
    Ok(())
}

fn hidden(header: &Header, name: &str) -> usize {
    match header.has_bare_cr() {
        true => header.hidden(name),
        false => 0,
    }
}

/// `never` are the fields that may not be signed.
pub(crate) fn check_options(options: &SignOptions, never: &[&str]) -> Result<(), SignError> {
    let lists = [
        &options.headers,
        &options.oversign,
        &options.oversign_present,
    ];
    for name in lists.into_iter().flatten() {
        if never.iter().any(|never| name == *never) {
            return Err(SignError::NeverSigned { name: name.clone() });
        }
    }
    if let Some(expiration) = options.expiration
        && expiration <= options.timestamp
    {
        return Err(SignError::Expiration);
    }
    Ok(())
}

fn check_identity(
    identity: &SigningIdentity,
    authors: &Authors,
    options: &SignOptions,
) -> Result<(), SignError> {
    KeyName::new(&identity.selector, &identity.domain)?;
    if let Some(auid) = &identity.identity
        && auid.domain != identity.domain
        && !auid.domain.is_below(&identity.domain)
    {
        return Err(SignError::IdentityNotInDomain {
            domain: identity.domain.clone(),
        });
    }
    let aligned = |from: &Domain| identity.domain.alignment(from).is_some();
    let stranger = authors.domains().iter().find(|from| !aligned(from));
    if options.third_party {
        return Ok(());
    }
    match stranger {
        Some(from) => Err(SignError::NotAligned {
            domain: identity.domain.clone(),
            from: from.clone(),
        }),
        None if !authors.all_have_domains() => Err(SignError::AuthorUnreadable),
        None => Ok(()),
    }
}

/// The names of h=: every instance of what is signed, and once more what is oversigned.
fn choose_fields(
    header: &Header,
    index: &FieldIndex,
    options: &SignOptions,
) -> Result<SignedHeaders, SignError> {
    let limit = SignatureLimits::default().signed_headers;
    let mut chosen = JoinedNames::with_capacity(512);
    let lists = [
        &options.headers,
        &options.oversign,
        &options.oversign_present,
    ];
    let mut seen: Vec<&FieldName> = Vec::with_capacity(64);
    for name in lists.into_iter().flatten() {
        if seen.contains(&name) {
            continue;
        }
        seen.push(name);
        let present = index.count(header, name);
        let more = options.oversign.contains(name)
            || (present > 0 && options.oversign_present.contains(name));
        // A verifier that counts what a bare CR hides wants a name for each of those too.
        for _ in 0..present + hidden(header, name.as_str()) + usize::from(more) {
            if chosen.len() == limit {
                return Err(SignError::TooManyFields { limit });
            }
            chosen.push(name.as_str());
        }
    }
    SignedHeaders::new(chosen.finish()).ok_or(SignError::FromNotSigned)
}

/// Why a message is not signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The header cannot be read.
    #[error(transparent)]
    Split(#[from] SplitError),
    /// There is no From field.
    #[error("the message has no From field")]
    NoFrom,
    /// There are several From fields.
    #[error("the message has {count} From fields")]
    SeveralFrom {
        /// How many.
        count: usize,
    },
    /// The From field names no mailbox.
    #[error("the From field names no mailbox")]
    NoAuthor,
    /// The From field is not a list of mailboxes, each with a domain (RFC 5322 §3.4).
    #[error("the From field is not a list of mailboxes that can be read in one way only")]
    AuthorUnreadable,
    /// d= is not aligned with a domain of From.
    #[error("the domain {domain} is not aligned with {from} of the From field")]
    NotAligned {
        /// d=
        domain: Domain,
        /// The domain of From.
        from: Domain,
    },
    /// i= is not in d=.
    #[error("the identity is neither in {domain} nor below it")]
    IdentityNotInDomain {
        /// d=
        domain: Domain,
    },
    /// A field that must not be signed.
    #[error("{name} is never signed: it changes on the way, or is not there for all")]
    NeverSigned {
        /// Its name.
        name: FieldName,
    },
    /// From is not among the fields to sign.
    #[error("From is not among the fields to sign (RFC 6376, section 5.4)")]
    FromNotSigned,
    /// There are more instances of fields to sign than a verifier reads in h=.
    #[error("more than {limit} instances of fields are to be signed")]
    TooManyFields {
        /// The cap.
        limit: usize,
    },
    /// x= is not later than t=.
    #[error("the signature would expire before it is made")]
    Expiration,
    /// Selector and domain together are too long.
    #[error("the name of the key is too long: {0}")]
    KeyName(#[from] NameError),
    /// The key failed.
    #[error(transparent)]
    Key(#[from] KeyError),
}
