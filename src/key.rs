//! Keys: reading and writing them, making them, signing and verifying with them.
//!
//! With [`hash`](crate::hash) this is the only room that names a crypto crate. RSA from 2048 bits signs,
//! and from 1024 bits verifies, through AWS-LC; smaller keys, SHA-1 and key generation go through the
//! `rsa` crate. DER is read strictly: bytes behind a structure are an error.

use std::fmt;

use aws_lc_rs::digest as aws_digest;
use aws_lc_rs::signature::{
    self as aws, Ed25519KeyPair, KeyPair as _, ParsedPublicKey, RsaKeyPair, RsaPublicKeyComponents,
};
use base64::Engine as _;
use base64::alphabet::STANDARD as STANDARD_ALPHABET;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use rsa::pkcs1::der::{Decode as _, Encode as _};
use rsa::pkcs1::{EncodeRsaPrivateKey as _, UintRef};
use rsa::pkcs8::spki::{AlgorithmIdentifierRef, ObjectIdentifier, SubjectPublicKeyInfoRef};
use rsa::pkcs8::{LineEnding, PrivateKeyInfo, SecretDocument};
use rsa::traits::PublicKeyParts as _;
use rsa::{BigUint, Pkcs1v15Sign, RsaPrivateKey, RsaPublicKey, rand_core::OsRng};
use zeroize::Zeroizing;

use crate::hash::{Digest, HashAlgorithm};

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

/// A public key, parsed once and ready to verify.
pub struct VerifyingKey(Public);

enum Public {
    /// From 1024 bits.
    Rsa {
        sha256: ParsedPublicKey,
        number: RsaPublicKey,
    },
    /// Below 1024 bits, which AWS-LC does not verify with.
    SmallRsa { number: RsaPublicKey },
    Ed25519 {
        parsed: ParsedPublicKey,
        raw: [u8; 32],
    },
}

impl VerifyingKey {
    /// Reads the decoded bytes of p= as a key of this type.
    ///
    /// An RSA key is a SubjectPublicKeyInfo or a bare RSAPublicKey (RFC 6376 §3.6.1 and erratum 3017); an
    /// Ed25519 key is its 32 bytes (RFC 8463 §4).
    ///
    /// ```
    /// use dkimkit::key::{KeyKind, KeyType, RsaSizes, SigningKey, VerifyingKey};
    /// let public = SigningKey::generate(KeyKind::Ed25519).unwrap().public_bytes();
    /// let key = VerifyingKey::parse(KeyType::Ed25519, &public, RsaSizes::default()).unwrap();
    /// assert_eq!(key.bits(), 256);
    /// ```
    ///
    /// # Errors
    /// [`KeyError`] for bytes that are no key, an RSA key whose size is not among `sizes`, or one with an
    /// exponent that no sound key has.
    pub fn parse(kind: KeyType, p: &[u8], sizes: RsaSizes) -> Result<VerifyingKey, KeyError> {
        match kind {
            KeyType::Rsa => VerifyingKey::rsa(p, sizes),
            KeyType::Ed25519 => VerifyingKey::ed25519(p),
        }
    }

    fn rsa(der: &[u8], sizes: RsaSizes) -> Result<VerifyingKey, KeyError> {
        let pkcs1 = match SubjectPublicKeyInfoRef::from_der(der) {
            Ok(spki) if spki.algorithm.oid != RSA_OID => return Err(KeyError::OtherAlgorithm),
            Ok(spki) => spki
                .subject_public_key
                .as_bytes()
                .ok_or(KeyError::Malformed)?,
            Err(_) => der,
        };
        let key = rsa::pkcs1::RsaPublicKey::from_der(pkcs1).map_err(|_| KeyError::Malformed)?;
        let (n, e) = (key.modulus.as_bytes(), key.public_exponent.as_bytes());
        let bits = bit_length(n);
        check_size(bits, sizes)?;
        check_exponent(e)?;
        if n.last().is_none_or(|b| b % 2 == 0) {
            return Err(KeyError::Malformed);
        }
        let (modulus, exponent) = (BigUint::from_bytes_be(n), BigUint::from_bytes_be(e));
        let number = RsaPublicKey::new_with_max_size(modulus, exponent, sizes.max)
            .map_err(|_| KeyError::Malformed)?;
        if bits < AWS_MIN_VERIFY {
            return Ok(VerifyingKey(Public::SmallRsa { number }));
        }
        let sha256 = RsaPublicKeyComponents { n, e }
            .to_parsed_public_key(&aws::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY)
            .map_err(|_| KeyError::Malformed)?;
        Ok(VerifyingKey(Public::Rsa { sha256, number }))
    }

