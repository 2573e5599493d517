//! Who wrote the message: the mailboxes of its From fields, and how a signing domain stands to them.
//!
//! A signature vouches for an author only if nobody can read another author out of the same field. So the
//! field is read by the grammar of RFC 5322 §3.4, and what does not fit it to the last byte has no author at all: a lenient reader drops the mailbox that another one shows.

use std::cmp::Reverse;

use crate::message::Header;
use crate::name::{Alignment, Domain};

/// The mailboxes of all From fields, from the top down (RFC 5322 §3.6.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authors {
    fields: usize,
    mailboxes: usize,
    unreadable: bool,
    domains: Vec<Domain>,
    addresses: Vec<Address>,
}

/// The address of a mailbox (RFC 5322 §3.4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// What stands before the `@`, without quotes and backslashes.
    pub local_part: Vec<u8>,
    /// What stands behind it.
    pub domain: Domain,
}

impl Address {
    /// The address as text for logs and patterns: the domain in lower case and A-labels, bytes of the local
    /// part that are not UTF-8 as U+FFFD.
    ///
    /// ```
    /// use dkimkit::author::Address;
    /// use dkimkit::name::Domain;
    /// let address = Address { local_part: b"Anna".to_vec(), domain: Domain::new("Example.com")? };
    /// assert_eq!(address.text(), "Anna@example.com");
    /// # Ok::<(), dkimkit::name::NameError>(())
    /// ```
    pub fn text(&self) -> String {
        let local = String::from_utf8_lossy(&self.local_part);
        format!("{local}@{}", self.domain.as_ascii())
    }
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
        Authors::in_field(header, "From")
    }

    /// Reads the fields called `name`, which hold mailboxes as From does: Sender, Resent-From and the like.
    pub fn in_field(header: &Header, name: &str) -> Authors {
        let mut authors = Authors {
            fields: 0,
            mailboxes: 0,
            unreadable: false,
            domains: Vec::new(),
            addresses: Vec::new(),
        };
        for field in header.fields().filter(|f| f.is(name)) {
            authors.fields += 1;
            match Reader::new(field.value()).mailboxes() {
                Some(found) => {
                    authors.mailboxes += found.len();
                    for mailbox in found {
                        authors.add(mailbox);
                    }
                }
                None => authors.unreadable = true,
            }
        }
        // A reader that takes a bare CR for a line end sees an author of its own.
        authors.unreadable |= header.has_bare_cr() && header.hidden(name) > 0;
        authors
    }

    fn add(&mut self, mailbox: Option<Mailbox>) {
        let Some((local_part, domain)) =
            mailbox.and_then(|(local_part, domain)| Some((local_part, Domain::new(&domain).ok()?)))
        else {
            self.unreadable = true;
            return;
        };
        if !self.domains.contains(&domain) {
            if self.domains.len() == MAX_DOMAINS {
                self.unreadable = true;
                return;
            }
            self.domains.push(domain.clone());
        }
        self.addresses.push(Address { local_part, domain });
    }

    /// How many From fields there are; RFC 5322 §3.6 allows one.
    pub fn fields(&self) -> usize {
        self.fields
    }

    /// How many mailboxes they name, those without a usable domain included.
    pub fn mailboxes(&self) -> usize {
        self.mailboxes
    }

    /// Whether every From field can be read, and every mailbox in it has a domain that stands in
    /// [`domains`](Self::domains).
    pub fn all_have_domains(&self) -> bool {
        !self.unreadable
    }

    /// Their domains, each once, in order.
    pub fn domains(&self) -> &[Domain] {
        &self.domains
    }

    /// The addresses of the mailboxes, in order; those without a usable domain are left out.
    ///
    /// ```
    /// use dkimkit::author::Authors;
    /// use dkimkit::message::{Header, HeaderLimits};
    /// let header = b"From: \"Doe, J.\" <\"j doe\"@Example.com>, b@example.net\r\n";
    /// let authors = Authors::of(&Header::parse(header, HeaderLimits::default())?);
    /// let texts: Vec<String> = authors.addresses().iter().map(|a| a.text()).collect();
    /// assert_eq!(texts, ["j doe@example.com", "b@example.net"]);
    /// # Ok::<(), dkimkit::message::SplitError>(())
    /// ```
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
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
        if self.unreadable {
            return None;
        }
        let relations = self.domains.iter().map(|from| domain.alignment(from));
        relations
            .max_by_key(|r| r.map_or(u8::MAX, |a| a as u8))
            .flatten()
    }

    /// The place of a signature by `domain` among others: first those that have the most labels in common with From, and
    /// among them the aligned ones. Whatever the organizational domain of the author is, all that belong to it (RFC 9989 §4.10.2) have
    /// more of its labels than any that does not: so strangers, however many, stand behind all that may decide.
    pub(crate) fn rank(&self, domain: &Domain) -> Rank {
        let alignment = self.alignment(domain);
        let common = self.domains.iter().map(|from| from.common_labels(domain));
        Rank(
            Reverse(common.min().unwrap_or(0)),
            alignment.map_or(u8::MAX, |alignment| alignment as u8),
        )
    }

    /// The place of a signature whose domain is not known.
    pub(crate) const LAST: Rank = Rank(Reverse(0), u8::MAX);
}

