//! What is refused although the mathematics is right, and the caps under which all else is done.

use crate::author::Authors;
use crate::dns::MAX_TEXT;
use crate::header::{FieldIndex, FieldNames, start};
use crate::key::{Algorithm, RsaSizes};
use crate::message::{Header, HeaderLimits};
use crate::name::Domain;
use crate::report::Failure;
use crate::signature::{Signature, SignatureError, SignatureLimits};
use crate::time::UnixTime;

/// How strict a verifier is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Level {
    /// `rfc`, and what an attacker profits from is refused as well: the default.
    Strict,
    /// What RFC 6376, 8301 and 8463 refuse, and nothing else.
    Rfc,
    /// `rfc`, with rsa-sha1 and RSA keys from 512 bits let through: for archives.
    Legacy,
}

/// A policy: a level, the tolerance of clocks, and the caps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How strict it is.
    pub level: Level,
    /// By how many seconds t= may lie ahead and x= behind, because clocks differ.
    pub tolerance: u64,
    /// The caps.
    pub limits: Limits,
}

impl Policy {
    /// The policy of this level, with a tolerance of 300 seconds and the default caps.
    pub fn new(level: Level) -> Policy {
        Policy {
            level,
            tolerance: 300,
            limits: Limits::default(),
        }
    }

    /// The RSA sizes that this policy verifies.
    pub fn rsa_sizes(&self) -> RsaSizes {
        let sizes = self.limits.rsa_sizes;
        match self.level {
            Level::Strict | Level::Rfc => sizes,
            Level::Legacy => RsaSizes {
                min: sizes.min.min(512),
                ..sizes
            },
        }
    }

    /// What of the header alone makes a signature unusable: checked before any key is asked for.
    pub(crate) fn before_lookup(&self, signature: &Signature, now: UnixTime) -> Option<Failure> {
        // RFC 8301 §3.1.
        if signature.algorithm == Algorithm::RsaSha1 && self.level != Level::Legacy {
            return Some(Failure::Sha1);
        }
        self.expired(signature.expiration, now)
    }

    /// RFC 6376 §3.5, x=.
    pub(crate) fn expired(&self, expiration: Option<UnixTime>, now: UnixTime) -> Option<Failure> {
        let expiration = expiration?;
        let past = now.0 > expiration.0.saturating_add(self.tolerance);
        past.then_some(Failure::Expired { expiration, now })
    }

    /// What `strict` refuses of a signature that holds.
    pub(crate) fn after_success(
        &self,
        covered: &Covered<'_>,
        facts: &MessageFacts,
        now: UnixTime,
    ) -> Option<Failure> {
        if self.level != Level::Strict {
            return None;
        }
        // RFC 6376 §8.2: what follows the signed part may be anything.
        if covered.unsigned > 0 {
            let octets = covered.unsigned;
            return Some(Failure::UnsignedBody { octets });
        }
        // RFC 5322 §3.6; which of them a reader sees is anybody's guess (RFC 6376 §8.15).
        if facts.from_fields > 1 {
            return Some(Failure::SeveralFrom {
                fields: facts.from_fields,
            });
        }
        // RFC 6376 §5.4: a DKIM-Signature without it was refused when it was read; a set of ARC may leave it out.
        if !covered.names.has("From") {
            return Some(Failure::Signature(SignatureError::FromNotSigned));
        }
        // RFC 6376 §5.4.2 and §8.15: an added instance is not covered, and readers show the first.
        for (name, present) in facts.instances().filter(|(_, present)| *present > 1) {
            let signed = covered.names.count(name);
            if signed > 0 && present > signed {
                return Some(Failure::UnsignedField {
                    name,
                    signed,
                    present,
                });
            }
        }
        // RFC 6376 §8.14: nobody owns a top-level domain's mail.
        if covered.domain.labels().count() == 1 {
            return Some(Failure::SingleLabel);
        }
        if let Some(timestamp) = covered.timestamp
            && timestamp.0 > now.0.saturating_add(self.tolerance)
        {
            return Some(Failure::FutureTimestamp { timestamp, now });
        }
        None
    }
}

