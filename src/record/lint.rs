//! What is wrong with the text of a key record, or unwise, beyond what a verifier must refuse.
//!
//! A verifier stops at the first fault; here all that can be seen is named, and the record is written down
//! as it should be.

use std::borrow::Cow;
use std::fmt;

use super::{KeyRecord, RecordError, Service, excerpt};
use crate::hash::HashAlgorithm;
use crate::key::{KeyError, KeyType, RsaSizes, SigningKey, VerifyingKey, encode_base64};
use crate::tag::{TagError, TagList, trim, without_wsp};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Mail verifies, but not everywhere or not for long.
    Warning,
    /// Mail does not verify, or anybody can sign it.
    Error,
}

impl Severity {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// Something about the text of a key record (RFC 6376 §3.6.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordFault {
    /// The text is something else.
    NotKeyRecord,
    /// Quotation marks, which belong to zone files, are part of the text.
    Quotes,
    /// Backslashes, which belong to zone files, are part of the text.
    Backslash,
    /// v=DKIM1 stands behind another tag.
    VersionNotFirst,
    /// v= says something else than DKIM1.
    Version {
        /// The value, escaped.
        found: String,
    },
    /// The text is no tag list.
    Malformed {
        /// Why.
        error: TagError,
    },
    /// v=DKIM1 runs into the next tag.
    NoSemicolon,
    /// There is no p=.
    NoPublicKey,
    /// p= is empty: the key is revoked.
    Revoked,
    /// p= is not base64.
    Base64,
    /// A part of p= is missing, as when one of its strings was not pasted.
    Incomplete,
    /// What p= holds is no key.
    BadKey {
        /// Why.
        error: KeyError,
    },
    /// k= names a type that nobody knows.
    KeyType {
        /// The value, escaped.
        found: String,
    },
    /// Another key than that with which mail is signed.
    DifferentKey,
    /// h= leaves no hash that signatures use.
    Hashes {
        /// The value, escaped.
        found: String,
    },
    /// s= leaves mail out.
    Service {
        /// The value, escaped.
        found: String,
    },
    /// RFC 8301 §3.2: verifiers refuse RSA keys under 1024 bits.
    TooSmall {
        /// The size in bits.
        bits: usize,
    },
    /// RFC 8301 §3.2: signers should use 2048 bits at least.
    Small {
        /// The size in bits.
        bits: usize,
    },
    /// RFC 8301 §3.2: verifiers need not take RSA keys over 4096 bits.
    Large {
        /// The size in bits.
        bits: usize,
    },
    /// Blanks within p=: legal, and mostly a trace of pasting.
    Spaces,
    /// t=y: receivers may treat the mail as not signed.
    Testing,
    /// g=, which RFC 6376 took away; old verifiers still compare it.
    Granularity,
    /// p= holds a bare RSAPublicKey, which some verifiers cannot read (erratum 3017).
    BareRsaKey,
}

impl RecordFault {
    /// The stable word.
    pub fn word(&self) -> &'static str {
        match self {
            RecordFault::NotKeyRecord => "not-a-key-record",
            RecordFault::Quotes => "quotes-in-record",
            RecordFault::Backslash => "backslash-in-record",
            RecordFault::VersionNotFirst => "version-not-first",
            RecordFault::Version { .. } => "version-wrong",
            RecordFault::Malformed { .. } | RecordFault::NoSemicolon => "malformed-record",
            RecordFault::NoPublicKey => "no-public-key",
            RecordFault::Revoked => "key-revoked",
            RecordFault::Base64 => "bad-base64",
            RecordFault::Incomplete => "incomplete-key",
            RecordFault::BadKey { .. } => "bad-key",
            RecordFault::KeyType { .. } => "key-type-unknown",
            RecordFault::DifferentKey => "different-key",
            RecordFault::Hashes { .. } => "hash-unusable",
            RecordFault::Service { .. } => "service-unusable",
            RecordFault::TooSmall { .. } => "key-too-small",
            RecordFault::Small { .. } => "small-key",
            RecordFault::Large { .. } => "large-key",
            RecordFault::Spaces => "spaces-in-key",
            RecordFault::Testing => "testing-flag",
            RecordFault::Granularity => "obsolete-tag",
            RecordFault::BareRsaKey => "bare-rsa-key",
        }
    }

    /// How bad it is.
    pub fn severity(&self) -> Severity {
        match self {
            RecordFault::Small { .. }
            | RecordFault::Large { .. }
            | RecordFault::Spaces
            | RecordFault::Testing
            | RecordFault::Granularity
            | RecordFault::BareRsaKey => Severity::Warning,
            _ => Severity::Error,
        }
    }

    /// Whether the private key must be replaced; a better record does not help.
    pub fn needs_new_key(&self) -> bool {
        use RecordFault::{Large, Small, TooSmall};
        matches!(self, TooSmall { .. } | Small { .. } | Large { .. })
    }
}

