//! MTA-STS: the policy that mail comes in over TLS alone (RFC 8461).

mod policy;

pub(super) use self::policy::Mode;
use self::policy::{Policy, counts, mode_of, read_record};
use super::contact::{no_roots, nobody};
use super::dane;
use super::facts::Facts;
use super::finding::{CheckReport, Finding};
use super::mx;
use super::net::{Download, NoConnection, Trust};
use super::text::{self, Texts};
use crate::dns::lookup::{DnsName, Pending};

const NAME: &str = "mta-sts";
/// RFC 8461 §3.3.
const PATH: &str = "/.well-known/mta-sts.txt";

pub(super) fn judge(facts: &Facts<'_>) -> Result<CheckReport, Pending> {
    let exchanges = facts.exchanges()?;
    if exchanges.null || exchanges.failure.is_some() {
        return nobody(facts, NAME);
    }
    let mut hosts: Vec<DnsName> = exchanges.hosts.into_iter().map(|(_, host)| host).collect();
    if hosts.is_empty() {
        // RFC 5321 §5.1.
        if facts.addresses(&facts.domain())?.list.is_empty() {
            return nobody(facts, NAME);
        }
        hosts.push(facts.domain());
    }
    hosts.retain(|host| !host.is_root());
    let domain = facts.domain();
    let (Ok(name), Ok(host)) = (domain.below("_mta-sts"), domain.below("mta-sts")) else {
        return Ok(CheckReport::new(
            NAME,
            "the name is too long for MTA-STS",
            Vec::new(),
        ));
    };
    let records = match text::at(facts, &name)? {
        Ok(records) => records,
        Err(finding) => return Ok(CheckReport::new(NAME, "", vec![*finding])),
    };
    let meant = records.meant(VERSION);
    let texts: Vec<String> = meant
        .iter()
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .collect();
    if texts.is_empty() {
        let covered = dane::protects(facts)?;
        // It is to say so with a null MX.
        let parked = facts.exchanges()?.hosts.is_empty() && mx::parked(facts)?;
        let sentence = match covered {
            _ if parked => {
                "there is no MTA-STS, nor a server that the domain, which sends no mail, names for what comes"
            }
            true => "there is no MTA-STS, and DANE protects mail on its way in",
            false => "",
        };
        let finding = (!covered && !parked).then(|| missing(&domain, &records, &hosts, &id(facts)));
        let report = CheckReport::new(NAME, sentence, finding.into_iter().collect());
        return Ok(report.fact("used", false));
    }
    let finding = judge_records(&records, &meant, &id(facts));
    let mut findings: Vec<Finding> = finding.into_iter().collect();
    let addresses = facts.addresses(&host)?;
    if let Some((question, cause)) = &addresses.failure
        && addresses.list.is_empty()
    {
        findings.push(Finding::no_answer(question, *cause));
        return Ok(CheckReport::new(NAME, "", findings).fact("records", texts));
    }
    if addresses.list.is_empty() {
        findings.push(unreachable(&host, "the name has no address"));
        return Ok(CheckReport::new(NAME, "", findings).fact("records", texts));
    }
    let reachable: Vec<_> = addresses.reachable().collect();
    if reachable.is_empty() {
        let why = format!("nobody outside can reach {}", addresses.list[0]);
        findings.push(unreachable(&host, &why));
        return Ok(CheckReport::new(NAME, "", findings).fact("records", texts));
    }
    let download = facts.https(&host, PATH, reachable)?;
    let body = String::from_utf8_lossy(&download.body).into_owned();
    let report = |findings| {
        let sentence = "a policy enforces TLS for mail on its way in";
        let report = CheckReport::new(NAME, sentence, findings).fact("used", true);
        let report = report
            .fact("records", &texts)
            .fact("status", download.status);
        report.fact("policy", &body)
    };
    if let Some(finding) = transport(&host, &download) {
        findings.push(finding);
        return Ok(report(findings));
    }
    let plain = download.content_type.as_deref().unwrap_or_default();
    let kind = plain.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("text/plain") {
        // RFC 8461 §3.2.
        findings.push(Finding::new(
            "mta-sts-policy-type",
            &host,
            format!("the policy comes as `{plain}`, and should come as text/plain"),
            "let the web server send `Content-Type: text/plain` with it",
        ));
    }
    let policy = match download.cut {
        true => Err("it has more than 64 KiB".to_owned()),
        false => Policy::read(&body),
    };
    match policy {
        Ok(policy) => findings.extend(faults(&policy, &host, &hosts)),
        Err(why) => findings.push(Finding::new(
            "mta-sts-policy-syntax",
            &host,
            format!("the policy at https://{host}{PATH} cannot be read: {why}"),
            format!(
                "let the file be as below, and change the id of the record:\n{}",
                example(mode_of(&body).unwrap_or(Mode::Testing), &hosts)
            ),
        )),
    }
    Ok(report(findings))
}

