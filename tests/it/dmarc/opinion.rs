//! A second opinion: DMARC of `mail-auth`, which asks a name server of ours, on the corpus and on generated zones.
//!
//! Compared are the result, and the policy where it is fail. Where they differ, `testdata/dmarc.txt` says who is
//! right; a difference that does not stand there fails, and one that stands there must still differ.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use dkimkit::author::Authors;
use dkimkit::dmarc::walk::{AtName, walk};
use dkimkit::dmarc::{
    Author, DkimIdentity, DmarcResult, Input, SpfIdentity, SpfScope, SpfWord, evaluate,
};
use dkimkit::dns::Zone;
use dkimkit::message::{HeaderLimits, split};
use dkimkit::name::Domain;
use dkimkit::policy::{Level, Policy};
use dkimkit::report::ResultWord;
use dkimkit::time::UnixTime;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use mail_auth::dkim::Signature;
use mail_auth::dmarc::verify::DmarcParameters;
use mail_auth::spf::verify::SpfParameters;
use mail_auth::{
    AuthenticatedMessage, DkimOutput, DmarcResult as Theirs, DnsError, Error, MessageAuthenticator,
    SpfOutput, SpfResult,
};
use serde_json::Value;
use tokio::runtime::Runtime;

use super::properties::generated;
use super::{Case, compare, judge, manifest, table_case};
use crate::corpus;
use crate::nameserver::{NameServer, Script};
use crate::random::Random;

/// `mail-auth`, and the server that it asks.
struct Peer {
    runtime: Runtime,
    authenticator: MessageAuthenticator,
    _server: NameServer,
}

impl Peer {
    fn new(zone: &str) -> Peer {
        let server = NameServer::start(Script::zone(zone));
        let mut connection = ConnectionConfig::udp();
        connection.port = server.addr().port();
        let name_server = NameServerConfig::new(server.addr().ip(), true, vec![connection]);
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![name_server]);
        let mut options = ResolverOpts::default();
        options.timeout = Duration::from_millis(500);
        options.attempts = 1;
        options.cache_size = 0;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let authenticator = runtime.block_on(async { MessageAuthenticator::new(config, options) });
        Peer {
            authenticator: authenticator.unwrap(),
            runtime,
            _server: server,
        }
    }

    /// The result, and the policy where it is fail.
    fn judge(&self, input: &Input) -> String {
        let from = match &input.author {
            Author::One(domain) => format!("From: <a@{}>\r\n\r\n", domain.as_ascii()),
            Author::Several(domains) => {
                let list = domains.iter().map(|d| format!("<a@{}>", d.as_ascii()));
                format!("From: {}\r\n\r\n", list.collect::<Vec<_>>().join(", "))
            }
            other => panic!("{other:?}"),
        };
        let message = AuthenticatedMessage::parse(from.as_bytes()).unwrap();
        let signatures: Vec<Signature> = input.dkim.iter().map(signature).collect();
        let outputs = input.dkim.iter().zip(&signatures);
        let outputs: Vec<DkimOutput> = outputs
            .map(|(dkim, signature)| output(dkim.result).with_signature(signature))
            .collect();
        let domain = input.spf.as_ref().map_or("", |spf| spf.domain.as_ascii());
        let word = input.spf.as_ref().map_or(SpfWord::None, |spf| spf.result);
        let spf = SpfOutput::new(domain.to_owned()).with_result(spf_result(word));
        let parameters = DmarcParameters::new(&message, &outputs, domain, &spf);
        let found = self
            .runtime
            .block_on(self.authenticator.verify_dmarc(parameters));
        match found.result() {
            Theirs::Pass => "pass".to_owned(),
            Theirs::Fail(_) => format!("fail {}", found.policy()),
            Theirs::TempError(_) => "temperror".to_owned(),
            Theirs::PermError(_) => "permerror".to_owned(),
            Theirs::None => "none".to_owned(),
        }
    }

    /// SPF of a message, until our own stands.
    fn spf(&self, case: &Value) -> Option<SpfIdentity> {
        let sender = case["mail_from"].as_str()?;
        let ip: IpAddr = case["client_ip"].as_str()?.parse().unwrap();
        let helo = case["helo"].as_str().unwrap_or("unknown");
        let (_, domain) = sender.rsplit_once('@').unwrap();
        let parameters = SpfParameters::verify_mail_from(ip, helo, "mx.test.example", sender);
        let found = self
            .runtime
            .block_on(self.authenticator.verify_spf(parameters));
        let mut words = [
            "none",
            "neutral",
            "pass",
            "fail",
            "softfail",
            "temperror",
            "permerror",
        ]
        .into_iter()
        .map(|word| SpfWord::from_word(word).unwrap());
        Some(SpfIdentity {
            scope: SpfScope::MailFrom,
            domain: Domain::new(domain).unwrap(),
            result: words
                .find(|word| spf_result(*word) == found.result())
                .unwrap(),
        })
    }
}

fn signature(dkim: &DkimIdentity) -> Signature {
    Signature {
        d: dkim.domain.as_ascii().into(),
        ..Signature::default()
    }
}