impl fmt::Display for RecordFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordFault::NotKeyRecord => f.write_str("the TXT record is not a DKIM key record"),
            RecordFault::Quotes => f.write_str(
                "the record has quotation marks in it: the quotes of a zone file were pasted as part of the text",
            ),
            RecordFault::Backslash => f.write_str(
                "the record has backslashes in it: the escapes of a zone file were pasted as part of the text",
            ),
            RecordFault::VersionNotFirst => f.write_str("v=DKIM1 is not the first tag, so verifiers pass over the record"),
            RecordFault::Version { found } => {
                write!(f, "v={found} is not v=DKIM1; letter case counts, and a semicolon follows")
            }
            RecordFault::Malformed { error } => write!(f, "the record is not a list of tags: {error}"),
            RecordFault::NoSemicolon => f.write_str("between v=DKIM1 and the next tag there is no semicolon"),
            RecordFault::NoPublicKey => f.write_str("the record has no p= tag, so it holds no key"),
            RecordFault::Revoked => f.write_str("p= is empty: the key is revoked, and no signature verifies"),
            RecordFault::Base64 => f.write_str("p= is not base64"),
            RecordFault::Incomplete => f.write_str(
                "a part of p= is missing: one of the strings of the record was not published, or it was cut",
            ),
            RecordFault::BadKey { error } => write!(f, "p= cannot be used: {error}"),
            RecordFault::KeyType { found } => write!(f, "k={found} is no key type of DKIM"),
            RecordFault::DifferentKey => f.write_str("p= is another key than that with which mail is signed"),
            RecordFault::Hashes { found } => {
                write!(f, "h={found} does not allow sha256, so no signature verifies; h= takes the name of a hash alone")
            }
            RecordFault::Service { found } => write!(f, "s={found} does not allow the key for mail"),
            RecordFault::TooSmall { bits } => {
                write!(f, "an RSA key of {bits} bits: verifiers refuse fewer than 1024, and anybody can break it")
            }
            RecordFault::Small { bits } => write!(f, "an RSA key of {bits} bits can be broken with effort; 2048 are due"),
            RecordFault::Large { bits } => write!(f, "an RSA key of {bits} bits: verifiers need not take more than 4096"),
            RecordFault::Spaces => f.write_str("there are blanks within p=: legal, but some verifiers stumble over them"),
            RecordFault::Testing => f.write_str(
                "t=y is set: the domain says that it is only testing, and receivers may treat its mail as not signed",
            ),
            RecordFault::Granularity => f.write_str("g= has no meaning any more, but old verifiers refuse mail because of it"),
            RecordFault::BareRsaKey => f.write_str(
                "p= holds a bare RSA key instead of a SubjectPublicKeyInfo; some verifiers cannot read it",
            ),
        }
    }
}

/// A public key in our normal form, to compare with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// Its type.
    pub key_type: KeyType,
    /// The bytes of p=: SubjectPublicKeyInfo, or the 32 bytes.
    pub bytes: Vec<u8>,
}

impl PublicKey {
    /// The public half of a private key.
    pub fn of(key: &SigningKey) -> PublicKey {
        PublicKey {
            key_type: key.algorithm().key_type(),
            bytes: key.public_bytes(),
        }
    }
}

/// What was seen in a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linted {
    /// All that is wrong or unwise, in the order in which it was seen.
    pub faults: Vec<RecordFault>,
    /// The key, if the record holds one, repaired where that took no guess.
    pub key: Option<PublicKey>,
    /// What stands in p= under the type of k=, decoded, whether or not it is a key that can be used.
    pub held: Option<PublicKey>,
    /// The record as it should be, with the key that it has; `None` where there is none in it.
    pub repaired: Option<String>,
}

/// More tags than any record has; a verifier's limit is another matter.
const MAX_TAGS: usize = 100;
/// What a look at a key accepts, so that its size can be told.
const ANY_SIZE: RsaSizes = RsaSizes {
    min: 1,
    max: 16_384,
};

