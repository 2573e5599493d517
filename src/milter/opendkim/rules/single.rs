//! One key for a set of domains: Domain, Selector and KeyFile.

use std::collections::HashSet;

use super::{Row, Rule, Translation};
use crate::milter::opendkim::dataset::DataSet;
use crate::milter::opendkim::import::ImportedKey;
use crate::milter::opendkim::keytable::KeySource;
use crate::milter::opendkim::scope::Scope;
use crate::name::{Domain, Selector};

/// The one key, for some domains.
pub(in crate::milter::opendkim) struct Single<'a> {
    pub(in crate::milter::opendkim) domains: &'a DataSet,
    pub(in crate::milter::opendkim) selector: &'a str,
    pub(in crate::milter::opendkim) key: &'a str,
    pub(in crate::milter::opendkim) subdomains: bool,
}

impl Translation {
    pub(super) fn single(&mut self, single: &Single<'_>) {
        let file = single.domains.source();
        let left = |line, why: String| {
            let file = file.to_owned();
            Row::Left { file, line, why }
        };
        let Ok(selector) = Selector::new(single.selector) else {
            let why = format!("{:?} is no selector", single.selector);
            let line = single
                .domains
                .entries()
                .first()
                .map_or(0, |entry| entry.line);
            return self.push(left(line, why), None);
        };
        let rule = |scope: Scope, domain: &str, line| Rule {
            from: scope.from,
            domain: domain.to_owned(),
            selector: selector.clone(),
            pinned: true,
            identity: None,
            remark: None,
            key: None,
            file: file.to_owned(),
            line,
        };
        let mut below: Vec<Rule> = Vec::new();
        let mut seen = HashSet::new();
        for entry in single.domains.entries() {
            let (line, text) = (entry.line, entry.key.as_str());
            if !seen.insert(text.to_ascii_lowercase()) {
                continue;
            }
            if single.domains.has_patterns() && text.contains('*') {
                let whole = format!("*@{text}");
                if let Err(why) = Scope::of_pattern(&whole) {
                    self.push(left(line, why.to_owned()), None);
                    continue;
                }
                let mut rule = rule(Scope::of_domain(text), "%", line);
                rule.key = Some(single.key.to_owned());
                self.push(Row::Rule(rule), None);
                if single.subdomains && !text.starts_with('*') {
                    let why = format!(
                        "what lies below of {text} is not signed: no rule says which parent matches it"
                    );
                    self.push(left(line, why), None);
                }
                continue;
            }
            let domain = match Domain::new(text) {
                Ok(domain) => domain,
                Err(error) => {
                    self.push(
                        left(line, format!("{text:?} is not signed for: {error}")),
                        None,
                    );
                    continue;
                }
            };
            let name = domain.as_str().to_ascii_lowercase();
            self.keys.push(ImportedKey {
                domain,
                selector: selector.clone(),
                source: KeySource::Path(single.key.to_owned()),
                signs: true,
                file: file.to_owned(),
                line,
            });
            self.push(Row::Rule(rule(Scope::of_domain(&name), &name, line)), None);
            if single.subdomains {
                let mut rule = rule(Scope::below(&name), &name, line);
                rule.identity = Some(format!("@{name}"));
                below.push(rule);
            }
        }
        // The domain itself comes before its parents, and a near parent before a far one.
        below.sort_by_key(|rule| std::cmp::Reverse(rule.domain.matches('.').count()));
        for rule in below {
            self.push(Row::Rule(rule), None);
        }
    }
}
