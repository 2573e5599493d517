//! Keys: reading and writing them, making them, signing and verifying with them.
//!
//! With [`hash`](crate::hash) this is the only room that names a crypto crate. RSA from 2048 bits signs,
//! and from 1024 bits verifies, through AWS-LC; smaller keys, SHA-1 and key generation go through the
//! `rsa` crate. DER is read strictly: bytes behind a structure are an error.

mod private;
mod public;
pub mod weak;

use base64::Engine as _;
use base64::alphabet::STANDARD as STANDARD_ALPHABET;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use rsa::Pkcs1v15Sign;
use rsa::pkcs1::UintRef;
use rsa::pkcs1::der::Encode as _;
use rsa::pkcs8::spki::{AlgorithmIdentifierRef, ObjectIdentifier, SubjectPublicKeyInfoRef};

pub use private::SigningKey;
pub use public::VerifyingKey;

use crate::hash::HashAlgorithm;

/// A signature algorithm of a=; there are no other legal pairs (RFC 6376 §3.3, RFC 8463 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// `rsa-sha1`: never valid today (RFC 8301 §3.1).
    RsaSha1,
    /// `rsa-sha256`.
    RsaSha256,
    /// `ed25519-sha256` (RFC 8463): Ed25519 over the SHA-256 of the data.
    Ed25519Sha256,
}

impl Algorithm {
    /// The word of a=.
    pub fn as_str(self) -> &'static str {
        match self {
            Algorithm::RsaSha1 => "rsa-sha1",
            Algorithm::RsaSha256 => "rsa-sha256",
            Algorithm::Ed25519Sha256 => "ed25519-sha256",
        }
    }

    /// Reads the word of a=, in any letter case (RFC 5234 §2.3).
    pub fn from_word(word: &str) -> Option<Algorithm> {
        use Algorithm::{Ed25519Sha256, RsaSha1, RsaSha256};
        [RsaSha256, Ed25519Sha256, RsaSha1]
            .into_iter()
            .find(|a| word.eq_ignore_ascii_case(a.as_str()))
    }

    /// The hash half.
    pub fn hash(self) -> HashAlgorithm {
        match self {
            Algorithm::RsaSha1 => HashAlgorithm::Sha1,
            Algorithm::RsaSha256 | Algorithm::Ed25519Sha256 => HashAlgorithm::Sha256,
        }
    }

    /// The key half.
    pub fn key_type(self) -> KeyType {
        match self {
            Algorithm::RsaSha1 | Algorithm::RsaSha256 => KeyType::Rsa,
            Algorithm::Ed25519Sha256 => KeyType::Ed25519,
        }
    }
}

/// A key type of k= (RFC 6376 §3.6.1, RFC 8463 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// `rsa`, also where k= is absent.
    Rsa,
    /// `ed25519`.
    Ed25519,
}

impl KeyType {
    /// The word of k=.
    pub fn as_str(self) -> &'static str {
        match self {
            KeyType::Rsa => "rsa",
            KeyType::Ed25519 => "ed25519",
        }
    }

    /// Reads the word of k=, in any letter case (RFC 5234 §2.3).
    pub fn from_word(word: &str) -> Option<KeyType> {
        [KeyType::Rsa, KeyType::Ed25519]
            .into_iter()
            .find(|k| word.eq_ignore_ascii_case(k.as_str()))
    }
}

/// The sizes of RSA keys that are accepted, in bits of the modulus, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RsaSizes {
    /// The smallest.
    pub min: usize,
    /// The largest.
    pub max: usize,
}

impl Default for RsaSizes {
    /// 1024 (RFC 8301 §3.2) to 8192 bits.
    fn default() -> Self {
        RsaSizes {
            min: 1024,
            max: 8192,
        }
    }
}

/// What kind of key to generate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA with this many bits: 1024, 2048, 3072 or 4096.
    Rsa(usize),
    /// Ed25519.
    Ed25519,
}

