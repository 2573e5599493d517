//! `dkimkit audit`: everything about a sending domain that decides whether its mail is taken for spam.

mod page;
mod text;

use std::cmp::Reverse;
use std::fs;
use std::io::{self, IsTerminal as _, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dkimkit::audit::net::Authorities;
use dkimkit::audit::{
    Audit, Finding, Grade, Host, Lists, Options, Probed, Probing, ResourceRecord, is_public_name,
    run as audit,
};
use dkimkit::check::Wanted;
use dkimkit::keystore::Entry;
use dkimkit::name::{Domain, Selector};
use dkimkit::publish::quoted;
use serde_json::{Value, json};

use self::text::Style;
use super::Exit;
use super::args::{ClockArgs, ColorChoice, StoreArgs, domain, duration, selector};
use super::asking::{DnsArgs, block_on};
use super::check::stored;
use super::output::Output;
use super::speech::{self, Trouble};
use super::verify::colored;

/// Audit a sending domain: all that decides whether its mail is taken for spam
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dkimkit audit example.com
  dkimkit audit example.com --ip 192.0.2.25 --selector mail --json | jq '.checks[] | select(.result == \"fail\")'
  dkimkit audit example.com --html report.html
  dkimkit audit example.com --smtp mail.example.com --i-own-this-server
  dkimkit audit --print-lists > lists.toml && dkimkit audit example.com --lists lists.toml

Connections go only to hosts that you name or that the domain's DNS leads to; questions to DNS go also to the lists of
addresses and domains, unless --no-lists leaves them out.

Exits 1 if a check fails, 75 if none fails but something could not be known, else 0.")]
pub(super) struct Args {
    /// The domain that sends
    #[arg(value_parser = domain, required_unless_present = "print_lists")]
    domain: Option<Domain>,
    /// An address that it sends from. May be repeated
    #[arg(long, value_name = "ADDR")]
    ip: Vec<IpAddr>,
    /// A mail server of the domain to talk to, beside its MX hosts
    #[arg(long, value_name = "HOST[:PORT]", value_parser = host)]
    smtp: Option<(Host, u16)>,
    /// You may have relaying tried at the server of --smtp
    #[arg(long, requires = "smtp")]
    i_own_this_server: bool,
    /// A selector that is in use. May be repeated
    #[arg(long, short, value_name = "SELECTOR", value_parser = selector)]
    selector: Vec<Selector>,
    /// Ask no lists of addresses and domains
    #[arg(long)]
    no_lists: bool,
    /// The lists to ask, instead of those that the program knows
    #[arg(long, value_name = "FILE", conflicts_with = "no_lists")]
    lists: Option<PathBuf>,
    /// Print the lists that the program knows, in the form that --lists reads, and do nothing else
    #[arg(long, exclusive = true)]
    print_lists: bool,
    /// A PEM file of the authorities to trust with certificates, instead of those of the system
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The name to greet servers with, instead of that of this machine, or of its address where that is not fully qualified
    #[arg(long, value_name = "NAME", value_parser = domain)]
    helo: Option<Domain>,
    /// How long all of it may take
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = duration)]
    budget: Duration,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Write a page of HTML that says what is wrong and what mends it, and loads nothing
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Overwrite what exists
    #[arg(long, requires = "html")]
    force: bool,
    /// Say on standard error what is asked of the network, and tell what was seen too
    #[arg(long)]
    verbose: bool,
    #[command(flatten)]
    dns: DnsArgs,
    #[command(flatten)]
    clock: ClockArgs,
    #[command(flatten)]
    store: StoreArgs,
}

/// Reads `HOST` or `HOST:PORT`; the host is a name or an address, and one of IPv6 before a port stands in brackets.
fn host(text: &str) -> Result<(Host, u16), String> {
    let read = |text: &str| {
        text.parse::<IpAddr>()
            .map(|ip| Host::Address(ip.to_canonical()))
    };
    if let Ok(host) = read(text) {
        return Ok((host, 25));
    }
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => {
            let port = port.parse().ok().filter(|port| *port != 0);
            (name, port.ok_or("the port is a number from 1 to 65535")?)
        }
        _ => (text, 25),
    };
    let bare = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    let bare = bare.map(|name| name.strip_prefix("IPv6:").unwrap_or(name));
    let host = match (bare, read(name)) {
        (Some(address), _) => {
            read(address).map_err(|_| "an address stands between the brackets")?
        }
        (None, Ok(host)) => host,
        (None, Err(_)) => Host::Name(domain(name)?),
    };
    Ok((host, port))
}

