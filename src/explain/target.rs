//! What a claim is held against: the hash of the body that bh= is, and the hash of the header that b= signs.

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
            } => key.verify(digest, *hash, signature),
        }
    }
}

/// The canonicalization that is not this one.
pub(super) fn other(canon: Canon) -> Canon {
    match canon {
        Canon::Simple => Canon::Relaxed,
        Canon::Relaxed => Canon::Simple,
    }
}
