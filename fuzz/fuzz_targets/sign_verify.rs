//! What is signed verifies under every policy; what is changed after that does not; what may change does.
//!
//! Any text makes a message: lines that are no header fields are made such, and a From is put before them
//! if there is none.

#![no_main]

use dkimkit::canon::{Canon, Canonicalization};
use dkimkit::header::FieldName;
use dkimkit::message::{Header, HeaderLimits};
use dkimkit::name::{Auid, Domain, Selector};
use dkimkit::policy::{Level, Policy};
use dkimkit::report::{ResultWord, Verdict};
use dkimkit::sign::{NEVER_SIGNED, SignError, SignOptions, Signer, SigningIdentity};
use dkimkit::signature::{Signature, SignatureLimits};
use dkimkit::time::UnixTime;
use dkimkit_fuzz::{DOMAIN, KEYS, NOW, Steering, ZONE, assert_folded, chunks, steered};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (text, mut steering) = steered(data);
    let (mut header, body) = message(text);
    let full = steering.below(128) == 127;
    if full {
        // Around the most names that a verifier reads in h=.
        let many = "To: x\r\n".repeat(980 + steering.below(30));
        header.splice(0..0, many.into_bytes());
    }
    let fields = Header::parse(&header, HeaderLimits::default()).unwrap();
    let message = [&header, &b"\r\n"[..], body].concat();

    let options = options(&fields, &mut steering);
    let identities = identities(body, &mut steering);
    let count = identities.len();
    let signed = match dkimkit::sign(&message, identities.clone(), &options) {
        Ok(signed) => signed,
        Err(error) => {
            let impossible = |e: &SignError| matches!(e, SignError::Split(_) | SignError::Key(_));
            assert!(!impossible(&error), "{error}");
            return;
        }
    };
    assert_eq!(signed.len(), count);
    refused(&fields, &identities[0], &options);
    for field in &signed {
        assert_folded(field);
        let value = field.strip_prefix("DKIM-Signature:").unwrap();
        let (parsed, _) = Signature::parse(value.as_bytes(), SignatureLimits::default()).unwrap();
        assert_eq!(parsed.to_field(), *field);
    }
    let mut signer = Signer::new(&fields, identities, &options).unwrap();
    for chunk in chunks(body, steering.steps()) {
        signer.write(chunk);
    }
    assert_eq!(signer.finish().unwrap(), signed, "in chunks");

    let top: String = signed.iter().map(|field| format!("{field}\r\n")).collect();
    let whole = Message {
        top,
        header,
        body,
        count,
    };
    for level in [Level::Strict, Level::Rfc, Level::Legacy] {
        whole.passes(level, "as it was signed");
    }
    if full {
        return;
    }
    whole.is_changed(&fields, &options, &mut steering);
    whole.may_change(&fields, &options);
});

/// What is unsound about a key or an option is refused, however good the message is.
fn refused(fields: &Header, identity: &SigningIdentity, options: &SignOptions) {
    let error = |identity: &SigningIdentity, options: &SignOptions| {
        Signer::new(fields, vec![identity.clone()], options).unwrap_err()
    };
    let expired = SignOptions {
        expiration: Some(options.timestamp),
        ..options.clone()
    };
    assert_eq!(error(identity, &expired), SignError::Expiration);
    let received = vec![FieldName::new("received").unwrap()];
    let never = SignOptions {
        oversign_present: received,
        ..options.clone()
    };
    assert!(matches!(
        error(identity, &never),
        SignError::NeverSigned { .. }
    ));
    let no_from = SignOptions {
        headers: vec![FieldName::new("To").unwrap()],
        oversign: Vec::new(),
        ..options.clone()
    };
    assert_eq!(error(identity, &no_from), SignError::FromNotSigned);
    let domain = Domain::new("xtest.example").unwrap();
    let outside = Some(Auid {
        local_part: None,
        domain: domain.clone(),
    });
    let outside = SigningIdentity {
        identity: outside,
        ..identity.clone()
    };
    assert!(matches!(
        error(&outside, options),
        SignError::IdentityNotInDomain { .. }
    ));
    let own = SignOptions {
        third_party: false,
        ..options.clone()
    };
    let stranger = SigningIdentity {
        domain,
        identity: None,
        ..identity.clone()
    };
    let refusal = error(&stranger, &own);
    assert!(matches!(
        refusal,
        SignError::NotAligned { .. } | SignError::AuthorUnreadable
    ));
}

