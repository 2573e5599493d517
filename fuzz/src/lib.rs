//! What the fuzz targets share: steering, the keys and the zone of `test.example`, and models of what
//! the library should do, written from the RFCs and without a thought for speed.

pub mod model;

use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dkimkit::dns::Zone;
use dkimkit::key::SigningKey;
use dkimkit::message::{Header, HeaderLimits, SplitError, Splitter};
use dkimkit::record::KeyRecord;
use dkimkit::time::UnixTime;
use libfuzzer_sys::arbitrary::Unstructured;

/// The time of every verdict.
pub const NOW: UnixTime = UnixTime(1_700_000_000);

/// So many bytes at the end of an input steer the test; what stands before them is tested.
pub const STEERING: usize = 16;

/// Cuts an input into what is tested and what steers. Short inputs are not steered.
pub fn steered(data: &[u8]) -> (&[u8], Steering<'_>) {
    let cut = data.len().checked_sub(STEERING).unwrap_or(data.len());
    let (tested, steering) = data.split_at(cut);
    (tested, Steering(Unstructured::new(steering)))
}

/// Choices that the end of the input makes; where nothing is left, each is the first one.
pub struct Steering<'a>(Unstructured<'a>);

impl Steering<'_> {
    pub fn flag(&mut self) -> bool {
        self.below(2) == 1
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0
            .int_in_range(0..=end.saturating_sub(1))
            .unwrap_or_default()
    }

    /// The lengths of chunks, to be used in turn.
    pub fn steps(&mut self) -> [usize; 4] {
        [(); 4].map(|()| 1 + self.below(64))
    }
}

/// The chunks of `bytes` that have these lengths in turn.
pub fn chunks(bytes: &[u8], steps: [usize; 4]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    let mut steps = steps.into_iter().cycle();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (chunk, tail) = rest.split_at(steps.next()?.min(rest.len()));
        rest = tail;
        Some(chunk)
    })
}

/// [`dkimkit::message::split`] as a caller does it who has the message in chunks; returns the header and
/// the chunks of the body.
pub fn split_in_chunks(
    message: &[u8],
    limits: HeaderLimits,
    steps: [usize; 4],
) -> Result<(Header, Vec<&[u8]>), SplitError> {
    let mut splitter = Splitter::new(limits);
    let mut chunks = chunks(message, steps);
    let mut body = Vec::new();
    for chunk in chunks.by_ref() {
        match splitter.write(chunk) {
            Ok(None) => {}
            Ok(Some(at)) => {
                assert_eq!(splitter.write(chunk), Ok(Some(0)), "the end is final");
                body.push(&chunk[at..]);
                break;
            }
            Err(error) => {
                assert_eq!(splitter.finish(), Err(error), "an error is final");
                return Err(error);
            }
        }
    }
    body.extend(chunks);
    Ok((splitter.finish()?, body))
}

/// The domain of the keys.
pub const DOMAIN: &str = "test.example";

/// The keys by their selectors. Their private halves are public.
pub static KEYS: LazyLock<[(&str, Arc<SigningKey>); 3]> = LazyLock::new(|| {
    let read = |pem: &str| {
        let key = SigningKey::read(pem.as_bytes());
        Arc::new(key.expect("a key of test.example"))
    };
    [
        ("ed", read(include_str!("../../keys/test.example/ed.pem"))),
        (
            "rsa2048",
            read(include_str!("../../keys/test.example/rsa2048.pem")),
        ),
        (
            "rsa1024",
            read(include_str!("../../keys/test.example/rsa1024.pem")),
        ),
    ]
});

/// The records of the keys, at several domains, and records with which something is wrong.
pub static ZONE: LazyLock<Zone> = LazyLock::new(|| {
    const RSA_512: &str = "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAOqz0XgPya+Zf1EW3qNY1WxVaws3HYb6WKg+8f26\
        AjuuBUdIaVmFNa7KdYrgshFSVSB7KeieGYW+KOAV04uhc9UCAwEAAQ==";
    let ed = STANDARD.encode(KEYS[0].1.public_bytes());
    let mut zone = Zone::parse(&format!(
        "$ORIGIN _domainkey.test.example.
revoked TXT \"v=DKIM1; p=\"
strict TXT \"v=DKIM1; k=ed25519; t=y:s; p={ed}\"
several TXT \"v=spf1 -all\"
several TXT \"v=DKIM1; k=ed25519; p={ed}; p=\"
several TXT \"v=DKIM1; k=ed25519; h=sha1; p={ed}\"
several TXT \"k=ed25519; p={ed}\"
mixed TXT \"v=DKIM1; k=rsa; p={RSA_512}\"
mixed TXT \"v=DKIM1; k=ed25519; p=Zm9v\"
mixed TXT \"v=DKIM1; p=\"
mixed TXT \"v=DKIM1; k=ed25519; p={ed}\"
other TXT \"v=DKIM1; k=ed25519; s=other; p={ed}\"
sha1 TXT \"v=DKIM1; k=ed25519; h=sha1; p={ed}\"
small TXT \"v=DKIM1; k=rsa; p={RSA_512}\"
broken TXT \"v=DKIM1; k=ed25519; p=Zm9v\"
unknown TXT \"v=DKIM1; k=dsa; p=Zm9v\"
keyless TXT \"v=DKIM1; k=rsa\"
spf TXT \"v=spf1 -all\"
alias CNAME ed
circle CNAME circle
nothing A 127.0.0.1
"
    ))
    .expect("a zone file");
    let states = "{\"timeout._domainkey.test.example.\": {\"status\": \"TIMEOUT\"},
        \"refused._domainkey.test.example.\": {\"status\": \"REFUSED\"}}";
    zone.merge(Zone::parse(states).expect("JSON"));
    let long = format!("v=DKIM1; n={}; p=Zm9v", "x".repeat(20_000));
    zone.insert_txt("long._domainkey.test.example.", long.into_bytes());
    for (selector, key) in KEYS.iter() {
        let record = KeyRecord::new(key.algorithm().key_type(), key.public_bytes()).to_string();
        for domain in [DOMAIN, "sub.test.example", "example"] {
            let name = format!("{selector}._domainkey.{domain}.");
            zone.insert_txt(&name, record.clone().into_bytes());
        }
    }
    zone
});

/// Holds a DKIM-Signature field to 78 columns, but for lines that are a single word which cannot be broken.
pub fn assert_folded(field: &str) {
    for line in field.split("\r\n") {
        let word = line.trim_ascii();
        assert!(!word.is_empty(), "a line of blanks: {field:?}");
        assert!(!line.contains(['\r', '\n']), "{field:?}");
        // The names of h= may be broken behind each colon; those of a local part in i= may not.
        let inner = word.trim_end_matches([':', ';']);
        let breakable = inner.contains(' ') || inner.contains(':') && !inner.starts_with("i=");
        assert!(
            line.len() <= 78 || !breakable,
            "{} columns: {field:?}",
            line.len()
        );
    }
}
