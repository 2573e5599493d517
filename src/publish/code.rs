//! What the tools that keep DNS as code read, Terraform aside.

use serde_json::Value;

use super::text::only;
use super::{Form, Place, PublishError};

impl Place<'_> {
    /// An entry of a zone in YAML. octoDNS wants a backslash before each semicolon.
    pub(super) fn octodns(&self, record: &str) -> Result<String, PublishError> {
        let form = Form::Octodns;
        // Its versions disagree about other backslashes, and it takes ASCII alone.
        only(form, record, |c| matches!(c, ' '..='~') && c != '\\')?;
        // Quotes at the start and between strings are taken away.
        if record.starts_with('"') || record.contains("\" \"") {
            let found = "quotes at the start or with a blank between".to_owned();
            return Err(PublishError::Unwritable { form, found });
        }
        let value = record.replace(';', "\\;").replace('\'', "''");
        Ok(format!(
            "'{}':\n  ttl: {}\n  type: TXT\n  value: '{value}'\n",
            self.relative(""),
            self.ttl(),
        ))
    }

    /// An addition to a domain in JavaScript. dnscontrol cuts and quotes the text as each host wants it.
    pub(super) fn dnscontrol(&self, record: &str) -> String {
        format!(
            "D_EXTEND({},\n  TXT({}, {}, TTL({}))\n);\n",
            javascript(self.zone.as_ascii()),
            javascript(&self.relative("@")),
            javascript(record),
            self.ttl(),
        )
    }
}

/// A string of JavaScript in ASCII: JSON, with everything else as UTF-16 escapes, for ECMAScript 5 ends a
/// line at U+2028.
fn javascript(text: &str) -> String {
    let mut out = String::new();
    for c in Value::from(text).to_string().chars() {
        match c {
            ' '..='~' => out.push(c),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    out
}