/// A signed message; the first `count` of its signatures are ours.
struct Message<'b> {
    top: String,
    header: Vec<u8>,
    body: &'b [u8],
    count: usize,
}

impl Message<'_> {
    fn verdicts(&self, level: Level) -> Option<Vec<Verdict>> {
        let message = [self.top.as_bytes(), &self.header, b"\r\n", self.body].concat();
        let verdicts = dkimkit::verify(&message, &*ZONE, &Policy::new(level), NOW).ok()?;
        Some(verdicts.into_iter().take(self.count).collect())
    }

    fn passes(&self, level: Level, what: &str) {
        for verdict in self.verdicts(level).expect("a header that can be read") {
            let failure = verdict.failure();
            let (top, header) = (&self.top, self.header.escape_ascii());
            assert!(
                failure.is_none(),
                "{what}, {level:?}: {failure:?}\n{top}{header}\nbody: {}",
                self.body.escape_ascii()
            );
        }
    }

    /// Nothing passes under the mildest policy.
    fn fails(&self, what: &str) {
        for verdict in self.verdicts(Level::Legacy).into_iter().flatten() {
            let (top, header) = (&self.top, self.header.escape_ascii());
            assert!(
                verdict.result() != ResultWord::Pass,
                "{what} is not noticed\n{top}{header}\nbody: {}",
                self.body.escape_ascii()
            );
        }
    }

    fn with_header(&self, header: Vec<u8>) -> Message<'_> {
        let (top, count) = (self.top.clone(), self.count);
        Message {
            top,
            header,
            body: self.body,
            count,
        }
    }

    fn with_body<'b>(&self, body: &'b [u8]) -> Message<'b> {
        let (top, header) = (self.top.clone(), self.header.clone());
        Message {
            top,
            header,
            body,
            count: self.count,
        }
    }

    fn is_changed(&self, fields: &Header, options: &SignOptions, steering: &mut Steering<'_>) {
        let more = [self.body, b"x"].concat();
        self.with_body(&more).fails("a byte behind the body");

        // A byte of From that is no white space, made another one.
        let mut places = Vec::new();
        let mut at = 0;
        for field in fields.fields() {
            let value = at + field.value_offset();
            at += field.raw().len() + 2;
            if field.is("From") {
                places.extend((value..at).filter(|i| !blank(self.header[*i])));
            }
        }
        if !places.is_empty() {
            let mut header = self.header.clone();
            let place = places[steering.below(places.len())];
            let flipped = header[place] ^ (1 << steering.below(8));
            let other = if header[place] == b'x' { b'y' } else { b'x' };
            header[place] = if blank(flipped) { other } else { flipped };
            self.with_header(header).fails("a byte of From");
        }

        let name = &options.oversign[steering.below(options.oversign.len())];
        let more = [format!("{name}: x\r\n").as_bytes(), &self.header].concat();
        self.with_header(more)
            .fails("an added field that is oversigned");
        let signed = |name: &str| options.headers.iter().any(|n| n == name);
        if let Some(field) = fields.fields().find(|f| signed(f.name())) {
            let mut start = 0;
            for above in fields.fields().take(field.position()) {
                start += above.raw().len() + 2;
            }
            let mut header = self.header.clone();
            header.drain(start..start + field.raw().len() + 2);
            self.with_header(header).fails("a signed field taken away");
        }
    }

    fn may_change(&self, fields: &Header, options: &SignOptions) {
        let level = Level::Strict;
        let more = [b"X-Unsigned: x\r\n".as_slice(), &self.header].concat();
        self.with_header(more)
            .passes(level, "an unsigned field added");
        let more = [self.body, b"\r\n\r\n"].concat();
        self.with_body(&more)
            .passes(level, "empty lines behind the body");
        let Canonicalization { header, body } = options.canonicalization;
        if body == Canon::Relaxed {
            let more = [self.body, b" \t\r\n \r\n"].concat();
            self.with_body(&more)
                .passes(level, "blank lines behind the body");
        }
        if header == Canon::Relaxed {
            let mut folded = Vec::new();
            for field in fields.fields() {
                folded.extend(field.name().to_ascii_uppercase().bytes());
                folded.extend_from_slice(b" :\r\n\t");
                for byte in field.value() {
                    match byte {
                        b' ' => folded.extend_from_slice(b" \r\n\t "),
                        byte => folded.push(*byte),
                    }
                }
                folded.extend_from_slice(b" \r\n");
            }
            self.with_header(folded)
                .passes(level, "a header folded anew");
        }
    }
}

