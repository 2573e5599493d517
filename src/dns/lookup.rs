//! Questions of every type, and their answers, as values: who judges an answer asks for it here, and
//! somebody else fetches it.
//!
//! A judge is a function over [`Ask`]. Where an answer is not there yet it ends with [`Pending`], and is called
//! again when the answer has come: so it reads as if the answers were at hand, opens no socket, and gives the
//! same result over a [`Zone`](super::Zone), over a map, and over the network.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::Cause;
use crate::name::{Domain, KeyName};

/// A name as DNS knows it: any octets in its labels, upper and lower case the same (RFC 1035 §2.3.3, RFC 2181 §11).
///
/// ```
/// use dkimkit::dns::lookup::DnsName;
/// let name = DnsName::new(b"_dmarc.Example.COM.")?;
/// assert_eq!(name.to_string(), "_dmarc.example.com");
/// assert_eq!(name.parent().unwrap().to_string(), "example.com");
/// assert_eq!(DnsName::new(b"a b\xff.example")?.to_string(), "a\\032b\\255.example");
/// # Ok::<(), dkimkit::dns::lookup::DnsNameError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DnsName(Box<[u8]>);

/// Why octets are no name of DNS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DnsNameError {
    /// Two dots stand together, or the name begins with one (RFC 1035 §3.1).
    #[error("a label is empty")]
    EmptyLabel,
    /// A label has more than 63 octets (RFC 1035 §2.3.4).
    #[error("a label is longer than 63 octets")]
    LabelTooLong,
    /// The name has more than 255 octets on the wire (RFC 1035 §2.3.4).
    #[error("the name is longer than 253 octets")]
    TooLong,
}

const MAX_LABEL: usize = 63;
const MAX_NAME: usize = 253;

impl DnsName {
    /// Reads labels with dots between them; a final dot may stand or not. Nothing at all is the root.
    ///
    /// # Errors
    /// [`DnsNameError`]: it cannot be asked for.
    pub fn new(text: &[u8]) -> Result<DnsName, DnsNameError> {
        let text = text.strip_suffix(b".").unwrap_or(text);
        if !text.is_empty() {
            for label in text.split(|byte| *byte == b'.') {
                if label.is_empty() {
                    return Err(DnsNameError::EmptyLabel);
                }
                if label.len() > MAX_LABEL {
                    return Err(DnsNameError::LabelTooLong);
                }
            }
        }
        if text.len() > MAX_NAME {
            return Err(DnsNameError::TooLong);
        }
        Ok(DnsName(text.to_ascii_lowercase().into()))
    }

    /// The name under which an address has its PTR record (RFC 1035 §3.5, RFC 3596 §2.5).
    ///
    /// ```
    /// use dkimkit::dns::lookup::DnsName;
    /// let name = DnsName::of_address("192.0.2.1".parse().unwrap());
    /// assert_eq!(name.to_string(), "1.2.0.192.in-addr.arpa");
    /// ```
    pub fn of_address(address: IpAddr) -> DnsName {
        let zone = match address {
            IpAddr::V4(_) => "in-addr.arpa",
            IpAddr::V6(_) => "ip6.arpa",
        };
        DnsName::reversed(address, &DnsName(zone.as_bytes().into()))
            .expect("an address and this zone are a name of at most 72 octets")
    }

    /// The parts of an address in reverse order, and `zone`, as lists of addresses are asked (RFC 5782 §2.1, §2.4).
    ///
    /// # Errors
    /// [`DnsNameError::TooLong`], where the zone has a long name.
    pub fn reversed(address: IpAddr, zone: &DnsName) -> Result<DnsName, DnsNameError> {
        let mut text = String::new();
        match address {
            IpAddr::V4(address) => {
                for octet in address.octets().iter().rev() {
                    text.push_str(&format!("{octet}."));
                }
            }
            IpAddr::V6(address) => {
                for octet in address.octets().iter().rev() {
                    text.push_str(&format!("{:x}.{:x}.", octet & 15, octet >> 4));
                }
            }
        }
        DnsName::new(&[text.as_bytes(), &zone.0].concat())
    }

