//! SPF records (RFC 7208 §4.6, §5, §6 and §12).

mod fault;
mod term;

use std::fmt;
use std::ops::Range;

use self::fault::excerpt;
pub use self::fault::{BadTerm, RecordError, TermFault};

use super::macros::{Letter, MacroError, MacroString, Place, Values};
use super::network::Network;

/// A record that can be evaluated.
///
/// ```
/// use dkimkit::spf::record::{Mechanism, Record};
/// let record = Record::parse(b"v=spf1 ip4:192.0.2.0/24  -all")?;
/// assert_eq!(record.directives().count(), 2);
/// assert_eq!(record.to_string(), "v=spf1 ip4:192.0.2.0/24 -all");
///
/// let error = Record::parse(b"v=spf1 a:192.0.2.1 -all").unwrap_err();
/// assert_eq!(error.terms()[0].text, "a:192.0.2.1");
/// assert_eq!(error.terms()[0].fault.mend().unwrap(), "write ip4:192.0.2.1");
/// # Ok::<(), dkimkit::spf::record::RecordError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    terms: Vec<Term>,
}

/// One word of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// The word as it stands there; it has visible characters of ASCII alone.
    pub text: String,
    /// Where it stands in the record, in octets.
    pub span: Range<usize>,
    /// What it says.
    pub kind: TermKind,
}

/// What a term says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TermKind {
    /// A mechanism and what follows from its match.
    Directive(Directive),
    /// `redirect=`: where the record goes on (RFC 7208 §6.1).
    Redirect(DomainSpec),
    /// `exp=`: where the explanation stands (RFC 7208 §6.2).
    Explanation(DomainSpec),
    /// A modifier that RFC 7208 does not know; it changes nothing (§6).
    Unknown {
        /// Its name.
        name: String,
    },
}

/// A mechanism and what follows from its match (RFC 7208 §4.6.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// What follows.
    pub qualifier: Qualifier,
    /// What is to match.
    pub mechanism: Mechanism,
}

/// What follows from a match (RFC 7208 §4.6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Qualifier {
    /// `+`, and where none is written.
    Pass,
    /// `-`.
    Fail,
    /// `~`.
    SoftFail,
    /// `?`.
    Neutral,
}

/// What is to match (RFC 7208 §5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mechanism {
    /// `all`: every address.
    All,
    /// `include`: what another record lets pass.
    Include(DomainSpec),
    /// `a`: the addresses of a name; of the domain itself where it names none.
    A(Option<DomainSpec>, Prefixes),
    /// `mx`: the addresses of the mail exchanges.
    Mx(Option<DomainSpec>, Prefixes),
    /// `ptr`: the validated names of the address.
    Ptr(Option<DomainSpec>),
    /// `ip4` and `ip6`.
    Ip(Network),
    /// `exists`: whether a name has an address.
    Exists(DomainSpec),
}

/// How many bits of an address count (`dual-cidr-length`, RFC 7208 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefixes {
    /// Of an IPv4 address.
    pub v4: u8,
    /// Of an IPv6 address.
    pub v6: u8,
}

/// A name with macros (`domain-spec` of RFC 7208 §7.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainSpec(MacroString);

impl Record {
    /// Whether a TXT record is meant to be one of SPF: `v=spf1`, and a blank or nothing behind it (RFC 7208 §4.5).
    ///
    /// ```
    /// use dkimkit::spf::record::Record;
    /// assert!(Record::is_spf(b"V=spf1 -all") && Record::is_spf(b"v=spf1"));
    /// assert!(!Record::is_spf(b"v=spf10 -all"));
    /// ```
    pub fn is_spf(text: &[u8]) -> bool {
        text.split_at_checked(VERSION.len())
            .is_some_and(|(version, rest)| {
                // The ABNF of §4.5 takes capitals too (RFC 5234 §2.3).
                version.eq_ignore_ascii_case(VERSION) && matches!(rest, [] | [b' ', ..])
            })
    }

    /// Reads a record whole: a fault anywhere is a fault of the record (RFC 7208 §4.6).
    ///
    /// # Errors
    /// [`RecordError`], with every term that is wrong.
    pub fn parse(text: &[u8]) -> Result<Record, RecordError> {
        if !Record::is_spf(text) {
            return Err(RecordError::NotSpf);
        }
        let mut terms: Vec<Term> = Vec::new();
        let mut wrong = Vec::new();
        let (mut redirect, mut explanation) = (false, false);
        for span in words(text) {
            let word = &text[span.clone()];
            let kind = term::parse(word).and_then(|kind| {
                // §6: redirect and exp may stand once.
                let twice = match &kind {
                    TermKind::Redirect(_) => std::mem::replace(&mut redirect, true),
                    TermKind::Explanation(_) => std::mem::replace(&mut explanation, true),
                    _ => false,
                };
                match twice {
                    true => Err(TermFault::Twice),
                    false => Ok(kind),
                }
            });
            let text = printable(word);
            match kind {
                Ok(kind) => terms.push(Term { text, span, kind }),
                Err(fault) => wrong.push(BadTerm { text, span, fault }),
            }
        }
        match wrong.is_empty() {
            true => Ok(Record { terms }),
            false => Err(RecordError::Terms(wrong)),
        }
    }

