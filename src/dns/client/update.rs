//! Dynamic updates (RFC 2136), signed with a shared key (RFC 8945).

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hickory_proto::op::{Message, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::TXT;
use hickory_proto::rr::rdata::tsig::TsigAlgorithm;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType, TSigner};

use crate::dns::lookup;

use super::{Code, Data, Failure, Question, Rr, Transport, ask, over_tcp, read_answer};

/// A change of the TXT records at a name, carried out only if just those stand there that were seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The name, absolute, with its final dot.
    pub name: String,
    /// The records that stand there, each as its strings; they all go.
    pub seen: Vec<Vec<Vec<u8>>>,
    /// The text of the record that comes in their place; it is cut into strings of 255 octets.
    pub text: Option<Vec<u8>>,
    /// How long that may be kept, in seconds.
    pub ttl: u32,
}

/// A key that a name server and its clients share (RFC 8945).
#[derive(Clone)]
pub struct TsigKey(TSigner);

impl TsigKey {
    /// Reads a key as `tsig-keygen` writes it, or as one line `[algorithm:]name:secret`.
    ///
    /// ```
    /// use dkimkit::dns::client::TsigKey;
    /// let key = TsigKey::parse("hmac-sha512:update.example.com:c2VjcmV0")?;
    /// assert_eq!(key.name(), "update.example.com.");
    /// let file = "key \"update\" {\n\talgorithm hmac-sha256;\n\tsecret \"c2VjcmV0\";\n};\n";
    /// assert_eq!(TsigKey::parse(file)?.name(), "update.");
    /// # Ok::<(), dkimkit::dns::client::TsigKeyError>(())
    /// ```
    ///
    /// # Errors
    /// [`TsigKeyError`]: another form, or an algorithm other than HMAC with SHA-256, SHA-384 or SHA-512.
    pub fn parse(text: &str) -> Result<TsigKey, TsigKeyError> {
        let text: String = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.starts_with("//") && !line.starts_with('#'))
            .collect::<Vec<&str>>()
            .join(" ");
        let text = text.trim();
        if let Some(rest) = text.strip_prefix("key ") {
            let (name, clauses) = rest.split_once('{').ok_or(TsigKeyError::Form)?;
            let clauses = clauses.rsplit_once('}').ok_or(TsigKeyError::Form)?.0;
            let (mut algorithm, mut secret) = (None, None);
            for clause in clauses.split(';').map(str::trim) {
                match clause.split_once(char::is_whitespace) {
                    Some(("algorithm", word)) => algorithm = Some(word.trim()),
                    Some(("secret", word)) => secret = Some(word.trim()),
                    None if clause.is_empty() => {}
                    _ => return Err(TsigKeyError::Form),
                }
            }
            let algorithm = algorithm.ok_or(TsigKeyError::Form)?;
            return TsigKey::new(algorithm, name, secret.ok_or(TsigKeyError::Form)?);
        }
        match text.split(':').collect::<Vec<&str>>().as_slice() {
            [name, secret] => TsigKey::new("hmac-sha256", name, secret),
            [algorithm, name, secret] => TsigKey::new(algorithm, name, secret),
            _ => Err(TsigKeyError::Form),
        }
    }

    fn new(algorithm: &str, name: &str, secret: &str) -> Result<TsigKey, TsigKeyError> {
        let bare = |word: &str| word.trim().trim_matches('"').to_owned();
        let algorithm = bare(algorithm).to_ascii_lowercase();
        let algorithm = match algorithm.trim_end_matches('.') {
            "hmac-sha256" => TsigAlgorithm::HmacSha256,
            "hmac-sha384" => TsigAlgorithm::HmacSha384,
            "hmac-sha512" => TsigAlgorithm::HmacSha512,
            _ => return Err(TsigKeyError::Algorithm { found: algorithm }),
        };
        let name = Name::from_ascii(bare(name)).map_err(|_| TsigKeyError::Name)?;
        let secret = STANDARD
            .decode(bare(secret))
            .map_err(|_| TsigKeyError::Secret)?;
        if secret.is_empty() || name.num_labels() == 0 {
            return Err(TsigKeyError::Form);
        }
        // RFC 8945 §10: a fudge of 300 seconds is recommended.
        let signer = TSigner::new(secret, algorithm, name, 300);
        signer.map(TsigKey).map_err(|_| TsigKeyError::Secret)
    }

    /// The name of the key, with its final dot.
    pub fn name(&self) -> String {
        super::text(self.0.signer_name())
    }
}