pub(super) fn run(args: &Args, color: ColorChoice) -> Result<Exit, Trouble> {
    let Some(domain) = &args.domain else {
        return print(Lists::TEXT).map(|()| Exit::Done);
    };
    let lists = lists(args)?;
    let now = args.clock.now();
    // What is in the way is told before all is asked.
    let html = args.html.as_ref().map(|path| begin(path, args));
    let html = html.transpose()?;
    let probing = Probing {
        resolver: args.dns.resolver()?,
        surveyor: args.dns.surveyor()?,
        authorities: authorities(args)?,
        patience: args.dns.timeout,
    };
    let options = Options {
        addresses: args.ip.clone(),
        smtp: args.smtp.clone(),
        own_server: args.i_own_this_server,
        selectors: args.selector.clone(),
        keys: keys(args, domain)?,
        lists,
        helo: helo(args),
        budget: args.budget,
        ..Options::new(domain.clone(), now)
    };
    let mut probes = Vec::new();
    let watch = |probed: &Probed| {
        if args.verbose {
            speech::note(told(probed));
            for line in probed.log() {
                speech::quote(line);
            }
            probes.push(json!({"probe": told(probed), "log": probed.log()}));
        }
    };
    let found = block_on(audit(&options, &probing, watch))?;
    let text = match args.json {
        true => {
            let mut value = serde_json::to_value(&found).unwrap_or(Value::Null);
            if args.verbose {
                value["probes"] = json!(probes);
            }
            format!("{value}\n")
        }
        false => text::render(
            &found,
            Style {
                color: colored(color),
                width: width(),
                facts: args.verbose,
            },
        ),
    };
    // The page first: whoever reads the text may go away before its end.
    if let Some(mut out) = html {
        out.write_all(page::render(&found, now).as_bytes())
            .map_err(|e| Trouble::write("the page", &e))?;
        out.finish()?;
    }
    print(&text)?;
    Ok(match found.result {
        Grade::Pass | Grade::Warning => Exit::Done,
        Grade::Unknown => Exit::TempFail,
        Grade::Fail => Exit::No,
    })
}

/// Begins the page, which is none of the files that are read.
fn begin(path: &Path, args: &Args) -> Result<Output, Trouble> {
    if path.as_os_str() == "-" {
        let trouble = Trouble::usage("standard output holds what was found");
        return Err(trouble.hint("name a file for --html"));
    }
    let real = fs::canonicalize(path).ok();
    let mut inputs = args.lists.iter().chain(&args.ca).chain(args.dns.files());
    if real.is_some() && inputs.any(|input| fs::canonicalize(input).ok() == real) {
        let trouble = Trouble::usage(format!("{} is the input", path.display()));
        return Err(trouble.hint("write to another file"));
    }
    Output::file(path, args.force, true)
}

/// How wide the terminal is.
fn width() -> Option<usize> {
    let (width, _) = terminal_size::terminal_size()?;
    io::stdout().is_terminal().then_some(width.0.into())
}

fn print(text: &str) -> Result<(), Trouble> {
    let mut out = Output::stdout();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|e| Trouble::write("standard output", &e))?;
    out.finish()
}

/// The lists to ask; none where they are left out.
fn lists(args: &Args) -> Result<Option<Lists>, Trouble> {
    if args.no_lists {
        return Ok(None);
    }
    let Some(path) = &args.lists else {
        return Ok(Some(Lists::builtin()));
    };
    let name = path.display().to_string();
    let text = fs::read_to_string(path).map_err(|e| Trouble::open(&name, &e))?;
    Lists::parse(&text).map(Some).map_err(|error| {
        Trouble::usage(format!("{name}: {error}"))
            .hint("`dkimkit audit --print-lists` prints a table that can be read")
    })
}

fn authorities(args: &Args) -> Result<Authorities, Trouble> {
    let Some(path) = &args.ca else {
        return Ok(Authorities::system());
    };
    let name = path.display().to_string();
    let pem = fs::read(path).map_err(|error| Trouble::open(&name, &error))?;
    Authorities::from_pem(&pem).map_err(|error| {
        Trouble::usage(error)
            .about(&name)
            .hint("it is a file of blocks -----BEGIN CERTIFICATE-----")
    })
}

/// The keys of the domain in the store, and what should be published of each.
fn keys(args: &Args, domain: &Domain) -> Result<Vec<(Selector, Wanted<'static>)>, Trouble> {
    let store = args.store.store();
    let entries = store.entries(domain)?;
    let key = |entry: &Entry| {
        let wanted = stored(&store, domain, entry)?;
        Ok((entry.selector.clone(), wanted))
    };
    entries.iter().map(key).collect()
}