/// What is wrong with texts that are meant as records, of which there is one at least.
fn judge_records(texts: &Texts, meant: &[&[u8]], id: &str) -> Option<Finding> {
    let fresh = || format!("v=STSv1; id={id};");
    let read = |text: &[u8]| read_record(&String::from_utf8_lossy(text));
    // RFC 8461 §3.1: those that begin otherwise are discarded, and of the rest there must be one.
    let counting = meant.iter().copied();
    let counting: Vec<&[u8]> = counting
        .filter(|text| counts(&String::from_utf8_lossy(text)))
        .collect();
    if counting.len() < 2 {
        let judged = counting.first().or(meant.first())?;
        let why = read(judged).err()?;
        let old = match counting.is_empty() {
            true => meant,
            false => &counting,
        };
        return Some(texts.replace(syntax(&texts.name, &why), old, fresh()));
    }
    let finding = Finding::new(
        "mta-sts-several",
        &texts.name,
        format!(
            "there are {} MTA-STS records at {}, and then none counts",
            counting.len(),
            texts.name
        ),
        "leave one of them",
    );
    let Some(good) = counting.iter().position(|text| read(text).is_ok()) else {
        return Some(texts.replace(finding, &counting, fresh()));
    };
    let others = counting.iter().enumerate().filter(|(at, _)| *at != good);
    let others: Vec<&[u8]> = others.map(|(_, text)| *text).collect();
    Some(texts.replace(finding, &others, None))
}

/// How far a policy promises certificates that authorities vouch for (RFC 8461 §4.2): it is enforced, or tried, or
/// there is none that can be had.
pub(super) fn promises(facts: &Facts<'_>) -> Result<Mode, Pending> {
    let domain = facts.domain();
    let (Ok(name), Ok(host)) = (domain.below("_mta-sts"), domain.below("mta-sts")) else {
        return Ok(Mode::None);
    };
    let Ok(records) = text::at(facts, &name)? else {
        return Ok(Mode::None);
    };
    let texts = records.list.iter();
    let texts = texts.map(|text| String::from_utf8_lossy(text));
    let counting: Vec<_> = texts.filter(|text| counts(text)).collect();
    if counting.len() != 1 || read_record(&counting[0]).is_err() {
        return Ok(Mode::None);
    }
    let reachable: Vec<_> = facts.addresses(&host)?.reachable().collect();
    if reachable.is_empty() {
        return Ok(Mode::None);
    }
    let download = facts.https(&host, PATH, reachable)?;
    let policy = Policy::read(&String::from_utf8_lossy(&download.body));
    Ok(match (policy, transport(&host, &download)) {
        (Ok(policy), None) => policy.mode,
        _ => Mode::None,
    })
}

/// What an MTA-STS record begins with.
const VERSION: &str = "v=stsv1";

/// An id that no policy had before: senders ask for the policy again only when it changes (RFC 8461 §3.1).
fn id(facts: &Facts<'_>) -> String {
    let mut id = facts.options.now.to_rfc3339();
    id.retain(|c| c.is_ascii_alphanumeric());
    id
}

fn syntax(name: &DnsName, why: &str) -> Finding {
    Finding::new(
        "mta-sts-syntax",
        name,
        format!("the MTA-STS record at {name} cannot be read: {why}"),
        "publish a version and an id, and change the id with each change of the policy",
    )
}

fn missing(domain: &DnsName, texts: &Texts, hosts: &[DnsName], id: &str) -> Finding {
    let name = &texts.name;
    texts.tell(Finding::new(
        "mta-sts-missing",
        domain,
        "neither MTA-STS nor DANE makes senders use TLS: who is in the way of the mail can read it",
        format!(
            "put this file at https://mta-sts.{domain}{PATH}, and then publish `v=STSv1; id={id};` as TXT at {name}; let the mode be enforce when reports (TLS-RPT) show no trouble; or publish TLSA records, where the zones are signed\n{}",
            example(Mode::Testing, hosts)
        ),
    ))
}

/// A policy for these hosts.
fn example(mode: Mode, hosts: &[DnsName]) -> String {
    let lines: String = hosts.iter().map(|host| format!("mx: {host}\n")).collect();
    format!(
        "version: STSv1\nmode: {}\n{lines}max_age: 604800",
        mode.as_str()
    )
}

