//! The key record: what stands in the TXT record at `<selector>._domainkey.<domain>`.

pub mod lint;

use std::fmt;

use crate::hash::HashAlgorithm;
use crate::key::{KeyType, decode_base64, encode_base64};
use crate::signature::encode_quoted_printable;
use crate::tag::{TagError, TagList, colon_list, without_wsp};

/// A key record, all of it checked (RFC 6376 §3.6.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// g=, where it is not empty: the local part for which the key is, in DomainKeys (RFC 4870 §3.2.3). To DKIM it
    /// means nothing.
    pub granularity: Option<String>,
    /// h=: the hashes that a signature may use; `None` allows all.
    pub hashes: Option<Vec<HashAlgorithm>>,
    /// k=
    pub key_type: KeyType,
    /// n=, as it stands there, a note for people
    pub notes: Option<String>,
    /// p=, decoded; `None` where it is empty: the key is revoked.
    pub public: Option<Vec<u8>>,
    /// s=
    pub service: Service,
    /// `y` in t=: the domain is testing DKIM.
    pub testing: bool,
    /// `s` in t=: the domain of i= must equal d=.
    pub strict_identity: bool,
}

/// What the key may be used for (s=).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// `*`, or no s= at all.
    Any,
    /// `email`.
    Email,
    /// Neither of the two, so that a signature of a message cannot use it.
    Other,
}

impl KeyRecord {
    /// A record for this key with everything else left out.
    pub fn new(key_type: KeyType, public: Vec<u8>) -> KeyRecord {
        KeyRecord {
            granularity: None,
            hashes: None,
            key_type,
            notes: None,
            public: Some(public),
            service: Service::Any,
            testing: false,
            strict_identity: false,
        }
    }

    /// Reads the text of a TXT record, its strings joined without anything between them (§3.6.2.2).
    ///
    /// ```
    /// use dkimkit::record::KeyRecord;
    /// let record = KeyRecord::parse(b"v=DKIM1; k=rsa; t=y; p=Zm9v", 32)?;
    /// assert!(record.testing);
    /// assert_eq!(record.to_string(), "v=DKIM1; k=rsa; t=y; p=Zm9v");
    /// # Ok::<(), dkimkit::record::RecordError>(())
    /// ```
    ///
    /// # Errors
    /// [`RecordError::NotDkim`] for a text that is no key record at all, and the others for one that is
    /// meant to be one. Unknown tags are passed over.
    pub fn parse(text: &[u8], max_tags: usize) -> Result<KeyRecord, RecordError> {
        let list = match TagList::parse(text, max_tags) {
            Ok(list) => list,
            Err(error) if looks_like_dkim(text) => return Err(RecordError::Tags { error }),
            Err(_) => return Err(RecordError::NotDkim),
        };
        check_version(&list)?;
        let p = list.get("p").ok_or(RecordError::NoKey)?;
        let public = without_wsp(p.value);
        let key_type = match list.get("k") {
            None => KeyType::Rsa,
            // A key that is revoked needs no type.
            Some(tag) if public.is_empty() => word(tag.value)
                .and_then(KeyType::from_word)
                .unwrap_or(KeyType::Rsa),
            Some(tag) => word(tag.value)
                .and_then(KeyType::from_word)
                .ok_or_else(|| RecordError::KeyType {
                    found: excerpt(tag.value),
                })?,
        };
        let public = match &*public {
            [] => None,
            text => Some(decode_base64(text).ok_or(RecordError::Base64)?),
        };
        let flag = |wanted: &[u8]| {
            let flags = list.get("t").map(|t| colon_list(t.value));
            flags.is_some_and(|mut flags| flags.any(|f| f.eq_ignore_ascii_case(wanted)))
        };
        let granularity = list.get("g").filter(|tag| !tag.value.is_empty());
        Ok(KeyRecord {
            granularity: granularity.map(|tag| String::from_utf8_lossy(tag.value).into_owned()),
            hashes: list.get("h").map(|tag| read_hashes(tag.value)),
            key_type,
            notes: list
                .get("n")
                .map(|tag| String::from_utf8_lossy(tag.value).into_owned()),
            public,
            service: list
                .get("s")
                .map_or(Service::Any, |tag| read_service(tag.value)),
            testing: flag(b"y"),
            strict_identity: flag(b"s"),
        })
    }