/// The header that a text gives, with the CRLF of its last line, and the body.
fn message(text: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut header = Vec::new();
    let mut body = text;
    while !body.is_empty() {
        let end = body.iter().position(|b| *b == b'\n').unwrap_or(body.len());
        let line = &body[..end];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        body = body.get(end + 1..).unwrap_or_default();
        if line.is_empty() {
            break;
        }
        let continued = !header.is_empty() && matches!(line[0], b' ' | b'\t');
        let is_field = Header::parse(line, HeaderLimits::default()).is_ok();
        if !continued && !is_field {
            header.extend_from_slice(b"X-Line:");
        }
        header.extend_from_slice(line);
        header.extend_from_slice(b"\r\n");
    }
    let parsed = Header::parse(&header, HeaderLimits::default());
    if !parsed.is_ok_and(|fields| fields.fields().any(|f| f.is("From"))) {
        header.splice(0..0, *b"From: Anna <anna@test.example>\r\n");
    }
    (header, body)
}

fn options(fields: &Header, steering: &mut Steering<'_>) -> SignOptions {
    let mut options = SignOptions::new(NOW);
    let canon = |relaxed| {
        if relaxed {
            Canon::Relaxed
        } else {
            Canon::Simple
        }
    };
    options.canonicalization = Canonicalization {
        header: canon(steering.flag()),
        body: canon(steering.flag()),
    };
    options.third_party = steering.flag();
    let names = fields.fields().filter_map(|f| FieldName::new(f.name()));
    let names = names.filter(|n| !NEVER_SIGNED.iter().any(|never| n == *never));
    let names = names.filter(|n| n != "X-Unsigned");
    match steering.below(4) {
        0 => {}
        1 => options.headers = vec![FieldName::new("fROM").unwrap()],
        2 => options.headers.extend(names),
        _ => options.oversign.extend(names.take(10)),
    }
    if steering.flag() {
        let seconds = 1 + steering.below(1 << 20) as u64;
        options.expiration = Some(UnixTime(NOW.0 + seconds));
    }
    options
}

fn identities(body: &[u8], steering: &mut Steering<'_>) -> Vec<SigningIdentity> {
    let domains = [DOMAIN, "sub.test.example"];
    // Ed25519 signs fastest, and RSA with 1024 bits, which is not for AWS-LC, slowest by far.
    let keys: &[usize] = match steering.below(32) {
        31 => &[0, 1, 2],
        29 | 30 => &[0, 1],
        26..=28 => &[1],
        _ => &[0],
    };
    let domain = Domain::new(domains[steering.below(2)]).unwrap();
    let local = &body[..steering.below(20).min(body.len())];
    let identity = match steering.below(4) {
        0 => None,
        1 => Some(Auid {
            local_part: None,
            domain: domain.clone(),
        }),
        2 => Some(Auid {
            local_part: Some(local.to_vec()),
            domain: domain.clone(),
        }),
        _ => Some(Auid {
            local_part: Some(local.to_vec()),
            domain: Domain::new(&format!("below.{domain}")).unwrap(),
        }),
    };
    let pems = keys.iter().map(|at| &KEYS[*at]);
    pems.map(|(selector, key)| {
        let selector = Selector::new(selector).unwrap();
        let mut signs = SigningIdentity::new(domain.clone(), selector, key.clone());
        signs.identity = identity.clone();
        signs
    })
    .collect()
}

fn blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}
