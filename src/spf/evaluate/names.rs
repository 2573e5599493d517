//! The names of the client (RFC 7208 §5.5), for `ptr` and the macro p.

use super::super::MAX_NAMES;
use super::super::trace::{Asked, Step};
use super::Check;
use crate::dns::lookup::{DnsName, Pending, RecordType};

impl Check<'_> {
    /// §5.5: the names of the client that lead back to its address. Without a step nothing counts.
    ///
    /// One that cannot be looked up is skipped, and the client chooses how late that is known. So while answers are missing
    /// the check goes on with the names that are known, and asks for what it needs then; its end is that it waits. What
    /// comes out when none of the others is ever answered has all its answers by then.
    pub(super) fn validated_names(&mut self, step: Option<&mut Step>) -> Vec<DnsName> {
        let reverse = DnsName::of_address(self.ip);
        let Ok(found) = self.dns.look(&reverse, RecordType::Ptr) else {
            self.names_wait = true;
            return Vec::new();
        };
        if let Some(step) = step {
            step.asked
                .push(Asked::new(&reverse, RecordType::Ptr, &found));
            // Where DNS fails, the mechanism does not match, and the check goes on.
            step.found_nothing |= found.failure().is_none() && found.records().is_empty();
        }
        // §4.6.4: those behind the first ten are ignored.
        let names: Vec<&DnsName> = found
            .names()
            .filter(|name| !name.is_root())
            .take(MAX_NAMES)
            .collect();
        self.announce(names.iter().copied());
        let mut validated = Vec::new();
        for name in names {
            // A name whose lookup fails is skipped. Nor does it count as void: who has the address wrote it, not who has
            // the record.
            match self.dns.look(name, self.family()) {
                Ok(found) if found.addresses().any(|address| address == self.ip) => {
                    validated.push(name.clone());
                }
                Ok(_) => {}
                Err(Pending) => self.names_wait = true,
            }
        }
        validated
    }

    /// §7.3, the macro p: the domain itself if it is among the names, else one below it, else any.
    pub(super) fn validated_name(&mut self, domain: &[u8], step: Option<&mut Step>) -> Vec<u8> {
        let names = self.validated_names(step);
        let domain = DnsName::new(domain).ok();
        let is = |name: &&DnsName| Some(*name) == domain.as_ref();
        let is_below =
            |name: &&DnsName| domain.as_ref().is_some_and(|domain| name.is_within(domain));
        let name = names
            .iter()
            .find(is)
            .or_else(|| names.iter().find(is_below));
        let name = name.or(names.first());
        name.map_or(b"unknown".to_vec(), |name| name.as_bytes().to_vec())
    }
}
