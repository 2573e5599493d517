//! Canonicalization: the two forms of RFC 6376 §3.4, each streaming into a [`Sink`].

pub mod body;
pub mod header;

use std::fmt;

/// Takes bytes: a hash, a vector, standard output.
pub trait Sink {
    /// Takes the next bytes. The cuts between calls mean nothing.
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl<S: Sink + ?Sized> Sink for &mut S {
    fn put(&mut self, bytes: &[u8]) {
        (**self).put(bytes);
    }
}

/// One of the two canonicalization algorithms (RFC 6376 §3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Canon {
    /// Tolerates almost no modification (§3.4.1, §3.4.3).
    Simple,
    /// Tolerates changes of white space and of the letter case of field names (§3.4.2, §3.4.4).
    Relaxed,
}

impl Canon {
    /// The word of c=.
    pub fn as_str(self) -> &'static str {
        match self {
            Canon::Simple => "simple",
            Canon::Relaxed => "relaxed",
        }
    }

    /// Reads a word of c=; RFC 5234 §2.3 makes its letter case irrelevant.
    pub fn from_word(word: &str) -> Option<Canon> {
        [Canon::Simple, Canon::Relaxed]
            .into_iter()
            .find(|c| word.eq_ignore_ascii_case(c.as_str()))
    }
}

/// The pair that c= names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Canonicalization {
    /// The algorithm for the header.
    pub header: Canon,
    /// The algorithm for the body.
    pub body: Canon,
}

impl Canonicalization {
    /// `relaxed/relaxed`, what `dkimkit` signs with unless told otherwise.
    pub const RELAXED: Canonicalization = Canonicalization {
        header: Canon::Relaxed,
        body: Canon::Relaxed,
    };

    /// `simple/simple`, what an absent c= means (RFC 6376 §3.5).
    pub const SIMPLE: Canonicalization = Canonicalization {
        header: Canon::Simple,
        body: Canon::Simple,
    };

    /// Reads the value of c=: `relaxed/simple`, or `relaxed` alone, after which the body is simple.
    ///
    /// ```
    /// use dkimkit::canon::Canonicalization;
    /// assert_eq!(Canonicalization::from_tag("relaxed").unwrap().to_string(), "relaxed/simple");
    /// assert!(Canonicalization::from_tag("relaxed/nowsp").is_none());
    /// ```
    pub fn from_tag(value: &str) -> Option<Canonicalization> {
        let (header, body) = value.split_once('/').unwrap_or((value, "simple"));
        Some(Canonicalization {
            header: Canon::from_word(header)?,
            body: Canon::from_word(body)?,
        })
    }
}

impl Canonicalization {
    /// The value of c=, in full.
    pub fn as_str(self) -> &'static str {
        match (self.header, self.body) {
            (Canon::Simple, Canon::Simple) => "simple/simple",
            (Canon::Simple, Canon::Relaxed) => "simple/relaxed",
            (Canon::Relaxed, Canon::Simple) => "relaxed/simple",
            (Canon::Relaxed, Canon::Relaxed) => "relaxed/relaxed",
        }
    }
}

impl fmt::Display for Canonicalization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
