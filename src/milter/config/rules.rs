//! Which rule signs for an author.

use std::collections::HashMap;

use crate::milter::pattern;
use crate::name::{Domain, Selector};

/// Says with which key an author is signed for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// For whom, as it was written.
    pub from: String,
    /// d=; `None` is the domain of the author.
    pub domain: Option<Domain>,
    /// s=; `None` is every active selector of the store.
    pub selector: Option<Selector>,
    /// i=, in which `%` is the domain of the author.
    pub identity: Option<String>,
    /// A file in place of the store, in which `%` is the domain of the author.
    pub key: Option<String>,
}

/// Rules in their order, found fast.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    rules: Vec<Rule>,
    all: bool,
    addresses: HashMap<String, Vec<usize>>,
    domains: HashMap<String, Vec<usize>>,
    /// Domains for whatever lies below them.
    suffixes: HashMap<String, Vec<usize>>,
    patterns: Vec<(String, usize)>,
}

/// For whom a rule is.
enum Whom {
    Address(String),
    Domain(String),
    Below(String),
    Pattern(String),
}

impl Rules {
    /// Rules of which the first that matches counts, or `all`.
    pub fn new(rules: Vec<Rule>, all: bool) -> Rules {
        let mut index = Rules {
            all,
            ..Rules::default()
        };
        for (at, rule) in rules.iter().enumerate() {
            match whom(&rule.from) {
                Whom::Address(address) => index.addresses.entry(address).or_default().push(at),
                Whom::Domain(domain) => index.domains.entry(domain).or_default().push(at),
                Whom::Below(domain) => index.suffixes.entry(domain).or_default().push(at),
                Whom::Pattern(pattern) => index.patterns.push((pattern, at)),
            }
        }
        index.rules = rules;
        index
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// All of them, in their order.
    pub fn all(&self) -> &[Rule] {
        &self.rules
    }

    /// The rules for an author (`local@domain`, the domain in A-labels) that count, with their numbers from 1.
    ///
    /// ```
    /// use dkimkit::milter::config::{Rule, Rules};
    /// let rule = |from: &str| Rule { from: from.to_owned(), domain: None, selector: None, identity: None, key: None };
    /// let rules = Rules::new(vec![rule("*-news@example.com"), rule("example.com"), rule(".example.com")], false);
    /// let number = |author| rules.of(author).first().map(|(number, _)| *number);
    /// assert_eq!(number("a-News@example.com"), Some(1));
    /// assert_eq!(number("a@EXAMPLE.com"), Some(2));
    /// assert_eq!(number("a@b.c.example.com"), Some(3));
    /// assert_eq!(number("a@example.net"), None);
    /// ```
    pub fn of(&self, author: &str) -> Vec<(usize, &Rule)> {
        let author = author.to_ascii_lowercase();
        let Some((_, domain)) = author.rsplit_once('@') else {
            return Vec::new();
        };
        let parents = domain.match_indices('.').map(|(at, _)| &domain[at + 1..]);
        let patterns = self.patterns.iter();
        let patterns = patterns.filter(|(pattern, _)| pattern::is_match(pattern, &author));
        let mut found: Vec<usize> = self
            .addresses
            .get(&author)
            .into_iter()
            .flatten()
            .copied()
            .collect();
        found.extend(self.domains.get(domain).into_iter().flatten());
        found.extend(
            parents
                .filter_map(|parent| self.suffixes.get(parent))
                .flatten(),
        );
        found.extend(patterns.map(|(_, at)| at));
        found.sort_unstable();
        if !self.all {
            found.truncate(1);
        }
        let rule = |at: usize| (at + 1, &self.rules[at]);
        found.into_iter().map(rule).collect()
    }
}

/// Whether a text can name authors: an address, a domain, or a pattern.
pub(super) fn is_author(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_whitespace) && !text.contains(char::is_control)
}

fn whom(from: &str) -> Whom {
    let from = from.to_ascii_lowercase();
    let (local, domain) = match from.rsplit_once('@') {
        Some((local, domain)) => (local, domain),
        None => ("*", from.as_str()),
    };
    // A domain below is written with a dot, or with a star before the dot.
    let (below, bare) = match domain.strip_prefix("*.").or(domain.strip_prefix('.')) {
        Some(bare) => (true, bare),
        None => (false, domain),
    };
    let ascii = Domain::new(bare).map(|d| d.as_ascii().to_owned());
    match (local, below, ascii) {
        ("*", true, Ok(bare)) => Whom::Below(bare),
        ("*", false, Ok(bare)) => Whom::Domain(bare),
        (local, false, Ok(bare)) if !local.contains('*') => {
            Whom::Address(format!("{local}@{bare}"))
        }
        (local, true, Ok(bare)) => Whom::Pattern(format!("{local}@*.{bare}")),
        (local, false, Ok(bare)) => Whom::Pattern(format!("{local}@{bare}")),
        (_, _, Err(_)) => Whom::Pattern(from),
    }
}
