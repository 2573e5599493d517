//! What a claim is held against: the hash of the body that bh= is, and the hash of the header that b= signs.

use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsBasepointTableRadix32, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::BasepointTable as _;
use sha2::{Digest as _, Sha512};

use super::lines::Lines;
use crate::canon::{Canon, Sink as _};
use crate::hash::{BodyHash, BodyHashSpec, BodyHasher, BodyLimit, Digest, HashAlgorithm, Hasher};
use crate::key::{KeyType, VerifyingKey};
use crate::signature::Signature;

/// The hash that a body must come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BodyTarget {
    pub(super) canon: Canon,
    pub(super) hash: HashAlgorithm,
    pub(super) limit: BodyLimit,
    pub(super) digest: Vec<u8>,
    /// Whether the signer hashed LF for CRLF.
    pub(super) lf: bool,
}

impl BodyTarget {
    pub(super) fn of(signature: &Signature) -> BodyTarget {
        BodyTarget {
            canon: signature.canonicalization.body,
            hash: signature.algorithm.hash(),
            limit: signature.body_limit,
            digest: signature.body_hash.clone(),
            lf: false,
        }
    }

    /// Whether this is the hash.
    pub(super) fn is(&self, digest: &Option<Digest>) -> bool {
        digest.is_some_and(|digest| digest.as_bytes() == self.digest)
    }

    /// Whether a body comes to it.
    pub(super) fn holds(&self, body: &[u8]) -> bool {
        self.is(&self.digest(body))
    }

    /// Whether the hash is that of these octets as they are.
    pub(super) fn is_raw(&self, octets: &[u8]) -> bool {
        let mut hasher = Hasher::new(self.hash);
        hasher.put(octets);
        self.is(&Some(hasher.finish()))
    }

    /// The hash of a body by these rules.
    pub(super) fn digest(&self, body: &[u8]) -> Option<Digest> {
        if self.lf {
            let lines = Lines::new(body, self);
            let mut probe = lines.begin(self);
            lines.feed(&mut probe, 0..lines.len());
            return probe.digest();
        }
        self.hashed(body).digest
    }

    /// How many octets the canonical body has.
    pub(super) fn canonical_len(&self, body: &[u8]) -> u64 {
        self.hashed(body).canonical_len
    }

    fn hashed(&self, body: &[u8]) -> BodyHash {
        let spec = BodyHashSpec {
            canon: self.canon,
            hash: self.hash,
            limit: self.limit,
        };
        let mut hasher = BodyHasher::new([spec]);
        hasher.write(body);
        hasher.finish().get(&spec)
    }

    /// What a line ends with when it is hashed.
    pub(super) fn line_end(&self) -> &'static [u8] {
        if self.lf { b"\n" } else { b"\r\n" }
    }

    /// How many octets l= counts.
    pub(super) fn octets(&self) -> Option<u64> {
        match self.limit {
            BodyLimit::Whole => None,
            BodyLimit::Octets(octets) => Some(octets),
        }
    }
}

/// The hash that a header must come to.
pub(super) enum HeaderTarget<'k> {
    /// What an RSA key says was signed.
    Known { hash: HashAlgorithm, digest: Digest },
    /// A key that only says yes or no.
    Asked {
        key: &'k VerifyingKey,
        hash: HashAlgorithm,
        signature: &'k [u8],
        equation: Option<Box<Equation>>,
    },
}