fn unreachable(host: &DnsName, why: &str) -> Finding {
    Finding::new(
        "mta-sts-unreachable",
        host,
        format!("the policy at https://{host}{PATH} cannot be fetched: {why}"),
        format!(
            "let a web server answer at {host}, port 443, with the policy; or remove the record at _{host}, and then the policy"
        ),
    )
}

/// What keeps the policy from coming (RFC 8461 §3.3).
fn transport(host: &DnsName, download: &Download) -> Option<Finding> {
    let tls = download.tls.as_ref();
    let wrong = match tls.map(|tls| &tls.trust) {
        Some(Trust::NoRoots) => return Some(no_roots(host)),
        None | Some(Trust::Trusted) => None,
        Some(Trust::Expired) => Some("it, or one above it, has expired".to_owned()),
        Some(Trust::NotYetValid) => Some("it is not valid yet".to_owned()),
        Some(Trust::WrongName) => Some("it is for other names".to_owned()),
        Some(Trust::UnknownIssuer) => Some("nobody who is trusted has issued it".to_owned()),
        Some(Trust::Other(why)) => Some(why.clone()),
    };
    if let Some(why) = wrong {
        return Some(Finding::new(
            "mta-sts-certificate",
            host,
            format!("the certificate of {host} does not hold: {why}"),
            format!(
                "let the web server show a certificate for {host} of a public authority, and send the chain with it"
            ),
        ));
    }
    match (&download.trouble, download.status) {
        (
            Some(
                trouble @ (NoConnection::NoTime | NoConnection::NoIpv6 | NoConnection::OverBudget),
            ),
            _,
        ) => Some(Finding::new(
            "no-connection",
            host,
            format!("{host} could not be talked to: {trouble}"),
            "run the audit again from another network, with IPv6 where the host has nothing else, or with a longer --timeout or --budget; if nobody else gets through either, let the web server answer and open the port in the firewall",
        )),
        (Some(trouble), _) => Some(unreachable(host, &trouble.to_string())),
        (None, Some(200)) => None,
        (None, Some(status @ 300..=399)) => {
            let target = download.location.as_deref().unwrap_or("nowhere");
            Some(Finding::new(
                "mta-sts-redirect",
                host,
                format!(
                    "https://{host}{PATH} leads to {target} (status {status}), and nobody may follow"
                ),
                "let the web server answer at this place itself; for another host it can be a proxy",
            ))
        }
        (None, status) => {
            let status =
                status.map_or_else(|| "no status".to_owned(), |code| format!("status {code}"));
            Some(unreachable(host, &status))
        }
    }
}

/// A policy that is kept for less is as good as none.
const DAY: u64 = 86_400;

/// What the policy does less than it could.
fn faults(policy: &Policy, host: &DnsName, exchanges: &[DnsName]) -> Vec<Finding> {
    let mut findings = Vec::new();
    if policy.mode == Mode::None {
        findings.push(Finding::new(
            "mta-sts-mode-none",
            host,
            "the policy has the mode none, and protects nothing",
            "let the mode be testing, and enforce when reports show no trouble; then change the id of the record",
        ));
        return findings;
    }
    let (word, what) = match policy.mode {
        // RFC 8461 §5.
        Mode::Testing => (
            "mta-sts-mx-left-out",
            "once it is enforced, senders that heed it deliver nothing there",
        ),
        _ => (
            "mta-sts-mx-not-covered",
            "senders that heed it deliver nothing there",
        ),
    };
    for exchange in exchanges.iter().filter(|exchange| !policy.covers(exchange)) {
        findings.push(Finding::new(
            word,
            exchange,
            format!("the policy leaves the MX host {exchange} out: {what}"),
            format!("add the line `mx: {exchange}` to the policy, and change the id of the record"),
        ));
    }
    if policy.mode == Mode::Testing {
        findings.push(Finding::new(
            "mta-sts-mode-testing",
            host,
            "the policy has the mode testing: senders report trouble, and deliver all the same",
            "let the mode be enforce when reports show no trouble, and change the id of the record",
        ));
    }
    if policy.max_age < DAY {
        findings.push(Finding::new(
            "mta-sts-short",
            host,
            format!("senders keep the policy for {} seconds only, and then whoever is in the way can hide it", policy.max_age),
            "let max_age be weeks or more: 604800 is one",
        ));
    }
    findings
}

#[cfg(test)]
mod tests;