/// In which order signatures are looked at; the least is the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank(Reverse<usize>, u8);

/// More author domains than this, or more mailboxes in a field, count as unreadable.
const MAX_DOMAINS: usize = 100;
const MAX_MAILBOXES: usize = 1000;

/// Comments may stand within comments, so deep.
const MAX_DEPTH: usize = 50;

/// A local part and a domain.
type Mailbox = (Vec<u8>, String);

/// Reads a From value from left to right, each byte a constant number of times.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn new(value: &'a [u8]) -> Reader<'a> {
        Reader { rest: value }
    }

    /// All mailboxes, `None` for one without a domain; or `None` where the value is not a list of mailboxes
    /// and groups to its end (mailbox-list, and address-list since RFC 6854).
    fn mailboxes(mut self) -> Option<Vec<Option<Mailbox>>> {
        let mut found = Vec::new();
        let mut in_group = false;
        loop {
            self.blanks()?;
            match self.rest.first() {
                None if in_group => return None,
                None => return Some(found),
                // Empty items of a list are obsolete and mean nothing (RFC 5322 §4.4).
                Some(b',') => self.skip(),
                Some(b';') if in_group => {
                    in_group = false;
                    self.skip();
                    self.end_of_item(false)?;
                }
                Some(_) => {
                    let words = self.words()?;
                    match self.rest.first() {
                        Some(b':') if !in_group && !words.is_empty() => {
                            in_group = true;
                            self.skip();
                            continue;
                        }
                        Some(b'<') => {
                            self.skip();
                            found.push(self.angle_address()?);
                        }
                        Some(b'@') if words.is_local_part() => {
                            self.skip();
                            let domain = self.domain()?;
                            self.blanks()?;
                            // An address as the name of itself is no grammar, but in use; as the name of
                            // another one it is a lie.
                            if self.rest.first() == Some(&b'<') {
                                self.skip();
                                let same = |inner: &Mailbox| inner.1.eq_ignore_ascii_case(&domain);
                                if !self.angle_address()?.as_ref().is_some_and(same) {
                                    return None;
                                }
                            }
                            found.push(Some((words.local, domain)));
                        }
                        // A name alone: a mailbox of the reader's own system, if anything.
                        _ if !words.is_empty() => found.push(None),
                        _ => return None,
                    }
                    if found.len() > MAX_MAILBOXES {
                        return None;
                    }
                    self.end_of_item(in_group)?;
                }
            }
        }
    }

    /// Behind an item a comma stands, or the end of the list or group.
    fn end_of_item(&mut self, in_group: bool) -> Option<()> {
        self.blanks()?;
        match self.rest.first() {
            None | Some(b',') => Some(()),
            Some(b';') if in_group => Some(()),
            Some(_) => None,
        }
    }

    /// What stands between `<` and `>`, without a route, which RFC 5322 §4.4 has for obsolete and nobody
    /// reads alike.
    fn angle_address(&mut self) -> Option<Option<Mailbox>> {
        self.blanks()?;
        let local = self.words()?;
        if !local.is_local_part() {
            return None;
        }
        let domain = match self.rest.first() {
            Some(b'@') => {
                self.skip();
                Some(self.domain()?)
            }
            _ => None,
        };
        self.blanks()?;
        if self.rest.first() != Some(&b'>') {
            return None;
        }
        self.skip();
        Some(domain.map(|domain| (local.local, domain)))
    }

    /// Atoms with dots between them. A domain literal has no name and is no author of ours.
    fn domain(&mut self) -> Option<String> {
        self.blanks()?;
        let words = self.words()?;
        let text = std::str::from_utf8(&words.text).ok()?;
        words.is_domain().then(|| text.to_owned())
    }

    /// Atoms, quoted strings and dots, up to something else.
    fn words(&mut self) -> Option<Words> {
        let mut words = Words::default();
        loop {
            match self.rest.first() {
                Some(b'"') => {
                    let (plain, text) = self.quoted_string()?;
                    words.add_quoted(plain);
                    words.local.extend(text);
                }
                Some(b'.') => {
                    self.skip();
                    words.add_dot();
                }
                // No grammar has brackets in a name, but many names have.
                Some(b'[' | b']') => {
                    self.skip();
                    words.add_quoted(false);
                }
                Some(b) if is_atext(*b) => {
                    let len = self.rest.iter().take_while(|b| is_atext(**b)).count();
                    words.add(&self.rest[..len]);
                    self.rest = &self.rest[len..];
                }
                _ => return Some(words),
            }
            let before = self.rest.len();
            self.blanks()?;
            words.gap = self.rest.len() < before;
        }
    }

    /// Its text, and whether it holds nothing that another reader could take for the syntax of an address.
    fn quoted_string(&mut self) -> Option<(bool, Vec<u8>)> {
        self.skip();
        let mut plain = true;
        let mut text = Vec::new();
        loop {
            match self.next()? {
                b'"' => return Some((plain, text)),
                b'\\' => {
                    text.push(self.next()?);
                    plain = false;
                }
                // What an encoded word hides, a reader that decodes it shows (RFC 2047 §5).
                b'=' if self.rest.first() == Some(&b'?') => {
                    text.push(b'=');
                    plain = false;
                }
                byte => {
                    text.push(byte);
                    plain &= !b"@<>(),;:".contains(&byte);
                }
            }
        }
    }

    /// White space, folds and comments.
    fn blanks(&mut self) -> Option<()> {
        let mut depth = 0;
        loop {
            match self.rest.first() {
                Some(b' ' | b'\t') => self.skip(),
                Some(b'\r') if self.rest.starts_with(b"\r\n") => {
                    self.skip();
                    self.skip();
                }
                Some(b'(') if depth == MAX_DEPTH => return None,
                Some(b'(') => {
                    depth += 1;
                    self.skip();
                }
                Some(b')') if depth > 0 => {
                    depth -= 1;
                    self.skip();
                }
                Some(b'\\') if depth > 0 => {
                    self.skip();
                    self.next()?;
                }
                Some(_) if depth > 0 => {
                    self.next()?;
                }
                None if depth > 0 => return None,
                _ => return Some(()),
            }
        }
    }

    /// The next byte within a quoted string or comment; no control character may stand there.
    fn next(&mut self) -> Option<u8> {
        if self.rest.starts_with(b"\r\n") {
            self.skip();
        } else if matches!(self.rest.first(), Some(0..=8 | 10..=31 | 127)) {
            return None;
        }
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(byte)
    }

    fn skip(&mut self) {
        self.rest = &self.rest[1..];
    }
}