/// What a signature that holds covers, and who answers for it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Covered<'a> {
    /// d=
    pub(crate) domain: &'a Domain,
    /// h=
    pub(crate) names: &'a FieldNames,
    /// t=
    pub(crate) timestamp: Option<UnixTime>,
    /// The number of canonical body octets beyond l=.
    pub(crate) unsigned: u64,
}

impl Default for Policy {
    /// `strict`.
    fn default() -> Self {
        Policy::new(Level::Strict)
    }
}

/// Fields of which a second instance, put above a signed one, deceives a reader; with what the index of a
/// header finds them by.
const DECEIVING: [(&str, u128); 11] = [
    deceiving("From"),
    deceiving("Sender"),
    deceiving("Reply-To"),
    deceiving("To"),
    deceiving("Cc"),
    deceiving("Subject"),
    deceiving("Date"),
    deceiving("Message-ID"),
    deceiving("MIME-Version"),
    deceiving("Content-Type"),
    deceiving("Content-Transfer-Encoding"),
];

const fn deceiving(name: &str) -> (&str, u128) {
    (name, start(name.as_bytes()))
}

/// What `strict` wants to know of a header, counted once for all signatures.
#[derive(Debug, Clone)]
pub(crate) struct MessageFacts {
    from_fields: usize,
    counts: [usize; DECEIVING.len()],
}

impl MessageFacts {
    pub(crate) fn new(header: &Header, index: &FieldIndex, authors: &Authors) -> MessageFacts {
        let mut counts = index.counts(header, &DECEIVING);
        let mut from_fields = authors.fields();
        if header.has_bare_cr() {
            // To readers that take a bare CR for a line end, there are more of them.
            for ((name, _), count) in DECEIVING.iter().zip(&mut counts) {
                *count += header.hidden(name);
            }
            from_fields += header.hidden("From");
        }
        MessageFacts {
            from_fields,
            counts,
        }
    }

    /// The fields of which these names do not cover each instance.
    pub(crate) fn uncovered_by(&self, names: &FieldNames) -> Vec<&'static str> {
        let open = self.instances();
        let open = open.filter(|(name, present)| *present > names.count(name));
        open.map(|(name, _)| name).collect()
    }

    fn instances(&self) -> impl Iterator<Item = (&'static str, usize)> {
        DECEIVING.into_iter().map(|(name, _)| name).zip(self.counts)
    }
}

/// Every cap of the verifier in one place (RFC 6376 §6.1 and §8.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes and fields of the header.
    pub header: HeaderLimits,
    /// Tags and names of one signature.
    pub signature: SignatureLimits,
    /// Signatures that are tried; those come first whose d= has the most labels in common with From.
    pub signatures: usize,
    /// Different keys that are looked up.
    pub lookups: usize,
    /// Bytes of canonical header that are hashed for all signatures of a message together.
    pub hashed_header: usize,
    /// TXT records of one name that are tried as keys.
    pub records: usize,
    /// Bytes of one TXT record.
    pub record_bytes: usize,
    /// Tags of one key record.
    pub record_tags: usize,
    /// The sizes of RSA keys, in bits.
    pub rsa_sizes: RsaSizes,
}

impl Default for Limits {
    /// 2 MiB and 10,000 fields of header, 100 signatures and 64 keys a message, 16 MiB of header to be hashed
    /// for them, 5 records of 16 KiB and 100 tags a key, RSA from 1024 to 8192 bits.
    fn default() -> Self {
        Limits {
            header: HeaderLimits::default(),
            signature: SignatureLimits::default(),
            signatures: 100,
            lookups: 64,
            hashed_header: 16 << 20,
            records: 5,
            record_bytes: MAX_TEXT,
            record_tags: 100,
            rsa_sizes: RsaSizes::default(),
        }
    }
}