impl<'k> HeaderTarget<'k> {
    /// What `signature` says to `key`; `None` where an RSA signature was not made with it.
    pub(super) fn of(signature: &'k Signature, key: &'k VerifyingKey) -> Option<HeaderTarget<'k>> {
        match key.key_type() {
            KeyType::Rsa => key
                .recover(&signature.signature)
                .map(|(hash, digest)| HeaderTarget::Known { hash, digest }),
            KeyType::Ed25519 => Some(HeaderTarget::Asked {
                key,
                hash: signature.algorithm.hash(),
                signature: &signature.signature,
                equation: Equation::of(key, &signature.signature).map(Box::new),
            }),
        }
    }

    /// The hash algorithm that was used.
    pub(super) fn hash(&self) -> HashAlgorithm {
        match self {
            HeaderTarget::Known { hash, .. } | HeaderTarget::Asked { hash, .. } => *hash,
        }
    }

    /// Whether this is the hash.
    pub(super) fn is(&self, digest: &Digest) -> bool {
        match self {
            HeaderTarget::Known { digest: signed, .. } => signed == digest,
            HeaderTarget::Asked {
                key,
                hash,
                signature,
                equation,
            } => {
                let fits = |equation: &Equation| equation.holds(digest);
                equation.as_deref().is_some_and(fits) && key.verify(digest, *hash, signature)
            }
        }
    }
}

/// The equation of RFC 8032 §5.1.7, worked out as far as the signature and the key alone allow: `[S]B - R = [k]A`,
/// where only k depends on what is signed. With a table of the multiples of A, a text is refused in a quarter of the
/// time that a verification takes; what is not refused is still verified.
pub(super) struct Equation {
    /// R and A, which k is hashed from together with the message.
    before: [u8; 64],
    /// `[S]B - R`
    left: EdwardsPoint,
    multiples: EdwardsBasepointTableRadix32,
}

impl Equation {
    /// `None` where no message can have this signature.
    fn of(key: &VerifyingKey, signature: &[u8]) -> Option<Equation> {
        let key: [u8; 32] = key.public_bytes().try_into().ok()?;
        let (r, s): (&[u8; 32], &[u8]) = signature.split_first_chunk()?;
        let s = Option::from(Scalar::from_canonical_bytes(s.try_into().ok()?))?;
        let mut before = [0; 64];
        before[..32].copy_from_slice(r);
        before[32..].copy_from_slice(&key);
        let r = CompressedEdwardsY(*r).decompress()?;
        let key = CompressedEdwardsY(key).decompress()?;
        Some(Equation {
            before,
            left: EdwardsPoint::mul_base(&s) - r,
            multiples: EdwardsBasepointTableRadix32::create(&key),
        })
    }

    fn holds(&self, message: &Digest) -> bool {
        let mut k = Sha512::new();
        k.update(self.before);
        k.update(message.as_bytes());
        let k = Scalar::from_bytes_mod_order_wide(&k.finalize().into());
        self.multiples.mul_base(&k) == self.left
    }
}

/// The canonicalization that is not this one.
pub(super) fn other(canon: Canon) -> Canon {
    match canon {
        Canon::Simple => Canon::Relaxed,
        Canon::Relaxed => Canon::Simple,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{KeyKind, RsaSizes, SigningKey};

    fn digest(text: &[u8]) -> Digest {
        let mut hasher = Hasher::new(HashAlgorithm::Sha256);
        hasher.put(text);
        hasher.finish()
    }

    #[test]
    fn the_equation_holds_for_what_was_signed_alone() {
        for round in 0..50u8 {
            let signing = SigningKey::generate(KeyKind::Ed25519).unwrap();
            let public = signing.public_bytes();
            let key = VerifyingKey::parse(KeyType::Ed25519, &public, RsaSizes::default()).unwrap();
            let signed = digest(&[round]);
            let mut signature = signing.sign(&signed).unwrap();
            let equation = Equation::of(&key, &signature).unwrap();
            assert!(equation.holds(&signed) && !equation.holds(&digest(b"other")));
            // S that is not reduced, and R that is no point or another one.
            let mut large = signature.clone();
            large[63] |= 0xf0;
            assert!(Equation::of(&key, &large).is_none());
            signature[usize::from(round % 32)] ^= 1;
            let other = Equation::of(&key, &signature);
            assert!(other.is_none_or(|equation| !equation.holds(&signed)));
            assert!(Equation::of(&key, b"").is_none());
        }
    }
}