    /// Encodes a note for n= (dkim-quoted-printable, RFC 6376 §2.11, with spaces left readable).
    pub fn encode_note(text: &str) -> String {
        let words: Vec<String> = text
            .split(' ')
            .map(|word| encode_quoted_printable(word.as_bytes()))
            .collect();
        words.join(" ").trim().to_owned()
    }
}

impl fmt::Display for KeyRecord {
    /// The text that is published.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("v=DKIM1")?;
        if let Some(granularity) = &self.granularity {
            write!(f, "; g={granularity}")?;
        }
        if let Some(hashes) = &self.hashes {
            let words: Vec<&str> = hashes.iter().map(|h| h.as_str()).collect();
            write!(f, "; h={}", words.join(":"))?;
        }
        write!(f, "; k={}", self.key_type.as_str())?;
        if let Some(notes) = &self.notes {
            write!(f, "; n={notes}")?;
        }
        match self.service {
            Service::Any => {}
            Service::Email => f.write_str("; s=email")?,
            Service::Other => f.write_str("; s=other")?,
        }
        match (self.testing, self.strict_identity) {
            (false, false) => {}
            (true, false) => f.write_str("; t=y")?,
            (false, true) => f.write_str("; t=s")?,
            (true, true) => f.write_str("; t=y:s")?,
        }
        let public = self.public.as_deref().unwrap_or_default();
        write!(f, "; p={}", encode_base64(public))
    }
}

/// v= may be left out; if it is there it is the first tag and says DKIM1 (§3.6.1).
fn check_version(list: &TagList<'_>) -> Result<(), RecordError> {
    match list.get("v") {
        None if list.get("p").is_some() || list.get("k").is_some() => Ok(()),
        None => Err(RecordError::NotDkim),
        Some(tag) if tag.value != b"DKIM1" => Err(match tag.value.strip_prefix(b"DKIM1") {
            // Something was pasted with it, or a semicolon is missing: DKIM10 is another version.
            Some([next, ..]) if !next.is_ascii_alphanumeric() => RecordError::Version {
                found: excerpt(tag.value),
            },
            _ => RecordError::NotDkim,
        }),
        Some(_) if list.iter().next().is_some_and(|first| first.name == "v") => Ok(()),
        Some(_) => Err(RecordError::VersionNotFirst),
    }
}

/// Whether a text that is no tag list was meant to be a key record.
fn looks_like_dkim(text: &[u8]) -> bool {
    let mut compact: Vec<u8> = without_wsp(&text[..text.len().min(64)]).into_owned();
    compact.retain(|b| !matches!(b, b'"' | b'\'' | b'\\'));
    compact.starts_with(b"v=DKIM1") || compact.starts_with(b"k=rsa") || compact.starts_with(b"p=")
}

fn read_hashes(value: &[u8]) -> Vec<HashAlgorithm> {
    let known = [HashAlgorithm::Sha1, HashAlgorithm::Sha256];
    let named = |hash: &HashAlgorithm| {
        colon_list(value).any(|item| item.eq_ignore_ascii_case(hash.as_str().as_bytes()))
    };
    known.into_iter().filter(named).collect()
}

fn read_service(value: &[u8]) -> Service {
    let has = |wanted: &[u8]| colon_list(value).any(|s| s.eq_ignore_ascii_case(wanted));
    if has(b"*") {
        Service::Any
    } else if has(b"email") {
        Service::Email
    } else {
        Service::Other
    }
}

fn word(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok()
}

fn excerpt(value: &[u8]) -> String {
    value[..value.len().min(40)].escape_ascii().to_string()
}

