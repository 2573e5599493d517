//! `cargo bench`: dkimkit, mail-auth and the floor side by side, on the same messages, in one run.
//!
//! The floor is SHA-256 of the raw body in one call, and the one RSA or Ed25519 operation, with a key that was
//! read before. In each round every contender goes once through all messages, the first one in turn; printed
//! are the median time for a message, and the medians of the ratios within a round.
//!
//!     cargo bench                        # all cells
//!     cargo bench -- verify relaxed      # those whose name has both words
//!     cargo bench -- --vectors 128       # with vectors of at most 128 bits (SSE2), or 256 (AVX2)
//!     cargo bench -- --rounds 31
//!
//! `--write DIR` writes the messages of the first cell that fits into a directory, and `--serve verify|sign DIR
//! KEYS` makes a peer of it: see `benches/peers/README.md`.

#[path = "../common/mod.rs"]
mod common;

use std::collections::HashMap;
use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{
    self as aws, Ed25519KeyPair, KeyPair as _, ParsedPublicKey, RsaKeyPair, RsaPublicKeyComponents,
};
use dkimkit::canon::Canonicalization;
use dkimkit::key::{KeyKind, SigningKey};
use dkimkit::message::{HeaderLimits, split};
use dkimkit::name::{Domain, Selector};
use dkimkit::sign::{SignOptions, SigningIdentity};
use dkimkit::signature::{Signature, SignatureLimits};
use dkimkit::time::UnixTime;
use mail_auth::common::crypto::{Ed25519Key, RsaKey, Sha256};
use mail_auth::common::headers::HeaderWriter as _;
use mail_auth::dkim::{Canonicalization as TheirCanon, DkimSigner};

use common::messages::{self, Kind};
use common::random::Random;
use common::{MailAuth, Ours, median, record};

const NOW: UnixTime = UnixTime(1_700_000_000);

