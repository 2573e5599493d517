//! Public keys: read from p=, and verifying with them.

use std::fmt;

use aws_lc_rs::digest as aws_digest;
use aws_lc_rs::signature::{self as aws, ParsedPublicKey, RsaPublicKeyComponents};
use rsa::pkcs1::der::Decode as _;
use rsa::pkcs8::spki::SubjectPublicKeyInfoRef;
use rsa::traits::PublicKeyParts as _;
use rsa::{BigUint, RsaPublicKey};

use super::{
    KeyError, KeyType, RSA_OID, RsaSizes, bit_length, check_exponent, check_size, digest_info,
    pkcs1v15, rsa_spki,
};
use crate::hash::{Digest, HashAlgorithm};

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

/// AWS-LC does not verify with smaller RSA keys.
const AWS_MIN_VERIFY: usize = 1024;

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
        let (n, e) = rsa_numbers(der)?;
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
        if is_small_order(&raw) {
            return Err(KeyError::SmallOrder);
        }
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
            // Only under a policy for archives: not worth a parsed key of its own.
            (Public::Rsa { number, .. }, HashAlgorithm::Sha1) => {
                let (n, e) = (number.n().to_bytes_be(), number.e().to_bytes_be());
                let (n, e) = (n.as_slice(), e.as_slice());
                let key = RsaPublicKeyComponents { n, e }
                    .to_parsed_public_key(&aws::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY);
                let digest = aws_digest::Digest::import_less_safe(
                    digest.as_bytes(),
                    &aws_digest::SHA1_FOR_LEGACY_USE_ONLY,
                );
                match (key, digest) {
                    (Ok(key), Ok(digest)) => key.verify_digest_sig(&digest, signature).is_ok(),
                    _ => false,
                }
            }
            (Public::SmallRsa { number }, _) => number
                .verify(pkcs1v15(hash), digest.as_bytes(), signature)
                .is_ok(),
            // RFC 8463 §3: the message that PureEdDSA signs is the digest.
            (Public::Ed25519 { parsed, .. }, _) => {
                parsed.verify_sig(digest.as_bytes(), signature).is_ok()
            }
        }
    }

    /// The hash that an RSA signature was made over, whatever the message: the key takes the signature back to
    /// its padded block (RFC 8017 §8.2.2). `None` where the block is no padded hash of DKIM, because another key
    /// made the signature or it was damaged, and for every Ed25519 signature, which does not give its hash away.
    ///
    /// ```
    /// use dkimkit::canon::Sink as _;
    /// use dkimkit::hash::{HashAlgorithm, Hasher};
    /// use dkimkit::key::{KeyKind, KeyType, RsaSizes, SigningKey, VerifyingKey};
    /// let signing = SigningKey::generate(KeyKind::Rsa(1024))?;
    /// let key = VerifyingKey::parse(KeyType::Rsa, &signing.public_bytes(), RsaSizes::default())?;
    /// let mut hasher = Hasher::new(HashAlgorithm::Sha256);
    /// hasher.put(b"from:a@example.com\r\n");
    /// let digest = hasher.finish();
    /// let mut signature = signing.sign(&digest)?;
    /// assert_eq!(key.recover(&signature), Some((HashAlgorithm::Sha256, digest)));
    /// signature[0] ^= 1;
    /// assert_eq!(key.recover(&signature), None);
    /// # Ok::<(), dkimkit::key::KeyError>(())
    /// ```
    pub fn recover(&self, signature: &[u8]) -> Option<(HashAlgorithm, Digest)> {
        let number = match &self.0 {
            Public::Rsa { number, .. } | Public::SmallRsa { number } => number,
            Public::Ed25519 { .. } => return None,
        };
        let size = number.size();
        let value = BigUint::from_bytes_be(signature);
        if signature.len() != size || value >= *number.n() {
            return None;
        }
        let block = value.modpow(number.e(), number.n()).to_bytes_be();
        // 00 01 FF … FF 00 DigestInfo (§9.2); the number has no leading zero.
        let mut rest = block.strip_prefix(&[1])?;
        if block.len() + 1 != size {
            return None;
        }
        let padding = rest.iter().take_while(|b| **b == 0xff).count();
        rest = rest[padding..].strip_prefix(&[0])?;
        let hashes = [HashAlgorithm::Sha256, HashAlgorithm::Sha1];
        hashes.into_iter().find_map(|hash| {
            let (len, prefix) = digest_info(hash);
            let digest = rest.strip_prefix(prefix)?;
            (padding >= 8 && digest.len() == len).then(|| (hash, Digest::new(digest)))
        })
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

/// The modulus and the exponent of p=, big-endian, whatever they are worth: from a SubjectPublicKeyInfo or a
/// bare RSAPublicKey (RFC 6376 §3.6.1 and erratum 3017).
pub(super) fn rsa_numbers(der: &[u8]) -> Result<(&[u8], &[u8]), KeyError> {
    let pkcs1 = match SubjectPublicKeyInfoRef::from_der(der) {
        Ok(spki) if spki.algorithm.oid != RSA_OID => return Err(KeyError::OtherAlgorithm),
        Ok(spki) => spki
            .subject_public_key
            .as_bytes()
            .ok_or(KeyError::Malformed)?,
        Err(_) => der,
    };
    let key = rsa::pkcs1::RsaPublicKey::from_der(pkcs1).map_err(|_| KeyError::Malformed)?;
    Ok((key.modulus.as_bytes(), key.public_exponent.as_bytes()))
}

/// Whether this encodes a point of an order that divides 8: with such a key one signature holds for every
/// message. The eight points have these y coordinates, each canonical and, below 2^255, with p added.
pub(super) fn is_small_order(key: &[u8; 32]) -> bool {
    const P_LOW: u8 = 0xed;
    const ORDER_8: [u8; 32] = [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ];
    let mut y = *key;
    y[31] &= 0x7f;
    // The other points of order 8 have the negative of this y: p - y.
    let mut negative = [0; 32];
    let mut borrow = 0;
    for (at, out) in negative.iter_mut().enumerate() {
        let p = match at {
            0 => P_LOW,
            31 => 0x7f,
            _ => 0xff,
        };
        let difference = i16::from(p) - i16::from(ORDER_8[at]) - borrow;
        borrow = i16::from(difference < 0);
        *out = difference.rem_euclid(256) as u8;
    }
    let [low, middle @ .., high] = &y;
    // 0 and 1; p - 1, p and p + 1.
    let tiny = *high == 0 && middle.iter().all(|b| *b == 0) && *low <= 1;
    let near_p =
        *high == 0x7f && middle.iter().all(|b| *b == 0xff) && (P_LOW - 1..=P_LOW + 1).contains(low);
    tiny || near_p || y == ORDER_8 || y == negative
}
