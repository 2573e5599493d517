//! Hashes as sinks: SHA-256, and SHA-1 for old mail under the legacy policy.
//!
//! All signatures of a message share one pass over its body: [`BodyHasher`] canonicalizes once for each
//! algorithm that is asked for, and hashes once for each pair of canonicalization and hash; a length
//! limit (l=) costs no further pass, but a copy of the hash state where the limit is reached.

use std::fmt;

use sha2::Digest as _;

use crate::canon::body::BodyCanonicalizer;
use crate::canon::{Canon, Sink};

/// A hash algorithm of DKIM (RFC 6376 §3.3, RFC 8301 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HashAlgorithm {
    /// SHA-1: never valid today (RFC 8301 §3.1), computed only where the policy lets it through.
    Sha1,
    /// SHA-256.
    Sha256,
}

impl HashAlgorithm {
    /// The word of a= and of a key record's h=.
    pub fn as_str(self) -> &'static str {
        match self {
            HashAlgorithm::Sha1 => "sha1",
            HashAlgorithm::Sha256 => "sha256",
        }
    }
}

/// The output of a hash: 20 or 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest {
    bytes: [u8; 32],
    len: u8,
}

impl Digest {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// From the 20 or 32 bytes of a hash.
    pub(crate) fn new(output: &[u8]) -> Digest {
        let mut bytes = [0; 32];
        bytes[..output.len()].copy_from_slice(output);
        let len = u8::try_from(output.len()).expect("no hash here is longer than 32 bytes");
        Digest { bytes, len }
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes()
            .iter()
            .try_for_each(|b| write!(f, "{b:02x}"))
    }
}

/// A running hash.
///
/// ```
/// use dkimkit::canon::Sink;
/// use dkimkit::hash::{HashAlgorithm, Hasher};
/// let mut hasher = Hasher::new(HashAlgorithm::Sha256);
/// hasher.put(b"\r\n");
/// assert!(format!("{:?}", hasher.finish()).starts_with("7eb70257593da06f"));
/// ```
#[derive(Clone)]
pub struct Hasher(State);

#[derive(Clone)]
enum State {
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
}

impl Hasher {
    /// An empty hash.
    pub fn new(algorithm: HashAlgorithm) -> Hasher {
        Hasher(match algorithm {
            HashAlgorithm::Sha1 => State::Sha1(sha1::Sha1::new()),
            HashAlgorithm::Sha256 => State::Sha256(sha2::Sha256::new()),
        })
    }

    /// The hash of all that was put in.
    pub fn finish(self) -> Digest {
        match self.0 {
            State::Sha1(state) => Digest::new(&state.finalize()),
            State::Sha256(state) => Digest::new(&state.finalize()),
        }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            State::Sha1(_) => "Hasher(sha1)",
            State::Sha256(_) => "Hasher(sha256)",
        })
    }
}

impl Sink for Hasher {
    fn put(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha1(state) => state.update(bytes),
            State::Sha256(state) => state.update(bytes),
        }
    }
}

/// How much of the canonical body a signature covers (l=, RFC 6376 §3.4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BodyLimit {
    /// All of it: there is no l=.
    Whole,
    /// Its first octets, as many as l= says.
    Octets(u64),
}

/// One body hash that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BodyHashSpec {
    /// The body canonicalization.
    pub canon: Canon,
    /// The hash algorithm.
    pub hash: HashAlgorithm,
    /// The limit of l=.
    pub limit: BodyLimit,
}

/// What a body hash came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyHash {
    /// The hash; `None` where l= counts more octets than the canonical body has.
    pub digest: Option<Digest>,
    /// The length of the canonical body in octets, whatever the limit.
    pub canonical_len: u64,
}

/// Hashes a body for all who want it, in one pass.
///
/// ```
/// use dkimkit::canon::Canon;
/// use dkimkit::hash::{BodyHashSpec, BodyHasher, BodyLimit, HashAlgorithm};
/// let whole = BodyHashSpec { canon: Canon::Simple, hash: HashAlgorithm::Sha256, limit: BodyLimit::Whole };
/// let two = BodyHashSpec { limit: BodyLimit::Octets(2), ..whole };
/// let mut body = BodyHasher::new([whole, two]);
/// body.write(b"Hi\r\n");
/// let hashes = body.finish();
/// assert_eq!(hashes.get(&whole).canonical_len, 4);
/// assert_ne!(hashes.get(&whole).digest, hashes.get(&two).digest);
/// ```
#[derive(Debug)]
pub struct BodyHasher {
    passes: Vec<Pass>,
}

