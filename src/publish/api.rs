//! What the interfaces of DNS hosts take: JSON, each with its own idea of a long TXT record.

use serde_json::{Value, json};

use super::text::{at_most, only, quoted_ascii, quoted_octal};
use super::{Form, Place, PublishError, strings};

/// The longest TXT value that Route 53 takes.
pub(super) const ROUTE53_MAX: usize = 4000;
/// The longest TXT record that Azure takes.
pub(super) const AZURE_MAX: usize = 4096;

impl Place<'_> {
    /// The body of ChangeResourceRecordSets.
    pub(super) fn route53(&self, record: &str) -> Result<String, PublishError> {
        let value = quoted_octal(record, " ");
        at_most(Form::Route53, &value, ROUTE53_MAX)?;
        Ok(pretty(&json!({
            "Changes": [{
                "Action": "UPSERT",
                "ResourceRecordSet": {
                    "Name": self.name.as_str(),
                    "Type": "TXT",
                    "TTL": self.ttl(),
                    "ResourceRecords": [{"Value": value}],
                },
            }],
        })))
    }

    /// The body of a call that makes or changes a DNS record; the content is in quotes there.
    pub(super) fn cloudflare(&self, record: &str) -> String {
        pretty(&json!({
            "type": "TXT",
            "name": self.name.to_string(),
            "content": quoted_ascii(record),
            "ttl": self.ttl(),
        }))
    }

    /// A row as `flarectl --json dns list` prints it: every value is a string. What only Cloudflare knows
    /// (ID, Locked) is left out.
    pub(super) fn flarectl(&self, record: &str) -> String {
        pretty(&json!([{
            "Name": self.name.to_string(),
            "Type": "TXT",
            "Content": quoted_ascii(record),
            "TTL": self.ttl().to_string(),
            "Proxiable": "false",
            "Proxy": "false",
        }]))
    }

    /// A resourceRecordSet of Cloud DNS.
    pub(super) fn google(&self, record: &str) -> String {
        pretty(&json!({
            "kind": "dns#resourceRecordSet",
            "name": self.name.as_str(),
            "type": "TXT",
            "ttl": self.ttl(),
            "rrdatas": [quoted_ascii(record)],
        }))
    }

    /// A record set as Azure Resource Manager takes it; strings are bare there.
    pub(super) fn azure(&self, record: &str) -> Result<String, PublishError> {
        only(Form::Azure, record, |c| matches!(c, ' '..='~'))?;
        at_most(Form::Azure, record, AZURE_MAX)?;
        Ok(pretty(&json!({
            "name": self.relative("@"),
            "type": "Microsoft.Network/dnszones/TXT",
            "properties": {
                "TTL": self.ttl(),
                "TXTRecords": [{"value": strings(record)}],
            },
        })))
    }

    /// The `add` of UAPI's DNS::mass_edit_zone. The panel quotes and escapes the strings itself; a name with
    /// its final dot means the same in every zone.
    pub(super) fn cpanel(&self, record: &str) -> Result<String, PublishError> {
        only(Form::Cpanel, record, |c| matches!(c, ' '..='~'))?;
        let add = json!({
            "dname": self.name.as_str(),
            "ttl": self.ttl(),
            "record_type": "TXT",
            "data": strings(record),
        });
        // On one line, for it is a parameter of a call.
        Ok(format!("{add}\n"))
    }
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}