/// Decodes base64 as tags carry it: folding white space is already gone; the padding may be missing.
pub(crate) fn decode_base64(text: &[u8]) -> Option<Vec<u8>> {
    const TAG: GeneralPurpose = GeneralPurpose::new(
        &STANDARD_ALPHABET,
        GeneralPurposeConfig::new()
            .with_decode_padding_mode(DecodePaddingMode::Indifferent)
            .with_decode_allow_trailing_bits(true),
    );
    TAG.decode(text).ok()
}

/// Encodes as b=, bh= and p= carry it.
pub fn encode_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

const RSA_OID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ED25519_OID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// RFC 3279 §2.3.1 wants NULL parameters for RSA; RFC 8410 §3 wants none for Ed25519.
fn algorithm_identifier(oid: ObjectIdentifier) -> AlgorithmIdentifierRef<'static> {
    let null = rsa::pkcs1::der::asn1::AnyRef::NULL;
    AlgorithmIdentifierRef {
        oid,
        parameters: (oid == RSA_OID).then_some(null),
    }
}

/// The padding of RFC 8017 §9.2, from the literal DigestInfo prefix of its notes.
fn pkcs1v15(hash: HashAlgorithm) -> Pkcs1v15Sign {
    let (len, prefix) = digest_info(hash);
    Pkcs1v15Sign {
        hash_len: Some(len),
        prefix: prefix.into(),
    }
}

/// The length of the digest, and what stands before it in a DigestInfo.
fn digest_info(hash: HashAlgorithm) -> (usize, &'static [u8]) {
    const SHA1: &[u8] = &[
        0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14,
    ];
    const SHA256: &[u8] = &[
        0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01,
        0x05, 0x00, 0x04, 0x20,
    ];
    match hash {
        HashAlgorithm::Sha1 => (20, SHA1),
        HashAlgorithm::Sha256 => (32, SHA256),
    }
}

fn rsa_spki(n: &[u8], e: &[u8]) -> Vec<u8> {
    let key = rsa::pkcs1::RsaPublicKey {
        modulus: UintRef::new(n).expect("a modulus that was parsed"),
        public_exponent: UintRef::new(e).expect("an exponent that was parsed"),
    };
    spki(RSA_OID, &key.to_der().expect("two numbers encode"))
}

fn spki(oid: ObjectIdentifier, key: &[u8]) -> Vec<u8> {
    let bits = rsa::pkcs1::der::asn1::BitStringRef::from_bytes(key).expect("whole bytes");
    SubjectPublicKeyInfoRef {
        algorithm: algorithm_identifier(oid),
        subject_public_key: bits,
    }
    .to_der()
    .expect("a bit string encodes")
}

/// The number of bits of a big-endian number.
fn bit_length(number: &[u8]) -> usize {
    let zeros = number.iter().take_while(|b| **b == 0).count();
    let digits = &number[zeros..];
    digits
        .first()
        .map_or(0, |b| digits.len() * 8 - b.leading_zeros() as usize)
}

fn check_size(bits: usize, sizes: RsaSizes) -> Result<(), KeyError> {
    if bits < sizes.min {
        return Err(KeyError::TooSmall {
            bits,
            min: sizes.min,
        });
    }
    if bits > sizes.max {
        return Err(KeyError::TooLarge {
            bits,
            max: sizes.max,
        });
    }
    Ok(())
}

/// Even exponents and 1 are no RSA; huge ones only cost time.
fn check_exponent(e: &[u8]) -> Result<(), KeyError> {
    let odd = e.last().is_some_and(|b| b % 2 == 1);
    let bits = bit_length(e);
    if !odd || !(2..=33).contains(&bits) {
        return Err(KeyError::Exponent);
    }
    Ok(())
}