impl fmt::Debug for TsigKey {
    /// Its name; nothing secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TsigKey({})", self.name())
    }
}

/// The zone in which `name` lies, as the server itself says: the closest name above for which it has a SOA.
///
/// # Errors
/// [`UpdateError::NoZone`] where it speaks for none of them, [`UpdateError::Failed`] without an answer.
///
/// # Panics
/// Outside a tokio runtime with I/O and time enabled.
pub async fn find_zone(
    server: SocketAddr,
    name: &str,
    patience: Duration,
) -> Result<String, UpdateError> {
    let mut at = name;
    while !matches!(at, "" | ".") {
        let question = Question {
            name: at.to_owned(),
            kind: lookup::RecordType::Soa,
            recursion: false,
            unchecked: false,
        };
        let reply = ask(server, &question, Transport::Tcp, patience).await?;
        let mut records = reply.answers.iter().chain(&reply.authority);
        let soa = records.find(|rr| matches!(rr.data, Data::Soa { .. }) && is_within(at, &rr.name));
        if let Some(soa) = soa.filter(|_| reply.authoritative) {
            return Ok(soa.name.clone());
        }
        // A referral: the name is in a zone further down that others have.
        let below =
            |rr: &Rr| matches!(rr.data, Data::Ns(_)) && rr.name != "." && is_within(at, &rr.name);
        if !reply.authoritative && reply.authority.iter().any(below) {
            break;
        }
        at = at.split_once('.').map_or("", |(_, rest)| rest);
    }
    Err(UpdateError::NoZone {
        name: name.to_owned(),
    })
}

/// Whether a name, with its final dot, is `zone` or lies below it.
fn is_within(name: &str, zone: &str) -> bool {
    name.strip_suffix(zone)
        .is_some_and(|head| head.is_empty() || head.ends_with('.'))
}

/// Carries out a change in one transaction, over TCP; `now` is the time that is signed. Without a change, the
/// server is only asked whether it would take one.
///
/// # Errors
/// [`UpdateError`]: the server refused, with the reason that it gave, or did not answer, or its answer is
/// not signed with the key.
///
/// # Panics
/// Outside a tokio runtime with I/O and time enabled.
pub async fn update(
    server: SocketAddr,
    zone: &str,
    change: Option<&Change>,
    key: Option<&TsigKey>,
    now: u64,
    patience: Duration,
) -> Result<(), UpdateError> {
    let mut message = compose(zone, change)?;
    let mut verifier = None;
    if let Some(key) = key {
        let signed = message.finalize(&key.0, now);
        verifier = signed.map_err(|_| UpdateError::Unsigned)?;
    }
    let bytes = message.to_vec().map_err(|_| Failure::Name)?;
    let answer = over_tcp(server, &bytes, patience).await?;
    let reply = read_answer(&message, &answer).ok_or(Failure::Garbled)?;
    let code = reply.metadata.response_code;
    if matches!(code, ResponseCode::YXRRSet | ResponseCode::NXRRSet) {
        let name = change.map_or(zone, |change| &change.name).to_owned();
        return Err(UpdateError::Changed { name });
    }
    if code != ResponseCode::NoError {
        // A refusal may be unsigned (RFC 8945 §5.3.2); it changes nothing.
        let error = reply.signature().and_then(|tsig| tsig.data.error);
        let detail = error.map(|error| format!("{error:?}"));
        return Err(UpdateError::Refused {
            code: Code::read(code),
            detail,
        });
    }
    if let Some(verifier) = &mut verifier
        && verifier.verify(&answer).is_err()
    {
        return Err(UpdateError::Unsigned);
    }
    Ok(())
}