/// Looks over the text of a TXT record, its strings joined; `signing` is the key with which mail is signed.
///
/// ```
/// use dkimkit::record::lint::lint;
/// let seen = lint(b"\"v=DKIM1\\; k=rsa\\; p=\"", None);
/// let words: Vec<&str> = seen.faults.iter().map(|fault| fault.word()).collect();
/// assert_eq!(words, ["quotes-in-record", "backslash-in-record", "key-revoked"]);
/// ```
pub fn lint(text: &[u8], signing: Option<&PublicKey>) -> Linted {
    let mut faults = Vec::new();
    let text = unpasted(text, &mut faults);
    let list = match TagList::parse(&text, MAX_TAGS) {
        Ok(list) => list,
        Err(error) => {
            let fault = match KeyRecord::parse(&text, MAX_TAGS) {
                Err(RecordError::NotDkim) if faults.is_empty() => RecordFault::NotKeyRecord,
                _ => RecordFault::Malformed { error },
            };
            faults.push(fault);
            return Linted {
                faults,
                key: None,
                held: None,
                repaired: None,
            };
        }
    };
    if list.get("v").is_some_and(|tag| runs_on(tag.value)) {
        faults.push(RecordFault::NoSemicolon);
        return Linted {
            faults,
            key: None,
            held: None,
            repaired: None,
        };
    }
    if !is_meant_as_key(&list) {
        return Linted {
            faults: vec![RecordFault::NotKeyRecord],
            key: None,
            held: None,
            repaired: None,
        };
    }
    version(&list, &mut faults);
    let (key, held) = public_key(&list, signing, &mut faults);
    tags(&list, &mut faults);
    let repaired = key.as_ref().map(|key| repair(&text, key));
    Linted {
        faults,
        key,
        held,
        repaired,
    }
}

/// Whether a record is of this key, or of none: it holds the key, if only misspelt or with a piece missing, or
/// p= is empty.
///
/// ```
/// use dkimkit::key::{KeyKind, SigningKey, encode_base64};
/// use dkimkit::record::lint::{PublicKey, is_of_key};
/// let key = PublicKey::of(&SigningKey::generate(KeyKind::Ed25519)?);
/// let p = encode_base64(&key.bytes);
/// assert!(is_of_key(format!("\"v=DKIM1\\; k=ed25519\\; p={p}\"").as_bytes(), &key));
/// assert!(is_of_key(b"v=DKIM1; p=", &key));
/// assert!(!is_of_key(b"v=DKIM1; p=Zm9v", &key));
/// assert!(!is_of_key(b"v=spf1 -all", &key));
/// # Ok::<(), dkimkit::key::KeyError>(())
/// ```
pub fn is_of_key(text: &[u8], own: &PublicKey) -> bool {
    let seen = lint(text, Some(own));
    let mut clean = Vec::new();
    clean.extend_from_slice(&unpasted(text, &mut Vec::new()));
    clean.retain(|b| !b.is_ascii_whitespace());
    let whole = encode_base64(&own.bytes).into_bytes();
    let p = TagList::parse(&clean, MAX_TAGS).ok();
    let p = p.and_then(|list| list.get("p").map(|tag| tag.value.to_vec()));
    seen.faults.contains(&RecordFault::Revoked)
        || seen.key.as_ref() == Some(own)
        || memchr::memmem::find(&clean, &whole).is_some()
        || p.is_some_and(|p| is_piece(&p, &whole))
}

/// The text without what belongs to zone files; a note for people (n=) may hold anything.
fn unpasted<'a>(text: &'a [u8], faults: &mut Vec<RecordFault>) -> Cow<'a, [u8]> {
    let note = TagList::parse(text, MAX_TAGS).ok();
    let note = note.and_then(|list| list.get("n").map(|tag| tag.span.clone()));
    let outside = |wanted: u8| {
        let mut bytes = text.iter().enumerate();
        bytes.any(|(at, b)| *b == wanted && !note.as_ref().is_some_and(|n| n.contains(&at)))
    };
    let (quotes, backslashes) = (outside(b'"'), outside(b'\\'));
    if quotes {
        faults.push(RecordFault::Quotes);
    }
    if backslashes {
        faults.push(RecordFault::Backslash);
    }
    if !quotes && !backslashes {
        return text.into();
    }
    let mut clean = Vec::with_capacity(text.len());
    let mut rest = trim(text);
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            // The blanks between two strings belong to the quotes.
            b'"' => {
                let blanks = tail
                    .iter()
                    .take_while(|b| matches!(b, b' ' | b'\t'))
                    .count();
                if tail.get(blanks) == Some(&b'"') {
                    rest = &tail[blanks + 1..];
                }
            }
            b'\\' => {}
            byte => clean.push(byte),
        }
    }
    trim(&clean).to_vec().into()
}

