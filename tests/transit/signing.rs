//! A signer that can do what ours cannot: z=, l=, every style of field, and the bugs of known signers.

mod bugs;

use dkimkit::canon::body::BodyCanonicalizer;
use dkimkit::canon::{Canon, Canonicalization, Sink as _, header as canon_header};
use dkimkit::dns::Zone;
use dkimkit::hash::{BodyLimit, HashAlgorithm, Hasher};
use dkimkit::header::FieldIndex;
use dkimkit::key::{SigningKey, encode_base64};
use dkimkit::message::{Header, HeaderLimits};
use dkimkit::signature::{FIELD_NAME, Signature, SignatureLimits};
use dkimkit::time::UnixTime;

pub(crate) use self::bugs::{BUGS, Bug};
use crate::coding;
use crate::mail::Mail;
use crate::random::Random;

pub(crate) const NOW: UnixTime = UnixTime(1_797_000_000);
pub(crate) const DOMAIN: &str = "test.example";

/// The keys of `keys/test.example`, and what is published of them.
pub(crate) struct Keys {
    keys: Vec<(&'static str, SigningKey)>,
    pub(crate) zone: Zone,
}

impl Keys {
    pub(crate) fn read() -> Keys {
        let place = concat!(env!("CARGO_MANIFEST_DIR"), "/keys/test.example");
        let read = |file: String| std::fs::read(format!("{place}/{file}")).expect("a test key");
        let mut zone = Zone::default();
        let keys = ["rsa2048", "rsa1024", "ed"].map(|selector| {
            let text = String::from_utf8(read(format!("{selector}.txt"))).expect("text");
            zone.merge(Zone::parse(&text).expect("a record"));
            let key = SigningKey::read(&read(format!("{selector}.pem"))).expect("a key");
            (selector, key)
        });
        Keys {
            keys: keys.into(),
            zone,
        }
    }

    fn get(&self, selector: &str) -> &SigningKey {
        let found = self.keys.iter().find(|(name, _)| *name == selector);
        &found.expect("a selector of the store").1
    }
}

/// How a message is signed.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) selectors: Vec<&'static str>,
    pub(crate) canon: Canonicalization,
    pub(crate) names: Vec<String>,
    pub(crate) limit: bool,
    pub(crate) z: bool,
    style: usize,
    pub(crate) bug: Option<Bug>,
}

const USUAL: [&str; 19] = [
    "From",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Message-ID",
    "Reply-To",
    "Sender",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "List-Id",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "Keywords",
    "Organization",
    "X-Priority",
];

impl Plan {
    pub(crate) fn make(rng: &mut Random, mail: &Mail) -> Plan {
        let canon = *rng.pick(&[
            "relaxed/relaxed",
            "simple/simple",
            "relaxed/simple",
            "simple/relaxed",
            "relaxed/relaxed",
        ]);
        let selectors = match rng.below(10) {
            0..=4 => vec!["rsa2048"],
            5 | 6 => vec!["rsa1024"],
            7 | 8 => vec!["ed"],
            _ => vec!["rsa2048", "ed"],
        };
        let mut names = Vec::new();
        let over = rng.below(3);
        for name in USUAL {
            let there = mail.count(name);
            if name != "From" && rng.below(12) == 0 {
                continue;
            }
            // As most do: what is there; the rest once too often: some, or all of them.
            let once_more = match over {
                0 => there,
                1 => there + usize::from(there > 0 && rng.below(3) > 0),
                _ => there + usize::from(rng.below(6) > 0),
            };
            names.extend((0..once_more).map(|_| name.to_owned()));
        }
        if rng.below(10) == 0 {
            names.extend((0..mail.count("Received")).map(|_| "Received".to_owned()));
        }
        let style = rng.below(4);
        if style > 1 {
            names = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        }
        Plan {
            selectors,
            canon: Canonicalization::from_tag(canon).expect("a canonicalization"),
            names,
            limit: rng.below(14) == 0,
            z: rng.below(5) == 0,
            style,
            bug: None,
        }
    }