/// RFC 2136 §2: the zone in the question section, what must hold in the answer section, and the changes in
/// the authority section.
fn compose(zone: &str, change: Option<&Change>) -> Result<Message, UpdateError> {
    let read = |name: &str| Name::from_ascii(name).map_err(|_| Failure::Name);
    let mut message = Message::query();
    message.metadata.op_code = OpCode::Update;
    message.metadata.recursion_desired = false;
    message.add_query(Query::query(read(zone)?, RecordType::SOA));
    let Some(change) = change else {
        return Ok(message);
    };
    if !is_within(&change.name, zone) {
        return Err(UpdateError::NoZone {
            name: change.name.clone(),
        });
    }
    let name = read(&change.name)?;
    let whole = |class| {
        let mut rrset = Record::update0(name.clone(), 0, RecordType::TXT);
        rrset.dns_class = class;
        rrset.into_record_of_rdata()
    };
    let txt = |ttl, strings: Vec<&[u8]>| {
        Record::from_rdata(name.clone(), ttl, RData::TXT(TXT::from_bytes(strings)))
    };
    // §2.4.3: no such RRset; §2.4.2: it is just this one.
    if change.seen.is_empty() {
        message.add_answer(whole(DNSClass::NONE));
    }
    for strings in &change.seen {
        message.add_answer(txt(0, strings.iter().map(Vec::as_slice).collect()));
    }
    // §2.5.2: delete an RRset.
    message.add_authority(whole(DNSClass::ANY));
    if let Some(text) = &change.text {
        message.add_authority(txt(change.ttl, text.chunks(255).collect()));
    }
    Ok(message)
}

/// Why an update was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpdateError {
    /// No answer.
    #[error("the update got no answer: {0}")]
    Failed(#[from] Failure),
    /// The server said no.
    #[error("the server refused the update: {code}{}", .detail.as_ref().map(|d| format!(" ({d})")).unwrap_or_default())]
    Refused {
        /// Its response code.
        code: Code,
        /// What it says about the key.
        detail: Option<String>,
    },
    /// Something else stands there than what was seen.
    #[error("what stands at {name} has changed meanwhile")]
    Changed {
        /// The name.
        name: String,
    },
    /// The answer does not prove that it comes from the server.
    #[error("the server's answer is not signed with the key")]
    Unsigned,
    /// The server has no zone for the name.
    #[error("the server has no zone in which {name} lies")]
    NoZone {
        /// The name.
        name: String,
    },
}

/// Why a shared key cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TsigKeyError {
    /// Neither of the forms.
    #[error(
        "not a TSIG key: neither `key \"NAME\" {{ algorithm …; secret \"…\"; }};` nor `[ALGORITHM:]NAME:SECRET`"
    )]
    Form,
    /// An algorithm that is not supported.
    #[error("the TSIG algorithm {found} is not hmac-sha256, hmac-sha384 or hmac-sha512")]
    Algorithm {
        /// What stands there.
        found: String,
    },
    /// A name that is no domain name.
    #[error("the name of the TSIG key is not a domain name")]
    Name,
    /// A secret that is not base64.
    #[error("the secret of the TSIG key is not base64")]
    Secret,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_in_both_forms_or_refused_by_name() {
        let file =
            "# made by hand\nkey \"k.\" {\n  algorithm \"HMAC-SHA384\";\n  secret \"Zm9v\";\n};\n";
        for text in [
            file,
            "hmac-sha384:k:Zm9v",
            "k:Zm9v",
            "key k { algorithm hmac-sha256; secret Zm9v; };",
        ] {
            assert_eq!(TsigKey::parse(text).unwrap().name(), "k.", "{text}");
        }
        let found = "hmac-md5".to_owned();
        for (text, error) in [
            ("", TsigKeyError::Form),
            ("Zm9v", TsigKeyError::Form),
            ("key k { secret Zm9v; };", TsigKeyError::Form),
            ("key k { algorithm hmac-sha256; ", TsigKeyError::Form),
            (":Zm9v", TsigKeyError::Form),
            ("k:", TsigKeyError::Form),
            ("hmac-md5:k:Zm9v", TsigKeyError::Algorithm { found }),
            ("k:!", TsigKeyError::Secret),
        ] {
            assert_eq!(TsigKey::parse(text).unwrap_err(), error, "{text}");
        }
        let key = TsigKey::parse("k:Zm9v").unwrap();
        assert_eq!(format!("{key:?}"), "TsigKey(k.)");
    }

    #[test]
    fn a_change_stays_within_its_zone() {
        let composed = |name: &str| {
            let change = Change {
                name: name.to_owned(),
                seen: Vec::new(),
                text: None,
                ttl: 0,
            };
            compose("example.com.", Some(&change))
        };
        assert!(composed("a.example.com.").is_ok());
        assert!(composed("example.com.").is_ok());
        for name in ["a.fexample.com.", "fexample.com.", "com."] {
            let error = composed(name).unwrap_err();
            assert!(matches!(error, UpdateError::NoZone { .. }));
        }
    }
}
