//! Keys that are known to be weak: what anybody can find out who has the public half.
//!
//! A key record can parse, verify and still protect nothing: its modulus falls to a pocket calculator, its
//! private half stands in an RFC, or a broken generator made it. These checks ask no network and do a
//! bounded amount of work for any bytes, so that they may run over keys of strangers. That they find
//! nothing does not make a key good.

mod blocklist;
mod factor;
mod known;
#[cfg(test)]
mod tests;

use std::fmt::{self, Write as _};

use rsa::BigUint;

pub use blocklist::{Blocklist, BlocklistError};

use super::public::{is_small_order, rsa_numbers};
use super::{ED25519_OID, KeyError, KeyType, bit_length, rsa_spki, spki};
use crate::canon::Sink as _;
use crate::hash::{HashAlgorithm, Hasher};

/// The largest modulus that is looked at, in bits. No verifier takes more than 8192.
const MAX_MODULUS_BITS: usize = 16_384;

/// The longest exponent that [`VerifyingKey::parse`](super::VerifyingKey::parse) takes, in bits.
const MAX_EXPONENT_BITS: usize = 33;

/// The exponent that keys have. A smaller one lets a verifier that reads padding loosely be fooled
/// (CVE-2006-4339).
const USUAL_EXPONENT: u32 = 65_537;

/// Something that is known to be weak about a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Weakness {
    /// An even RSA exponent: no private exponent belongs to it (RFC 8017 §3.1).
    EvenExponent,
    /// The RSA exponent 1: a signature is the padded hash itself, so that anyone can write it.
    ExponentOne,
    /// An odd RSA exponent from 3 to 65535.
    SmallExponent {
        /// The exponent.
        e: u32,
    },
    /// An RSA exponent that is longer than 33 bits, with which no key is verified.
    HugeExponent {
        /// Its length in bits.
        bits: usize,
    },
    /// An even modulus, zero among them: two is a factor.
    EvenModulus,
    /// A modulus that an odd prime below 2^16 divides. So do 19 of 20 random odd numbers end up here, and
    /// with them most moduli that a lost or changed character has damaged.
    SmallFactor {
        /// The smallest such prime.
        prime: u16,
    },
    /// A modulus that is a square: p and q are the same.
    PerfectSquare,
    /// A modulus whose two factors lie so close together that Fermat's method finds them (CVE-2022-26320).
    ClosePrimes {
        /// How many squares it tried, at most 100.
        steps: u32,
    },
    /// A modulus of the form that the RSALib of Infineon makes (CVE-2017-15361, "The Return of
    /// Coppersmith's Attack", Nemec and others, 2017), which can be factored up to 2048 bits.
    Roca,
    /// An Ed25519 key of small order: one signature holds for every message.
    SmallOrder,
    /// A key whose private half is published.
    KnownPrivateKey {
        /// Where it is published.
        whose: &'static str,
    },
    /// A key that the blocklist has.
    Blocklisted {
        /// The line of the blocklist, from 1.
        line: usize,
    },
}

impl Weakness {
    /// All words.
    pub const WORDS: [&'static str; 12] = [
        "exponent-even",
        "exponent-one",
        "exponent-small",
        "exponent-large",
        "modulus-even",
        "small-factor",
        "perfect-square",
        "close-primes",
        "roca",
        "small-order",
        "known-private-key",
        "blocklisted-key",
    ];

    /// The word for this weakness in reports that machines read.
    pub fn word(&self) -> &'static str {
        match self {
            Weakness::EvenExponent => "exponent-even",
            Weakness::ExponentOne => "exponent-one",
            Weakness::SmallExponent { .. } => "exponent-small",
            Weakness::HugeExponent { .. } => "exponent-large",
            Weakness::EvenModulus => "modulus-even",
            Weakness::SmallFactor { .. } => "small-factor",
            Weakness::PerfectSquare => "perfect-square",
            Weakness::ClosePrimes { .. } => "close-primes",
            Weakness::Roca => "roca",
            Weakness::SmallOrder => "small-order",
            Weakness::KnownPrivateKey { .. } => "known-private-key",
            Weakness::Blocklisted { .. } => "blocklisted-key",
        }
    }

    /// Whether the key must not be used: it can be broken, or no verifier takes it. Only a small exponent
    /// is no more than a warning.
    pub fn is_fatal(&self) -> bool {
        !matches!(self, Weakness::SmallExponent { .. })
    }
}

