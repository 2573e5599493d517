//! A key record in the forms in which it is published.
//!
//! A form is a variant of [`Form`] and a method of [`Place`] in one of the files below, which stand by whom
//! they speak to. What a form cannot carry is refused; nothing in a record gets out of its quotes.

mod api;
mod code;
mod server;
mod terraform;
mod text;

use serde_json::{Map, json};

use crate::name::{Domain, KeyName};
use crate::report::{is_harmful, spaced_json};

/// The TTL of a record in seconds, where none is asked for and a form must have one.
pub const DEFAULT_TTL: u32 = 3600;

/// The greatest TTL (RFC 2181 §8).
const MAX_TTL: u32 = i32::MAX as u32;

/// The most that fits into one record (RFC 1035 §3.2.1), with the octet before each string.
const MAX_RDATA: usize = 65535;

/// A form in which a record is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Form {
    /// A line of a zone file.
    #[default]
    Zone,
    /// The record alone, unbroken.
    Value,
    /// The record alone, in quoted strings.
    Quoted,
    /// JSON, as [`json_object`] makes it.
    Json,
    /// A script for nsupdate.
    Nsupdate,
    /// A change batch of Amazon Route 53.
    Route53,
    /// The body of a call to Cloudflare.
    Cloudflare,
    /// A row of flarectl.
    Flarectl,
    /// A resourceRecordSet of Google Cloud DNS.
    Google,
    /// A record set of Azure DNS.
    Azure,
    /// A resource of Terraform for Route 53.
    TerraformAws,
    /// A resource of Terraform for Cloudflare.
    TerraformCloudflare,
    /// A resource of Terraform for Google Cloud DNS.
    TerraformGoogle,
    /// A resource of Terraform for Azure DNS.
    TerraformAzure,
    /// A resource of Terraform for DigitalOcean.
    TerraformDigitalocean,
    /// A resource of Terraform for Hetzner.
    TerraformHetzner,
    /// An entry of a zone of octoDNS.
    Octodns,
    /// A statement of dnscontrol.
    Dnscontrol,
    /// A line of the data file of tinydns.
    Tinydns,
    /// A command of PowerDNS.
    Pdnsutil,
    /// An addition to a zone in cPanel.
    Cpanel,
    /// Commands of Knot DNS.
    Knotc,
    /// Configuration of Unbound.
    Unbound,
    /// Configuration of dnsmasq.
    Dnsmasq,
}

impl Form {
    /// Every form, in the order in which a person may want to read them.
    pub const ALL: [Form; 24] = [
        Form::Zone,
        Form::Value,
        Form::Quoted,
        Form::Json,
        Form::Nsupdate,
        Form::Route53,
        Form::Cloudflare,
        Form::Flarectl,
        Form::Google,
        Form::Azure,
        Form::TerraformAws,
        Form::TerraformCloudflare,
        Form::TerraformGoogle,
        Form::TerraformAzure,
        Form::TerraformDigitalocean,
        Form::TerraformHetzner,
        Form::Octodns,
        Form::Dnscontrol,
        Form::Tinydns,
        Form::Pdnsutil,
        Form::Cpanel,
        Form::Knotc,
        Form::Unbound,
        Form::Dnsmasq,
    ];

    /// The word that names the form.
    pub fn as_str(self) -> &'static str {
        self.words().0
    }

    /// What the form is, in a few words.
    pub fn about(self) -> &'static str {
        self.words().1
    }

    /// The form that a word names.
    ///
    /// ```
    /// use dkimkit::publish::Form;
    /// assert_eq!(Form::from_word("route53"), Some(Form::Route53));
    /// assert_eq!(Form::from_word("powerdns"), Some(Form::Pdnsutil));
    /// assert_eq!(Form::from_word("Route53"), None);
    /// ```
    pub fn from_word(word: &str) -> Option<Form> {
        let named = |form: &Form| form.as_str() == word || form.aliases().contains(&word);
        Form::ALL.into_iter().find(named)
    }

    /// Other words that people use for it.
    pub fn aliases(self) -> &'static [&'static str] {
        match self {
            Form::Zone => &["bind"],
            Form::Google => &["gcloud", "google-cloud"],
            Form::Azure => &["azure-dns"],
            Form::TerraformAws => &["terraform", "terraform-route53"],
            Form::TerraformAzure => &["terraform-azurerm"],
            Form::Pdnsutil => &["powerdns"],
            _ => &[],
        }
    }

    fn words(self) -> (&'static str, &'static str) {
        match self {
            Form::Zone => (
                "zone",
                "A line of a zone file, with strings of at most 255 bytes",
            ),
            Form::Value => ("value", "One unbroken line to paste into a panel"),
            Form::Quoted => ("quoted", "The quoted strings alone, on one line"),
            Form::Json => ("json", "JSON, which verify --records reads too"),
            Form::Nsupdate => ("nsupdate", "A script for nsupdate"),
            Form::Route53 => ("route53", "A change batch for Amazon Route 53 (JSON)"),
            Form::Cloudflare => ("cloudflare", "The body of a call to Cloudflare (JSON)"),
            Form::Flarectl => ("flarectl", "A row as flarectl --json prints it"),
            Form::Google => ("google", "A resourceRecordSet of Google Cloud DNS (JSON)"),
            Form::Azure => ("azure", "A record set of Azure DNS (JSON)"),
            Form::TerraformAws => ("terraform-aws", "Terraform: aws_route53_record"),
            Form::TerraformCloudflare => (
                "terraform-cloudflare",
                "Terraform: cloudflare_dns_record (provider 5)",
            ),
            Form::TerraformGoogle => ("terraform-google", "Terraform: google_dns_record_set"),
            Form::TerraformAzure => ("terraform-azure", "Terraform: azurerm_dns_txt_record"),
            Form::TerraformDigitalocean => {
                ("terraform-digitalocean", "Terraform: digitalocean_record")
            }
            Form::TerraformHetzner => ("terraform-hetzner", "Terraform: hcloud_zone_rrset"),
            Form::Octodns => ("octodns", "An entry of a zone of octoDNS (YAML)"),
            Form::Dnscontrol => ("dnscontrol", "A D_EXTEND statement for dnscontrol"),
            Form::Tinydns => ("tinydns", "A line for the data file of tinydns"),
            Form::Pdnsutil => ("pdnsutil", "A pdnsutil command for PowerDNS"),
            Form::Cpanel => ("cpanel", "The add of cPanel's DNS::mass_edit_zone (JSON)"),
            Form::Knotc => ("knotc", "knotc commands for Knot DNS"),
            Form::Unbound => ("unbound", "A local-data line for Unbound"),
            Form::Dnsmasq => ("dnsmasq", "A txt-record line for dnsmasq"),
        }
    }
}