fn output(result: ResultWord) -> DkimOutput<'static> {
    match result {
        ResultWord::Pass => DkimOutput::pass(),
        ResultWord::TempError => {
            DkimOutput::temp_err(Error::Dns(DnsError::Resolver("of a test".to_owned())))
        }
        _ => DkimOutput::fail(Error::NotAligned),
    }
}

fn spf_result(word: SpfWord) -> SpfResult {
    match word {
        SpfWord::None => SpfResult::None,
        SpfWord::Neutral => SpfResult::Neutral,
        SpfWord::Pass => SpfResult::Pass,
        SpfWord::Fail => SpfResult::Fail,
        SpfWord::SoftFail => SpfResult::SoftFail,
        SpfWord::TempError => SpfResult::TempError,
        SpfWord::PermError => SpfResult::PermError,
    }
}

fn ours(zone: &Zone, input: &Input) -> String {
    let outcome = evaluate(zone, input).unwrap();
    match outcome.result {
        DmarcResult::Fail => format!("fail {}", outcome.disposition.as_str()),
        result => result.as_str().to_owned(),
    }
}

/// A message of the corpus: DKIM is ours; SPF is that of `mail-auth`, until our own stands.
fn message_case(dir: &Path, case: &Value) -> Case {
    let path = |name: &str| dir.join(case[name].as_str().unwrap());
    let message = corpus::as_read(&fs::read(path("file")).unwrap());
    let dns = fs::read_to_string(path("dns")).unwrap();
    let zone = Zone::parse(&dns).unwrap();
    let (header, _) = split(&message, HeaderLimits::default()).unwrap();
    let mut input = Input::new(Author::of(&Authors::of(&header)));
    let now = UnixTime(1_700_000_000);
    let verdicts = dkimkit::verify(&message, &zone, &Policy::new(Level::Rfc), now).unwrap();
    input.dkim = verdicts.iter().filter_map(DkimIdentity::of).collect();
    input.spf = Peer::new(&dns).spf(case);
    Case {
        id: case["id"].as_str().unwrap().to_owned(),
        solid: case["confidence"] == "solid",
        input,
        zone,
        expected: case["expected"].clone(),
    }
}

#[test]
fn every_solid_message_of_the_corpus_is_judged_as_its_manifest_has_it() {
    let Some(dir) = corpus::corpus() else {
        return;
    };
    let manifest = manifest(&dir);
    let messages = manifest.iter().filter(|case| case["kind"] == "message");
    let cases: Vec<Case> = messages.map(|case| message_case(&dir, case)).collect();
    judge(&cases, "message");
}

#[test]
fn on_the_corpus_every_difference_from_the_second_opinion_is_explained() {
    let Some(dir) = corpus::corpus() else {
        return;
    };
    let mut found = BTreeMap::new();
    let manifest = manifest(&dir);
    for case in &manifest {
        let (case, zone) = match case["kind"].as_str().unwrap() {
            "table" => (table_case(case), case["zone"].to_string()),
            _ => {
                let dns = fs::read_to_string(dir.join(case["dns"].as_str().unwrap())).unwrap();
                (message_case(&dir, case), dns)
            }
        };
        let theirs = Peer::new(&zone).judge(&case.input);
        let ours = ours(&case.zone, &case.input);
        if theirs != ours {
            found.insert(case.id, format!("{ours}, theirs {theirs}"));
        }
    }
    println!("{} of {} differ", found.len(), manifest.len());
    compare("opinion", &found);
}

#[test]
fn on_generated_zones_every_difference_is_of_a_known_kind() {
    let mut random = Random::new(9);
    let rounds: Vec<(String, Input)> = (0..2000).map(|n| generated(&mut random, n)).collect();
    let whole: String = rounds.iter().map(|(zone, _)| zone.as_str()).collect();
    let peer = Peer::new(&whole);
    let zone = Zone::parse(&whole).unwrap();
    let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
    for (text, input) in &rounds {
        let (ours, theirs) = (ours(&zone, input), peer.judge(input));
        if ours == theirs {
            continue;
        }
        let kind = kind(&zone, input);
        *kinds.entry(kind).or_default() += 1;
        if kind == "unknown" {
            println!("{ours}, theirs {theirs}\n{text}{input:?}\n");
        }
    }
    println!("of {} differ: {kinds:?}", rounds.len());
    let found = kinds
        .into_keys()
        .map(|kind| (kind.to_owned(), "differs".to_owned()));
    compare("generated", &found.collect());
}

/// What about an input makes the two differ.
fn kind(zone: &Zone, input: &Input) -> &'static str {
    let Author::One(author) = &input.author else {
        return "unknown";
    };
    let signers = input.dkim.iter().map(|dkim| &dkim.domain);
    let spf = input.spf.iter().map(|spf| &spf.domain);
    let several = |domain: &Domain| {
        let walk = walk(zone, domain).unwrap();
        let mut steps = walk.steps.iter();
        steps.any(|step| matches!(step.found, AtName::Several(_)))
    };
    if signers.chain(spf).chain([author]).any(several) {
        "several-records"
    } else if author.labels().count() == 1 {
        "single-label"
    } else {
        "unknown"
    }
}