impl fmt::Display for Weakness {
    /// One sentence, in lower case and without a full stop.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Weakness::EvenExponent => f.write_str("the exponent is even, which no RSA key has"),
            Weakness::ExponentOne => {
                f.write_str("the exponent is 1, with which anyone can write signatures")
            }
            Weakness::SmallExponent { e } => {
                write!(f, "the exponent is {e}, smaller than the usual 65537")
            }
            Weakness::HugeExponent { bits } => write!(
                f,
                "the exponent has {bits} bits, where {MAX_EXPONENT_BITS} are the most that is taken"
            ),
            Weakness::EvenModulus => {
                f.write_str("the modulus is even: it is damaged, or no RSA modulus")
            }
            Weakness::SmallFactor { prime } => write!(
                f,
                "the modulus is divisible by {prime}: it is damaged, or no RSA modulus"
            ),
            Weakness::PerfectSquare => {
                f.write_str("the modulus is a square, so that its root is its factor")
            }
            Weakness::ClosePrimes { steps } => write!(
                f,
                "the primes of the modulus are so close that Fermat's method finds them in step {steps}"
            ),
            Weakness::Roca => {
                f.write_str("the modulus comes from a broken generator (ROCA, CVE-2017-15361)")
            }
            Weakness::SmallOrder => {
                f.write_str("the key is a point of small order, for which one signature fits all")
            }
            Weakness::KnownPrivateKey { whose } => {
                write!(f, "the private key is published: it is {whose}")
            }
            Weakness::Blocklisted { line } => {
                write!(f, "the key is on the blocklist, in its line {line}")
            }
        }
    }
}

/// What is known to be weak about the key in these decoded bytes of p=, the exponent first; an empty list
/// where nothing is.
///
/// It reads what [`VerifyingKey::parse`](super::VerifyingKey::parse) reads, but takes RSA keys of any exponent
/// and of any size to 16384 bits: a SubjectPublicKeyInfo or a bare RSAPublicKey (RFC 6376 §3.6.1 and erratum
/// 3017), or the 32 bytes of Ed25519 (RFC 8463 §4). A key of 8192 bits takes less than ten milliseconds.
///
/// ```
/// use dkimkit::key::weak::weaknesses;
/// use dkimkit::key::{KeyKind, KeyType, SigningKey};
/// let key = SigningKey::generate(KeyKind::Ed25519).unwrap();
/// assert_eq!(weaknesses(KeyType::Ed25519, &key.public_bytes(), None), Ok(vec![]));
///
/// // The key of RFC 8463, Appendix A, whose seed is printed beside it.
/// let record = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
/// let record = dkimkit::record::KeyRecord::parse(record.as_bytes(), 10).unwrap();
/// let found = weaknesses(record.key_type, &record.public.unwrap(), None).unwrap();
/// assert_eq!(found[0].word(), "known-private-key");
/// assert!(found[0].is_fatal());
/// ```
///
/// # Errors
/// [`KeyError::Malformed`], [`KeyError::OtherAlgorithm`] and [`KeyError::Ed25519Length`] for bytes that are
/// no key, and [`KeyError::TooLarge`] for a modulus of more than 16384 bits.
pub fn weaknesses(
    kind: KeyType,
    p: &[u8],
    blocklist: Option<&Blocklist>,
) -> Result<Vec<Weakness>, KeyError> {
    let key = PublicNumbers::read(kind, p)?;
    let mut found = match key {
        PublicNumbers::Rsa { n, e } => of_exponent(e).chain(of_modulus(n)).collect(),
        PublicNumbers::Ed25519 { raw } if is_small_order(raw) => vec![Weakness::SmallOrder],
        PublicNumbers::Ed25519 { .. } => Vec::new(),
    };
    let prints = Fingerprints::of(&key);
    found.extend(known::whose(&prints.sha256).map(|whose| Weakness::KnownPrivateKey { whose }));
    let line = blocklist.and_then(|list| list.line_with(&prints));
    found.extend(line.map(|line| Weakness::Blocklisted { line }));
    Ok(found)
}

