use std::collections::BTreeSet;

use rsa::BigUint;
use rsa::pkcs1::der::Decode as _;
use rsa::pkcs8::spki::SubjectPublicKeyInfoRef;

use super::*;
use crate::key::{KeyKind, SigningKey, decode_base64};

const E: &[u8] = &[1, 0, 1];

/// A number of this many bits, the same for the same seed, its two highest bits and its lowest set.
fn number(bits: usize, seed: u32) -> BigUint {
    let block = |at: u32| -> [u8; 32] {
        let input = [seed.to_be_bytes(), at.to_be_bytes()].concat();
        hash(HashAlgorithm::Sha256, &input)
    };
    let mut bytes: Vec<u8> = (0..).flat_map(block).take(bits.div_ceil(8)).collect();
    bytes[0] = bytes[0] >> ((8 - bits % 8) % 8) | 1 << ((bits - 1) % 8);
    let top = BigUint::from_bytes_be(&bytes) | BigUint::from(3_u8) << (bits - 2);
    top | BigUint::from(1_u8)
}

/// The next number from here on in these steps that is prime, or passes for it.
fn next_prime(from: BigUint, step: &BigUint) -> BigUint {
    let (one, two) = (BigUint::from(1_u8), BigUint::from(2_u8));
    let prime =
        |n: &BigUint| factor::small_factor(n).is_none() && two.modpow(&(n - &one), n) == one;
    std::iter::successors(Some(from), |n| Some(n + step))
        .find(prime)
        .unwrap()
}

fn prime(bits: usize, seed: u32) -> BigUint {
    next_prime(number(bits, seed), &BigUint::from(2_u8))
}

fn found_in(n: &BigUint, e: &[u8]) -> Vec<Weakness> {
    let der = rsa_spki(&n.to_bytes_be(), e);
    weaknesses(KeyType::Rsa, &der, None).unwrap()
}

#[test]
fn sound_keys_have_no_weakness() {
    for kind in [KeyKind::Rsa(1024), KeyKind::Rsa(2048), KeyKind::Ed25519] {
        let key = SigningKey::generate(kind).unwrap();
        let found = weaknesses(key.algorithm().key_type(), &key.public_bytes(), None);
        assert_eq!(found, Ok(vec![]), "{kind:?}");
    }
    for (seed, bits) in [128, 256, 256, 512, 512, 600].into_iter().enumerate() {
        let seed = u32::try_from(seed).unwrap();
        let n = prime(bits, 2 * seed) * prime(bits, 2 * seed + 1);
        assert_eq!(found_in(&n, E), [], "{bits} {seed}");
    }
}

#[test]
fn exponents_are_judged_by_themselves() {
    let n = prime(256, 1) * prime(256, 2);
    let huge = |bits| Weakness::HugeExponent { bits };
    for (e, want) in [
        (&[0][..], vec![Weakness::EvenExponent]),
        (&[2], vec![Weakness::EvenExponent]),
        (&[1, 0, 0], vec![Weakness::EvenExponent]),
        (&[1], vec![Weakness::ExponentOne]),
        (&[3], vec![Weakness::SmallExponent { e: 3 }]),
        (&[0xff, 0xff], vec![Weakness::SmallExponent { e: 65_535 }]),
        (E, vec![]),
        (&[0xff, 0xff, 0xff, 0xff], vec![]),
        (&[1, 0, 0, 0, 1], vec![]),
        (&[2, 0, 0, 0, 1], vec![huge(34)]),
        (&[4, 0, 0, 0, 0], vec![Weakness::EvenExponent, huge(35)]),
    ] {
        assert_eq!(found_in(&n, e), want, "{e:?}");
    }
}

#[test]
fn a_factor_below_two_to_the_sixteenth_is_found() {
    let big = prime(300, 3) * prime(300, 4);
    for (small, found) in [
        (3_u32, Some(3)),
        (5 * 7, Some(5)),
        (65_521, Some(65_521)),
        (65_519 * 31, Some(31)),
        (65_537, None),
    ] {
        let n = &big * BigUint::from(small);
        let found: Vec<_> = found
            .map(|prime| Weakness::SmallFactor { prime })
            .into_iter()
            .collect();
        assert_eq!(found_in(&n, E), found, "{small}");
    }
    let even = big * BigUint::from(2_u8);
    assert_eq!(found_in(&even, E), [Weakness::EvenModulus]);
}