/// Whether a value of v= goes on with another tag.
fn runs_on(version: &[u8]) -> bool {
    let rest = version.strip_prefix(b"DKIM1");
    rest.is_some_and(|rest| rest.contains(&b'=') && !rest[0].is_ascii_alphanumeric())
}

fn is_meant_as_key(list: &TagList<'_>) -> bool {
    let version = list.get("v").map(|tag| tag.value.to_ascii_lowercase());
    match version {
        None => list.get("p").is_some() || list.get("k").is_some(),
        Some(version) => {
            version.starts_with(b"dkim")
                && (version == b"dkim1" || list.get("p").is_some() || list.get("k").is_some())
        }
    }
}

fn version(list: &TagList<'_>, faults: &mut Vec<RecordFault>) {
    match list.get("v") {
        Some(tag) if tag.value != b"DKIM1" => faults.push(RecordFault::Version {
            found: excerpt(tag.value),
        }),
        Some(_) if list.iter().next().is_none_or(|first| first.name != "v") => {
            faults.push(RecordFault::VersionNotFirst);
        }
        _ => {}
    }
}

/// The key of k= and p=, and the bytes in which it was looked for.
fn public_key(
    list: &TagList<'_>,
    signing: Option<&PublicKey>,
    faults: &mut Vec<RecordFault>,
) -> (Option<PublicKey>, Option<PublicKey>) {
    let Some(p) = list.get("p") else {
        faults.push(RecordFault::NoPublicKey);
        return (None, None);
    };
    let text = without_wsp(p.value);
    if text.is_empty() {
        faults.push(RecordFault::Revoked);
        return (None, None);
    }
    if text.len() != p.value.len() {
        faults.push(RecordFault::Spaces);
    }
    let key_type = match list.get("k").map(|tag| std::str::from_utf8(tag.value)) {
        None => KeyType::Rsa,
        Some(word) => match word.ok().and_then(KeyType::from_word) {
            Some(key_type) => key_type,
            None => {
                let found = list.get("k").map_or(&b""[..], |tag| tag.value);
                let found = excerpt(found);
                faults.push(RecordFault::KeyType { found });
                return (None, None);
            }
        },
    };
    let bytes = crate::key::decode_base64(&text);
    let parsed = bytes
        .as_ref()
        .map(|p| VerifyingKey::parse(key_type, p, ANY_SIZE));
    let held = bytes.clone().map(|bytes| PublicKey { key_type, bytes });
    let key = match (bytes, parsed) {
        (Some(bytes), Some(Ok(parsed))) => {
            let key = PublicKey {
                key_type,
                bytes: parsed.public_bytes(),
            };
            if signing.is_some_and(|signing| *signing != key) {
                faults.push(RecordFault::DifferentKey);
            }
            if key_type == KeyType::Rsa {
                size(parsed.bits(), faults);
                if bytes != key.bytes {
                    faults.push(RecordFault::BareRsaKey);
                }
            }
            Some(key)
        }
        (bytes, _) if is_cut(&text, bytes.as_deref(), signing) => {
            // Half a key has no numbers worth a look.
            faults.push(RecordFault::Incomplete);
            return (None, None);
        }
        (None, _) => {
            faults.push(RecordFault::Base64);
            None
        }
        (_, parsed) => {
            let error = parsed.and_then(Result::err).unwrap_or(KeyError::Malformed);
            faults.push(RecordFault::BadKey { error });
            None
        }
    };
    (key, held)
}

fn size(bits: usize, faults: &mut Vec<RecordFault>) {
    match bits {
        0..1024 => faults.push(RecordFault::TooSmall { bits }),
        1024..2048 => faults.push(RecordFault::Small { bits }),
        4097.. => faults.push(RecordFault::Large { bits }),
        _ => {}
    }
}