    /// This name with `prefix`, one label or several, before it.
    ///
    /// # Errors
    /// [`DnsNameError`]: together they are no name.
    pub fn below(&self, prefix: &str) -> Result<DnsName, DnsNameError> {
        if self.0.is_empty() {
            return DnsName::new(prefix.as_bytes());
        }
        DnsName::new(&[prefix.as_bytes(), b".", &self.0].concat())
    }

    /// The octets, in lower case, without a final dot.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The labels from the left.
    pub fn labels(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        let labels = self.0.split(|byte| *byte == b'.');
        labels.filter(|label| !label.is_empty())
    }

    /// Whether it is the root, which has no label.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The name without its first label; none for the root.
    pub fn parent(&self) -> Option<DnsName> {
        if self.0.is_empty() {
            return None;
        }
        let dot = self.0.iter().position(|byte| *byte == b'.');
        Some(DnsName(
            dot.map_or_else(Box::default, |at| self.0[at + 1..].into()),
        ))
    }

    /// Whether it is `other` or stands below it.
    pub fn is_within(&self, other: &DnsName) -> bool {
        match self.0.strip_suffix(&*other.0) {
            Some(rest) => rest.is_empty() || other.is_root() || rest.ends_with(b"."),
            None => false,
        }
    }
}

impl From<&Domain> for DnsName {
    fn from(domain: &Domain) -> DnsName {
        DnsName(domain.as_ascii().to_ascii_lowercase().into_bytes().into())
    }
}

impl From<&KeyName> for DnsName {
    fn from(name: &KeyName) -> DnsName {
        let text = name.as_str().trim_end_matches('.');
        DnsName(text.to_ascii_lowercase().into_bytes().into())
    }
}

/// Without a final dot, and with what is not a graphic character of ASCII as `\DDD` (RFC 1035 §5.1); the root is a dot.
impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(".");
        }
        for &byte in &self.0 {
            match byte {
                b'\\' | b'"' | b';' | b'(' | b')' | b'@' | b'$' => {
                    write!(f, "\\{}", char::from(byte))?;
                }
                b'!'..=b'~' => write!(f, "{}", char::from(byte))?,
                _ => write!(f, "\\{byte:03}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DnsName({self})")
    }
}

/// The types of records that are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RecordType {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Who may issue certificates (RFC 8659).
    Caa,
    /// The delegation signer of a zone (RFC 4034 §5).
    Ds,
    /// Mail exchanges.
    Mx,
    /// Name servers.
    Ns,
    /// The name of an address.
    Ptr,
    /// The start of a zone.
    Soa,
    /// The type that SPF had once, 99 (RFC 7208 §3.1).
    Spf,
    /// Certificates of a service (RFC 6698).
    Tlsa,
    /// Text.
    Txt,
}

impl RecordType {
    /// Its mnemonic.
    pub fn as_str(self) -> &'static str {
        match self {
            RecordType::A => "A",
            RecordType::Aaaa => "AAAA",
            RecordType::Caa => "CAA",
            RecordType::Ds => "DS",
            RecordType::Mx => "MX",
            RecordType::Ns => "NS",
            RecordType::Ptr => "PTR",
            RecordType::Soa => "SOA",
            RecordType::Spf => "SPF",
            RecordType::Tlsa => "TLSA",
            RecordType::Txt => "TXT",
        }
    }

    /// Reads a mnemonic, in upper or lower case.
    pub fn from_mnemonic(word: &str) -> Option<RecordType> {
        let all = [
            RecordType::A,
            RecordType::Aaaa,
            RecordType::Caa,
            RecordType::Ds,
            RecordType::Mx,
            RecordType::Ns,
            RecordType::Ptr,
            RecordType::Soa,
            RecordType::Spf,
            RecordType::Tlsa,
            RecordType::Txt,
        ];
        all.into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(word))
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A question to DNS.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Question {
    /// The name.
    pub name: DnsName,
    /// The type of the records.
    pub kind: RecordType,
}

