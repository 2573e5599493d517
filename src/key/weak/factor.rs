//! Moduli that fall apart: small factors, factors that are equal or close, factors of a broken generator.

use std::sync::LazyLock;

use rsa::BigUint;

use super::Weakness;

/// How many squares Fermat's method tries.
///
/// Step k ends the search for p and q with (p + q) / 2 - sqrt(n) < k, which is (p - q)^2 / 8 sqrt(n): a
/// hundred steps find all factors that differ by less than 28 times the fourth root of n. Primes that are
/// chosen at random need about the square root of n steps; the keys of CVE-2022-26320 fall in the first few.
const FERMAT_STEPS: u32 = 100;

/// Odd primes below 2^16, in groups of [`GROUP`] with the product of each: one long division a group, and
/// short ones within it.
static PRIMES: LazyLock<Vec<(Vec<u16>, BigUint)>> = LazyLock::new(|| {
    let product = |group: &[u16]| group.iter().map(|p| BigUint::from(*p)).product();
    odd_primes()
        .chunks(GROUP)
        .map(|group| (group.to_vec(), product(group)))
        .collect()
});

const GROUP: usize = 16;

/// The sieve of Eratosthenes up to 2^16.
fn odd_primes() -> Vec<u16> {
    let mut composite = vec![false; 1 << 16];
    let mut primes = Vec::new();
    for number in (3..=u16::MAX).step_by(2) {
        let at = usize::from(number);
        if !composite[at] {
            primes.push(number);
            for multiple in (at * at..composite.len()).step_by(at) {
                composite[multiple] = true;
            }
        }
    }
    primes
}

/// The smallest odd prime below 2^16 that divides n. Zero is divided by 3.
pub(super) fn small_factor(n: &BigUint) -> Option<u16> {
    PRIMES.iter().find_map(|(primes, product)| {
        let rest = (n % product).to_bytes_be();
        let mut primes = primes.iter().copied();
        primes.find(|prime| remainder(&rest, *prime) == 0)
    })
}

/// The remainder of a big-endian number.
fn remainder(number: &[u8], divisor: u16) -> u64 {
    number.rchunks(4).rev().fold(0, |rest, digit| {
        let digit = digit.iter().fold(0, |sum, b| sum << 8 | u64::from(*b));
        (rest << 32 | digit) % u64::from(divisor)
    })
}

/// Fermat's method on an odd n: a square a^2 above n that lies a square b^2 from it gives the factors a - b
/// and a + b. Each step costs additions only; a root is taken where the remainders allow a square, once in
/// about eighty steps.
pub(super) fn closeness(n: &BigUint) -> Option<Weakness> {
    let one = BigUint::from(1_u8);
    let root = n.sqrt();
    if &root * &root == *n {
        return Some(Weakness::PerfectSquare);
    }
    let mut a = root + &one;
    let mut distance = &a * &a - n;
    for steps in 1..=FERMAT_STEPS {
        if let Some(b) = exact_root(&distance) {
            // Every odd number is 1 times itself; only tiny ones get there.
            let found = &a - b > one;
            return found.then_some(Weakness::ClosePrimes { steps });
        }
        distance += &a + &a + &one;
        a += &one;
    }
    None
}

fn exact_root(number: &BigUint) -> Option<BigUint> {
    // Squares leave 12 of 64, 16 of 63 and 21 of 65 remainders.
    let may_be_square = [64_u16, 63, 65].into_iter().all(|modulus| {
        let rest = (number % u64::from(modulus)).to_bytes_be();
        let rest = remainder(&rest, modulus);
        (0..u64::from(modulus)).any(|x| x * x % u64::from(modulus) == rest)
    });
    let root = may_be_square.then(|| number.sqrt())?;
    (&root * &root == *number).then_some(root)
}

/// The odd primes whose product divides the M of every size of vulnerable key; the 39th prime is 167.
const ROCA_LARGEST: u16 = 167;

/// The generator makes no key below 512 bits, and a number below the product of these primes, which has 219
/// bits, may be a power of 65537 by itself.
const ROCA_MIN_BITS: usize = 256;

/// Whether n has the fingerprint of CVE-2017-15361.
///
/// The vulnerable primes are k * M + (65537^a mod M), where M is the product of the first 39 primes or more,
/// by the size of the key. Then n too is a power 65537^c modulo each prime of M, with one c for all. We find
/// c modulo the order of 65537 for each prime and ask whether the answers agree; by the Chinese remainder
/// theorem they do if each two of them agree modulo the greatest common divisor of their orders.
///
/// Of the numbers without a small factor 2^-154.9 pass: 65537 has an order of 2^61.1 modulo the product of
/// these primes. To ask only that n is *some* power modulo each would pass 2^-27.8.
pub(super) fn is_roca(n: &BigUint) -> bool {
    if n.bits() < ROCA_MIN_BITS {
        return false;
    }
    let bytes = n.to_bytes_be();
    let mut logarithms: Vec<(u64, u64)> = Vec::new();
    let primes = PRIMES.iter().flat_map(|(primes, _)| primes);
    for prime in primes.take_while(|p| **p <= ROCA_LARGEST) {
        let Some((log, order)) = logarithm(remainder(&bytes, *prime), u64::from(*prime)) else {
            return false;
        };
        let agrees = |(other, modulus): &(u64, u64)| {
            let common = gcd(order, *modulus);
            log % common == other % common
        };
        if !logarithms.iter().all(agrees) {
            return false;
        }
        logarithms.push((log, order));
    }
    true
}

/// The exponent that makes 65537 into `power` modulo a prime, and the order of 65537 there.
fn logarithm(power: u64, prime: u64) -> Option<(u64, u64)> {
    let next = |x: &u64| Some(x * 65_537 % prime).filter(|x| *x != 1);
    let powers: Vec<u64> = std::iter::successors(Some(1), next).collect();
    let order = u64::try_from(powers.len()).expect("below the prime");
    let at = (0..).zip(powers).find(|(_, x)| *x == power);
    at.map(|(log, _)| (log, order))
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
