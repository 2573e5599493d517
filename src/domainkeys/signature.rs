//! The DomainKey-Signature field: its value read, and which fields it signs.

use std::collections::HashMap;

use crate::header::{FieldIndex, FieldNames};
use crate::key::Algorithm;
use crate::message::{Field, Header};
use crate::name::{Domain, KeyName, Selector};
use crate::report::Failure;
use crate::signature::{Reading, SignatureError, SignatureLimits, excerpt};
use crate::tag::{TagList, colon_list};

/// What a DomainKey-Signature field says (RFC 4870 §3.3).
#[derive(Debug)]
pub(super) struct DomainKey {
    /// c=
    pub(super) form: Form,
    /// d=
    pub(super) domain: Domain,
    /// s=
    pub(super) selector: Selector,
    /// h=, where it stands
    names: Option<FieldNames>,
    /// b=, decoded
    pub(super) signature: Vec<u8>,
}

/// A canonicalization of RFC 4870 §3.4.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Simple,
    Nofws,
}

impl Form {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Form::Simple => "simple",
            Form::Nofws => "nofws",
        }
    }
}

impl DomainKey {
    /// Reads the value of a field. What signers of old left out has its default: a= is rsa-sha1, c= is simple, and
    /// q= is dns.
    pub(super) fn parse(
        value: &[u8],
        limits: SignatureLimits,
    ) -> Result<DomainKey, DomainKeysError> {
        let list = TagList::parse(value, limits.tags).map_err(SignatureError::Tags)?;
        let tags = Reading::of(&list, limits);
        let word = |tag: &str, wanted: &[u8]| {
            let value = list.get(tag).map(|tag| tag.value);
            value.is_none_or(|value| value.eq_ignore_ascii_case(wanted))
        };
        let found = |tag: &str| excerpt(list.get(tag).map_or(&[], |tag| tag.value));
        if !word("a", Algorithm::RsaSha1.as_str().as_bytes()) {
            let found = found("a");
            return Err(DomainKeysError::Algorithm { found });
        }
        let form = match (word("c", b"simple"), word("c", b"nofws")) {
            (true, _) => Form::Simple,
            (false, true) => Form::Nofws,
            (false, false) => {
                let found = found("c");
                return Err(DomainKeysError::Canonicalization { found });
            }
        };
        let mut methods = colon_list(list.get("q").map_or(b"dns", |q| q.value));
        if !methods.any(|method| method.eq_ignore_ascii_case(b"dns")) {
            let found = found("q");
            return Err(DomainKeysError::QueryMethod { found });
        }
        let (domain, selector) = (tags.domain?, tags.selector?);
        KeyName::check(&selector, &domain).map_err(|error| SignatureError::Selector { error })?;
        Ok(DomainKey {
            form,
            domain,
            selector,
            names: list.get("h").map(|_| tags.signed_headers).transpose()?,
            signature: tags.signature?,
        })
    }

    /// The fields that are signed, in the order in which they are hashed; none stands above the signature
    /// (RFC 4870 §3.3, h=).
    pub(super) fn signed_fields<'h>(
        &self,
        header: &'h Header,
        index: &FieldIndex,
        position: usize,
    ) -> Vec<Field<'h>> {
        let Some(names) = &self.names else {
            return header.fields().skip(position + 1).collect();
        };
        // For each name: how often it is still to come, and where its fields stand that are not taken yet.
        let mut left: HashMap<String, (usize, Vec<usize>)> = HashMap::new();
        for name in names.iter() {
            let of_name = left.entry(name.to_ascii_lowercase()).or_insert_with(|| {
                let below = index.positions(header, name).filter(|at| *at > position);
                (0, below.collect())
            });
            of_name.0 += 1;
        }
        // From the end of h= up, each entry takes the lowest field of its name; the first entry of a name takes all
        // that are left, since "a verifier must include all occurrences".
        let mut signed = Vec::new();
        let names: Vec<&str> = names.iter().collect();
        for name in names.into_iter().rev() {
            let of_name = left.get_mut(&name.to_ascii_lowercase());
            let (still, fields) = of_name.expect("every name was counted");
            *still -= 1;
            match *still {
                0 => signed.extend(fields.drain(..).rev()),
                _ => signed.extend(fields.pop()),
            }
        }
        signed.reverse();
        signed.into_iter().map(|at| header.field(at)).collect()
    }
}