impl Question {
    /// The question for the records of type `kind` at `name`.
    pub fn new(name: DnsName, kind: RecordType) -> Question {
        Question { name, kind }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.kind)
    }
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Record {
    /// An address, of either family.
    Address(IpAddr),
    /// A mail exchange.
    Mx {
        /// The lower, the sooner it is tried.
        preference: u16,
        /// Its name; the root where the domain takes no mail (RFC 7505).
        exchange: DnsName,
    },
    /// A name: of an address (PTR) or a name server (NS).
    Name(DnsName),
    /// The strings of a TXT record or of one of type 99, joined.
    Text(Vec<u8>),
    /// The start of a zone.
    Soa {
        /// The number of this version of the zone.
        serial: u32,
    },
    /// A certificate of a service (RFC 6698 §2.1).
    Tlsa {
        /// Who must have issued it.
        usage: u8,
        /// Whether the whole certificate is meant or its key.
        selector: u8,
        /// Whether it stands there itself or its hash.
        matching: u8,
        /// It, or its hash.
        data: Vec<u8>,
    },
    /// Who may issue certificates (RFC 8659 §4.1).
    Caa {
        /// The flags: 128 where an issuer that does not know the property must not issue.
        flags: u8,
        /// The property, as it stands: in upper and lower case it is the same.
        tag: String,
        /// Its value.
        value: Vec<u8>,
    },
    /// The delegation signer of a zone (RFC 4034 §5.1).
    Ds {
        /// The tag of the key.
        key_tag: u16,
        /// The algorithm of the key.
        algorithm: u8,
        /// The algorithm of the digest.
        digest_type: u8,
    },
}

/// What DNS says to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// These records, in the order in which they came.
    Records(Vec<Record>),
    /// The name does not exist (NXDOMAIN).
    NoName,
    /// The name exists, and has no record of this type.
    NoData,
    /// No answer now; another time there may be one.
    Temporary(Cause),
}

/// The answer to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// What is said about the last name of the chain.
    pub said: Said,
    /// The names to which CNAMEs led, in order.
    pub aliases: Vec<DnsName>,
    /// How long it may be kept.
    pub ttl: Duration,
}

impl Found {
    /// An answer about the name itself.
    pub fn new(said: Said) -> Found {
        Found {
            said,
            aliases: Vec::new(),
            ttl: Duration::ZERO,
        }
    }

    /// The records, where there are any.
    pub fn records(&self) -> &[Record] {
        match &self.said {
            Said::Records(records) => records,
            _ => &[],
        }
    }

    /// The addresses among the records.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.records().iter().filter_map(|record| match record {
            Record::Address(address) => Some(*address),
            _ => None,
        })
    }

    /// The texts among the records.
    pub fn texts(&self) -> impl Iterator<Item = &[u8]> {
        self.records().iter().filter_map(|record| match record {
            Record::Text(text) => Some(text.as_slice()),
            _ => None,
        })
    }

    /// The names among the records.
    pub fn names(&self) -> impl Iterator<Item = &DnsName> {
        self.records().iter().filter_map(|record| match record {
            Record::Name(name) => Some(name),
            _ => None,
        })
    }

    /// Why there is no answer now.
    pub fn failure(&self) -> Option<Cause> {
        match self.said {
            Said::Temporary(cause) => Some(cause),
            _ => None,
        }
    }
}

/// The answer is not there yet. Who gets it returns it, and is called again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pending;

/// Something that is asked, and answers at once or later.
pub trait Ask {
    /// The answer to `question`.
    ///
    /// # Errors
    /// [`Pending`]: the question is noted, and the answer is not known yet.
    fn ask(&self, question: &Question) -> Result<Found, Pending>;

    /// [`Ask::ask`], in two words.
    ///
    /// # Errors
    /// [`Pending`].
    fn look(&self, name: &DnsName, kind: RecordType) -> Result<Found, Pending> {
        self.ask(&Question::new(name.clone(), kind))
    }
}

