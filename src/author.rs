//! Who wrote the message: the mailboxes of its From fields, and how a signing domain stands to them.
//!
//! This is the one place of the core that needs a person's view of a field; `mail-parser` gives it. The
//! bytes that are hashed never pass through here.

use mail_parser::HeaderValue;
use mail_parser::parsers::MessageStream;

use crate::message::Header;
use crate::name::{Alignment, Domain};

/// The mailboxes of all From fields, from the top down (RFC 5322 §3.6.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authors {
    fields: usize,
    mailboxes: usize,
    without_domain: bool,
    domains: Vec<Domain>,
}

impl Authors {
    /// Reads the From fields of `header`.
    ///
    /// ```
    /// use dkimkit::author::Authors;
    /// use dkimkit::message::{Header, HeaderLimits};
    /// let header = Header::parse(b"From: \"a@b.example\" <c@Example.com>\r\n", HeaderLimits::default())?;
    /// let authors = Authors::of(&header);
    /// assert_eq!(authors.domains()[0].as_ascii(), "example.com");
    /// # Ok::<(), dkimkit::message::SplitError>(())
    /// ```
    pub fn of(header: &Header) -> Authors {
        let mut authors = Authors {
            fields: 0,
            mailboxes: 0,
            without_domain: false,
            domains: Vec::new(),
        };
        for field in header.fields().filter(|f| f.is("From")) {
            authors.fields += 1;
            for address in addresses(field.value()) {
                authors.mailboxes += 1;
                match domain_of(&address, field.value()) {
                    None => authors.without_domain = true,
                    Some(domain) if authors.domains.contains(&domain) => {}
                    Some(_) if authors.domains.len() == MAX_DOMAINS => {
                        authors.without_domain = true;
                    }
                    Some(domain) => authors.domains.push(domain),
                }
            }
        }
        authors
    }

    /// How many From fields there are; RFC 5322 §3.6 allows one.
    pub fn fields(&self) -> usize {
        self.fields
    }

    /// How many mailboxes they name, those without a usable domain included.
    pub fn mailboxes(&self) -> usize {
        self.mailboxes
    }

    /// Whether every mailbox has a domain that stands in [`domains`](Self::domains).
    pub fn all_have_domains(&self) -> bool {
        !self.without_domain
    }

    /// Their domains, each once, in order.
    pub fn domains(&self) -> &[Domain] {
        &self.domains
    }

    /// How `domain` is aligned with From: related to the domain of every mailbox, of which the most distant
    /// relation counts. `None` where one of them is a stranger or has no domain: a signature must not vouch
    /// for an author beside its own.
    ///
    /// ```
    /// use dkimkit::author::Authors;
    /// use dkimkit::message::{Header, HeaderLimits};
    /// use dkimkit::name::Domain;
    /// let header = b"From: ceo@bank.example, eve@evil.example\r\n";
    /// let authors = Authors::of(&Header::parse(header, HeaderLimits::default())?);
    /// assert_eq!(authors.alignment(&Domain::new("evil.example").unwrap()), None);
    /// # Ok::<(), dkimkit::message::SplitError>(())
    /// ```
    pub fn alignment(&self, domain: &Domain) -> Option<Alignment> {
        if self.without_domain {
            return None;
        }
        let relations = self.domains.iter().map(|from| domain.alignment(from));
        relations
            .max_by_key(|r| r.map_or(u8::MAX, |a| a as u8))
            .flatten()
    }
}

/// More author domains than this are not looked at.
const MAX_DOMAINS: usize = 100;

/// The addresses of a field's value, as `local@domain`.
fn addresses(value: &[u8]) -> Vec<String> {
    // The parser wants the end of the line too.
    let line = [value, b"\r\n"].concat();
    match MessageStream::new(&line).parse_address() {
        HeaderValue::Address(list) => list
            .iter()
            .filter_map(|a| a.address.as_deref().map(str::to_owned))
            .collect(),
        _ => Vec::new(),
    }
}

/// The domain of an address, if it also stands in the raw value: an encoded word cannot make one
/// (RFC 2047 §5).
fn domain_of(address: &str, raw: &[u8]) -> Option<Domain> {
    let (_, text) = address.rsplit_once('@')?;
    let finder = memchr::memmem::find(raw, text.as_bytes());
    finder.and_then(|_| Domain::new(text).ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::HeaderLimits;

    fn authors(header: &str) -> (usize, usize, Vec<String>) {
        let header = Header::parse(header.as_bytes(), HeaderLimits::default()).unwrap();
        let authors = Authors::of(&header);
        let domains = authors.domains().iter().map(|d| d.as_ascii().to_owned());
        (authors.fields(), authors.mailboxes(), domains.collect())
    }

    #[test]
    fn the_domains_are_those_of_the_addresses_alone() {
        for (from, mailboxes, domains) in [
            ("a@example.com", 1, vec!["example.com"]),
            ("<a@Example.COM>", 1, vec!["example.com"]),
            ("\"x@evil.example\" <a@example.com>", 1, vec!["example.com"]),
            ("x@evil.example <a@example.com>", 1, vec!["example.com"]),
            ("\"a@evil.example\"@example.com", 1, vec!["example.com"]),
            (
                "=?utf-8?q?x=40evil.example?= <a@example.com>",
                1,
                vec!["example.com"],
            ),
            ("a (x@evil.example) <a@example.com>", 1, vec!["example.com"]),
            (
                "a@example.com, b@example.net",
                2,
                vec!["example.com", "example.net"],
            ),
            ("a@example.com, b@EXAMPLE.com", 2, vec!["example.com"]),
            (
                "g: a@example.com, b@example.net;",
                2,
                vec!["example.com", "example.net"],
            ),
            (
                "J\u{fc}rgen <a@b\u{fc}cher.example>",
                1,
                vec!["xn--bcher-kva.example"],
            ),
            ("a@example.com\r\n\t(folded)", 1, vec!["example.com"]),
        ] {
            let got = authors(&format!("From: {from}\r\n"));
            let want = domains.iter().map(|d| (*d).to_owned()).collect();
            assert_eq!(got, (1, mailboxes, want), "{from}");
        }
    }

    #[test]
    fn what_has_no_domain_gives_none() {
        for from in [
            "",
            "undisclosed:;",
            "postmaster",
            "=?utf-8?q?x=40evil.example?=",
        ] {
            assert_eq!(authors(&format!("From: {from}\r\n")).2, [""; 0], "{from}");
        }
        assert_eq!(authors("To: a@example.com\r\n").0, 0);
        assert_eq!(authors("From: a@b.c\r\nfrom: d@e.f\r\n").0, 2);
    }
}
