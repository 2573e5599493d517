//! `dkimkit record`: the record of a key, in the form in which it is to be published.

use std::path::PathBuf;

use clap::ValueEnum;
use dkimkit::keystore::read_key;
use dkimkit::name::KeyName;
use dkimkit::publish::{json_object, zone_line};
use dkimkit::record::KeyRecord;

use super::args::{KeyArgs, StoreArgs};
use super::speech::Trouble;
use super::{Exit, output};

/// Print the _domainkey record of a key
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dkimkit record -d example.com -s mail
  dkimkit record -d example.com -s mail --format value
  dkimkit record -d example.com -s mail -k /etc/dkim/mail.pem --format json")]
pub(super) struct Args {
    #[command(flatten)]
    name: KeyArgs,
    /// Make the record from this private key instead of reading the store
    #[arg(short, long, value_name = "KEY.pem")]
    key: Option<PathBuf>,
    /// The form of the record
    #[arg(long, value_enum, default_value_t, value_name = "FORM")]
    format: Form,
    #[command(flatten)]
    store: StoreArgs,
}

/// The forms of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum Form {
    /// A line of a zone file, with strings of at most 255 bytes
    #[default]
    Zone,
    /// One unbroken line to paste into a panel
    Value,
    /// JSON, which verify --records reads too
    Json,
}

pub(super) fn run(args: &Args) -> Result<Exit, Trouble> {
    let (domain, selector) = (&args.name.domain, &args.name.selector);
    let name = KeyName::new(selector, domain).map_err(Trouble::usage)?;
    let record = match &args.key {
        Some(path) => {
            let key = read_key(path)?;
            KeyRecord::new(key.algorithm().key_type(), key.public_bytes()).to_string()
        }
        None => args.store.store().record(domain, selector)?,
    };
    output::print(&render(&name, &record, args.format))?;
    Ok(Exit::Done)
}

/// The record as text, with a final line end.
pub(super) fn render(name: &KeyName, record: &str, form: Form) -> String {
    match form {
        Form::Zone => zone_line(name, record),
        Form::Value => format!("{record}\n"),
        Form::Json => format!("{}\n", json_object(name, record)),
    }
}