impl BodyHasher {
    /// Prepares for each of `specs`; equal ones are computed once.
    pub fn new(specs: impl IntoIterator<Item = BodyHashSpec>) -> BodyHasher {
        let mut passes: Vec<Pass> = Vec::new();
        for spec in specs {
            let at = passes.iter().position(|p| p.canon == spec.canon);
            let at = at.unwrap_or_else(|| {
                passes.push(Pass::new(spec.canon));
                passes.len() - 1
            });
            passes[at].out.want(spec.hash, spec.limit);
        }
        BodyHasher { passes }
    }

    /// Takes the next bytes of the body.
    pub fn write(&mut self, chunk: &[u8]) {
        for pass in &mut self.passes {
            pass.state.write(chunk, &mut pass.out);
        }
    }

    /// Whether this hash is known already, so that further bytes do not change it.
    ///
    /// Known with a delay: what came is first gathered into blocks (see [`BodyCanonicalizer`]).
    pub fn is_known(&self, spec: &BodyHashSpec) -> bool {
        let BodyLimit::Octets(limit) = spec.limit else {
            return false;
        };
        let pass = self.passes.iter().find(|p| p.canon == spec.canon);
        pass.is_some_and(|p| p.out.passed >= limit)
    }

    /// Ends the body.
    pub fn finish(self) -> BodyHashes {
        let passes = self.passes.into_iter().map(Pass::finish).collect();
        BodyHashes { passes }
    }
}

/// The hashes of a whole body.
#[derive(Debug)]
pub struct BodyHashes {
    passes: Vec<FinishedPass>,
}

impl BodyHashes {
    /// The hash that was asked for.
    ///
    /// # Panics
    /// If it was not asked for.
    pub fn get(&self, spec: &BodyHashSpec) -> BodyHash {
        let pass = self.passes.iter().find(|p| p.canon == spec.canon);
        let pass = pass.expect("the canonicalization was asked for");
        let known = pass
            .known
            .iter()
            .find(|(hash, limit, _)| (*hash, *limit) == (spec.hash, spec.limit));
        let (_, _, digest) = known.expect("the hash was asked for");
        BodyHash {
            digest: *digest,
            canonical_len: pass.canonical_len,
        }
    }
}

#[derive(Debug)]
struct Pass {
    canon: Canon,
    state: BodyCanonicalizer,
    out: Runs,
}

#[derive(Debug)]
struct FinishedPass {
    canon: Canon,
    canonical_len: u64,
    known: Vec<(HashAlgorithm, BodyLimit, Option<Digest>)>,
}

impl Pass {
    fn new(canon: Canon) -> Pass {
        Pass {
            canon,
            state: BodyCanonicalizer::new(canon),
            out: Runs::default(),
        }
    }

    fn finish(mut self) -> FinishedPass {
        self.state.finish(&mut self.out);
        let Runs { passed, runs } = self.out;
        FinishedPass {
            canon: self.canon,
            canonical_len: passed,
            known: runs.into_iter().flat_map(Run::finish).collect(),
        }
    }
}

/// The hashes over one canonical form.
#[derive(Debug, Default)]
struct Runs {
    /// Octets that came so far.
    passed: u64,
    runs: Vec<Run>,
}

impl Runs {
    fn want(&mut self, hash: HashAlgorithm, limit: BodyLimit) {
        let at = self.runs.iter().position(|r| r.algorithm == hash);
        let at = at.unwrap_or_else(|| {
            self.runs.push(Run::new(hash));
            self.runs.len() - 1
        });
        self.runs[at].want(limit);
    }
}

impl Sink for Runs {
    fn put(&mut self, bytes: &[u8]) {
        for run in &mut self.runs {
            run.put(bytes, self.passed);
        }
        self.passed += bytes.len() as u64;
    }
}

/// One hash over one canonical form, with a copy of its state at each limit.
#[derive(Debug)]
struct Run {
    algorithm: HashAlgorithm,
    hasher: Hasher,
    whole: bool,
    /// Limits that are not reached yet, the largest first.
    ahead: Vec<u64>,
    reached: Vec<(u64, Digest)>,
}