/// What is known so far, and what was asked for besides.
///
/// ```
/// use dkimkit::dns::lookup::{Ask, DnsName, Found, Known, Pending, Question, RecordType, Said};
/// let mut known = Known::new(100);
/// let question = Question::new(DnsName::new(b"example.com").unwrap(), RecordType::Mx);
/// assert_eq!(known.ask(&question), Err(Pending));
/// assert_eq!(known.wanted(), [question.clone()]);
/// known.tell(question.clone(), Found::new(Said::NoData));
/// assert_eq!(known.ask(&question).unwrap().said, Said::NoData);
/// assert!(known.wanted().is_empty());
/// ```
#[derive(Debug)]
pub struct Known {
    answers: HashMap<Question, Found>,
    wanted: RefCell<Vec<Question>>,
    /// All that was ever asked, also what nobody wants any more.
    asked: RefCell<HashSet<Question>>,
    limit: usize,
}

impl Known {
    /// Knows nothing. Beyond `limit` questions each gets [`Cause::NotAsked`]: who is judged may have written the
    /// names.
    pub fn new(limit: usize) -> Known {
        Known {
            answers: HashMap::new(),
            wanted: RefCell::default(),
            asked: RefCell::default(),
            limit,
        }
    }

    /// Takes the answer to a question.
    pub fn tell(&mut self, question: Question, found: Found) {
        self.wanted.get_mut().retain(|wanted| *wanted != question);
        self.asked.get_mut().insert(question.clone());
        self.answers.insert(question, found);
    }

    /// Nothing is wanted any more, until the judge is called again and asks. So what an answer has made needless takes no
    /// turn, and what matters most is asked first.
    ///
    /// ```
    /// use dkimkit::dns::lookup::{Ask, DnsName, Known, RecordType};
    /// let mut known = Known::new(100);
    /// let _ = known.look(&DnsName::new(b"example.com").unwrap(), RecordType::Mx);
    /// known.start_over();
    /// assert!(known.wanted().is_empty());
    /// ```
    pub fn start_over(&mut self) {
        self.wanted.get_mut().clear();
    }

    /// The questions that are open, each once, in the order in which they were asked.
    pub fn wanted(&self) -> Vec<Question> {
        self.wanted.borrow().clone()
    }

    /// All questions that have an answer, in no order.
    pub fn answers(&self) -> impl Iterator<Item = (&Question, &Found)> {
        self.answers.iter()
    }
}

impl Ask for Known {
    fn ask(&self, question: &Question) -> Result<Found, Pending> {
        if let Some(found) = self.answers.get(question) {
            return Ok(found.clone());
        }
        let mut wanted = self.wanted.borrow_mut();
        if wanted.contains(question) {
            return Err(Pending);
        }
        let mut asked = self.asked.borrow_mut();
        if !asked.contains(question) {
            if asked.len() >= self.limit {
                return Ok(Found::new(Said::Temporary(Cause::NotAsked)));
            }
            asked.insert(question.clone());
        }
        wanted.push(question.clone());
        Err(Pending)
    }
}

