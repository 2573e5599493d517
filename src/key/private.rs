//! Private keys: made, read from files, written to them, and signing with them.

use std::fmt;

use aws_lc_rs::digest as aws_digest;
use aws_lc_rs::signature::{self as aws, Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rsa::pkcs1::der::Decode as _;
use rsa::pkcs1::{EncodeRsaPrivateKey as _, UintRef};
use rsa::pkcs8::{LineEnding, PrivateKeyInfo, SecretDocument};
use rsa::rand_core::OsRng;
use rsa::{BigUint, RsaPrivateKey};
use zeroize::Zeroizing;

use super::{
    Algorithm, ED25519_OID, KeyError, KeyKind, RSA_OID, RsaSizes, algorithm_identifier, bit_length,
    check_exponent, check_size, pkcs1v15, rsa_spki,
};
use crate::hash::{Digest, HashAlgorithm};

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

/// AWS-LC does not sign with smaller RSA keys.
const AWS_MIN_SIGN: usize = 2048;

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
        // With this octet begins DER, and every 64th text of base64.
        if file.starts_with(b"0") {
            return SigningKey::from_bare_seed(file).or_else(|_| SigningKey::from_der(file));
        }
        if memchr::memmem::find(file, b"-----BEGIN ").is_none() {
            return SigningKey::from_bare_seed(file);
        }
        // OpenSSL's traditional encryption writes headers into the PEM, which a parser may take or not.
        let marks: [&[u8]; 2] = [b"-----BEGIN ENCRYPTED", b"\nProc-Type: 4,ENCRYPTED"];
        if marks
            .iter()
            .any(|m| memchr::memmem::find(file, m).is_some())
        {
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
