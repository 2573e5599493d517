//! For whom a row of a signing table is: OpenDKIM's form of it, and ours.

use super::dataset::Pattern;

/// Why a pattern matches nobody, of which the data set has a remark.
pub(super) const REGULAR: &str = "it is a regular expression, which only * is meant to be";

const BLANK: &str = "no author has an address with a blank or a control character in it";

fn unwritten(c: char) -> bool {
    c.is_whitespace() || c.is_control()
}

/// The authors that a row is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Scope {
    /// As a rule has it: an address, `*@domain`, `.domain`, or a pattern.
    pub(super) from: String,
    /// The pattern of the whole address.
    pattern: String,
    /// The one domain, in lower case, where there is just one.
    pub(super) domain: Option<String>,
}

impl Scope {
    /// A row of a file of patterns. One without an @ is held against the whole address, so that any of its
    /// stars may stand for the @ as well: a scope for each.
    ///
    /// # Errors
    /// Why no author matches it.
    pub(super) fn of_pattern(key: &str) -> Result<Vec<Scope>, &'static str> {
        if !Pattern::new(key, true).is_legible() {
            return Err(REGULAR);
        }
        if key.contains(unwritten) {
            return Err(BLANK);
        }
        if !key.contains(['*', '@']) {
            return Err(
                "a pattern is held against the whole address, and this one has no @: write *@ before a domain",
            );
        }
        let same = |pattern: String| Scope::new(pattern.clone(), pattern);
        if key == "*" || key.contains('@') {
            return Ok(vec![same(key.to_owned())]);
        }
        let stars = key.match_indices('*');
        Ok(stars
            .map(|(at, _)| same(format!("{}@{}", &key[..=at], &key[at..])))
            .collect())
    }

    /// A row of a table without patterns, and how early OpenDKIM asks for it: the least number comes first.
    ///
    /// # Errors
    /// Why no author matches it.
    pub(super) fn of_key(key: &str) -> Result<(Order, Scope), &'static str> {
        if key.contains(unwritten) {
            return Err(BLANK);
        }
        let user_and_host = match key.rsplit_once('@') {
            Some(("", _)) => return Err("no author has an address that begins with @"),
            Some((user, _)) if user.contains('*') => {
                return Err(
                    "* is no wildcard here: OpenDKIM asks for it as it stands, and a domain alone is for all its users",
                );
            }
            Some((user, host)) => (user, host),
            None => ("*", key),
        };
        let alone = !key.contains('@');
        let (user, host) = user_and_host;
        let order = |class, host: &str| {
            // The nearest parent is the one with the most labels.
            let labels = host.matches('.').count();
            Order(class, std::cmp::Reverse(labels), alone)
        };
        let (order, from, pattern) = match host {
            "" | "." => return Err("no author has such a domain"),
            "*" if alone => (order(3, ""), "*".to_owned(), "*".to_owned()),
            "*" => (order(2, ""), key.to_owned(), key.to_owned()),
            _ if host.contains('*') => {
                return Err("* is no wildcard here: name a file of patterns with refile:");
            }
            parent if parent.starts_with('.') => {
                let pattern = format!("{user}@*{parent}");
                let from = if alone {
                    parent.to_owned()
                } else {
                    pattern.clone()
                };
                (order(1, parent), from, pattern)
            }
            _ => {
                let pattern = format!("{user}@{host}");
                (order(0, ""), pattern.clone(), pattern)
            }
        };
        Ok((order, Scope::new(from, pattern)))
    }

    /// All authors of a domain.
    pub(super) fn of_domain(domain: &str) -> Scope {
        let all = format!("*@{domain}");
        Scope::new(all.clone(), all)
    }

    /// All authors below a domain.
    pub(super) fn below(domain: &str) -> Scope {
        Scope::new(format!(".{domain}"), format!("*@*.{domain}"))
    }

    fn new(from: String, pattern: String) -> Scope {
        let domain = pattern.rsplit_once('@').map(|(_, domain)| domain);
        let domain = domain.filter(|domain| !domain.contains('*'));
        let domain = domain.map(str::to_ascii_lowercase);
        Scope {
            from,
            pattern,
            domain,
        }
    }

    /// Those of its authors that are of `domain`.
    pub(super) fn narrowed(&self, domain: &str) -> Option<Scope> {
        let matches =
            |pattern: &str| Pattern::new(pattern, true).is_match(&domain.to_ascii_lowercase());
        // Anybody, where there is no @.
        let (users, hosts) = self.pattern.rsplit_once('@').unwrap_or(("*", "*"));
        matches(hosts).then(|| {
            let narrow = format!("{users}@{domain}");
            Scope::new(narrow.clone(), narrow)
        })
    }

    /// Those of its authors whose domain matches a pattern; `None` where no pattern says so, or nobody is left.
    pub(super) fn narrowed_to(&self, hosts: &str) -> Option<Scope> {
        if !hosts.contains('*') {
            return self.narrowed(hosts);
        }
        let (users, own) = self.pattern.rsplit_once('@').unwrap_or(("*", "*"));
        // Of two endings the longer one holds.
        let ending = |text: &str| {
            text.strip_prefix('*')
                .filter(|end| !end.contains('*'))
                .map(str::to_ascii_lowercase)
        };
        let narrow = match (ending(own), ending(hosts)) {
            (Some(a), Some(b)) if a.ends_with(&b) => own,
            (Some(a), Some(b)) if b.ends_with(&a) => hosts,
            (None, Some(end)) if end.is_empty() => own,
            (Some(end), None) if end.is_empty() => hosts,
            _ => return None,
        };
        let narrow = format!("{users}@{narrow}");
        Some(Scope::new(narrow.clone(), narrow))
    }
}