    pub(crate) fn signs(&self, name: &str) -> bool {
        self.count(name) > 0
    }

    pub(crate) fn count(&self, name: &str) -> usize {
        self.names
            .iter()
            .filter(|n| n.eq_ignore_ascii_case(name))
            .count()
    }

    pub(crate) fn is_simple(&self) -> bool {
        self.canon.header == Canon::Simple
    }

    /// The message with its signatures before it; none where the bug of the plan makes no difference.
    pub(crate) fn sign(&self, keys: &Keys, mail: &Mail) -> Option<Vec<u8>> {
        let mut message = mail.bytes();
        for selector in &self.selectors {
            let field = self.field(keys, selector, mail, &message)?;
            message = [&field, &b"\r\n"[..], &message].concat();
        }
        Some(message)
    }

    fn field(&self, keys: &Keys, selector: &str, mail: &Mail, message: &[u8]) -> Option<Vec<u8>> {
        let canonical = canonical_body(self.canon.body, &mail.body);
        let body = match &self.bug {
            Some(bug) => bug.body(self, &mail.body, &canonical)?,
            None => bugs::Body::of(&canonical),
        };
        let limit = body.limit.or(self.limit.then_some(canonical.len()));
        let value = self.value(selector, mail, &encode_base64(&body.hash), limit);
        let field = format!("{FIELD_NAME}:{value}");
        let unsigned = [field.as_bytes(), b"\r\n", message].concat();
        let (header, _) = dkimkit::message::split(&unsigned, HeaderLimits::default()).ok()?;
        let own = header.field(0);
        let (signature, b) = Signature::parse(own.value(), SignatureLimits::default())
            .unwrap_or_else(|rejected| panic!("{:?}: {value}", rejected.error));
        let regular = signed_header(&header, &signature, 0, b.clone());
        let input = match &self.bug {
            Some(bug) => bug.header(self, &header, &signature, b, &regular)?,
            None => regular,
        };
        let mut hasher = Hasher::new(HashAlgorithm::Sha256);
        hasher.put(&input);
        let key = keys.get(selector);
        let code = encode_base64(&key.sign(&hasher.finish()).expect("a signature"));
        let fold = self.fold();
        let mut b = String::new();
        for (at, piece) in code.as_bytes().chunks(70).enumerate() {
            b.push_str(if at > 0 && self.style != 3 { fold } else { "" });
            b.push_str(std::str::from_utf8(piece).expect("it is ASCII"));
        }
        // The placeholder was there only because b= must hold something.
        let field = field.strip_suffix("AAAA").expect("b= stands last");
        Some(format!("{field}{b}").into_bytes())
    }

    fn fold(&self) -> &'static str {
        ["\r\n\t", "\r\n        ", "\r\n ", " "][self.style]
    }

    /// All but the value of b=, for which four letters stand.
    fn value(&self, selector: &str, mail: &Mail, bh: &str, limit: Option<usize>) -> String {
        let fold = self.fold();
        let algorithm = if selector == "ed" { "ed25519" } else { "rsa" };
        let mut out = format!(
            " v=1; a={algorithm}-sha256; c={}; d={DOMAIN};{fold}s={selector}; t={};",
            self.canon,
            NOW.0 - 90,
        );
        if self.style == 1 {
            out.push_str(&format!(" x={};", NOW.0 + 600_000));
        }
        if let Some(limit) = limit {
            out.push_str(&format!(" l={limit};"));
        }
        let mut names = String::new();
        for (at, name) in self.names.iter().enumerate() {
            names.push_str(if at == 0 { "" } else { ":" });
            names.push_str(if at % 6 == 5 && self.style != 3 {
                fold
            } else {
                ""
            });
            names.push_str(name);
        }
        match self.style {
            0 => out.push_str(&format!("{fold}bh={bh};{fold}h={names};")),
            _ => out.push_str(&format!("{fold}h={names};{fold}bh={bh};")),
        }
        if self.z {
            let copies = self.copies(mail);
            out.push_str(&format!(
                "{fold}z={};",
                copies.join(&format!("|{}", if self.style == 3 { "" } else { fold }))
            ));
        }
        out.push_str(&format!("{fold}b=AAAA"));
        out
    }

    /// What z= holds (RFC 6376 §3.5): copies of the fields that are signed.
    fn copies(&self, mail: &Mail) -> Vec<String> {
        let signed = mail.fields.iter().filter(|f| self.signs(&f.name()));
        let copy = |field: &crate::mail::Field| {
            let value = field.value();
            // Some leave out the blank behind the colon, as the example of the RFC does.
            let value = if self.style == 2 {
                value.strip_prefix(b" ").unwrap_or(value)
            } else {
                value
            };
            format!("{}:{}", field.name(), dkim_quoted(value))
        };
        signed.map(copy).collect()
    }
}