#[test]
fn numbers_that_are_no_modulus_are_judged_too() {
    let small = |prime| Weakness::SmallFactor { prime };
    for (n, want) in [
        (0_u32, vec![Weakness::EvenModulus, small(3)]),
        (1, vec![Weakness::PerfectSquare]),
        (2, vec![Weakness::EvenModulus]),
        (3, vec![small(3)]),
        (7, vec![small(7)]),
        (9, vec![small(3), Weakness::PerfectSquare]),
        (15, vec![small(3), Weakness::ClosePrimes { steps: 1 }]),
        (65_537, vec![]),
    ] {
        assert_eq!(found_in(&BigUint::from(n), E), want, "{n}");
    }
}

#[test]
fn primes_that_are_close_are_found_and_others_are_not() {
    let two = BigUint::from(2_u8);
    for bits in [256, 512] {
        let p = prime(bits, 5);
        assert_eq!(found_in(&(&p * &p), E), [Weakness::PerfectSquare]);
        let next = next_prime(&p + &two, &two);
        let steps = 1;
        assert_eq!(found_in(&(&p * next), E), [Weakness::ClosePrimes { steps }]);

        // The fourth root of n is between 2^(bits/2 - 1/2) and 2^(bits/2); 28 of it can be found.
        let at = |roots: u8| next_prime(&p + (BigUint::from(roots) << (bits / 2)), &two);
        let near = found_in(&(&p * at(19)), E);
        assert!(
            matches!(near[..], [Weakness::ClosePrimes { steps: 2..=100 }]),
            "{near:?}"
        );
        assert_eq!(found_in(&(&p * at(29)), E), []);
    }
}

/// The product of the first primes from 2 on, these many of them.
fn primorial(count: usize) -> BigUint {
    let prime = |n: &u32| !(2..*n).any(|d| n.is_multiple_of(d));
    let primes = (2..).filter(prime).take(count);
    primes.map(BigUint::from).product()
}

/// A prime of the published form: k M + (65537^a mod M).
fn roca_prime(bits: usize, m: &BigUint, seed: u32) -> BigUint {
    let power = BigUint::from(USUAL_EXPONENT).modpow(&number(60, seed), m);
    let k = number(bits - m.bits(), seed + 1);
    next_prime(k * m + power, m)
}

#[test]
fn keys_of_the_broken_generator_are_found() {
    for (bits, primes) in [(256, 39), (512, 71), (1024, 126)] {
        let m = primorial(primes);
        let n = roca_prime(bits, &m, 6) * roca_prime(bits, &m, 8);
        assert_eq!(found_in(&n, E), [Weakness::Roca], "{bits}");
        let half = roca_prime(bits, &m, 6) * prime(bits, 10);
        assert_eq!(found_in(&half, E), [], "{bits}");
    }
}

#[test]
fn powers_whose_exponents_disagree_are_not_of_that_generator() {
    // A power modulo each prime, but the second for one of them and the first for the others.
    let m = primorial(39);
    let other = BigUint::from(103_u8);
    let rest = &m / &other;
    let generator = BigUint::from(USUAL_EXPONENT);
    let numbers = std::iter::successors(Some(&generator + (&m << 100)), |n| Some(n + &rest));
    let n = numbers
        .take(103)
        .find(|n| n % &other == &generator * &generator % &other)
        .unwrap();
    assert!(!factor::is_roca(&n));
    assert!(factor::is_roca(&(generator + (m << 100))));
}