    fn ed25519(p: &[u8]) -> Result<VerifyingKey, KeyError> {
        let raw: [u8; 32] = p
            .try_into()
            .map_err(|_| KeyError::Ed25519Length { len: p.len() })?;
        let parsed = ParsedPublicKey::new(&aws::ED25519, raw).map_err(|_| KeyError::Malformed)?;
        Ok(VerifyingKey(Public::Ed25519 { parsed, raw }))
    }

    /// The type of the key.
    pub fn key_type(&self) -> KeyType {
        match self.0 {
            Public::Rsa { .. } | Public::SmallRsa { .. } => KeyType::Rsa,
            Public::Ed25519 { .. } => KeyType::Ed25519,
        }
    }

    /// The size in bits: of the modulus, or 256.
    pub fn bits(&self) -> usize {
        match &self.0 {
            Public::Rsa { number, .. } | Public::SmallRsa { number } => number.n().bits(),
            Public::Ed25519 { .. } => 256,
        }
    }

    /// Whether `signature` is one of this key over `digest`.
    pub fn verify(&self, digest: &Digest, hash: HashAlgorithm, signature: &[u8]) -> bool {
        match (&self.0, hash) {
            (Public::Rsa { sha256, .. }, HashAlgorithm::Sha256) => {
                let digest =
                    aws_digest::Digest::import_less_safe(digest.as_bytes(), &aws_digest::SHA256);
                digest.is_ok_and(|digest| sha256.verify_digest_sig(&digest, signature).is_ok())
            }
            (Public::Rsa { number, .. } | Public::SmallRsa { number }, _) => number
                .verify(pkcs1v15(hash), digest.as_bytes(), signature)
                .is_ok(),
            // RFC 8463 §3: the message that PureEdDSA signs is the digest.
            (Public::Ed25519 { parsed, .. }, _) => {
                parsed.verify_sig(digest.as_bytes(), signature).is_ok()
            }
        }
    }

    /// The bytes of p= that we would publish for this key: SubjectPublicKeyInfo, or the 32 bytes.
    pub fn public_bytes(&self) -> Vec<u8> {
        match &self.0 {
            Public::Rsa { number, .. } | Public::SmallRsa { number } => {
                rsa_spki(&number.n().to_bytes_be(), &number.e().to_bytes_be())
            }
            Public::Ed25519 { raw, .. } => raw.to_vec(),
        }
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "VerifyingKey({}, {} bits)",
            self.key_type().as_str(),
            self.bits()
        )
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

/// A private key, parsed once and ready to sign. What it holds is wiped when it is dropped.
pub struct SigningKey {
    secret: Secret,
    /// What p= says of it.
    public: Vec<u8>,
    bits: usize,
}

enum Secret {
    /// From 2048 bits.
    Rsa {
        pair: RsaKeyPair,
        pkcs1: Zeroizing<Vec<u8>>,
    },
    /// 1024 to 2047 bits, with which AWS-LC does not sign.
    SmallRsa(Box<RsaPrivateKey>),
    Ed25519 {
        pair: Ed25519KeyPair,
        seed: Zeroizing<[u8; 32]>,
    },
}

impl SigningKey {
    /// Makes a new key from the generator of the operating system.
    ///
    /// # Errors
    /// [`KeyError::TooSmall`] or [`KeyError::TooLarge`] for an RSA size outside 1024 to 4096 bits, and
    /// [`KeyError::Generation`] where the generator fails.
    pub fn generate(kind: KeyKind) -> Result<SigningKey, KeyError> {
        match kind {
            KeyKind::Rsa(bits) => {
                check_size(
                    bits,
                    RsaSizes {
                        min: 1024,
                        max: 4096,
                    },
                )?;
                let key = RsaPrivateKey::new(&mut OsRng, bits).map_err(|_| KeyError::Generation)?;
                let der = key.to_pkcs1_der().map_err(|_| KeyError::Generation)?;
                SigningKey::from_pkcs1(der.as_bytes())
            }
            KeyKind::Ed25519 => {
                let mut seed = Zeroizing::new([0; 32]);
                aws_lc_rs::rand::fill(&mut *seed).map_err(|_| KeyError::Generation)?;
                SigningKey::from_seed(&*seed)
            }
        }
    }