impl std::fmt::Display for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a record is to be published: its name, and the zone and the TTL that some forms speak of.
#[derive(Debug, Clone)]
pub struct Place<'a> {
    name: &'a KeyName,
    zone: &'a Domain,
    ttl: Option<u32>,
}

impl<'a> Place<'a> {
    /// The place of a record in `zone`, which is often the domain of the key and must hold its name. Without
    /// a TTL, [`DEFAULT_TTL`] stands in the forms that need one.
    ///
    /// # Errors
    /// [`PublishError::OutsideZone`] and [`PublishError::Ttl`].
    pub fn new(
        name: &'a KeyName,
        zone: &'a Domain,
        ttl: Option<u32>,
    ) -> Result<Place<'a>, PublishError> {
        let place = Place { name, zone, ttl };
        if place.prefix().is_none() {
            return Err(PublishError::OutsideZone {
                name: name.clone(),
                zone: zone.clone(),
            });
        }
        match ttl {
            Some(ttl) if ttl > MAX_TTL => Err(PublishError::Ttl { ttl }),
            _ => Ok(place),
        }
    }

    /// Writes a record in a form, with a final line end.
    ///
    /// ```
    /// use dkimkit::name::{Domain, KeyName, Selector};
    /// use dkimkit::publish::{Form, Place};
    /// let zone = Domain::new("example.com")?;
    /// let name = KeyName::new(&Selector::new("mail")?, &zone)?;
    /// let place = Place::new(&name, &zone, None)?;
    /// assert_eq!(
    ///     place.render("v=DKIM1; p=Zm9v", Form::Tinydns)?,
    ///     "'mail._domainkey.example.com:v=DKIM1; p=Zm9v:3600\n"
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`PublishError::Unwritable`] where the form has no way to say what the record holds, and
    /// [`PublishError::TooLong`] where a record is longer than what is taken at the other end.
    pub fn render(&self, record: &str, form: Form) -> Result<String, PublishError> {
        let len = record.len() + strings(record).len();
        if len > MAX_RDATA {
            let max = MAX_RDATA;
            return Err(PublishError::TooLong { form, len, max });
        }
        Ok(match form {
            Form::Zone => self.zone_line(record),
            Form::Value => {
                // A tab is a blank of the record (RFC 6376 §2.8); any other would end the line, or more.
                text::only(form, record, |c| c == '\t' || !is_harmful(c))?;
                format!("{record}\n")
            }
            Form::Quoted => format!("{}\n", text::quoted(record)),
            Form::Json => format!("{}\n", json_object(self.name, record)),
            Form::Nsupdate => self.nsupdate(record)?,
            Form::Route53 => self.route53(record)?,
            Form::Cloudflare => self.cloudflare(record),
            Form::Flarectl => self.flarectl(record),
            Form::Google => self.google(record),
            Form::Azure => self.azure(record)?,
            Form::TerraformAws => self.terraform_aws(record)?,
            Form::TerraformCloudflare => self.terraform_cloudflare(record),
            Form::TerraformGoogle => self.terraform_google(record),
            Form::TerraformAzure => self.terraform_azure(record)?,
            Form::TerraformDigitalocean => self.terraform_digitalocean(record)?,
            Form::TerraformHetzner => self.terraform_hetzner(record),
            Form::Octodns => self.octodns(record)?,
            Form::Dnscontrol => self.dnscontrol(record),
            Form::Tinydns => self.tinydns(record),
            Form::Pdnsutil => self.pdnsutil(record),
            Form::Cpanel => self.cpanel(record)?,
            Form::Knotc => self.knotc(record),
            Form::Unbound => self.unbound(record),
            Form::Dnsmasq => self.dnsmasq(record)?,
        })
    }

    fn ttl(&self) -> u32 {
        self.ttl.unwrap_or(DEFAULT_TTL)
    }

    /// The name within the zone, or `apex` where it is that of the zone.
    fn relative(&self, apex: &str) -> String {
        match self.prefix() {
            None | Some("") => apex.to_owned(),
            Some(prefix) => prefix.to_owned(),
        }
    }

    /// What stands before the zone in the name; `None` if the name is not in the zone.
    fn prefix(&self) -> Option<&str> {
        let name = self.name.as_str().strip_suffix('.')?;
        let prefix = name.strip_suffix(self.zone.as_ascii())?;
        // Whole labels: s._domainkey.fexample.com is not in example.com.
        if prefix.is_empty() {
            return Some(prefix);
        }
        prefix.strip_suffix('.')
    }
}

