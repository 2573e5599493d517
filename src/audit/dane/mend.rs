//! What takes the place of TLSA records that do not help.
//!
//! A record that can be used stops mail where it is not for what a server shows (RFC 7672 §2.2), while others at least make
//! TLS a must: so one is published only where it is for all that was shown, and without it none is taken away.

use super::tlsa::Tlsa;
use super::{Pins, Seen};
use crate::audit::finding::{Finding, ResourceRecord};
use crate::audit::net::{Handshake, NoConnection, Tls};
use crate::audit::place::Place;

/// The records of a host, and what its servers have shown.
pub(super) struct Mends<'a> {
    records: &'a [Tlsa],
    /// Those of them that can be used; they say of whom and when.
    pins: &'a Pins,
    /// What every server has shown; nothing where one of them is not known, or has no TLS.
    shown: Vec<&'a Handshake>,
    place: &'a Place,
}

impl<'a> Mends<'a> {
    pub(super) fn new(records: &'a [Tlsa], pins: &'a Pins, seen: &'a Seen) -> Mends<'a> {
        let mut shown = Vec::new();
        for (_, greeting) in &seen.servers {
            match &greeting.tls {
                Tls::Done(handshake) => shown.push(&**handshake),
                // From here nobody can see it.
                Tls::NotTried if greeting.trouble == Some(NoConnection::NoIpv6) => {}
                _ => {
                    shown.clear();
                    break;
                }
            }
        }
        Mends {
            records,
            pins,
            shown,
            place: &seen.place,
        }
    }

    /// The finding about a record that cannot be used, with what takes its place.
    pub(super) fn replace(&self, finding: Finding, record: &Tlsa) -> Finding {
        let old = [self.row(record)];
        if !self.pins.is_empty() {
            return self.place.mend(finding, old, None);
        }
        match self.successor(record) {
            Some(new) => self.place.mend(finding, old, [self.row(&new)]),
            None => self.place.tell(finding),
        }
    }

    /// The finding about a server whose key no record is for.
    pub(super) fn add(&self, finding: Finding, handshake: &Handshake) -> Finding {
        let key = handshake.leaf.as_ref().map(|leaf| &leaf.key);
        let new = key.map(|key| Tlsa::of_key(key));
        let new = new.filter(|new| !self.records.contains(new));
        self.place
            .mend(finding, None, new.map(|new| self.row(&new)))
    }

    /// A record that is for all that was shown.
    fn successor(&self, record: &Tlsa) -> Option<Tlsa> {
        let first = self.shown.first()?;
        let of_key = first.leaf.as_ref().map(|leaf| Tlsa::of_key(&leaf.key));
        record.counting().into_iter().chain(of_key).find(|new| {
            let mut shown = self.shown.iter();
            shown.all(|handshake| self.pins.would_vouch(new, handshake))
        })
    }

    fn row(&self, record: &Tlsa) -> ResourceRecord {
        ResourceRecord::new(self.place.name(), "TLSA", record.value())
    }
}
