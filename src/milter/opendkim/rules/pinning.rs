//! Which rules name their selector, and which keys there are in the end.

use std::collections::{HashMap, HashSet};

use super::{Row, Translation};
use crate::milter::opendkim::import::ImportedKey;
use crate::milter::opendkim::keytable::KeySource;
use crate::name::{Domain, Selector};

impl Translation {
    /// Each key once.
    pub(super) fn merge_keys(&mut self) {
        let mut merged: Vec<ImportedKey> = Vec::new();
        let mut places = HashMap::new();
        for key in std::mem::take(&mut self.keys) {
            let path = match &key.source {
                KeySource::Path(text) | KeySource::Inline(text) => text.clone(),
            };
            let name = (
                key.domain.as_ascii().to_owned(),
                key.selector.as_ascii().to_owned(),
                path,
            );
            match places.get(&name) {
                Some(at) => {
                    let known: &mut ImportedKey = &mut merged[*at];
                    known.signs |= key.signs;
                }
                None => {
                    places.insert(name, merged.len());
                    merged.push(key);
                }
            }
        }
        self.keys = merged;
    }

    /// Where a domain signs with one selector, its rules do not name it.
    pub(super) fn pin(&mut self) {
        let mut used: Vec<(&Domain, &Selector)> = Vec::new();
        let mut several = HashSet::new();
        let mut by_domain = HashMap::new();
        for key in self.keys.iter().filter(|key| key.signs) {
            used.push((&key.domain, &key.selector));
            if *by_domain.entry(&key.domain).or_insert(&key.selector) != &key.selector {
                several.insert(&key.domain);
            }
        }
        for (row, scope) in self.rows.iter_mut().zip(&self.scopes) {
            let Row::Rule(rule) = row else { continue };
            rule.pinned = match scope {
                _ if rule.key.is_some() => true,
                Some(scope) => used
                    .iter()
                    .filter(|(domain, _)| scope.narrowed(domain.as_str()).is_some())
                    .any(|(_, selector)| **selector != rule.selector),
                None => Domain::new(&rule.domain).is_ok_and(|domain| several.contains(&domain)),
            };
        }
    }
}
