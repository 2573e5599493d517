//! What name servers and their tools read.

use super::text::{at_most, octal, only, quoted, quoted_ascii, shell};
use super::{Form, Place, PublishError, strings};
use crate::name::KeyName;
use crate::report::is_harmful;

/// The longest line that every nsupdate reads; newer ones read more.
const NSUPDATE_MAX: usize = 4095;
/// The longest line that dnsmasq reads whole.
const DNSMASQ_MAX: usize = 1023;

/// A line of a zone file (RFC 1035 §5.1); the TTL is that of the zone unless one was asked for.
pub(super) fn zone_line(name: &KeyName, ttl: Option<u32>, record: &str) -> String {
    let ttl = ttl.map(|ttl| format!(" {ttl}")).unwrap_or_default();
    // Panels and scripts know by the parentheses that several strings are one record.
    let text = match strings(record)[..] {
        [_] => quoted(record),
        _ => format!("( {} )", quoted(record)),
    };
    format!("{}{ttl} IN TXT {text}\n", name.as_str())
}

impl Place<'_> {
    pub(super) fn zone_line(&self, record: &str) -> String {
        zone_line(self.name, self.ttl, record)
    }

    /// A script for nsupdate: the old record goes and the new one comes in one message (RFC 2136 §2.5).
    pub(super) fn nsupdate(&self, record: &str) -> Result<String, PublishError> {
        let (name, ttl) = (self.name.as_str(), self.ttl());
        let add = format!("update add {name} {ttl} IN TXT {}", quoted_ascii(record));
        at_most(Form::Nsupdate, &add, NSUPDATE_MAX)?;
        Ok(format!(
            "; The TXT records of this name are replaced by this one, or nothing is changed.\n\
             zone {}.\n\
             update delete {name} IN TXT\n\
             {add}\n\
             send\n",
            self.zone.as_ascii(),
        ))
    }

    /// A line of the data file of tinydns, which cuts the text itself.
    pub(super) fn tinydns(&self, record: &str) -> String {
        let mut text = String::new();
        for c in record.chars() {
            match c {
                ':' | '\\' => octal(c, &mut text),
                ' '..='~' => text.push(c),
                c => octal(c, &mut text),
            }
        }
        format!("'{}:{text}:{}\n", self.name, self.ttl())
    }

    /// A command of PowerDNS that replaces the record.
    pub(super) fn pdnsutil(&self, record: &str) -> String {
        format!(
            "pdnsutil replace-rrset {} {} TXT {} {}\n",
            self.zone.as_ascii(),
            shell(&self.relative("@")),
            self.ttl(),
            shell(&quoted_ascii(record)),
        )
    }

    /// Commands of Knot DNS that replace the record in one transaction.
    pub(super) fn knotc(&self, record: &str) -> String {
        let (zone, name) = (self.zone.as_ascii(), self.name.as_str());
        let (ttl, text) = (self.ttl(), shell(&quoted_ascii(record)));
        format!(
            "# To unset what is not there yet is an error that does no harm.\n\
             knotc zone-begin {zone}. &&\n\
             {{ knotc zone-unset {zone}. {name} TXT || :; }} &&\n\
             knotc zone-set {zone}. {name} {ttl} TXT {text} &&\n\
             knotc zone-commit {zone}.\n"
        )
    }

    /// A line for the configuration of Unbound.
    pub(super) fn unbound(&self, record: &str) -> String {
        // Nothing escapes in the single quotes of the configuration, but within them RFC 1035 holds.
        let text = quoted_ascii(record).replace('\'', "\\039");
        let (name, ttl) = (self.name.as_str(), self.ttl());
        format!("server:\n    local-data: '{name} {ttl} IN TXT {text}'\n")
    }

    /// A line for the configuration of dnsmasq, which knows one TTL for all.
    pub(super) fn dnsmasq(&self, record: &str) -> Result<String, PublishError> {
        let form = Form::Dnsmasq;
        only(form, record, |c| !is_harmful(c))?;
        let escape = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
        let quoted: Vec<String> = strings(record)
            .into_iter()
            .map(|text| format!("\"{}\"", escape(text)))
            .collect();
        let line = format!("txt-record={},{}", self.name, quoted.join(","));
        at_most(form, &line, DNSMASQ_MAX)?;
        Ok(format!("{line}\n"))
    }
}