/// The public keys of `testdata/known-keys.txt`.
fn known_keys() -> Vec<(KeyType, Vec<u8>)> {
    include_str!("../../../testdata/known-keys.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| decode_base64(line.as_bytes()).unwrap())
        .map(|p| match p.len() {
            32 => (KeyType::Ed25519, p),
            _ => (KeyType::Rsa, p),
        })
        .collect()
}

#[test]
fn published_private_keys_are_known_in_both_forms() {
    let mut seen = BTreeSet::new();
    for (kind, p) in known_keys() {
        let found = weaknesses(kind, &p, None).unwrap();
        assert!(
            matches!(found[..], [Weakness::KnownPrivateKey { .. }]),
            "{found:?}"
        );
        if kind == KeyType::Rsa {
            let spki = SubjectPublicKeyInfoRef::from_der(&p).unwrap();
            let pkcs1 = spki.subject_public_key.as_bytes().unwrap();
            assert_eq!(weaknesses(kind, pkcs1, None).unwrap(), found);
        }
        seen.insert(p);
    }
    assert_eq!(seen.len(), known::KNOWN.len(), "each line is tested");
}

#[test]
fn the_examples_of_the_rfcs_are_named() {
    let named: BTreeSet<String> = known_keys()
        .iter()
        .flat_map(|(kind, p)| weaknesses(*kind, p, None).unwrap())
        .map(|weakness| weakness.to_string())
        .collect();
    for whose in ["RFC 6376, Appendix C", "RFC 8463, Appendix A", "dkimkit"] {
        assert!(named.iter().any(|text| text.ends_with(whose)), "{named:?}");
    }
}

/// What openssl and sha256sum print for two keys of test.example.
const RSA1024: &str = "5a57b8235cca2d30f753d686ecce2219f7b8adbeb5685ba8cda31cf62b069f30";
const ED: &str = "61a0597313edb2b6141949f8408242c432ad02659a89a4b68d7289f6bf5becdd";
/// The last half of what `openssl rsa -modulus -noout` and sha1sum print for the first.
const RSA1024_DEBIAN: &str = "db1955eb40a1f4a00d1e";

#[test]
fn a_blocklist_has_keys_in_either_form() {
    let rsa = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQC170MfD6pisdn2Bb8xKul9nw3nGhfAsW25jzoIxKmigOReiPBE\
        MfyHHqwiokvU7bVBBT/+d1p4vmyMeyGJ2nl3IzCJAqhgdNNcoKchDluEU7qjN9SrVYgUBPGZpalGdQguDI/04BPoqQWIUB3emXhv\
        myNU9OR/p0JyFfkHliH+CQIDAQAB";
    let rsa = decode_base64(rsa.as_bytes()).unwrap();
    let ed = decode_base64(b"ucy4i7pAKROQ0QHWWy/Tb0C3bBWdxUyLIcm/lvbF9Vc=").unwrap();
    let upper = ED.to_uppercase();
    for (text, rsa_line, ed_line) in [
        (String::new(), None, None),
        (
            format!("# {RSA1024}\r\n\r\n{RSA1024}  -\r\n"),
            Some(3),
            None,
        ),
        (format!("\t{upper} \n{RSA1024}"), Some(2), Some(1)),
        (
            format!("{RSA1024_DEBIAN}\n{RSA1024}\n{RSA1024}"),
            Some(1),
            None,
        ),
        (
            format!("{RSA1024}\n{RSA1024_DEBIAN}\n{ED}"),
            Some(1),
            Some(3),
        ),
    ] {
        let list = Blocklist::parse(&text).unwrap();
        assert_eq!(list.contains(KeyType::Rsa, &rsa), Ok(rsa_line), "{text}");
        assert_eq!(list.contains(KeyType::Ed25519, &ed), Ok(ed_line), "{text}");
        let found = weaknesses(KeyType::Rsa, &rsa, Some(&list)).unwrap();
        let listed = rsa_line.map(|line| Weakness::Blocklisted { line });
        assert_eq!(found.get(1).copied(), listed, "{text}");
    }
}

#[test]
fn the_modulus_is_hashed_without_leading_zeros() {
    // openssl prints 255 digits, the first for the lower half of a byte.
    let digits = "123456789abcdef".repeat(17);
    let n = BigUint::parse_bytes(digits.as_bytes(), 16).unwrap();
    let list = Blocklist::parse("3e5189f74562e9938e17").unwrap();
    let der = rsa_spki(&n.to_bytes_be(), E);
    assert_eq!(list.contains(KeyType::Rsa, &der), Ok(Some(1)));
}

#[test]
fn a_line_that_is_no_fingerprint_is_named() {
    for bad in [
        "x",
        "00",
        &RSA1024[1..],
        &ED.replace('a', "g"),
        &format!("{ED} {ED}"),
        "é",
    ] {
        let error = Blocklist::parse(&format!("# first\n\n{ED}\n{bad}\n")).unwrap_err();
        assert_eq!(error, BlocklistError::NoFingerprint { line: 4 }, "{bad}");
        assert!(error.to_string().starts_with("line 4 of the blocklist"));
    }
    let most = format!("{RSA1024_DEBIAN}\n").repeat(1 << 20);
    assert_eq!(Blocklist::parse(&most).map(|list| list.len()), Ok(1 << 20));
    let line = (1 << 20) + 1;
    let error = Blocklist::parse(&format!("{most}{ED}")).unwrap_err();
    assert_eq!(error, BlocklistError::TooMany { line, max: 1 << 20 });
}

#[test]
fn what_is_no_key_is_an_error_and_what_is_too_large_too() {
    let read = |kind, p: &[u8]| weaknesses(kind, p, None);
    assert_eq!(read(KeyType::Rsa, b""), Err(KeyError::Malformed));
    assert_eq!(
        read(KeyType::Ed25519, &[7; 31]),
        Err(KeyError::Ed25519Length { len: 31 })
    );
    assert_eq!(
        read(KeyType::Ed25519, &[0; 32]),
        Ok(vec![Weakness::SmallOrder])
    );
    let ed = spki(ED25519_OID, &[7; 32]);
    assert_eq!(read(KeyType::Rsa, &ed), Err(KeyError::OtherAlgorithm));
    let (bits, max) = (16_385, 16_384);
    let large = rsa_spki(&number(bits, 11).to_bytes_be(), E);
    assert_eq!(
        read(KeyType::Rsa, &large),
        Err(KeyError::TooLarge { bits, max })
    );
    // The longest that is read, of zeros and ones that make for long roots.
    for n in [
        vec![0xff; 2048],
        [vec![0x80], vec![0; 2046], vec![1]].concat(),
    ] {
        assert!(read(KeyType::Rsa, &rsa_spki(&n, &[0xff; 2048])).is_ok());
    }
}

#[test]
fn bytes_of_strangers_do_no_harm() {
    let list = Blocklist::parse(RSA1024_DEBIAN).unwrap();
    let keys: Vec<Vec<u8>> = known_keys().into_iter().map(|(_, p)| p).collect();
    let mut random = (0_u32..).flat_map(|at| hash::<32>(HashAlgorithm::Sha256, &at.to_be_bytes()));
    let mut below = |limit: usize| {
        let number = [(); 4].map(|()| random.next().unwrap());
        usize::try_from(u32::from_be_bytes(number)).unwrap() % limit
    };
    let mut read = 0;
    for round in 0..4000 {
        let mut p = keys[round % keys.len()].clone();
        for _ in 0..=below(3) {
            // The first bytes are the structure; errors there matter most.
            let reach = [32, p.len()][below(2)];
            let at = below(reach);
            p[at] = below(256).to_le_bytes()[0];
        }
        p.truncate(p.len() - below(8).saturating_sub(6));
        for kind in [KeyType::Rsa, KeyType::Ed25519] {
            read += usize::from(weaknesses(kind, &p, Some(&list)).is_ok());
        }
    }
    assert!(read > 500, "the mutations reach the arithmetic: {read}");
}

#[test]
fn weaknesses_are_one_word_and_one_sentence() {
    let all = [
        Weakness::EvenExponent,
        Weakness::ExponentOne,
        Weakness::SmallExponent { e: 3 },
        Weakness::HugeExponent { bits: 34 },
        Weakness::EvenModulus,
        Weakness::SmallFactor { prime: 3 },
        Weakness::PerfectSquare,
        Weakness::ClosePrimes { steps: 1 },
        Weakness::Roca,
        Weakness::SmallOrder,
        Weakness::KnownPrivateKey { whose: "mine" },
        Weakness::Blocklisted { line: 1 },
    ];
    let words: BTreeSet<&str> = all.iter().map(Weakness::word).collect();
    assert_eq!(words.len(), all.len());
    for weakness in all {
        let text = weakness.to_string();
        assert!(text.starts_with("the ") && !text.ends_with('.'), "{text}");
        assert_eq!(weakness.is_fatal(), weakness.word() != "exponent-small");
    }
}