/// Whether what stands in p= is a key from which a piece was lost: the signing key without one stretch, or
/// DER that ends before it says that it does.
fn is_cut(text: &[u8], bytes: Option<&[u8]>, signing: Option<&PublicKey>) -> bool {
    if signing.is_some_and(|signing| is_piece(text, encode_base64(&signing.bytes).as_bytes())) {
        return true;
    }
    // A SEQUENCE with a length of two octets, as that of every RSA key from 1024 bits on.
    match bytes {
        Some([0x30, 0x82, high, low, rest @ ..]) => {
            rest.len() < usize::from(u16::from_be_bytes([*high, *low]))
        }
        Some([0x30, 0x81, len, rest @ ..]) => rest.len() < usize::from(*len),
        _ => false,
    }
}

/// Whether a text is another without one stretch of it.
fn is_piece(text: &[u8], whole: &[u8]) -> bool {
    let same = |(a, b): &(&u8, &u8)| a == b;
    let head = whole.iter().zip(text).take_while(same).count();
    let tail = whole.iter().rev().zip(text.iter().rev());
    let tail = tail.take_while(same).count();
    // RSA keys begin alike, and a few letters are equal by chance.
    text.len() < whole.len() && head + tail >= text.len() && text.len() >= MIN_PIECE
}

/// As many letters of base64 as RSA keys of one size may have in common, and some more.
const MIN_PIECE: usize = 64;

fn tags(list: &TagList<'_>, faults: &mut Vec<RecordFault>) {
    if let Some(tag) = list.get("h")
        && !super::read_hashes(tag.value).contains(&HashAlgorithm::Sha256)
    {
        let found = excerpt(tag.value);
        faults.push(RecordFault::Hashes { found });
    }
    if let Some(tag) = list.get("s")
        && super::read_service(tag.value) == Service::Other
    {
        let found = excerpt(tag.value);
        faults.push(RecordFault::Service { found });
    }
    let mut flags = list
        .get("t")
        .into_iter()
        .flat_map(|tag| crate::tag::colon_list(tag.value));
    if flags.any(|flag| flag.eq_ignore_ascii_case(b"y")) {
        faults.push(RecordFault::Testing);
    }
    if list.get("g").is_some() {
        faults.push(RecordFault::Granularity);
    }
}