fn main() {
    let mut words = Vec::new();
    let mut rounds = 15;
    let mut write = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = |name: &str| -> usize {
            let value = arguments.next().and_then(|v| v.parse().ok());
            value.unwrap_or_else(|| panic!("{name} takes a number"))
        };
        match argument.as_str() {
            // Cargo adds it.
            "--bench" => {}
            "--write" => write = arguments.next(),
            "--serve" => {
                let rest: Vec<String> = arguments.collect();
                return serve(&rest);
            }
            "--rounds" => rounds = number("--rounds"),
            "--vectors" => dkimkit::canon::body::limit_vectors(number("--vectors")),
            _ => words.push(argument),
        }
    }
    println!(
        "{:<44} {:>10} {:>10} {:>10} {:>12} {:>8}",
        "µs for a message (median)", "dkimkit", "mail-auth", "floor", "/mail-auth", "/floor"
    );
    let mut keys = HashMap::new();
    for cell in cells() {
        let name = cell.name();
        if words.iter().all(|word| name.contains(word.as_str())) {
            if let Some(dir) = write {
                return cell.write(&Key::of(cell.key), Path::new(&dir));
            }
            let key = keys.entry(cell.key).or_insert_with(|| Key::of(cell.key));
            cell.run(&name, key, rounds);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Verify,
    Sign,
}

#[derive(Debug, Clone, Copy)]
struct Cell {
    verb: Verb,
    key: &'static str,
    canon: Canonicalization,
    kind: Kind,
    size: (&'static str, usize, usize),
}

/// A size by name, in bytes of the body, and how many different messages there are of it.
const SIZES: [(&str, usize, usize); 4] = [
    ("2k", 2 << 10, 256),
    ("50k", 50 << 10, 200),
    ("1m", 1 << 20, 32),
    ("10m", 10 << 20, 30),
];

fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for verb in [Verb::Verify, Verb::Sign] {
        for key in ["rsa2048", "ed25519", "rsa1024", "rsa4096"] {
            // AWS-LC does not sign with RSA-1024, and no contender but ours.
            if (verb, key) == (Verb::Sign, "rsa1024") {
                continue;
            }
            for canon in [Canonicalization::RELAXED, Canonicalization::SIMPLE] {
                for kind in [Kind::Text, Kind::Base64] {
                    for size in SIZES {
                        // One size says what another key costs.
                        if !matches!(key, "rsa2048" | "ed25519") && size.0 != "2k" {
                            continue;
                        }
                        cells.push(Cell {
                            verb,
                            key,
                            canon,
                            kind,
                            size,
                        });
                    }
                }
            }
        }
    }
    cells
}

/// A key as each contender wants it.
struct Key {
    name: &'static str,
    pem: String,
    record: String,
    ours: Arc<SigningKey>,
    floor: FloorKey,
}

enum FloorKey {
    /// AWS-LC signs from 2048 bits on.
    Rsa(Option<RsaKeyPair>, ParsedPublicKey),
    Ed25519(Ed25519KeyPair, ParsedPublicKey),
}

impl FloorKey {
    fn sign(&self, message: &[u8]) {
        let hash = digest(&SHA256, message);
        match self {
            FloorKey::Rsa(pair, _) => {
                let pair = pair.as_ref().expect("a key that AWS-LC signs with");
                let mut out = vec![0; pair.public_modulus_len()];
                pair.sign_digest(&aws::RSA_PKCS1_SHA256, &hash, &mut out)
                    .unwrap();
                black_box(out);
            }
            FloorKey::Ed25519(pair, _) => {
                black_box(pair.sign(hash.as_ref()));
            }
        }
    }

    /// One operation on a signature of the right length; whether it holds costs no time.
    fn verify(&self, message: &[u8], signature: &[u8]) {
        let hash = digest(&SHA256, message);
        let _ = black_box(match self {
            FloorKey::Rsa(_, public) => public.verify_digest_sig(&hash, signature),
            FloorKey::Ed25519(_, public) => public.verify_sig(hash.as_ref(), signature),
        });
    }
}

impl Key {
    fn of(name: &'static str) -> Key {
        let stored = |file: &str| {
            let path = format!(
                "{}/keys/test.example/{file}.pem",
                env!("CARGO_MANIFEST_DIR")
            );
            SigningKey::read(&fs::read(path).unwrap()).unwrap()
        };
        let ours = match name {
            "rsa4096" => SigningKey::generate(KeyKind::Rsa(4096)).unwrap(),
            "ed25519" => stored("ed"),
            name => stored(name),
        };
        Key::new(name, ours)
    }

    fn new(name: &'static str, ours: SigningKey) -> Key {
        let pem = ours.to_pkcs8_pem().unwrap().to_string();
        let der = pem::parse(&pem).unwrap().into_contents();
        let floor = if name == "ed25519" {
            let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).unwrap();
            let public = pair.public_key().as_ref().to_vec();
            FloorKey::Ed25519(pair, ParsedPublicKey::new(&aws::ED25519, public).unwrap())
        } else {
            let algorithm = &aws::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY;
            let public = ParsedPublicKey::new(algorithm, ours.public_bytes());
            let public = public.or_else(|_| {
                let parts = rsa_parts(&ours.public_bytes());
                let (n, e) = (&parts.0, &parts.1);
                RsaPublicKeyComponents { n, e }.to_parsed_public_key(algorithm)
            });
            FloorKey::Rsa(RsaKeyPair::from_pkcs8(&der).ok(), public.unwrap())
        };
        Key {
            name,
            pem,
            record: record(&ours),
            ours: Arc::new(ours),
            floor,
        }
    }

    fn identity(&self) -> SigningIdentity {
        let domain = Domain::new("test.example").unwrap();
        SigningIdentity::new(domain, Selector::new(self.name).unwrap(), self.ours.clone())
    }
}

/// Modulus and exponent of a SubjectPublicKeyInfo.
fn rsa_parts(spki: &[u8]) -> (Vec<u8>, Vec<u8>) {
    use rsa::pkcs8::DecodePublicKey as _;
    use rsa::traits::PublicKeyParts as _;
    let key = rsa::RsaPublicKey::from_public_key_der(spki).unwrap();
    (key.n().to_bytes_be(), key.e().to_bytes_be())
}