/// The name to greet with: that of this machine, where nothing else is said. One that nobody else knows is worse than
/// none, as servers refuse it (Postfix: reject_non_fqdn_helo_hostname).
fn helo(args: &Args) -> Option<String> {
    let own = || {
        let name = nix::unistd::gethostname().ok()?.into_string().ok()?;
        let name = Domain::new(&name).ok()?;
        is_public_name(name.as_ascii()).then_some(name)
    };
    let name = args.helo.clone().or_else(own)?;
    Some(name.as_ascii().to_owned())
}

fn told(probed: &Probed) -> String {
    let took = probed.took.as_millis();
    match probed.answered {
        Some(_) => format!("{} ({took} ms)", probed.probe),
        None => format!("{} (no answer after {took} ms)", probed.probe),
    }
}

/// What is not right, the worst first, with the checks that it was found by: several may say the same of a server.
fn worst_first(audit: &Audit) -> Vec<(Vec<&'static str>, &Finding)> {
    let mut findings: Vec<(Vec<&'static str>, &Finding)> = Vec::new();
    for check in &audit.checks {
        for finding in &check.findings {
            match findings.iter_mut().find(|(_, known)| *known == finding) {
                Some((checks, _)) => checks.push(check.check),
                None => findings.push((vec![check.check], finding)),
            }
        }
    }
    findings.sort_by_key(|(_, finding)| Reverse(finding.result));
    findings
}

/// The name of a check for people.
fn title(check: &'static str) -> &'static str {
    match check {
        "reverse-dns" => "Reverse DNS",
        "greeting" => "Greeting",
        "starttls" => "STARTTLS",
        "mx" => "MX hosts",
        "spf" => "SPF",
        "sender-id" => "Sender ID",
        "dkim" => "DKIM",
        "domainkeys" => "DomainKeys",
        "dmarc" => "DMARC",
        "arc" => "ARC",
        "mta-sts" => "MTA-STS",
        "tls-rpt" => "TLS-RPT",
        "dane" => "DANE",
        "bimi" => "BIMI",
        "dnssec" => "DNSSEC",
        "caa" => "CAA",
        "block-lists" => "Block lists",
        "network" => "Networks",
        "open-relay" => "Open relay",
        "backscatter" => "Backscatter",
        "role-addresses" => "Role addresses",
        "providers" => "Large providers",
        other => other,
    }
}

/// A record as a line of a zone file; a TXT record in strings (RFC 1035 §5.1).
fn zone_line(record: &ResourceRecord) -> String {
    let ResourceRecord { name, kind, value } = record;
    match *kind {
        "TXT" => format!("{name} IN TXT {}", quoted(value)),
        kind => format!("{name} IN {kind} {value}"),
    }
}

/// A mend: what to do, and behind the first line a file to put somewhere, where there is one.
fn parts(mend: &str) -> (&str, Option<&str>) {
    match mend.split_once('\n') {
        Some((words, file)) => (words, Some(file)),
        None => (mend, None),
    }
}

/// The grade that a fact names.
fn grade(fact: &Value) -> Option<Grade> {
    let all = [Grade::Pass, Grade::Warning, Grade::Unknown, Grade::Fail];
    all.into_iter().find(|grade| fact == grade.as_str())
}

/// Whether all of a list is short enough to stand on one line.
fn is_short(list: &[Value]) -> bool {
    list.iter().all(|fact| match fact {
        Value::String(text) => text.len() <= 40 && !text.contains('\n'),
        fact => !fact.is_array() && !fact.is_object(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_by_its_name_or_its_address() {
        for (text, expected) in [
            ("mx.example.org", "mx.example.org 25"),
            ("MX.example.org:587", "mx.example.org 587"),
            ("192.0.2.25", "[192.0.2.25] 25"),
            ("192.0.2.25:465", "[192.0.2.25] 465"),
            ("[192.0.2.25]:465", "[192.0.2.25] 465"),
            ("2001:db8::25", "[2001:db8::25] 25"),
            ("[2001:db8::25]", "[2001:db8::25] 25"),
            ("[IPv6:2001:db8::25]:587", "[2001:db8::25] 587"),
            ("::ffff:192.0.2.25", "[192.0.2.25] 25"),
            ("mx.example.org.:587", "mx.example.org 587"),
        ] {
            let (host, port) = host(text).unwrap();
            assert_eq!(format!("{host} {port}"), expected, "{text}");
        }
        for text in [
            "",
            ":25",
            "mx.example.org:0",
            "mx.example.org:x",
            "[mx.example.org]",
            "[::1",
            "a b",
        ] {
            assert!(host(text).is_err(), "{text}");
        }
    }
}
