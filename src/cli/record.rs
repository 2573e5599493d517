//! `dkimkit record`: the record of a key, in the form in which it is to be published.

use std::path::PathBuf;

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use dkimkit::keystore::read_key;
use dkimkit::name::{Domain, KeyName};
use dkimkit::publish::{Form, Place, PublishError, revoked};
use dkimkit::record::KeyRecord;

use super::args::{KeyArgs, StoreArgs, domain, duration};
use super::speech::Trouble;
use super::{Exit, output};

/// Print the _domainkey record of a key
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dkimkit record -d example.com -s mail
  dkimkit record -d example.com -s mail --format value
  dkimkit record -d example.com -s mail --format nsupdate --ttl 1h
  dkimkit record -d mail.example.com -s mail --format octodns --zone example.com
  dkimkit record -d example.com -s mail --revoked
  dkimkit record -d example.com -s mail -k /etc/dkim/mail.pem --format json")]
pub(super) struct Args {
    #[command(flatten)]
    name: KeyArgs,
    /// Make the record from this private key instead of reading the store
    #[arg(short, long, value_name = "KEY.pem")]
    key: Option<PathBuf>,
    /// Print the record that withdraws the key: the same with an empty p=
    #[arg(long)]
    revoked: bool,
    #[command(flatten)]
    form: FormArgs,
    #[command(flatten)]
    store: StoreArgs,
}

/// The form of a record, with what some forms need to know.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct FormArgs {
    /// The form of the record
    #[arg(long, value_name = "FORM", default_value = "zone", value_parser = forms())]
    pub(super) format: Form,
    /// The TTL: seconds, or 1h; in the forms that need one, 3600 if left out
    #[arg(long, value_name = "TIME", value_parser = ttl)]
    pub(super) ttl: Option<u32>,
    /// The zone that the record is in, for the forms that name it; the domain if left out
    #[arg(long, value_name = "NAME", value_parser = domain)]
    zone: Option<Domain>,
}

impl FormArgs {
    /// Where the record of a key of `domain` goes.
    pub(super) fn place<'a>(
        &'a self,
        name: &'a KeyName,
        domain: &'a Domain,
    ) -> Result<Place<'a>, Trouble> {
        let zone = self.zone.as_ref().unwrap_or(domain);
        Ok(Place::new(name, zone, self.ttl)?)
    }

    /// The record as text, with a final line end.
    pub(super) fn render(&self, place: &Place<'_>, record: &str) -> Result<String, Trouble> {
        Ok(place.render(record, self.format)?)
    }
}

fn forms() -> impl TypedValueParser<Value = Form> {
    let values = Form::ALL.map(|form| {
        let value = PossibleValue::new(form.as_str()).help(form.about());
        value.aliases(form.aliases())
    });
    PossibleValuesParser::new(values)
        .try_map(|word| Form::from_word(&word).ok_or("no form of a record"))
}

pub(super) fn ttl(text: &str) -> Result<u32, String> {
    u32::try_from(duration(text)?.as_secs()).map_err(|_| "too long for a TTL".to_owned())
}

pub(super) fn run(args: &Args) -> Result<Exit, Trouble> {
    let (domain, selector) = (&args.name.domain, &args.name.selector);
    let name = KeyName::new(selector, domain).map_err(Trouble::usage)?;
    let place = args.form.place(&name, domain)?;
    let record = match &args.key {
        Some(path) => {
            let key = read_key(path)?;
            KeyRecord::new(key.algorithm().key_type(), key.public_bytes()).to_string()
        }
        None => args.store.store().record(domain, selector)?,
    };
    let record = match args.revoked {
        true => revoked(&record),
        false => record,
    };
    output::print(&args.form.render(&place, &record)?)?;
    Ok(Exit::Done)
}

impl From<PublishError> for Trouble {
    fn from(error: PublishError) -> Trouble {
        let trouble = Trouble::usage(&error);
        match error {
            PublishError::OutsideZone { .. } => {
                trouble.hint("--zone takes the domain of the key or one above it")
            }
            PublishError::Unwritable { .. } | PublishError::TooLong { .. } => trouble
                .hint("another --format may take it, or leave the note (n=) out of the record"),
            PublishError::Ttl { .. } => trouble,
        }
    }
}