/// Why a key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not the DER structure that it should be.
    #[error("the key is not valid DER")]
    Malformed,
    /// The parts of a private key do not fit together.
    #[error("the parts of the key do not fit together")]
    Inconsistent,
    /// Neither RSA nor Ed25519.
    #[error("the key is neither RSA nor Ed25519")]
    OtherAlgorithm,
    /// An RSA modulus below the limit.
    #[error("the RSA key has {bits} bits, fewer than {min}")]
    TooSmall {
        /// Its size in bits.
        bits: usize,
        /// The limit in bits.
        min: usize,
    },
    /// An RSA modulus above the limit.
    #[error("the RSA key has {bits} bits, more than {max}")]
    TooLarge {
        /// Its size in bits.
        bits: usize,
        /// The limit in bits.
        max: usize,
    },
    /// An RSA exponent that is even, 1, or longer than 33 bits.
    #[error("the RSA key has an exponent that no sound key has")]
    Exponent,
    /// An Ed25519 key that is not 32 bytes long.
    #[error("an Ed25519 key has 32 bytes, not {len}")]
    Ed25519Length {
        /// Its length in bytes.
        len: usize,
    },
    /// An Ed25519 key with which one signature holds for every message.
    #[error("the Ed25519 key is a point of small order")]
    SmallOrder,
    /// A private key under a passphrase.
    #[error("the private key is encrypted")]
    Encrypted,
    /// A public key where a private one is needed.
    #[error("this is a public key, not a private one")]
    Public,
    /// A PEM block of another kind.
    #[error("the PEM block \"{tag}\" is not a private key")]
    PemTag {
        /// What follows BEGIN.
        tag: String,
    },
    /// PEM that cannot be read.
    #[error("the PEM cannot be read")]
    Pem,
    /// Neither PEM, DER nor a base64 seed.
    #[error("this is no private key: neither PEM, DER nor a base64 Ed25519 seed")]
    NoKey,
    /// The generator failed.
    #[error("no key could be generated")]
    Generation,
    /// The signing operation failed.
    #[error("the signing operation failed")]
    Signing,
}

#[cfg(test)]
mod tests {
    use rsa::pkcs1::der::Decode as _;

    use super::*;
    use crate::canon::Sink as _;
    use crate::hash::{Digest, Hasher};

    fn digest(hash: HashAlgorithm) -> Digest {
        let mut hasher = Hasher::new(hash);
        hasher.put(b"x");
        hasher.finish()
    }

    #[test]
    fn every_kind_of_key_signs_verifies_and_comes_back_from_its_file() {
        let sha256 = digest(HashAlgorithm::Sha256);
        for kind in [KeyKind::Ed25519, KeyKind::Rsa(1024), KeyKind::Rsa(2048)] {
            let key = SigningKey::generate(kind).unwrap();
            let pem = key.to_pkcs8_pem().unwrap();
            let again = SigningKey::read(pem.as_bytes()).unwrap();
            assert_eq!(again.public_bytes(), key.public_bytes());
            assert_eq!(again.to_pkcs8_pem().unwrap(), pem);
            let crlf = pem.replace('\n', "\r\n");
            assert!(SigningKey::read(crlf.as_bytes()).is_ok());

            let signature = again.sign(&sha256).unwrap();
            let public = key.public_bytes();
            let kind = key.algorithm().key_type();
            let verifier = VerifyingKey::parse(kind, &public, RsaSizes::default()).unwrap();
            assert_eq!(verifier.public_bytes(), public);
            assert_eq!(verifier.bits(), key.bits());
            assert!(verifier.verify(&sha256, HashAlgorithm::Sha256, &signature));
            for at in [0, signature.len() / 2, signature.len() - 1] {
                let mut bad = signature.clone();
                bad[at] ^= 1;
                assert!(!verifier.verify(&sha256, HashAlgorithm::Sha256, &bad));
            }
            assert!(!verifier.verify(&sha256, HashAlgorithm::Sha256, &signature[1..]));
            assert!(!verifier.verify(&sha256, HashAlgorithm::Sha256, b""));
            let mut trailing = public.clone();
            trailing.push(0);
            assert!(VerifyingKey::parse(kind, &trailing, RsaSizes::default()).is_err());
        }
    }