/// A run of atoms and quoted strings, some of them with dots between: a name, or a part of an address.
#[derive(Default)]
struct Words {
    text: Vec<u8>,
    /// The text with that of quoted strings.
    local: Vec<u8>,
    count: usize,
    quoted: bool,
    /// Whether a dot was the last that came.
    dot: bool,
    /// Whether blanks or a comment stand behind what came last.
    gap: bool,
    /// Whether it is no part of an address: two words without a dot between, blanks or comments at a dot
    /// (obsolete, and the place where other readers stop), or what looks like an address within quotes.
    name_alone: bool,
    /// Whether a dot stands at the start or behind another.
    odd_dot: bool,
}

impl Words {
    fn add(&mut self, word: &[u8]) {
        self.name_alone |= self.count > 0 && !self.dot || self.dot && self.gap;
        self.dot = false;
        self.count += 1;
        self.text.extend_from_slice(word);
        self.local.extend_from_slice(word);
    }

    fn add_quoted(&mut self, plain: bool) {
        self.quoted = true;
        self.name_alone |= !plain;
        self.add(b"");
    }

    fn add_dot(&mut self) {
        self.name_alone |= self.gap && !self.text.is_empty();
        self.odd_dot |= self.count == 0 || self.dot;
        self.dot = true;
        self.text.push(b'.');
        self.local.push(b'.');
    }

    fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Dots may stand anywhere in it, as some carriers let them; encoded words may not (RFC 2047 §5): a
    /// reader that decodes them shows another address.
    fn is_local_part(&self) -> bool {
        let encoded = memchr::memmem::find(&self.text, b"=?").is_some();
        !self.is_empty() && !self.name_alone && !encoded
    }

    fn is_domain(&self) -> bool {
        !self.is_empty() && !self.name_alone && !self.odd_dot && !self.dot && !self.quoted
    }
}

/// The bytes of an atom (RFC 5322 §3.2.3, and RFC 6532 §3.2 beyond ASCII; older text in 8 bits passes too).
fn is_atext(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
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
            ("b@EXAMPLE.com <a@example.com>", 1, vec!["example.com"]),
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
            ("a (x) @ (y) Example.com (z)", 1, vec!["example.com"]),
            ("[JIRA] a [x] <a@example.com>", 1, vec!["example.com"]),
            ("a..b.@example.com", 1, vec!["example.com"]),
            (
                "\"a\\\"@b.example\" <\"q q\"@example.com>",
                1,
                vec!["example.com"],
            ),
            ("J. R. Tolkien <j.r@example.com>", 1, vec!["example.com"]),
            (",a@example.com,,", 1, vec!["example.com"]),
            ("g:;, a@example.com", 1, vec!["example.com"]),
        ] {
            let got = authors(&format!("From: {from}\r\n"));
            let want = domains.iter().map(|d| (*d).to_owned()).collect();
            assert_eq!(got, (1, mailboxes, want), "{from}");
        }
    }

    /// Fields in which one reader sees another author than the next.
    #[test]
    fn what_two_readers_may_read_differently_has_no_author() {
        for from in [
            "",
            "postmaster",
            "=?utf-8?q?x=40evil.example?=",
            "=?utf-8?q?ceo=40good.example?= (good.example)",
            "<ceo@bank.example> <x@test.example>",
            "<a@good.example>b@evil.example",
            "<a@good.example, b@evil.example>",
            "<a@good.example>@evil.example",
            "ceo@bank.example <a@good.example>",
            "a@good.example b@evil.example",
            "a@good.example@evil.example",
            "a@good.example\0@evil.example",
            "a@good.example\r@evil.example",
            "<@route.example:a@good.example>",
            "a b@good.example",
            "x@bank.example\r\n .good.example",
            "x@bank.example (c) .good.example",
            "x@bank.example. good.example",
            "a .b@good.example",
            "a. b@good.example",
            "=?utf-8?q?ceo=40bank.example?=@good.example",
            "x <=?utf-8?q?ceo=40bank.example?=@good.example>",
            "\"ceo@bank.example> \"@good.example",
            "<\"ceo@bank.example> \"@good.example>",
            "\"=?utf-8?q?ceo=40bank.example=3E?=\"@good.example",
            "x <\"=?utf-8?q?ceo=40bank.example?=\"@good.example>",
            "a@good.example\u{200b}",
            "a@go\u{ad}od.example",
            "a@good\u{3002}example",
            "a@good..example",
            "a@.good.example",
            "a@[127.0.0.1]",
            "a@\"good.example\"",
            "\"a@good.example",
            "(a@good.example",
            "a@good.example)",
            "<a@good.example",
            "a@good.example>",
            "g: a@good.example",
            "g: h: a@good.example;;",
            "a@good.example; b@evil.example",
            "<>",
            "a@",
            "@good.example",
        ] {
            let header = format!("From: {from}\r\n");
            let header = Header::parse(header.as_bytes(), HeaderLimits::default()).unwrap();
            let authors = Authors::of(&header);
            let good = Domain::new("good.example").unwrap();
            let readable = authors.all_have_domains() && authors.mailboxes() > 0;
            assert!(!readable, "{from}: {authors:?}");
            assert_eq!(authors.alignment(&good), None, "{from}");
        }
        assert_eq!(authors("To: a@example.com\r\n").0, 0);
        assert_eq!(authors("From: a@b.c\r\nfrom: d@e.f\r\n").0, 2);
    }

    #[test]
    fn strangers_stand_behind_all_that_may_be_of_the_authors_organization() {
        for (from, order) in [
            (
                "ceo@mail.bank.example",
                [
                    "mail.bank.example",
                    "x.mail.bank.example",
                    "bank.example",
                    "other.bank.example",
                    "bank.evil.example",
                ]
                .as_slice(),
            ),
            (
                "ceo@a.mail.bank.co.test",
                &[
                    "b.mail.bank.co.test",
                    "bank.co.test",
                    "c.bank.co.test",
                    "evil.co.test",
                    "a.mail.test",
                ],
            ),
        ] {
            let header = format!("From: {from}\r\n");
            let header = Header::parse(header.as_bytes(), HeaderLimits::default()).unwrap();
            let authors = Authors::of(&header);
            let ranks = order
                .iter()
                .map(|name| authors.rank(&Domain::new(name).unwrap()));
            let ranks: Vec<Rank> = ranks.collect();
            assert!(ranks.is_sorted_by(|a, b| a < b), "{from}: {ranks:?}");
            assert!(ranks.iter().all(|rank| *rank < Authors::LAST));
        }
    }

    #[test]
    fn a_from_that_a_bare_cr_hides_makes_the_author_unreadable() {
        for (field, readable) in [
            ("X: a\rFrom: eve@evil.example", false),
            ("X: a\rfROM \t: eve@evil.example", false),
            ("X: a\r\rfrom:eve@evil.example", false),
            ("X: a\rFrom eve", true),
            ("X: a\r From: eve@evil.example", true),
            ("X: a\rSubject: x", true),
        ] {
            let header = format!("{field}\r\nFrom: a@good.example\r\n");
            let header = Header::parse(header.as_bytes(), HeaderLimits::default()).unwrap();
            assert_eq!(Authors::of(&header).all_have_domains(), readable, "{field}");
        }
    }

    #[test]
    fn comments_nest_up_to_a_depth_and_no_further() {
        for (open, close, readable) in [
            (50, 50, true),
            (51, 51, false),
            (51, 50, false),
            (50, 49, false),
        ] {
            let comment = "(".repeat(open) + &")".repeat(close);
            for from in [
                format!("{comment} a@example.com"),
                format!("a@example.com {comment}"),
            ] {
                let header = format!("From: {from}\r\n");
                let header = Header::parse(header.as_bytes(), HeaderLimits::default()).unwrap();
                let authors = Authors::of(&header);
                let found = authors.all_have_domains() && authors.mailboxes() == 1;
                assert_eq!(found, readable, "{open} {close}");
            }
        }
    }

    #[test]
    fn the_time_is_linear_in_the_field() {
        for unit in [
            "a@xxxxx,", "(", "\"", "<", "a.", "@", "\\", "( )", "a:b;", "a ",
        ] {
            let header = format!("From: {}\r\n", unit.repeat(1_500_000 / unit.len()));
            let header = Header::parse(header.as_bytes(), HeaderLimits::default()).unwrap();
            let authors = Authors::of(&header);
            assert!(authors.mailboxes() == 0 || !authors.all_have_domains());
        }
    }
}
