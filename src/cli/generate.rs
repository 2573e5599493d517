//! `dkimkit generate`: a key pair into the store, its record on standard output.

use clap::ValueEnum;
use dkimkit::hash::HashAlgorithm;
use dkimkit::key::{KeyKind, SigningKey};
use dkimkit::keystore::{KeyState, Placing, StoreError};
use dkimkit::name::{Domain, KeyName, Selector};
use dkimkit::record::{KeyRecord, Service};
use dkimkit::rotate::dated_selector;

use super::args::{ClockArgs, StoreArgs, domain, selector};
use super::record::FormArgs;
use super::speech::{self, Trouble};
use super::{Exit, output};

/// Generate a key pair and print its _domainkey record
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dkimkit generate -d example.com
  dkimkit generate -d example.com -s mail -b 4096 --format value
  dkimkit generate -d example.com -s next --format terraform-aws --ttl 1h
  dkimkit generate -d example.com --algorithm ed25519 --keys /etc/dkim")]
pub(super) struct Args {
    /// The signing domain (d=)
    #[arg(short, long, value_parser = domain)]
    domain: Domain,
    /// The selector (s=); dkYYYYMMDD if left out
    #[arg(short, long, value_parser = selector)]
    selector: Option<Selector>,
    /// The size of an RSA key
    #[arg(short, long, value_name = "BITS", value_parser = ["1024", "2048", "3072", "4096"])]
    bits: Option<String>,
    /// The kind of key
    #[arg(long, value_enum, default_value_t)]
    algorithm: Kind,
    #[command(flatten)]
    form: FormArgs,
    /// Let the new key sign at once
    #[arg(long)]
    activate: bool,
    /// Rename an old pair of this selector to ….old-UNIXTIME first
    #[arg(long)]
    force: bool,
    /// Let this group read the private key (mode 0640)
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// Put t=y into the record: the domain is testing DKIM
    #[arg(long)]
    testing: bool,
    /// Put t=s into the record: i= may not lie in a subdomain
    #[arg(long)]
    strict_identity: bool,
    /// Put a note for people into the record (n=)
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Allow this hash alone (h=)
    #[arg(long, value_name = "HASH", value_parser = hash)]
    hash: Option<HashAlgorithm>,
    /// Allow this service alone (s=)
    #[arg(long, value_name = "SERVICE", value_parser = ["email", "*"])]
    service: Option<String>,
    #[command(flatten)]
    store: StoreArgs,
    #[command(flatten)]
    clock: ClockArgs,
}

/// The kind of key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
enum Kind {
    /// RSA, which every receiver verifies
    #[default]
    Rsa,
    /// Ed25519, which few receivers verify yet
    Ed25519,
}

fn hash(text: &str) -> Result<HashAlgorithm, String> {
    match text {
        "sha256" => Ok(HashAlgorithm::Sha256),
        "sha1" => Err("sha1 proves nothing any more (RFC 8301); use sha256".to_owned()),
        _ => Err("h= takes the name of a hash: sha256".to_owned()),
    }
}

pub(super) fn run(args: &Args) -> Result<Exit, Trouble> {
    let now = args.clock.now();
    let kind = match (args.algorithm, args.bits.as_deref()) {
        (Kind::Rsa, bits) => KeyKind::Rsa(bits.map_or(2048, |b| b.parse().unwrap_or(2048))),
        (Kind::Ed25519, None) => KeyKind::Ed25519,
        (Kind::Ed25519, Some(_)) => {
            return Err(Trouble::usage("an Ed25519 key has no choice of size")
                .hint("leave --bits out, or use --algorithm rsa"));
        }
    };
    let selector = match &args.selector {
        Some(selector) => selector.clone(),
        None => {
            let dated = dated_selector(now, kind == KeyKind::Ed25519);
            Selector::new(&dated).map_err(Trouble::usage)?
        }
    };
    let name = KeyName::new(&selector, &args.domain).map_err(Trouble::usage)?;
    let place = args.form.place(&name, &args.domain)?;
    let store = args.store.store();
    if !args.force {
        // A key takes a while to make: see first whether it may be kept.
        let path = store.pem_path(&args.domain, &selector);
        if path.exists() {
            return Err(StoreError::Exists { path }.into());
        }
    }
    let key = SigningKey::generate(kind).map_err(|e| Trouble::new(Exit::TempFail, e))?;
    let record = describe(args, &key);
    // A form that cannot carry the record says so before anything is kept.
    let text = args.form.render(&place, &record.to_string())?;
    // Who reads the key that signs now is to read the next one.
    let active = store.active(&args.domain).unwrap_or_default();
    let group = args.group.clone();
    let group = group.or_else(|| active.iter().find_map(|s| store.group(&args.domain, s)));
    let placing = Placing {
        activate: args.activate,
        force: args.force,
        group: group.as_deref(),
    };
    let stored = store.add(&args.domain, &selector, &key, &record, placing, now)?;
    for old in &stored.renamed {
        speech::note(format!("the old file is now {}", old.display()));
    }
    speech::note(format!("private key written to {}", stored.pem.display()));
    output::print(&text)?;

    if let (false, Some(group)) = (stored.closed_to_group.is_empty(), &group) {
        for dir in &stored.closed_to_group {
            let dir = dir.display();
            speech::warning(format!("the group {group} cannot enter {dir}"));
            speech::hint(format!("chgrp {group} {dir} && chmod g+x {dir}"));
        }
    }
    if kind == KeyKind::Rsa(1024) {
        speech::warning(
            "1024 bits can be factored with effort, and some receivers count them less",
        );
        speech::hint("2048 bits fit into every DNS: leave -b out");
    }
    let domain = &args.domain;
    match stored.state {
        KeyState::Active => speech::note(format!(
            "{selector} is active: {domain} is signed with it from now on; publish the record first"
        )),
        _ => {
            speech::note(format!(
                "{selector} is pending: publish the record, then let the key sign"
            ));
            speech::hint(format!("dkimkit keys activate {domain} {selector}"));
            if let Err(StoreError::NoneActive { .. }) = store.active(domain) {
                speech::warning(format!(
                    "no key of {domain} is active: nothing signs for it now"
                ));
            }
        }
    }
    Ok(Exit::Done)
}

fn describe(args: &Args, key: &SigningKey) -> KeyRecord {
    let mut record = KeyRecord::new(key.algorithm().key_type(), key.public_bytes());
    record.hashes = args.hash.map(|hash| vec![hash]);
    record.notes = args.note.as_deref().map(KeyRecord::encode_note);
    record.testing = args.testing;
    record.strict_identity = args.strict_identity;
    if args.service.as_deref() == Some("email") {
        record.service = Service::Email;
    }
    record
}