    #[test]
    fn a_bare_modulus_and_exponent_is_read_as_spki_is() {
        let key = SigningKey::generate(KeyKind::Rsa(1024)).unwrap();
        let spki = key.public_bytes();
        let pkcs1 = SubjectPublicKeyInfoRef::from_der(&spki)
            .unwrap()
            .subject_public_key
            .raw_bytes();
        let parsed = VerifyingKey::parse(KeyType::Rsa, pkcs1, RsaSizes::default()).unwrap();
        assert_eq!(parsed.public_bytes(), spki);
    }

    #[test]
    fn sizes_and_exponents_are_checked_before_anything_else() {
        let refuse = |bits: usize, e: &[u8]| {
            let mut n = vec![0xff; bits.div_ceil(8)];
            n[0] >>= (8 - bits % 8) % 8;
            let sizes = RsaSizes::default();
            VerifyingKey::parse(KeyType::Rsa, &rsa_spki(&n, e), sizes).map(|k| k.bits())
        };
        let (min, max) = (1024, 8192);
        assert_eq!(
            refuse(1023, &[3]),
            Err(KeyError::TooSmall { bits: 1023, min })
        );
        assert_eq!(
            refuse(8193, &[3]),
            Err(KeyError::TooLarge { bits: 8193, max })
        );
        for e in [&[1][..], &[2], &[1, 0, 0], &[4, 0, 0, 0, 1]] {
            assert_eq!(refuse(2048, e), Err(KeyError::Exponent), "{e:?}");
        }
        for bits in [1024, 1025, 1031, 2047, 4096, 8192] {
            assert_eq!(refuse(bits, &[1, 0, 1]), Ok(bits));
        }
    }

    #[test]
    fn keys_of_small_order_are_refused() {
        let order_8 = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05";
        let other_order_8 = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a";
        let zeros = "00".repeat(31);
        let ones = "ff".repeat(30);
        let mut keys = vec![order_8.to_owned(), other_order_8.to_owned()];
        keys.extend(["00", "01"].map(|low| format!("{low}{zeros}")));
        keys.extend(["ec", "ed", "ee"].map(|low| format!("{low}{ones}7f")));
        for hex in keys {
            let byte = |at: usize| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap();
            let mut key: Vec<u8> = (0..32).map(byte).collect();
            for sign in [0, 0x80] {
                key[31] = key[31] & 0x7f | sign;
                let parsed = VerifyingKey::parse(KeyType::Ed25519, &key, RsaSizes::default());
                assert_eq!(parsed.unwrap_err(), KeyError::SmallOrder, "{hex}");
            }
        }
    }

    #[test]
    fn a_bare_seed_may_begin_as_der_does() {
        for first in [0x00, 0xd3, 0xff] {
            let text = encode_base64(&[first; 32]);
            let key = SigningKey::read(format!("{text}\n").as_bytes());
            assert!(key.is_ok(), "{text}: {key:?}");
        }
    }

    #[test]
    fn files_that_are_no_private_key_are_told_apart() {
        let public = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n";
        let encrypted =
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
        let cert = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let broken = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        let tag = "CERTIFICATE".to_owned();
        for (file, want) in [
            ("", KeyError::NoKey),
            ("hello", KeyError::NoKey),
            (public, KeyError::Public),
            (encrypted, KeyError::Encrypted),
            (cert, KeyError::PemTag { tag }),
            (broken, KeyError::Malformed),
            ("-----BEGIN PRIVATE KEY-----\nAAAA", KeyError::Pem),
            ("0\u{1}", KeyError::Malformed),
        ] {
            assert_eq!(
                SigningKey::read(file.as_bytes()).unwrap_err(),
                want,
                "{file}"
            );
        }
    }
}