fn of_exponent(e: &[u8]) -> impl Iterator<Item = Weakness> + use<> {
    let bits = bit_length(e);
    let value = (bits <= 32).then(|| e.iter().fold(0_u32, |value, b| value << 8 | u32::from(*b)));
    let even = e.last().is_none_or(|b| b % 2 == 0);
    let low = match value {
        _ if even => Some(Weakness::EvenExponent),
        Some(1) => Some(Weakness::ExponentOne),
        Some(e) if e < USUAL_EXPONENT => Some(Weakness::SmallExponent { e }),
        _ => None,
    };
    let huge = (bits > MAX_EXPONENT_BITS).then_some(Weakness::HugeExponent { bits });
    low.into_iter().chain(huge)
}

fn of_modulus(n: &[u8]) -> impl Iterator<Item = Weakness> + use<> {
    let number = BigUint::from_bytes_be(n);
    let even = n.last().is_none_or(|b| b % 2 == 0);
    // Fermat's method wants an odd number, and of an even one a factor is known.
    let closeness = (!even).then(|| factor::closeness(&number)).flatten();
    [
        even.then_some(Weakness::EvenModulus),
        factor::small_factor(&number).map(|prime| Weakness::SmallFactor { prime }),
        closeness,
        factor::is_roca(&number).then_some(Weakness::Roca),
    ]
    .into_iter()
    .flatten()
}

/// A public key as its numbers, sound or not.
enum PublicNumbers<'a> {
    Rsa { n: &'a [u8], e: &'a [u8] },
    Ed25519 { raw: &'a [u8; 32] },
}

impl PublicNumbers<'_> {
    fn read(kind: KeyType, p: &[u8]) -> Result<PublicNumbers<'_>, KeyError> {
        if kind == KeyType::Ed25519 {
            let raw = p
                .try_into()
                .map_err(|_| KeyError::Ed25519Length { len: p.len() })?;
            return Ok(PublicNumbers::Ed25519 { raw });
        }
        let (n, e) = rsa_numbers(p)?;
        let (bits, max) = (bit_length(n), MAX_MODULUS_BITS);
        if bits > max {
            return Err(KeyError::TooLarge { bits, max });
        }
        Ok(PublicNumbers::Rsa { n, e })
    }
}

/// What lists of keys know a key by.
struct Fingerprints {
    /// SHA-256 of the SubjectPublicKeyInfo, of Ed25519 keys too.
    sha256: [u8; 32],
    /// The last 10 bytes of SHA-1 over the modulus as `openssl rsa -modulus` prints it.
    debian: Option<[u8; 10]>,
}

impl Fingerprints {
    fn of(key: &PublicNumbers<'_>) -> Fingerprints {
        let (der, line) = match *key {
            PublicNumbers::Rsa { n, e } => (rsa_spki(n, e), Some(modulus_line(n))),
            PublicNumbers::Ed25519 { raw } => (spki(ED25519_OID, raw), None),
        };
        Fingerprints {
            sha256: hash(HashAlgorithm::Sha256, &der),
            debian: line.map(|line| {
                let sha1: [u8; 20] = hash(HashAlgorithm::Sha1, line.as_bytes());
                std::array::from_fn(|at| sha1[10 + at])
            }),
        }
    }
}

/// `Modulus=`, the number in capital hexadecimal digits without leading zeros, and a line feed.
fn modulus_line(n: &[u8]) -> String {
    let mut hex = String::with_capacity(2 * n.len());
    for byte in n {
        write!(hex, "{byte:02X}").expect("a string takes everything");
    }
    format!("Modulus={}\n", hex.trim_start_matches('0'))
}

fn hash<const N: usize>(algorithm: HashAlgorithm, data: &[u8]) -> [u8; N] {
    let mut hasher = Hasher::new(algorithm);
    hasher.put(data);
    let digest = hasher.finish();
    digest.as_bytes().try_into().expect("N is its length")
}
