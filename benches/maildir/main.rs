//! `cargo bench --bench maildir`: a Maildir of messages of mixed sizes, verified by the library and by mail-auth
//! on one thread, which read the same files with the key at hand, and by the program with one job and with two.
//!
//!     cargo bench --bench maildir                  # 20,000 messages
//!     cargo bench --bench maildir -- 100 1000      # others: how it grows
//!
//! The sizes are spread about a median of 6 KB as those of mail are, up to 1 MB. All is signed with RSA-2048.

#[path = "../common/mod.rs"]
mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use dkimkit::key::SigningKey;
use dkimkit::name::{Domain, Selector};
use dkimkit::sign::{SignOptions, SigningIdentity};
use dkimkit::time::UnixTime;

use common::messages::{self, Kind};
use common::random::Random;
use common::{MailAuth, Ours, median, record};

const NOW: UnixTime = UnixTime(1_700_000_000);
const ROUNDS: usize = 9;

fn main() {
    let counts = std::env::args().filter_map(|a| a.parse().ok());
    let mut counts: Vec<usize> = counts.collect();
    if counts.is_empty() {
        counts.push(20_000);
    }
    println!(
        "{:>9} {:>8} {:>10} {:>10} {:>10} {:>10} {:>10} {:>10} {:>12}",
        "messages",
        "MB",
        "library",
        "mail-auth",
        "/mail-auth",
        "1 job",
        "2 jobs",
        "1/2 jobs",
        "RSS 2 jobs"
    );
    for count in counts {
        compare(count);
    }
}

fn compare(count: usize) {
    let store = format!("{}/keys", env!("CARGO_MANIFEST_DIR"));
    let key = fs::read(format!("{store}/test.example/rsa2048.pem")).unwrap();
    let key = Arc::new(SigningKey::read(&key).unwrap());
    let dir = tempfile::tempdir().unwrap();
    let (files, bytes) = fill(dir.path(), count, &key);

    let record = record(&key);
    let verifier = Ours::new(&record);
    let ours = |message: &[u8]| verifier.passes(message, NOW);
    let mail_auth = MailAuth::new("rsa2048", &record);
    let library = || each(&files, &ours);
    let theirs = || each(&files, &|message: &[u8]| mail_auth.passes(message));
    let program = |jobs: &str| {
        let begin = Instant::now();
        let mut command = Command::new(env!("CARGO_BIN_EXE_dkimkit"));
        command.args(["verify", "--json", "--keys", &store, "--jobs", jobs]);
        command.arg(dir.path());
        let done = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert!(done.unwrap().success());
        begin.elapsed().as_secs_f64()
    };
    let mut times: [Vec<f64>; 4] = Default::default();
    for round in 0..ROUNDS {
        for turn in 0..4 {
            let at = (round + turn) % 4;
            times[at].push(match at {
                0 => library(),
                1 => theirs(),
                2 => program("1"),
                _ => program("2"),
            });
        }
    }
    let per_message = |times: &Vec<f64>| median(times.clone()) * 1e6 / count as f64;
    let ratio = |a: &Vec<f64>, b: &Vec<f64>| median(a.iter().zip(b).map(|(a, b)| a / b).collect());
    let [library, theirs, one, two] = &times;
    println!(
        "{count:>9} {:>8.1} {:>8.1}µs {:>8.1}µs {:>10.2} {:>8.1}µs {:>8.1}µs {:>10.2} {:>12}",
        bytes as f64 / 1e6,
        per_message(library),
        per_message(theirs),
        ratio(library, theirs),
        per_message(one),
        per_message(two),
        ratio(one, two),
        peak(&store, dir.path()),
    );
}

/// Reads and checks each file; returns the seconds that it took.
fn each(files: &[PathBuf], passes: &dyn Fn(&[u8]) -> bool) -> f64 {
    let begin = Instant::now();
    for file in files {
        assert!(passes(&fs::read(file).unwrap()), "{}", file.display());
    }
    begin.elapsed().as_secs_f64()
}

/// The peak memory of the program with two jobs, as GNU time tells it, if it is there.
fn peak(store: &str, dir: &Path) -> String {
    let mut command = Command::new("/usr/bin/time");
    command.args(["-f", "%M", env!("CARGO_BIN_EXE_dkimkit")]);
    command.args(["verify", "--json", "--keys", store, "--jobs", "2"]);
    let Ok(output) = command.arg(dir).stdout(Stdio::null()).output() else {
        return "?".to_owned();
    };
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let kilobytes = text
        .lines()
        .last()
        .and_then(|line| line.parse::<f64>().ok());
    kilobytes.map_or("?".to_owned(), |kb| format!("{:.1} MiB", kb / 1024.0))
}

/// Fills a Maildir; returns its files in order, and how many bytes they have.
fn fill(dir: &Path, count: usize, key: &Arc<SigningKey>) -> (Vec<PathBuf>, u64) {
    for sub in ["cur", "new", "tmp"] {
        fs::create_dir(dir.join(sub)).unwrap();
    }
    let mut random = Random::new(20);
    let domain = Domain::new("test.example").unwrap();
    let identity = SigningIdentity::new(domain, Selector::new("rsa2048").unwrap(), key.clone());
    let options = SignOptions::new(NOW);
    let mut files = Vec::new();
    let mut total = 0;
    for number in 0..count {
        let kind = match random.below(5) {
            0 => Kind::Base64,
            _ => Kind::Text,
        };
        let size = size(&mut random);
        let message = messages::message(&mut random, kind, size);
        let field = dkimkit::sign(&message, vec![identity.clone()], &options).unwrap();
        let signed = [field[0].as_bytes(), b"\r\n", &message].concat();
        let file = dir.join("cur").join(format!("{number:07}:2,S"));
        fs::write(&file, &signed).unwrap();
        total += signed.len() as u64;
        files.push(file);
    }
    (files, total)
}

/// The size of a body: half below 4.5 KB, one in 300 beyond 200 KB.
fn size(random: &mut Random) -> usize {
    // The sum of twelve even spreads is close to a normal one (variance 1, about 0).
    let spread: f64 = (0..12).map(|_| random.below(1000) as f64 / 1000.0).sum();
    let size = 4500.0 * ((spread - 6.0) * 1.4).exp();
    (size as usize).clamp(200, 1 << 20)
}
