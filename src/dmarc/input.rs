//! What is judged: an author, and what SPF and DKIM say.

use crate::author::Authors;
use crate::name::{Domain, Selector};
use crate::report::{ResultWord, Verdict};

/// What is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Whose domain stands in From.
    pub author: Author,
    /// What SPF says.
    pub spf: Option<SpfIdentity>,
    /// The same where SPF was judged, but for what is no name of a domain, and so cannot be aligned with one.
    pub nameless: Option<Nameless>,
    /// What DKIM says of each signature.
    pub dkim: Vec<DkimIdentity>,
    /// Whether the organizational domain of identifiers that cannot be aligned is looked up too, for the report.
    pub thorough: bool,
}

impl Input {
    /// A message of this author for which nobody vouches yet.
    pub fn new(author: Author) -> Input {
        Input {
            author,
            spf: None,
            nameless: None,
            dkim: Vec::new(),
            thorough: false,
        }
    }

    /// Whether SPF was judged, with whatever result.
    pub(super) fn has_spf(&self) -> bool {
        self.spf.is_some() || self.nameless.is_some()
    }
}

/// Whose domain stands in From (§5.3.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Author {
    /// One domain, which several addresses may share.
    One(Domain),
    /// Several: DMARC does not apply.
    Several(Vec<Domain>),
    /// None: there is no From, or no address in it. DMARC does not apply.
    None,
    /// There are several From fields (§4.4).
    Repeated,
    /// Not every mailbox of From can be read, or has a domain (§4.4).
    Unreadable,
}

impl Author {
    /// What the From fields of a message say.
    ///
    /// ```
    /// use dkimkit::author::Authors;
    /// use dkimkit::dmarc::Author;
    /// use dkimkit::message::{Header, HeaderLimits};
    /// let header = Header::parse(b"From: a@example.com, b@example.com\r\n", HeaderLimits::default())?;
    /// let Author::One(domain) = Author::of(&Authors::of(&header)) else { panic!() };
    /// assert_eq!(domain.as_ascii(), "example.com");
    /// # Ok::<(), dkimkit::message::SplitError>(())
    /// ```
    pub fn of(authors: &Authors) -> Author {
        match authors.domains() {
            _ if authors.fields() > 1 => Author::Repeated,
            _ if !authors.all_have_domains() => Author::Unreadable,
            [] => Author::None,
            [domain] => Author::One(domain.clone()),
            several => Author::Several(several.to_vec()),
        }
    }
}

/// What SPF says of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpfIdentity {
    /// Where the domain comes from.
    pub scope: SpfScope,
    /// The domain.
    pub domain: Domain,
    /// The result.
    pub result: SpfWord,
}

/// What SPF says of what is no name of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nameless {
    /// What SPF was judged for, escaped.
    pub text: String,
    /// The result.
    pub result: SpfWord,
}

/// Where the domain of SPF comes from. HELO alone is none for DMARC (§4.4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpfScope {
    /// MAIL FROM has an address.
    MailFrom,
    /// MAIL FROM is empty, so that HELO stands for its domain (§3.2.4, RFC 7208 §2.4).
    EmptyMailFrom,
}

/// A result of SPF (RFC 7208 §2.6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum SpfWord {
    None,
    Neutral,
    Pass,
    Fail,
    SoftFail,
    TempError,
    PermError,
}

impl SpfWord {
    const ALL: [SpfWord; 7] = [
        SpfWord::None,
        SpfWord::Neutral,
        SpfWord::Pass,
        SpfWord::Fail,
        SpfWord::SoftFail,
        SpfWord::TempError,
        SpfWord::PermError,
    ];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            SpfWord::None => "none",
            SpfWord::Neutral => "neutral",
            SpfWord::Pass => "pass",
            SpfWord::Fail => "fail",
            SpfWord::SoftFail => "softfail",
            SpfWord::TempError => "temperror",
            SpfWord::PermError => "permerror",
        }
    }

    /// Reads the word.
    pub fn from_word(word: &str) -> Option<SpfWord> {
        let mut all = SpfWord::ALL.into_iter();
        all.find(|result| result.as_str().eq_ignore_ascii_case(word))
    }
}

/// What DKIM says of a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DkimIdentity {
    /// d=
    pub domain: Domain,
    /// s=
    pub selector: Option<Selector>,
    /// The result.
    pub result: ResultWord,
}

impl DkimIdentity {
    /// What a verdict says; none where d= could not be read.
    pub fn of(verdict: &Verdict) -> Option<DkimIdentity> {
        Some(DkimIdentity {
            domain: verdict.claims.domain.clone()?,
            selector: verdict.claims.selector.clone(),
            result: verdict.result(),
        })
    }
}