    /// Reads a private key file: PEM or DER, PKCS#1 or PKCS#8 of either version, or the bare base64
    /// seed that dkimpy writes for Ed25519.
    ///
    /// ```
    /// use dkimkit::key::{KeyKind, SigningKey};
    /// let key = SigningKey::generate(KeyKind::Ed25519).unwrap();
    /// let pem = key.to_pkcs8_pem().unwrap();
    /// assert_eq!(SigningKey::read(pem.as_bytes()).unwrap().public_bytes(), key.public_bytes());
    /// ```
    ///
    /// # Errors
    /// [`KeyError`] for an encrypted key, a public key, an algorithm other than RSA and Ed25519, an RSA
    /// key below 1024 or above 8192 bits, and for bytes that are none of the forms.
    pub fn read(file: &[u8]) -> Result<SigningKey, KeyError> {
        if file.starts_with(&[0x30]) {
            return SigningKey::from_der(file);
        }
        if memchr::memmem::find(file, b"-----BEGIN ").is_none() {
            return SigningKey::from_bare_seed(file);
        }
        // OpenSSL's traditional encryption writes headers into the PEM, which a parser may take or not.
        if memchr::memmem::find(file, b"ENCRYPTED").is_some() {
            return Err(KeyError::Encrypted);
        }
        let mut other = None;
        for block in pem::parse_many(file).map_err(|_| KeyError::Pem)? {
            let tag = block.tag().to_owned();
            let der = Zeroizing::new(block.into_contents());
            match tag.as_str() {
                "PRIVATE KEY" => return SigningKey::from_pkcs8(&der),
                "RSA PRIVATE KEY" => return SigningKey::from_pkcs1(&der),
                _ => other = Some(tag),
            }
        }
        match other {
            Some(tag) if tag.contains("PUBLIC") => Err(KeyError::Public),
            Some(tag) => Err(KeyError::PemTag { tag }),
            None => Err(KeyError::Pem),
        }
    }

    fn from_der(der: &[u8]) -> Result<SigningKey, KeyError> {
        match SigningKey::from_pkcs8(der) {
            Err(KeyError::Malformed) => SigningKey::from_pkcs1(der),
            result => result,
        }
    }

    fn from_pkcs8(der: &[u8]) -> Result<SigningKey, KeyError> {
        let info = PrivateKeyInfo::from_der(der).map_err(|_| KeyError::Malformed)?;
        match info.algorithm.oid {
            RSA_OID => SigningKey::from_pkcs1(info.private_key),
            ED25519_OID => {
                // RFC 8410 §7: an OCTET STRING within the OCTET STRING.
                let [0x04, 0x20, seed @ ..] = info.private_key else {
                    return Err(KeyError::Malformed);
                };
                let key = SigningKey::from_seed(seed)?;
                match info.public_key {
                    Some(public) if public != key.public => Err(KeyError::Inconsistent),
                    _ => Ok(key),
                }
            }
            _ => Err(KeyError::OtherAlgorithm),
        }
    }

    fn from_pkcs1(der: &[u8]) -> Result<SigningKey, KeyError> {
        let key = rsa::pkcs1::RsaPrivateKey::from_der(der).map_err(|_| KeyError::Malformed)?;
        let (n, e) = (key.modulus.as_bytes(), key.public_exponent.as_bytes());
        let bits = bit_length(n);
        check_size(bits, RsaSizes::default())?;
        check_exponent(e)?;
        let secret = if bits < AWS_MIN_SIGN {
            let number = |part: UintRef<'_>| BigUint::from_bytes_be(part.as_bytes());
            let mut parsed = RsaPrivateKey::from_components(
                number(key.modulus),
                number(key.public_exponent),
                number(key.private_exponent),
                vec![number(key.prime1), number(key.prime2)],
            )
            .map_err(|_| KeyError::Inconsistent)?;
            parsed.precompute().map_err(|_| KeyError::Inconsistent)?;
            Secret::SmallRsa(Box::new(parsed))
        } else {
            Secret::Rsa {
                pair: RsaKeyPair::from_der(der).map_err(|_| KeyError::Inconsistent)?,
                pkcs1: Zeroizing::new(der.to_vec()),
            }
        };
        Ok(SigningKey {
            secret,
            public: rsa_spki(n, e),
            bits,
        })
    }

    fn from_bare_seed(file: &[u8]) -> Result<SigningKey, KeyError> {
        let text = file.trim_ascii();
        let seed = Zeroizing::new(STANDARD.decode(text).map_err(|_| KeyError::NoKey)?);
        if seed.len() != 32 {
            return Err(KeyError::NoKey);
        }
        SigningKey::from_seed(&seed)
    }

    fn from_seed(seed: &[u8]) -> Result<SigningKey, KeyError> {
        let kept: [u8; 32] = seed
            .try_into()
            .map_err(|_| KeyError::Ed25519Length { len: seed.len() })?;
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| KeyError::Malformed)?;
        Ok(SigningKey {
            public: pair.public_key().as_ref().to_vec(),
            secret: Secret::Ed25519 {
                pair,
                seed: Zeroizing::new(kept),
            },
            bits: 256,
        })
    }