type Contender<'a> = Box<dyn FnMut(usize) + 'a>;

impl Cell {
    fn name(&self) -> String {
        let verb = match self.verb {
            Verb::Verify => "verify",
            Verb::Sign => "sign",
        };
        let kind = match self.kind {
            Kind::Text => "text",
            Kind::Base64 => "base64",
        };
        let Cell { key, canon, .. } = self;
        format!("{verb} {key} {canon} {kind} {}", self.size.0)
    }

    fn run(&self, name: &str, key: &Key, rounds: usize) {
        let messages = self.messages(key);
        match self.verb {
            Verb::Sign => self.compare_signing(name, key, &self.options(), &messages, rounds),
            Verb::Verify => self.compare_verifying(name, key, &messages, rounds),
        }
    }

    fn write(&self, key: &Key, dir: &Path) {
        for (number, message) in self.messages(key).iter().enumerate() {
            fs::write(dir.join(format!("{number:04}")), message).unwrap();
        }
    }

    fn options(&self) -> SignOptions {
        let mut options = SignOptions::new(NOW);
        options.canonicalization = self.canon;
        options
    }

    /// The messages, signed if they are to be verified.
    fn messages(&self, key: &Key) -> Vec<Vec<u8>> {
        let (_, size, count) = self.size;
        let mut random = Random::new(size as u64);
        let options = self.options();
        let message = |_| {
            let message = messages::message(&mut random, self.kind, size);
            if self.verb == Verb::Sign {
                return message;
            }
            let fields = dkimkit::sign(&message, vec![key.identity()], &options).unwrap();
            [fields[0].as_bytes(), b"\r\n", &message].concat()
        };
        (0..count).map(message).collect()
    }

    fn compare_signing(
        &self,
        name: &str,
        key: &Key,
        options: &SignOptions,
        messages: &[Vec<u8>],
        rounds: usize,
    ) {
        let bodies: Vec<&[u8]> = messages.iter().map(|m| body(m)).collect();
        let identity = key.identity();
        let ours: Contender<'_> = Box::new(|at| {
            let fields = dkimkit::sign(&messages[at], vec![identity.clone()], options);
            black_box(fields.unwrap());
        });
        let canon = match self.canon {
            Canonicalization::RELAXED => TheirCanon::Relaxed,
            _ => TheirCanon::Simple,
        };
        let theirs: Contender<'_> = match self.key {
            "ed25519" => {
                let der = pem::parse(&key.pem).unwrap().into_contents();
                let pair = Ed25519Key::from_pkcs8_maybe_unchecked_der(&der).unwrap();
                let signer = DkimSigner::from_key(pair)
                    .domain("test.example")
                    .selector(key.name)
                    .headers(SIGNED)
                    .header_canonicalization(canon)
                    .body_canonicalization(canon);
                Box::new(move |at| {
                    let signature = signer.sign(&messages[at]).unwrap();
                    black_box(signature.to_header());
                })
            }
            _ => {
                // What takes its place wants a type of a crate of its own.
                #[expect(deprecated)]
                let signer =
                    DkimSigner::from_key(RsaKey::<Sha256>::from_pkcs8_pem(&key.pem).unwrap())
                        .domain("test.example")
                        .selector(key.name)
                        .headers(SIGNED)
                        .header_canonicalization(canon)
                        .body_canonicalization(canon);
                Box::new(move |at| {
                    let signature = signer.sign(&messages[at]).unwrap();
                    black_box(signature.to_header());
                })
            }
        };
        let floor: Contender<'_> = Box::new(|at| key.floor.sign(bodies[at]));
        measure(name, [ours, theirs, floor], messages.len(), rounds);
    }

    fn compare_verifying(&self, name: &str, key: &Key, messages: &[Vec<u8>], rounds: usize) {
        let bodies: Vec<&[u8]> = messages.iter().map(|m| body(m)).collect();
        let verifier = Ours::new(&key.record);
        let ours: Contender<'_> = Box::new(|at| assert!(verifier.passes(&messages[at], NOW)));

        let mail_auth = MailAuth::new(key.name, &key.record);
        let theirs: Contender<'_> = Box::new(move |at| assert!(mail_auth.passes(&messages[at])));

        let signatures: Vec<Vec<u8>> = messages.iter().map(|m| first_signature(m)).collect();
        let floor: Contender<'_> = Box::new(|at| key.floor.verify(bodies[at], &signatures[at]));
        measure(name, [ours, theirs, floor], messages.len(), rounds);
    }
}

