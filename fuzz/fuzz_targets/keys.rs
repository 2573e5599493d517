//! Keys: a private key that is read signs, its public half verifies that, and both come back as they were
//! written; a public key that is read is read again, and is asked for its weaknesses.

#![no_main]

use std::sync::LazyLock;

use dkimkit::canon::Sink as _;
use dkimkit::hash::{Digest, HashAlgorithm, Hasher};
use dkimkit::key::weak::{Weakness, weaknesses};
use dkimkit::key::{KeyError, KeyType, RsaSizes, SigningKey, VerifyingKey};
use libfuzzer_sys::fuzz_target;

/// Beyond 2048 bits a check costs more than it shows.
const SIZES: RsaSizes = RsaSizes {
    min: 512,
    max: 2048,
};

static SHA256: LazyLock<Digest> = LazyLock::new(|| digest(HashAlgorithm::Sha256));
static SHA1: LazyLock<Digest> = LazyLock::new(|| digest(HashAlgorithm::Sha1));

fuzz_target!(|data: &[u8]| {
    for kind in [KeyType::Rsa, KeyType::Ed25519] {
        let found = weaknesses(kind, data, None);
        if let Ok(key) = VerifyingKey::parse(kind, data, SIZES) {
            public(&key, data);
            assert_sound_exponent(&found.unwrap());
        }
    }
    match SigningKey::read(data) {
        Ok(key) => private(&key, data),
        Err(error) => assert!(!error.to_string().contains(['\r', '\n'])),
    }
});

fn private(key: &SigningKey, file: &[u8]) {
    let signature = key.sign(&SHA256).unwrap();
    let p = key.public_bytes();
    let kind = key.algorithm().key_type();
    let verifier = VerifyingKey::parse(kind, &p, RsaSizes::default()).unwrap();
    assert_eq!(
        (verifier.bits(), verifier.public_bytes()),
        (key.bits(), p.clone())
    );
    assert!(verifier.verify(&SHA256, HashAlgorithm::Sha256, &signature));
    let mut bad = signature;
    bad[0] ^= 1;
    assert!(!verifier.verify(&SHA256, HashAlgorithm::Sha256, &bad));

    let pem = key.to_pkcs8_pem().unwrap();
    let again = SigningKey::read(pem.as_bytes()).unwrap();
    assert_eq!(again.public_bytes(), p);
    assert_eq!(again.to_pkcs8_pem().unwrap(), pem);
    // DER, and not a seed in base64 that begins with "0": the version of each form holds a zero octet.
    if file[0] == 0x30 && file.contains(&0) {
        let more = [file, b"\0"].concat();
        assert!(SigningKey::read(&more).is_err(), "bytes behind the key");
        assert!(SigningKey::read(&file[..file.len() - 1]).is_err());
    }
}

fn public(key: &VerifyingKey, p: &[u8]) {
    let kind = key.key_type();
    assert!(kind == KeyType::Ed25519 || (SIZES.min..=SIZES.max).contains(&key.bits()));
    let bytes = key.public_bytes();
    let again = VerifyingKey::parse(kind, &bytes, SIZES).unwrap();
    assert_eq!((again.bits(), again.public_bytes()), (key.bits(), bytes));
    let more = [p, b"\0"].concat();
    assert!(
        VerifyingKey::parse(kind, &more, SIZES).is_err(),
        "bytes behind the key"
    );
    if kind == KeyType::Rsa {
        let max = key.bits() - 1;
        let few = VerifyingKey::parse(kind, p, RsaSizes { min: 1, max });
        let bits = key.bits();
        assert_eq!(few.map(|k| k.bits()), Err(KeyError::TooLarge { bits, max }));
    }
    // Numbers of the attacker's choice go through the arithmetic; whether they hold is his affair.
    let signature = &p[..p.len().min(key.bits().div_ceil(8))];
    key.verify(&SHA256, HashAlgorithm::Sha256, signature);
    key.verify(&SHA1, HashAlgorithm::Sha1, signature);
    assert!(!key.verify(&SHA256, HashAlgorithm::Sha256, b""));
    // A point of small order would take such a signature.
    for r in [p, &[0; 32]] {
        let signature = [&r[..r.len().min(32)], &[0; 32]].concat();
        let holds = key.verify(&SHA256, HashAlgorithm::Sha256, &signature);
        assert!(!holds || kind == KeyType::Rsa);
    }
}

/// What is refused for its exponent or its order is weak for it, and what is read is not.
fn assert_sound_exponent(found: &[Weakness]) {
    let refused = |weakness: &Weakness| {
        matches!(
            weakness.word(),
            "exponent-even" | "exponent-one" | "exponent-large" | "modulus-even" | "small-order"
        )
    };
    assert!(!found.iter().any(refused), "{found:?}");
}

fn digest(hash: HashAlgorithm) -> Digest {
    let mut hasher = Hasher::new(hash);
    hasher.put(b"x");
    hasher.finish()
}