/// The record with its key and its note, and with nothing that stands in the way of a verifier.
fn repair(text: &[u8], key: &PublicKey) -> String {
    let mut record = KeyRecord::new(key.key_type, key.bytes.clone());
    if let Ok(list) = TagList::parse(text, MAX_TAGS) {
        record.notes = list
            .get("n")
            .map(|tag| String::from_utf8_lossy(tag.value).into_owned());
        let mut flags = list
            .get("t")
            .into_iter()
            .flat_map(|tag| crate::tag::colon_list(tag.value));
        record.strict_identity = flags.any(|flag| flag.eq_ignore_ascii_case(b"s"));
        if let Some(tag) = list.get("s")
            && super::read_service(tag.value) == Service::Email
        {
            record.service = Service::Email;
        }
        if list
            .get("h")
            .is_some_and(|tag| super::read_hashes(tag.value) == [HashAlgorithm::Sha256])
        {
            record.hashes = Some(vec![HashAlgorithm::Sha256]);
        }
    }
    record.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::KeyKind;

    fn words(text: &str, signing: Option<&PublicKey>) -> Vec<&'static str> {
        let seen = lint(text.as_bytes(), signing);
        seen.faults.iter().map(RecordFault::word).collect()
    }

    fn public(kind: KeyKind) -> PublicKey {
        PublicKey::of(&SigningKey::generate(kind).unwrap())
    }

    #[test]
    fn each_fault_has_its_word_and_a_good_record_has_none() {
        let key = public(KeyKind::Rsa(2048));
        let p = encode_base64(&key.bytes);
        let ed = public(KeyKind::Ed25519);
        let ed_p = encode_base64(&ed.bytes);
        let small = encode_base64(&public(KeyKind::Rsa(1024)).bytes);
        let cut = [&p[..100], &p[200..]].concat();
        // The SEQUENCE and the algorithm before the bit string with the bare key.
        let bare = encode_base64(&key.bytes[24..]);
        let spaced = format!("{} {}", &p[..50], &p[50..]);
        for (text, want) in [
            (format!("v=DKIM1; k=rsa; p={p}"), &[][..]),
            (
                format!("v=DKIM1; h=sha1:sha256; k=rsa; s=*; t=s; n=a \"note\" \\; p={p}"),
                &[],
            ),
            (format!("k=rsa; p={p}"), &[]),
            (
                format!("\"v=DKIM1; k=rsa; \" \"p={p}\""),
                &["quotes-in-record"],
            ),
            (
                format!("v=DKIM1; k=rsa; p={}\" \"{}", &p[..50], &p[50..]),
                &["quotes-in-record"],
            ),
            (
                format!("v=DKIM1\\; k=rsa\\; p={p}"),
                &["backslash-in-record"],
            ),
            (
                format!("v=DKIM1; h=sha256\\; p={p}"),
                &["backslash-in-record"],
            ),
            (format!("k=rsa; v=DKIM1; p={p}"), &["version-not-first"]),
            (format!("v=dkim1; p={p}"), &["version-wrong"]),
            (format!("v=DKIM1 k=rsa; p={p}"), &["malformed-record"]),
            (format!("v=DKIM1, k=rsa, p={p}"), &["malformed-record"]),
            (format!("v=DKIM1k=rsa; p={p}"), &["version-wrong"]),
            (format!("v=DKIM1; k=rsa p={p}"), &["no-public-key"]),
            (format!("v=DKIM1; p={p}; p={p}"), &["malformed-record"]),
            (format!("v=DKIM1;; p={p}"), &["malformed-record"]),
            ("v=DKIM1; k=rsa".to_owned(), &["no-public-key"]),
            ("v=DKIM1; p=".to_owned(), &["key-revoked"]),
            (format!("v=DKIM1; p={}", &p[..255]), &["incomplete-key"]),
            (format!("v=DKIM1; p={cut}"), &["incomplete-key"]),
            (format!("v=DKIM1; p=!{p}"), &["bad-base64"]),
            ("v=DKIM1; p=Zm9v".to_owned(), &["bad-key"]),
            (format!("v=DKIM1; k=ed25519; p={p}"), &["bad-key"]),
            (format!("v=DKIM1; k=ed25519; p={ed_p}"), &["different-key"]),
            (format!("v=DKIM1; k=dsa; p={p}"), &["key-type-unknown"]),
            (format!("v=DKIM1; h=rsa-sha256; p={p}"), &["hash-unusable"]),
            (format!("v=DKIM1; h=sha1; p={p}"), &["hash-unusable"]),
            (format!("v=DKIM1; s=tlsrpt; p={p}"), &["service-unusable"]),
            (
                format!("v=DKIM1; p={small}"),
                &["different-key", "small-key"],
            ),
            (format!("v=DKIM1; p={spaced}"), &["spaces-in-key"]),
            (format!("v=DKIM1; t=y:s; p={p}"), &["testing-flag"]),
            (format!("v=DKIM1; g=*; p={p}"), &["obsolete-tag"]),
            (format!("v=DKIM1; p={bare}"), &["bare-rsa-key"]),
            ("v=spf1 -all".to_owned(), &["not-a-key-record"]),
            ("v=DMARC1; p=none".to_owned(), &["not-a-key-record"]),
            ("hello".to_owned(), &["not-a-key-record"]),
            (String::new(), &["not-a-key-record"]),
        ] {
            assert_eq!(words(&text, Some(&key)), want, "{text}");
        }
        // Without the signing key, the length within the key tells that it was cut.
        assert_eq!(
            words(&format!("v=DKIM1; p={}", &p[..200]), None),
            ["incomplete-key"]
        );
    }

    #[test]
    fn a_repaired_record_has_no_fault_and_the_same_key() {
        let key = public(KeyKind::Rsa(2048));
        let p = encode_base64(&key.bytes);
        for text in [
            format!("\"v=DKIM1\\; k=rsa\\; t=y:s\\; \" \"p={p}\""),
            format!("k=rsa; n=note; v=DKIM1; h=rsa-sha256; g=; p= {p}"),
            format!("v=dkim1; h=sha256; s=email; p={p}"),
        ] {
            let seen = lint(text.as_bytes(), Some(&key));
            assert!(!seen.faults.is_empty(), "{text}");
            let repaired = seen.repaired.unwrap();
            assert_eq!(words(&repaired, Some(&key)), [""; 0], "{repaired}");
            assert_eq!(lint(repaired.as_bytes(), None).key, Some(key.clone()));
        }
    }
}