impl Run {
    fn new(algorithm: HashAlgorithm) -> Run {
        Run {
            algorithm,
            hasher: Hasher::new(algorithm),
            whole: false,
            ahead: Vec::new(),
            reached: Vec::new(),
        }
    }

    fn want(&mut self, limit: BodyLimit) {
        match limit {
            BodyLimit::Whole => self.whole = true,
            BodyLimit::Octets(n) => {
                if let Err(at) = self.ahead.binary_search_by(|have| n.cmp(have)) {
                    self.ahead.insert(at, n);
                }
            }
        }
    }

    fn is_done(&self) -> bool {
        !self.whole && self.ahead.is_empty()
    }

    fn put(&mut self, bytes: &[u8], passed: u64) {
        let mut rest = bytes;
        let mut passed = passed;
        while let Some(limit) = self.ahead.last().copied() {
            let wanted = limit - passed;
            if wanted > rest.len() as u64 {
                break;
            }
            let (head, tail) = rest.split_at(wanted as usize);
            self.hasher.put(head);
            self.reached.push((limit, self.hasher.clone().finish()));
            self.ahead.pop();
            rest = tail;
            passed = limit;
        }
        if !self.is_done() {
            self.hasher.put(rest);
        }
    }

    fn finish(mut self) -> impl Iterator<Item = (HashAlgorithm, BodyLimit, Option<Digest>)> {
        let algorithm = self.algorithm;
        // A limit of 0 is reached by a body of nothing, into which no byte was put.
        self.put(b"", self.reached.last().map_or(0, |(limit, _)| *limit));
        let whole = self.whole.then(|| self.hasher.finish());
        let whole = whole.map(|digest| (algorithm, BodyLimit::Whole, Some(digest)));
        let reached = self
            .reached
            .into_iter()
            .map(move |(n, digest)| (algorithm, BodyLimit::Octets(n), Some(digest)));
        let missed = self
            .ahead
            .into_iter()
            .map(move |n| (algorithm, BodyLimit::Octets(n), None));
        whole.into_iter().chain(reached).chain(missed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sha256(bytes: &[u8]) -> Digest {
        let mut hasher = Hasher::new(HashAlgorithm::Sha256);
        hasher.put(bytes);
        hasher.finish()
    }

    fn spec(limit: BodyLimit) -> BodyHashSpec {
        BodyHashSpec {
            canon: Canon::Relaxed,
            hash: HashAlgorithm::Sha256,
            limit,
        }
    }

    #[test]
    fn every_limit_is_met_in_one_pass_at_every_chunk_size() {
        let body: Vec<u8> = (0..4000)
            .flat_map(|i: u32| format!("line {i}\r\n").into_bytes())
            .collect();
        let len = body.len() as u64;
        let limits = [0, 1, 16383, 16384, 16385, len - 1, len, len + 1, u64::MAX];
        for step in [1, 100, 16384, 20000, body.len()] {
            let specs = limits.map(|n| spec(BodyLimit::Octets(n)));
            let mut hasher = BodyHasher::new(specs.into_iter().chain([spec(BodyLimit::Whole)]));
            for chunk in body.chunks(step) {
                hasher.write(chunk);
            }
            let hashes = hasher.finish();
            assert_eq!(
                hashes.get(&spec(BodyLimit::Whole)).digest,
                Some(sha256(&body))
            );
            for n in limits {
                let got = hashes.get(&spec(BodyLimit::Octets(n)));
                let want = (n <= len).then(|| sha256(&body[..n as usize]));
                assert_eq!((got.digest, got.canonical_len), (want, len), "l={n}");
            }
        }
    }

    #[test]
    fn a_body_of_nothing_meets_a_limit_of_zero_alone() {
        let specs = [0, 1].map(|n| spec(BodyLimit::Octets(n)));
        let hashes = BodyHasher::new(specs).finish();
        assert_eq!(hashes.get(&specs[0]).digest, Some(sha256(b"")));
        assert_eq!(hashes.get(&specs[1]).digest, None);
    }

    #[test]
    fn a_hash_is_known_once_its_limit_is_passed() {
        let specs = [BodyLimit::Octets(3), BodyLimit::Whole].map(spec);
        let mut hasher = BodyHasher::new(specs);
        hasher.write(b"xx");
        assert!(!hasher.is_known(&specs[0]));
        hasher.write(&[b'x'; 40_000]);
        assert!(hasher.is_known(&specs[0]));
        assert!(!hasher.is_known(&specs[1]));
    }
}