/// Why a TXT record gives no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The text is something else than a DKIM key record.
    #[error("the TXT record is not a DKIM key record")]
    NotDkim,
    /// A key record that is no tag list.
    #[error("the key record is malformed: {error}")]
    Tags {
        /// What is wrong with the list.
        error: TagError,
    },
    /// v= begins with DKIM1, but does not end there.
    #[error("the key record has v={found}, which is not DKIM1")]
    Version {
        /// The value, escaped.
        found: String,
    },
    /// v=DKIM1 stands behind another tag.
    #[error("the key record has v=DKIM1, but not as its first tag")]
    VersionNotFirst,
    /// k= is no type that we know.
    #[error("the key record has the unknown key type k={found}")]
    KeyType {
        /// The value, escaped.
        found: String,
    },
    /// There is no p=.
    #[error("the key record has no p= tag")]
    NoKey,
    /// p= is not base64.
    #[error("p= of the key record is not base64")]
    Base64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<KeyRecord, RecordError> {
        KeyRecord::parse(text.as_bytes(), 10)
    }

    #[test]
    fn what_parses_prints_and_parses_again() {
        for text in [
            "p=Zm9v",
            "v=DKIM1; p=",
            " v = DKIM1 ; k = RSA ; p = Zm 9v ;",
            "v=DKIM1; h=sha1:sha256:md5; k=ed25519; n=a note=3B; s=email:*; t=y : s; p=Zm9v",
            "v=DKIM1; s=email; t=s; g=*; p=Zm9v",
            "k=rsa; t=s; p=Zm9v",
            "v=DKIM1; h=sha999; p=Zm9v",
        ] {
            let record = parse(text).unwrap();
            assert_eq!(parse(&record.to_string()).unwrap(), record, "{text}");
        }
    }

    #[test]
    fn other_records_are_told_apart_from_broken_key_records() {
        for text in [
            "",
            "v=spf1 -all",
            "google-site-verification=abc",
            "hello",
            "v=DKIM2; p=Zm9v",
            "v=DKIM10; p=Zm9v",
            "o=~",
        ] {
            assert_eq!(parse(text), Err(RecordError::NotDkim), "{text}");
        }
        for text in [
            "v=DKIM1\\; p=Zm9v",
            "v=DKIM1 k=rsa; p=Zm9v",
            "v=DKIM1, k=rsa",
        ] {
            let error = parse(text).unwrap_err();
            assert!(matches!(error, RecordError::Version { .. }), "{text}");
        }
        for text in [
            "\"v=DKIM1; p=Zm9v\"",
            "'v=DKIM1\\; p=Zm9v'",
            "\\\"v=DKIM1; p=x",
        ] {
            let error = parse(text).unwrap_err();
            assert!(matches!(error, RecordError::Tags { .. }), "{text}");
        }
        let revoked = parse("v=DKIM1; k=zzz; p=").unwrap();
        assert_eq!(revoked.public, None);
        assert_eq!(parse("v=DKIM1; k=rsa"), Err(RecordError::NoKey));
        assert_eq!(parse("p=Zm9v; v=DKIM1"), Err(RecordError::VersionNotFirst));
        assert_eq!(parse("v=DKIM1; p=Zm!v"), Err(RecordError::Base64));
        assert_eq!(parse("v=DKIM1; p=\"Zm9v\""), Err(RecordError::Base64));
        let found = "dsa".to_owned();
        assert_eq!(
            parse("v=DKIM1; k=dsa; p=Zm9v"),
            Err(RecordError::KeyType { found })
        );
        let name = "p".to_owned();
        let error = TagError::Duplicate { name };
        assert_eq!(
            parse("v=DKIM1; p=; p=Zm9v"),
            Err(RecordError::Tags { error })
        );
    }

    #[test]
    fn a_note_cannot_break_the_record() {
        let note = KeyRecord::encode_note("  key 7; p=evil\r\n");
        assert_eq!(note, "key 7=3B p=3Devil=0D=0A");
        let mut record = KeyRecord::new(KeyType::Rsa, b"foo".to_vec());
        record.notes = Some(note);
        assert_eq!(parse(&record.to_string()), Ok(record));
    }
}
