//! Sets that leave open what an attacker profits from, and what is said of them.

use super::fields::Seal;
use super::*;
use crate::dns::Zone;
use crate::hash::{BodyHasher, BodyLimit};
use crate::header::{FieldName, FieldNames};
use crate::key::{KeyKind, SigningKey};
use crate::message::HeaderLimits;
use crate::name::Selector;
use crate::policy::Level;
use crate::record::KeyRecord;
use crate::sign::{SigningIdentity, sign_field};
use crate::tag::FoldingWriter;

const NOW: UnixTime = UnixTime(1_700_000_000);

struct Sealing {
    identity: SigningIdentity,
    zone: Zone,
}

impl Sealing {
    /// The name `gone` has no key.
    fn new() -> Sealing {
        let key = SigningKey::generate(KeyKind::Ed25519).unwrap();
        let record = KeyRecord::new(key.algorithm().key_type(), key.public_bytes());
        let mut zone = Zone::default();
        zone.insert_txt("s._domainkey.arc.example.", record.to_string().into_bytes());
        let (domain, selector) = (Domain::new("arc.example"), Selector::new("s"));
        Sealing {
            identity: SigningIdentity::new(domain.unwrap(), selector.unwrap(), key),
            zone,
        }
    }

    /// The first set before a message: `tags` are those of the message signature beside i=, a=, c=, d=, bh= and b=.
    fn first(&self, message: &str, tags: &[(&str, &str)]) -> String {
        let (header, body) = split(message.as_bytes(), HeaderLimits::default()).unwrap();
        let tag = |name: &str| {
            tags.iter()
                .find(|(n, _)| *n == name)
                .map(|(_, value)| *value)
        };
        let spec = BodyHashSpec {
            canon: Canon::Relaxed,
            hash: HashAlgorithm::Sha256,
            limit: match tag("l") {
                Some(limit) => BodyLimit::Octets(limit.parse().unwrap()),
                None => BodyLimit::Whole,
            },
        };
        let mut hasher = BodyHasher::new([spec]);
        hasher.write(body);
        let hash = hasher.finish().get(&spec).digest.unwrap();
        let mut field = FoldingWriter::new(ArcField::MessageSignature.name());
        let fixed = [
            ("i", "1"),
            ("a", "ed25519-sha256"),
            ("c", "relaxed/relaxed"),
            ("d", "arc.example"),
        ];
        for (name, value) in fixed.into_iter().chain(tags.iter().copied()) {
            field.tag(name, [value]);
        }
        field.tag("bh", [crate::key::encode_base64(hash.as_bytes()).as_str()]);
        field.open_base64_tag("b");
        let names: FieldNames = tag("h")
            .unwrap()
            .split(':')
            .filter_map(FieldName::new)
            .collect();
        let mut canonical = Vec::new();
        FieldIndex::new(&header).pick_each(&header, &names, None, |field| {
            if let Some(field) = field {
                canon::header::field(Canon::Relaxed, field, &mut canonical);
            }
        });
        let signature =
            sign_field(&mut canonical, Canon::Relaxed, field, &self.identity.key).unwrap();
        let results = "ARC-Authentication-Results: i=1; arc.example; none";
        let mut covered = Vec::new();
        for field in [results, &signature] {
            canon::header::text(Canon::Relaxed, field.as_bytes(), &mut covered);
        }
        let seal = Seal {
            instance: 1,
            status: ChainStatus::None,
            algorithm: self.identity.key.algorithm(),
            domain: Domain::new("arc.example").unwrap(),
            selector: Selector::new("s").unwrap(),
            timestamp: None,
            signature: Vec::new(),
        };
        let seal = sign_field(
            &mut covered,
            SEAL_CANON,
            seal.write_unsigned(),
            &self.identity.key,
        )
        .unwrap();
        format!("{seal}\r\n{signature}\r\n{results}\r\n{message}")
    }

    /// A further set as the sealer writes it.
    fn next(&self, message: &str) -> String {
        let (header, body) = split(message.as_bytes(), HeaderLimits::default()).unwrap();
        let mut sealer =
            Sealer::new(&header, self.identity.clone(), &SealOptions::new(NOW)).unwrap();
        sealer.write(body);
        let id = crate::authres::AuthservId::new("arc.example").unwrap();
        let set = sealer.finish(ChainStatus::Pass, &id, "none").unwrap();
        format!("{}\r\n{message}", set.fields().join("\r\n"))
    }

    fn told(&self, message: &str, level: Level) -> String {
        let report = verify(message.as_bytes(), &self.zone, &Policy::new(level), NOW).unwrap();
        let reason = report.reason().unwrap_or("-");
        format!("{} {reason}: {}", report.result(), report.detail())
    }
}

const MESSAGE: &str = "From: a@b.example\r\nSubject: Hi\r\n\r\nHello.\r\n";

#[test]
fn strict_refuses_what_a_set_leaves_open_and_rfc_says_so() {
    let sealing = Sealing::new();
    let all = ("h", "from:subject");
    let key = ("s", "s");
    for (tags, added, strict, rfc) in [
        (
            vec![key, all],
            "",
            "pass -: the message is as the first set left it",
            "pass -: the message is as the first set left it",
        ),
        (
            vec![key, all, ("l", "0")],
            "",
            "fail unsigned-body: ",
            "pass -: what the first set signed of the message is as it left it; not signed: 8 octets of the body",
        ),
        (
            vec![key, all],
            "Subject: You have won\r\n",
            "fail unsigned-field: ",
            "pass -: what the first set signed of the message is as it left it; not signed: Subject",
        ),
        (
            vec![key, all],
            "From: boss@b.example\r\n",
            "fail several-from: ",
            "pass -: what the first set signed of the message is as it left it; not signed: From",
        ),
        (
            vec![key, ("h", "subject")],
            "",
            "fail from-not-signed: ARC-Message-Signature of set 1: h= does not name From, so the author is not signed: the sealer should",
            "pass -: what the first set signed of the message is as it left it; not signed: From",
        ),
        (
            vec![key, all, ("t", "99999999999")],
            "",
            "fail timestamp-in-future: ",
            "pass -: the message is as the first set left it",
        ),
    ] {
        let message = format!("{added}{}", sealing.first(MESSAGE, &tags));
        let told = sealing.told(&message, Level::Strict);
        assert!(told.starts_with(strict), "{told}\n{message}");
        assert_eq!(sealing.told(&message, Level::Rfc), rfc);
    }
}

#[test]
fn a_set_below_is_only_said_to_be_of_another_message_where_that_is_so() {
    let sealing = Sealing::new();
    let all = ("h", "from:subject");
    for (tags, change, want) in [
        (
            vec![("s", "s"), all],
            ("", ""),
            "the message is as the first set left it",
        ),
        (
            vec![("s", "s"), all],
            ("Hello", "HELLO"),
            "the message is as set 2 left it, and was changed before that",
        ),
        (
            vec![("s", "gone"), all],
            ("", ""),
            "the message is as set 2 left it; what set 1 signed cannot be checked: ",
        ),
        (
            vec![("s", "s"), all, ("l", "0")],
            ("", ""),
            "the message is as set 2 left it; the signature of set 1 does not count: ",
        ),
    ] {
        let first = sealing.first(MESSAGE, &tags);
        let two = sealing.next(&first.replace(change.0, change.1));
        let told = sealing.told(&two, Level::Strict);
        assert!(told.starts_with(&format!("pass -: {want}")), "{told}");
    }
}