/// When OpenDKIM asks a table without patterns for a key, an author at a time: the address and the domain, each
/// parent from the nearest on, the user of any domain, and anybody; for each of them the user first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Order(u8, std::cmp::Reverse<usize>, bool);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sorted_as_opendkim_asks_for_them() {
        let mut keys = [
            "*",
            "u@*",
            ".example",
            "u@.example",
            ".b.example",
            "b.example",
            "u@.b.example",
            "u@b.example",
        ];
        keys.sort_by_key(|key| Scope::of_key(key).unwrap().0);
        let froms = keys.map(|key| Scope::of_key(key).unwrap().1.from);
        assert_eq!(
            froms,
            [
                "u@b.example",
                "*@b.example",
                "u@*.b.example",
                ".b.example",
                "u@*.example",
                ".example",
                "u@*",
                "*",
            ]
        );
        for never in [
            "@b.example",
            "*@b.example",
            "u@",
            ".",
            "*.example",
            "u@*.example",
        ] {
            assert!(Scope::of_key(never).is_err(), "{never}");
        }
        for never in ["b.example", ".example", "u?@b.example"] {
            assert!(Scope::of_pattern(never).is_err(), "{never}");
        }
    }

    #[test]
    fn every_star_may_stand_for_the_at() {
        for (pattern, froms) in [
            ("*", vec!["*"]),
            ("*@*.example", vec!["*@*.example"]),
            ("*.example", vec!["*@*.example"]),
            ("u*x*.example", vec!["u*@*x*.example", "u*x*@*.example"]),
        ] {
            let scopes = Scope::of_pattern(pattern).unwrap();
            let got: Vec<&str> = scopes.iter().map(|scope| scope.from.as_str()).collect();
            assert_eq!(got, froms, "{pattern}");
        }
    }

    #[test]
    fn authors_are_narrowed_to_a_domain() {
        for (pattern, domain, from) in [
            ("*", "b.example", Some("*@b.example")),
            ("*@*.example", "b.example", Some("*@b.example")),
            ("u*@B.example", "b.example", Some("u*@b.example")),
            ("*@*.example", "example", None),
        ] {
            let got = Scope::of_pattern(pattern).unwrap()[0].narrowed(domain);
            assert_eq!(
                got.map(|scope| scope.from).as_deref(),
                from,
                "{pattern} {domain}"
            );
        }
        for (pattern, hosts, from) in [
            ("*", "*.example", Some("*@*.example")),
            ("u@*", "*.example", Some("u@*.example")),
            ("u@*.example", "*", Some("u@*.example")),
            ("u@*.example", "*.b.example", Some("u@*.b.example")),
            ("u@*.org", "*.b.example", None),
            ("u@b.*", "*", Some("u@b.*")),
            ("u@b.*", "*.example", None),
            ("u@*", "mail.*", Some("u@mail.*")),
        ] {
            let got = Scope::of_pattern(pattern).unwrap()[0].narrowed_to(hosts);
            assert_eq!(
                got.map(|scope| scope.from).as_deref(),
                from,
                "{pattern} {hosts}"
            );
        }
    }
}