/// dkim-quoted-printable (RFC 6376 §2.11), with `|` encoded.
fn dkim_quoted(text: &[u8]) -> String {
    let mut out = String::new();
    for byte in text {
        match byte {
            b'!'..=b'~' if !matches!(byte, b'=' | b';' | b'|') => out.push(char::from(*byte)),
            _ => out.push_str(&format!("={byte:02X}")),
        }
    }
    out
}

pub(crate) fn canonical_body(canon: Canon, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut canonicalizer = BodyCanonicalizer::new(canon);
    canonicalizer.write(body, &mut out);
    canonicalizer.finish(&mut out);
    out
}

fn signed_header(
    header: &Header,
    signature: &Signature,
    position: usize,
    b: std::ops::Range<usize>,
) -> Vec<u8> {
    let mut out = Vec::new();
    let canon = signature.canonicalization.header;
    let index = FieldIndex::new(header);
    for field in index
        .pick(header, signature.signed_headers.names(), Some(position))
        .into_iter()
        .flatten()
    {
        canon_header::field(canon, field, &mut out);
    }
    canon_header::signature(canon, header.field(position), b, &mut out);
    out
}

/// What the hashes of one signature cover, as every verifier sees it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct View {
    /// What bh= says of the body: damaged as it may be.
    pub(crate) hash: Vec<u8>,
    /// Whether l= counts more than there is.
    pub(crate) short: bool,
    pub(crate) header: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

/// The views of the signatures of a message, from the top down; none where the header cannot be read.
pub(crate) fn views(message: &[u8], lf_is_crlf: bool) -> Option<Vec<View>> {
    let text = if lf_is_crlf {
        with_crlf(message)
    } else {
        message.to_vec()
    };
    let (header, body) = dkimkit::message::split(&text, HeaderLimits::default()).ok()?;
    let own = header.fields().filter(|f| f.is(FIELD_NAME));
    let mut views = Vec::new();
    for field in own {
        let (signature, b) = Signature::parse(field.value(), SignatureLimits::default()).ok()?;
        let mut canonical = canonical_body(signature.canonicalization.body, body);
        let mut short = false;
        if let BodyLimit::Octets(limit) = signature.body_limit {
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            short = limit > canonical.len();
            canonical.truncate(limit);
        }
        let header = signed_header(&header, &signature, field.position(), b);
        views.push(View {
            hash: signature.body_hash,
            short,
            header,
            body: canonical,
        });
    }
    Some(views)
}

/// Each LF that stands alone becomes CRLF.
pub(crate) fn with_crlf(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len());
    for line in coding::lines_of(message) {
        match line.strip_suffix(b"\n") {
            Some(text) if !text.ends_with(b"\r") => {
                out.extend_from_slice(&[text, b"\r\n"].concat())
            }
            _ => out.extend_from_slice(line),
        }
    }
    out
}