/// Why a DomainKey-Signature cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DomainKeysError {
    /// A tag that DKIM-Signature has too, or the list itself.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// a= is not rsa-sha1.
    #[error("a={found} is not rsa-sha1, the one algorithm of DomainKeys")]
    Algorithm {
        /// The value, escaped.
        found: String,
    },
    /// c= is neither simple nor nofws.
    #[error("c={found} is neither simple nor nofws")]
    Canonicalization {
        /// The value, escaped.
        found: String,
    },
    /// q= does not offer dns.
    #[error("q={found} does not offer dns, the one way to find a key")]
    QueryMethod {
        /// The value, escaped.
        found: String,
    },
    /// Neither Sender nor From is signed.
    #[error("neither Sender nor From is signed")]
    SenderNotSigned,
    /// Sender or From cannot be read in one way only.
    #[error("the address of the sender cannot be read, or there are several fields of it")]
    SenderUnreadable,
    /// d= is neither the domain of the sender nor above it.
    #[error("d= is neither the domain of the sender nor above it")]
    SenderNotInDomain,
}

impl DomainKeysError {
    /// The stable word for machines: that of DKIM where there is one.
    #[deny(clippy::wildcard_enum_match_arm)]
    pub fn reason(&self) -> &'static str {
        match self {
            DomainKeysError::Signature(error) => Failure::Signature(error.clone()).reason(),
            DomainKeysError::Algorithm { .. } => "unsupported-algorithm",
            DomainKeysError::Canonicalization { .. } => "unsupported-canonicalization",
            DomainKeysError::QueryMethod { .. } => "unsupported-query-method",
            DomainKeysError::SenderNotSigned => "sender-not-signed",
            DomainKeysError::SenderUnreadable => "sender-unreadable",
            DomainKeysError::SenderNotInDomain => "sender-not-in-domain",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::HeaderLimits;

    fn signed(h: &str) -> Vec<String> {
        let header =
            "X: above\r\nDomainKey-Signature: x\r\nX: 1\r\nY: 2\r\nx: 3\r\nX: 4\r\nZ: 5\r\n";
        let header = Header::parse(header.as_bytes(), HeaderLimits::default()).unwrap();
        let value = format!("d=a.example; s=s; b=YmFy{h}");
        let key = DomainKey::parse(value.as_bytes(), SignatureLimits::default()).unwrap();
        let fields = key.signed_fields(&header, &FieldIndex::new(&header), 1);
        let value = |field: &Field<'_>| String::from_utf8_lossy(field.value()).trim().to_owned();
        fields.iter().map(value).collect()
    }

    #[test]
    fn all_instances_below_the_signature_are_signed() {
        assert_eq!(signed(""), ["1", "2", "3", "4", "5"]);
        assert_eq!(signed("; h=Y:X"), ["2", "1", "3", "4"]);
        assert_eq!(signed("; h=X:Y:X"), ["1", "3", "2", "4"]);
        assert_eq!(signed("; h=X:Z:X:X:Y"), ["1", "5", "3", "4", "2"]);
        assert_eq!(signed("; h=X:X:X:X:X:Q"), ["1", "3", "4"]);
    }

    #[test]
    fn what_is_no_domain_key_is_refused() {
        let refused = |tags: &str| {
            let value = format!("d=a.example; s=s; b=YmFy; {tags}");
            let parsed = DomainKey::parse(value.as_bytes(), SignatureLimits::default());
            parsed.err().map(|error| error.reason())
        };
        assert_eq!(refused("a=RSA-SHA1; c=NoFWS; q=DNS"), None);
        assert_eq!(refused("a=rsa-sha256"), Some("unsupported-algorithm"));
        assert_eq!(refused("a="), Some("unsupported-algorithm"));
        assert_eq!(refused("c=relaxed"), Some("unsupported-canonicalization"));
        assert_eq!(refused("q="), Some("unsupported-query-method"));
        assert_eq!(refused("h="), Some("missing-tag"));
        assert_eq!(refused("d=b.example"), Some("duplicate-tag"));
    }
}
