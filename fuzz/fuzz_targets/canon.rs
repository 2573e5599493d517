//! Canonicalization: as the RFC's words have it, alike at every cut, and once is as good as twice.

#![no_main]

use dkimkit::canon::body::{BodyCanonicalizer, limit_vectors};
use dkimkit::canon::header;
use dkimkit::canon::{Canon, Sink as _};
use dkimkit::hash::{BodyHashSpec, BodyHasher, BodyLimit, Digest, HashAlgorithm, Hasher};
use dkimkit::message::{Header, HeaderLimits};
use dkimkit::tag::TagList;
use dkimkit_fuzz::{Steering, chunks, model, steered};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (text, mut steering) = steered(data);
    let steps = steering.steps();
    limit_vectors([128, 256, 512][steering.below(3)]);
    for canon in [Canon::Simple, Canon::Relaxed] {
        body(canon, text, steps);
    }
    // A hash gathers blocks of 16 KiB.
    let times = [1, 2, 5, 20][steering.below(4)];
    hashes(
        &text.repeat(times.min(1 + 40_000 / (text.len() + 1))),
        &mut steering,
    );
    if let Ok(fields) = Header::parse(text, HeaderLimits::default()) {
        fields_of(&fields);
    }
});

fn body(canon: Canon, body: &[u8], steps: [usize; 4]) {
    let canonical = |body: &[u8], steps| {
        let mut out = Vec::new();
        let mut state = BodyCanonicalizer::new(canon);
        for chunk in chunks(body, steps) {
            state.write(chunk, &mut out);
            state.write(b"", &mut out);
        }
        state.finish(&mut out);
        out
    };
    let want = model::body(canon, body);
    // Chunks of less than a block, and of some.
    for steps in [[usize::MAX; 4], steps, steps.map(|n| 7 * n), [1; 4]] {
        assert_eq!(
            show(&canonical(body, steps)),
            show(&want),
            "{canon:?} {steps:?}"
        );
    }
    assert_eq!(
        show(&canonical(&want, steps)),
        show(&want),
        "{canon:?} twice"
    );
    let more = [body, b"\r\n"].concat();
    assert_eq!(
        show(&canonical(&more, steps)),
        show(&want),
        "{canon:?} with a line end"
    );
}

/// All hashes of one pass are those of the canonical form and its first octets.
fn hashes(body: &[u8], steering: &mut Steering<'_>) {
    let steps = steering.steps().map(|n| n * n * n);
    let limits = [
        0,
        1,
        16 << 10,
        u64::MAX,
        steering.below(body.len() + 2) as u64,
    ];
    let limits = limits
        .map(BodyLimit::Octets)
        .into_iter()
        .chain([BodyLimit::Whole]);
    let mut specs = Vec::new();
    for limit in limits {
        for canon in [Canon::Simple, Canon::Relaxed] {
            for hash in [HashAlgorithm::Sha1, HashAlgorithm::Sha256] {
                specs.push(BodyHashSpec { canon, hash, limit });
            }
        }
    }
    let mut hasher = BodyHasher::new(specs.iter().copied());
    for chunk in chunks(body, steps) {
        hasher.write(chunk);
    }
    let known: Vec<bool> = specs.iter().map(|spec| hasher.is_known(spec)).collect();
    let hashes = hasher.finish();
    for canon in [Canon::Simple, Canon::Relaxed] {
        let canonical = model::body(canon, body);
        let len = canonical.len() as u64;
        for (spec, known) in specs.iter().zip(&known).filter(|(s, _)| s.canon == canon) {
            let covered = match spec.limit {
                BodyLimit::Whole => Some(len),
                BodyLimit::Octets(n) => (n <= len).then_some(n),
            };
            let want = covered.map(|n| hash(spec.hash, &canonical[..n as usize]));
            let got = hashes.get(spec);
            assert_eq!((got.digest, got.canonical_len), (want, len), "{spec:?}");
            assert!(!known || want.is_some() && spec.limit != BodyLimit::Whole);
        }
    }
}

fn hash(algorithm: HashAlgorithm, bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::new(algorithm);
    hasher.put(bytes);
    hasher.finish()
}

fn fields_of(fields: &Header) {
    let mut relaxed = Vec::new();
    for field in fields.fields() {
        for canon in [Canon::Simple, Canon::Relaxed] {
            let mut out = Vec::new();
            header::field(canon, field, &mut out);
            let want = [model::field(canon, field.raw()), b"\r\n".to_vec()].concat();
            assert_eq!(show(&out), show(&want), "{canon:?}");
            let spans = TagList::parse(field.value(), 100).map(|list| {
                let spans = list.iter().map(|tag| tag.span.clone());
                spans.collect::<Vec<_>>()
            });
            for span in spans.unwrap_or_default() {
                let mut out = Vec::new();
                header::signature(canon, field, span.clone(), &mut out);
                let at = field.value_offset();
                let (start, end) = (at + span.start, at + span.end);
                let raw = [&field.raw()[..start], &field.raw()[end..]].concat();
                assert_eq!(show(&out), show(&model::field(canon, &raw)), "{canon:?}");
            }
        }
        header::field(Canon::Relaxed, field, &mut relaxed);
    }
    let fields = Header::parse(&relaxed, HeaderLimits::default()).unwrap();
    let mut twice = Vec::new();
    for field in fields.fields() {
        header::field(Canon::Relaxed, field, &mut twice);
    }
    assert_eq!(show(&twice), show(&relaxed), "relaxed twice");
}

fn show(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