/// Calls `judge` until it has all answers, which `fetch` gets, a round of questions at a time.
///
/// ```
/// use dkimkit::dns::Zone;
/// use dkimkit::dns::lookup::{Ask as _, DnsName, RecordType, settle};
/// let zone = Zone::parse("example.com. MX 10 mail.example.com.\nmail.example.com. A 192.0.2.1")?;
/// let fetch = |questions: Vec<_>| questions.into_iter().map(|q| { let found = zone.answer(&q); (q, found) }).collect();
/// let found = settle(100, fetch, |dns| dns.look(&DnsName::new(b"mail.example.com").unwrap(), RecordType::A));
/// assert_eq!(found.addresses().next(), "192.0.2.1".parse().ok());
/// # Ok::<(), dkimkit::dns::ZoneError>(())
/// ```
pub fn settle<T>(
    limit: usize,
    mut fetch: impl FnMut(Vec<Question>) -> Vec<(Question, Found)>,
    judge: impl Fn(&Known) -> Result<T, Pending>,
) -> T {
    let mut known = Known::new(limit);
    loop {
        known.start_over();
        match judge(&known) {
            Ok(result) => return result,
            Err(Pending) => {
                let wanted = known.wanted();
                assert!(!wanted.is_empty(), "who waits has asked for something");
                for (question, found) in fetch(wanted.clone()) {
                    known.tell(question, found);
                }
                for question in wanted {
                    if !known.answers.contains_key(&question) {
                        known.tell(question, Found::new(Said::Temporary(Cause::NotAsked)));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> DnsName {
        DnsName::new(text.as_bytes()).unwrap()
    }

    #[test]
    fn a_name_has_labels_of_1_to_63_octets_and_at_most_253_in_all() {
        let long = "a".repeat(63);
        assert!(DnsName::new(long.as_bytes()).is_ok());
        assert_eq!(
            DnsName::new(format!("{long}a.b").as_bytes()),
            Err(DnsNameError::LabelTooLong)
        );
        for text in ["a..b", ".a", "a..", ".."] {
            assert_eq!(
                DnsName::new(text.as_bytes()),
                Err(DnsNameError::EmptyLabel),
                "{text}"
            );
        }
        let longest = format!("{long}.{long}.{long}.{}", "a".repeat(61));
        assert!(DnsName::new(longest.as_bytes()).is_ok());
        assert_eq!(
            DnsName::new(format!("{longest}a").as_bytes()),
            Err(DnsNameError::TooLong)
        );
        assert!(DnsName::new(b"").unwrap().is_root() && DnsName::new(b".").unwrap().is_root());
    }

    #[test]
    fn names_know_what_is_above_them() {
        assert!(name("a.example").is_within(&name("EXAMPLE.")));
        assert!(name("example").is_within(&name("")));
        assert!(!name("bexample").is_within(&name("example")));
        assert_eq!(name("a.b").parent(), Some(name("b")));
        assert_eq!(name("b").parent(), Some(name("")));
        assert_eq!(name("").parent(), None);
        assert_eq!(name("").below("_x.y").unwrap(), name("_x.y"));
    }

    #[test]
    fn addresses_are_reversed() {
        let address = "2001:db8::1".parse().unwrap();
        let reversed = DnsName::reversed(address, &name("list.example")).unwrap();
        assert_eq!(
            reversed.to_string(),
            "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.list.example"
        );
    }

    #[test]
    fn a_question_without_an_answer_is_asked_once() {
        let mut rounds = 0;
        let fetch = |_: Vec<Question>| {
            rounds += 1;
            Vec::new()
        };
        let found = settle(9, fetch, |dns| dns.look(&name("a"), RecordType::A));
        assert_eq!((found.failure(), rounds), (Some(Cause::NotAsked), 1));
    }

    #[test]
    fn beyond_the_limit_nothing_is_asked() {
        let known = Known::new(1);
        assert_eq!(known.look(&name("a"), RecordType::A), Err(Pending));
        assert_eq!(known.look(&name("a"), RecordType::A), Err(Pending));
        let found = known.look(&name("b"), RecordType::A).unwrap();
        assert_eq!(found.failure(), Some(Cause::NotAsked));
    }

    #[test]
    fn what_is_not_wanted_any_more_still_counts_for_the_limit() {
        let mut known = Known::new(2);
        assert_eq!(known.look(&name("a"), RecordType::A), Err(Pending));
        known.start_over();
        assert_eq!(known.look(&name("b"), RecordType::A), Err(Pending));
        assert_eq!(known.wanted().len(), 1);
        assert_eq!(known.look(&name("a"), RecordType::A), Err(Pending));
        let found = known.look(&name("c"), RecordType::A).unwrap();
        assert_eq!(found.failure(), Some(Cause::NotAsked));
    }
}