    /// The algorithm that this key signs with.
    pub fn algorithm(&self) -> Algorithm {
        match self.secret {
            Secret::Rsa { .. } | Secret::SmallRsa(_) => Algorithm::RsaSha256,
            Secret::Ed25519 { .. } => Algorithm::Ed25519Sha256,
        }
    }

    /// The size in bits: of the modulus, or 256.
    pub fn bits(&self) -> usize {
        self.bits
    }

    /// The bytes of p=: a SubjectPublicKeyInfo for RSA, the 32 bytes for Ed25519.
    pub fn public_bytes(&self) -> Vec<u8> {
        self.public.clone()
    }

    /// Signs a SHA-256 digest.
    ///
    /// # Errors
    /// [`KeyError::Signing`] where the operation fails, as for want of random bytes.
    ///
    /// # Panics
    /// If the digest is not one of SHA-256.
    pub fn sign(&self, digest: &Digest) -> Result<Vec<u8>, KeyError> {
        assert_eq!(digest.as_bytes().len(), 32, "what is signed is SHA-256");
        match &self.secret {
            Secret::Rsa { pair, .. } => {
                let digest =
                    aws_digest::Digest::import_less_safe(digest.as_bytes(), &aws_digest::SHA256)
                        .map_err(|_| KeyError::Signing)?;
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign_digest(&aws::RSA_PKCS1_SHA256, &digest, &mut signature)
                    .map_err(|_| KeyError::Signing)?;
                Ok(signature)
            }
            // Blinded: the private operation of this crate is not constant-time (RUSTSEC-2023-0071).
            Secret::SmallRsa(key) => key
                .sign_with_rng(
                    &mut OsRng,
                    pkcs1v15(HashAlgorithm::Sha256),
                    digest.as_bytes(),
                )
                .map_err(|_| KeyError::Signing),
            Secret::Ed25519 { pair, .. } => Ok(pair
                .try_sign(digest.as_bytes())
                .map_err(|_| KeyError::Signing)?
                .as_ref()
                .to_vec()),
        }
    }

    /// The key as PKCS#8 version 1 in PEM, which every tool reads (RFC 5208, RFC 8410 §7).
    ///
    /// # Errors
    /// [`KeyError::Malformed`] where the key cannot be encoded.
    pub fn to_pkcs8_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        let (oid, private_key) = match &self.secret {
            Secret::Rsa { pkcs1, .. } => (RSA_OID, pkcs1.clone()),
            Secret::SmallRsa(key) => {
                let der = key.to_pkcs1_der().map_err(|_| KeyError::Malformed)?;
                (RSA_OID, Zeroizing::new(der.as_bytes().to_vec()))
            }
            Secret::Ed25519 { seed, .. } => {
                let wrapped = [&[0x04, 0x20], seed.as_slice()].concat();
                (ED25519_OID, Zeroizing::new(wrapped))
            }
        };
        let algorithm = algorithm_identifier(oid);
        let info = PrivateKeyInfo::new(algorithm, &private_key);
        let document = SecretDocument::encode_msg(&info).map_err(|_| KeyError::Malformed)?;
        document
            .to_pem("PRIVATE KEY", LineEnding::LF)
            .map_err(|_| KeyError::Malformed)
    }
}

impl fmt::Debug for SigningKey {
    /// Names the algorithm and the size; nothing secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SigningKey({}, {} bits)",
            self.algorithm().as_str(),
            self.bits
        )
    }
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

const AWS_MIN_SIGN: usize = 2048;
const AWS_MIN_VERIFY: usize = 1024;

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
    const SHA1: &[u8] = &[
        0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14,
    ];
    const SHA256: &[u8] = &[
        0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01,
        0x05, 0x00, 0x04, 0x20,
    ];
    let (len, prefix) = match hash {
        HashAlgorithm::Sha1 => (20, SHA1),
        HashAlgorithm::Sha256 => (32, SHA256),
    };
    Pkcs1v15Sign {
        hash_len: Some(len),
        prefix: prefix.into(),
    }
}

fn rsa_spki(n: &[u8], e: &[u8]) -> Vec<u8> {
    let key = rsa::pkcs1::RsaPublicKey {
        modulus: UintRef::new(n).expect("a modulus that was parsed"),
        public_exponent: UintRef::new(e).expect("an exponent that was parsed"),
    };
    let der = key.to_der().expect("two numbers encode");
    let bits = rsa::pkcs1::der::asn1::BitStringRef::from_bytes(&der).expect("whole bytes");
    SubjectPublicKeyInfoRef {
        algorithm: algorithm_identifier(RSA_OID),
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
    use super::*;
    use crate::canon::Sink as _;
    use crate::hash::Hasher;

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
