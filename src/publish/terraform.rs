//! Resources of Terraform, a block for each provider. What the key does not tell is a variable.

use super::api::{AZURE_MAX, ROUTE53_MAX};
use super::text::{at_most, only, quoted_ascii, quoted_octal};
use super::{Form, Place, PublishError};

/// The longest TXT record that DigitalOcean is known to take, in quotes. Nothing documents the limit.
const DIGITALOCEAN_MAX: usize = 509;

impl Place<'_> {
    pub(super) fn terraform_aws(&self, record: &str) -> Result<String, PublishError> {
        let value = quoted_octal(record, "");
        at_most(Form::TerraformAws, &value, ROUTE53_MAX)?;
        // The provider adds the outer quotes; where one string ends, the quotes are the caller's.
        let value = &value[1..value.len() - 1];
        Ok(self.resource(
            "aws_route53_record",
            &[
                ("zone_id", "var.zone_id".to_owned()),
                ("name", hcl(&self.name.to_string())),
                ("type", hcl("TXT")),
                ("ttl", self.ttl().to_string()),
                ("records", format!("[{}]", hcl(value))),
            ],
        ))
    }

    pub(super) fn terraform_cloudflare(&self, record: &str) -> String {
        self.resource(
            "cloudflare_dns_record",
            &[
                ("zone_id", "var.zone_id".to_owned()),
                ("name", hcl(&self.name.to_string())),
                ("type", hcl("TXT")),
                ("ttl", self.ttl().to_string()),
                ("content", hcl(&quoted_ascii(record))),
            ],
        )
    }

    pub(super) fn terraform_google(&self, record: &str) -> String {
        self.resource(
            "google_dns_record_set",
            &[
                ("managed_zone", "var.managed_zone".to_owned()),
                ("name", hcl(self.name.as_str())),
                ("type", hcl("TXT")),
                ("ttl", self.ttl().to_string()),
                ("rrdatas", format!("[{}]", hcl(&quoted_ascii(record)))),
            ],
        )
    }

    pub(super) fn terraform_azure(&self, record: &str) -> Result<String, PublishError> {
        let form = Form::TerraformAzure;
        // The provider cuts the text, between any two bytes.
        only(form, record, |c| matches!(c, ' '..='~'))?;
        at_most(form, record, AZURE_MAX)?;
        let mut block = self.resource(
            "azurerm_dns_txt_record",
            &[
                ("resource_group_name", "var.resource_group_name".to_owned()),
                ("zone_name", hcl(self.zone.as_ascii())),
                ("name", hcl(&self.relative("@"))),
                ("ttl", self.ttl().to_string()),
            ],
        );
        block.truncate(block.len() - "}\n".len());
        block.push_str(&format!(
            "\n  record {{\n    value = {}\n  }}\n}}\n",
            hcl(record)
        ));
        Ok(block)
    }

    pub(super) fn terraform_digitalocean(&self, record: &str) -> Result<String, PublishError> {
        let form = Form::TerraformDigitalocean;
        // Quotes and backslashes do not come back as they went there.
        let legal = |c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\');
        only(form, record, legal)?;
        // It cuts the text itself, and counts it as it is cut.
        at_most(form, &quoted_ascii(record), DIGITALOCEAN_MAX)?;
        Ok(self.resource(
            "digitalocean_record",
            &[
                ("domain", hcl(self.zone.as_ascii())),
                ("name", hcl(&self.relative("@"))),
                ("type", hcl("TXT")),
                ("ttl", self.ttl().to_string()),
                ("value", hcl(record)),
            ],
        ))
    }

    pub(super) fn terraform_hetzner(&self, record: &str) -> String {
        let value = hcl(&quoted_ascii(record));
        self.resource(
            "hcloud_zone_rrset",
            &[
                ("zone", hcl(self.zone.as_ascii())),
                ("name", hcl(&self.relative("@"))),
                ("type", hcl("TXT")),
                ("ttl", self.ttl().to_string()),
                ("records", format!("[{{ value = {value} }}]")),
            ],
        )
    }

    /// A block, its arguments aligned as `terraform fmt` has them.
    fn resource(&self, kind: &str, arguments: &[(&str, String)]) -> String {
        let label = self.name.to_string().replacen("._domainkey.", "_", 1);
        let label = label.replace('.', "_");
        let width = arguments.iter().map(|(name, _)| name.len()).max();
        let width = width.unwrap_or_default();
        let mut block = format!("resource \"{kind}\" \"dkim_{label}\" {{\n");
        for (name, value) in arguments {
            block.push_str(&format!("  {name:width$} = {value}\n"));
        }
        block.push_str("}\n");
        block
    }
}

/// A string of HCL, in which nothing is a template.
fn hcl(text: &str) -> String {
    let mut out = String::from("\"");
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '$' | '%' if chars.peek() == Some(&'{') => out.extend([c, c]),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