    /// All terms, in their order.
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }

    /// The terms with a mechanism, in their order.
    pub fn directives(&self) -> impl Iterator<Item = (&Term, &Directive)> {
        self.terms.iter().filter_map(|term| match &term.kind {
            TermKind::Directive(directive) => Some((term, directive)),
            _ => None,
        })
    }

    /// The redirect modifier.
    pub fn redirect(&self) -> Option<(&Term, &DomainSpec)> {
        self.terms.iter().find_map(|term| match &term.kind {
            TermKind::Redirect(target) => Some((term, target)),
            _ => None,
        })
    }

    /// What the exp modifier names.
    pub fn explanation(&self) -> Option<&DomainSpec> {
        self.terms.iter().find_map(|term| match &term.kind {
            TermKind::Explanation(target) => Some(target),
            _ => None,
        })
    }
}

const VERSION: &[u8] = b"v=spf1";

/// Where the terms stand. Only blanks part them (§4.6.1): a tab is part of a term, and wrong in it.
fn words(text: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = VERSION.len();
    let ends = memchr::memchr_iter(b' ', &text[at..]).map(move |end| end + VERSION.len());
    let words = ends.chain([text.len()]).map(move |end| {
        let word = at..end;
        at = end + 1;
        word
    });
    words.filter(|word| !word.is_empty())
}

impl Term {
    /// What the term matches or says, without its qualifier.
    pub fn unqualified(&self) -> &str {
        match &self.kind {
            TermKind::Directive(_) => self.text.trim_start_matches(['+', '-', '~', '?']),
            _ => &self.text,
        }
    }
}

impl Qualifier {
    fn of(byte: u8) -> Option<Qualifier> {
        Some(match byte {
            b'+' => Qualifier::Pass,
            b'-' => Qualifier::Fail,
            b'~' => Qualifier::SoftFail,
            b'?' => Qualifier::Neutral,
            _ => return None,
        })
    }
}

impl Prefixes {
    /// The network around an address that counts.
    pub fn around(self, address: std::net::IpAddr) -> Network {
        let prefix = match address {
            std::net::IpAddr::V4(_) => self.v4,
            std::net::IpAddr::V6(_) => self.v6,
        };
        Network::new(address, prefix).expect("the prefix was checked when it was read")
    }
}

impl DomainSpec {
    fn parse(text: &[u8]) -> Result<DomainSpec, TermFault> {
        let spec = MacroString::parse(text, Place::Domain).map_err(TermFault::Macro)?;
        if let Some(end) = spec.literal_end() {
            // §7.1: domain-end is "." toplabel ["."], or a macro. Without a macro two labels at least stand there.
            let end = end.strip_suffix(b".").unwrap_or(end);
            let dot = memchr::memrchr(b'.', end);
            let label = &end[dot.map_or(0, |dot| dot + 1)..];
            if dot.is_none() || !is_top_label(label) {
                return Err(TermFault::no_domain(text, label, dot.is_none()));
            }
        }
        Ok(DomainSpec(spec))
    }

    /// The letters of its macros.
    pub fn letters(&self) -> impl Iterator<Item = Letter> {
        self.0.letters()
    }

    pub(super) fn uses(&self, letter: Letter) -> bool {
        self.0.uses(letter)
    }

    pub(super) fn expand(&self, values: &impl Values) -> Option<Vec<u8>> {
        self.0.expand(values)
    }
}

/// A text as it stands there, or escaped where it could not be printed so.
pub(super) fn printable(text: &[u8]) -> String {
    match text.iter().all(|b| b.is_ascii_graphic() || *b == b' ') {
        true => String::from_utf8_lossy(text).into_owned(),
        false => text.escape_ascii().to_string(),
    }
}

/// `toplabel` of §7.1: not all digits, and no hyphen at an end.
fn is_top_label(label: &[u8]) -> bool {
    let legal = |b: &u8| b.is_ascii_alphanumeric() || *b == b'-';
    let ends = [label.first(), label.last()];
    label.iter().all(legal)
        && ends
            .iter()
            .all(|end| end.is_some_and(u8::is_ascii_alphanumeric))
        && !label.iter().all(u8::is_ascii_digit)
}

/// With one blank between its terms.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("v=spf1")?;
        for term in &self.terms {
            write!(f, " {}", term.text)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