/// The fields that dkimkit signs of these messages, so that both sign the same.
const SIGNED: [&str; 20] = [
    "From",
    "From",
    "To",
    "To",
    "Cc",
    "Cc",
    "Subject",
    "Subject",
    "Date",
    "Date",
    "Message-ID",
    "Message-ID",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "MIME-Version",
    "Content-Type",
    "Content-Type",
    "Content-Transfer-Encoding",
    "Content-Transfer-Encoding",
];

/// Answers each line of standard input with the time of a round through all messages.
fn serve(arguments: &[String]) {
    let [verb, messages, keys] = arguments else {
        panic!("--serve verify|sign MESSAGES KEYS");
    };
    let paths = fs::read_dir(messages).unwrap();
    let mut paths: Vec<_> = paths.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let messages: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    let pem = fs::read(Path::new(keys).join("rsa2048.pem")).unwrap();
    let key = Key::new("rsa2048", SigningKey::read(&pem).unwrap());
    let (verifier, identity, options) = (
        Ours::new(&key.record),
        key.identity(),
        SignOptions::new(NOW),
    );
    let round = || {
        for message in &messages {
            if verb == "verify" {
                assert!(verifier.passes(message, NOW));
            } else {
                black_box(dkimkit::sign(message, vec![identity.clone()], &options).unwrap());
            }
        }
    };
    round();
    for _ in std::io::stdin().lines() {
        let begin = Instant::now();
        round();
        println!(
            "{}",
            begin.elapsed().as_secs_f64() * 1e6 / messages.len() as f64
        );
    }
}

fn body(message: &[u8]) -> &[u8] {
    split(message, HeaderLimits::default()).unwrap().1
}

fn first_signature(message: &[u8]) -> Vec<u8> {
    let (header, _) = split(message, HeaderLimits::default()).unwrap();
    let value = header.field(0).value();
    Signature::parse(value, SignatureLimits::default())
        .unwrap()
        .0
        .signature
}

/// Lets the contenders run in turn, and prints a line.
fn measure(name: &str, mut contenders: [Contender<'_>; 3], count: usize, rounds: usize) {
    // Long enough to be measured, whatever the size.
    let begin = Instant::now();
    for contender in &mut contenders {
        (0..count).for_each(&mut *contender);
    }
    let repeat = (30_000 / begin.elapsed().as_micros().max(1)).clamp(1, 20);
    let mut times: [Vec<f64>; 3] = Default::default();
    for round in 0..rounds {
        for turn in 0..contenders.len() {
            let at = (round + turn) % contenders.len();
            let begin = Instant::now();
            for _ in 0..repeat {
                (0..count).for_each(&mut *contenders[at]);
            }
            let operations = repeat as f64 * count as f64;
            times[at].push(begin.elapsed().as_secs_f64() * 1e6 / operations);
        }
    }
    let [ours, theirs, floor] = &times;
    let ratio = |other: &Vec<f64>| median(ours.iter().zip(other).map(|(a, b)| a / b).collect());
    println!(
        "{name:<44} {:>10.1} {:>10.1} {:>10.1} {:>12.3} {:>8.3}",
        median(ours.clone()),
        median(theirs.clone()),
        median(floor.clone()),
        ratio(theirs),
        ratio(floor),
    );
}