/// The record with its p= emptied and all else word for word, which says that the key is revoked (RFC 6376
/// §3.6.1).
///
/// ```
/// use dkimkit::publish::revoked;
/// assert_eq!(revoked("v=DKIM1; k=rsa; n=May key; p=Zm9v"), "v=DKIM1; k=rsa; n=May key; p=");
/// ```
pub fn revoked(record: &str) -> String {
    // No value holds a semicolon (RFC 6376 §3.2).
    let tags = record.split(';').map(|tag| match tag.split_once('=') {
        Some((name, _)) if name.trim() == "p" => &tag[..=name.len()],
        _ => tag,
    });
    let tags: Vec<&str> = tags.collect();
    tags.join(";")
}

/// A record as a line of a zone file: strings of at most 255 bytes, quoted (RFC 1035 §3.3.14 and §5.1), in
/// parentheses where there are several.
/// ```
/// use dkimkit::name::{Domain, KeyName, Selector};
/// use dkimkit::publish::zone_line;
/// let name = KeyName::new(&Selector::new("mail")?, &Domain::new("example.com")?)?;
/// assert_eq!(
///     zone_line(&name, "v=DKIM1; p=Zm9v"),
///     "mail._domainkey.example.com. IN TXT \"v=DKIM1; p=Zm9v\"\n"
/// );
/// # Ok::<(), dkimkit::name::NameError>(())
/// ```
pub fn zone_line(name: &KeyName, record: &str) -> String {
    server::zone_line(name, None, record)
}

/// A record as the JSON that [`Zone::parse`](crate::dns::Zone::parse) reads, with its strings beside it.
pub fn json_object(name: &KeyName, record: &str) -> String {
    let entry = json!({"TXT": [record], "strings": [strings(record)]});
    let mut object = Map::new();
    object.insert(name.as_str().to_owned(), entry);
    spaced_json(&object)
}

/// A text in the strings of a TXT record as a zone file has them, quoted (RFC 1035 §5.1).
///
/// ```
/// use dkimkit::publish::quoted;
/// assert_eq!(quoted("v=spf1 \"a\" -all"), r#""v=spf1 \"a\" -all""#);
/// ```
pub fn quoted(record: &str) -> String {
    text::quoted(record)
}

/// A record cut into strings of at most 255 bytes, never within a character; an empty one is one empty
/// string, for a TXT record has at least one (RFC 1035 §3.3.14).
pub fn strings(record: &str) -> Vec<&str> {
    let (head, mut rest) = record.split_at(record.floor_char_boundary(255));
    let mut strings = vec![head];
    while !rest.is_empty() {
        let (head, tail) = rest.split_at(rest.floor_char_boundary(255));
        strings.push(head);
        rest = tail;
    }
    strings
}

/// Why a record cannot be written in a form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The name is in another zone.
    #[error("{name} is not in the zone {zone}")]
    OutsideZone {
        /// The name of the key.
        name: KeyName,
        /// The zone.
        zone: Domain,
    },
    /// No TTL is as great.
    #[error("a TTL of {ttl} seconds is too great; the greatest is 2147483647")]
    Ttl {
        /// The TTL.
        ttl: u32,
    },
    /// The form has no way to say it, or none that is sure to be understood.
    #[error("{form} cannot carry {found} in a record")]
    Unwritable {
        /// The form.
        form: Form,
        /// What it cannot carry, in words or as a literal of Rust.
        found: String,
    },
    /// The record is too long for the form.
    #[error("{form} takes at most {max} bytes here, and the record needs {len}")]
    TooLong {
        /// The form.
        form: Form,
        /// What the record takes in this form.
        len: usize,
        /// The most.
        max: usize,
    },
}

#[cfg(test)]
mod tests;
