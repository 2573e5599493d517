//! Whether those to whom reports are to be sent have agreed to take them (RFC 9990 §4, RFC 9991 §5).

use serde::Serialize;

use super::record::{Reading, Record, ReportUri};
use super::walk::walk;
use crate::dns::lookup::{Ask, DnsName, Pending, RecordType, Said};
use crate::name::Domain;

/// An address for reports, and whether they may be sent there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Destination {
    /// The tag that names it: `rua` or `ruf`.
    pub tag: &'static str,
    /// The address, as it stands there.
    pub uri: String,
    /// The domain that would get the reports.
    #[serde(serialize_with = "super::as_ascii_or_null")]
    pub host: Option<Domain>,
    /// Whether it may.
    pub authorization: Authorization,
    /// The name at which the destination says so, where it must.
    pub name: Option<String>,
    /// All of it in a sentence, with the record to publish where that mends it.
    pub sentence: String,
}

/// Whether reports may be sent to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Authorization {
    /// It belongs to the organization of the policy, which needs nobody's leave.
    Internal,
    /// The destination agrees.
    Authorized,
    /// It does not.
    NotAuthorized,
    /// An answer of DNS is missing.
    Unknown,
}

/// The record by which a destination agrees.
pub const AUTHORIZING_RECORD: &str = "v=DMARC1;";

/// More addresses than this are not looked at: reporters have caps too.
const MAX_DESTINATIONS: usize = 20;

/// Asks for each address in rua= and ruf= of `record`, which stands at `policy_domain`, whether reports may be sent
/// there.
///
/// ```
/// use dkimkit::dmarc::record::Reading;
/// use dkimkit::dmarc::{Authorization, report_destinations};
/// use dkimkit::dns::Zone;
/// use dkimkit::name::Domain;
/// let reading = Reading::parse(b"v=DMARC1; p=none; rua=mailto:a@reports.example").unwrap();
/// let domain = Domain::new("example.com").unwrap();
/// let found = report_destinations(&Zone::default(), &reading.record, &domain).unwrap();
/// assert_eq!(found[0].authorization, Authorization::NotAuthorized);
/// assert_eq!(found[0].name.as_deref(), Some("example.com._report._dmarc.reports.example"));
/// ```
///
/// # Errors
/// [`Pending`]: not all answers are there.
pub fn report_destinations(
    dns: &dyn Ask,
    record: &Record,
    policy_domain: &Domain,
) -> Result<Vec<Destination>, Pending> {
    let rua = record.rua.iter().map(|uri| ("rua", uri));
    let ruf = record.ruf.iter().map(|uri| ("ruf", uri));
    let all = rua.chain(ruf).take(MAX_DESTINATIONS);
    let found: Vec<_> = all
        .map(|(tag, uri)| destination(dns, tag, uri, policy_domain))
        .collect();
    found.into_iter().collect()
}

fn destination(
    dns: &dyn Ask,
    tag: &'static str,
    uri: &ReportUri,
    policy_domain: &Domain,
) -> Result<Destination, Pending> {
    let about = |authorization, name: Option<&DnsName>, sentence| Destination {
        tag,
        uri: uri.uri.clone(),
        host: uri.destination().cloned(),
        authorization,
        name: name.map(DnsName::to_string),
        sentence,
    };
    let Some(host) = uri.destination() else {
        let sentence = format!("the address in {tag}= has no host that could agree");
        return Ok(about(Authorization::NotAuthorized, None, sentence));
    };
    let (domain, host_text) = (policy_domain.as_ascii(), host.as_ascii());
    if host == policy_domain {
        let sentence = format!("{host_text} gets reports about itself");
        return Ok(about(Authorization::Internal, None, sentence));
    }
    // 2 to 4: the policy domain before _report._dmarc and the host.
    let name = DnsName::from(host).below(&format!("{domain}._report._dmarc"));
    let answer = name
        .as_ref()
        .ok()
        .map(|name| dns.look(name, RecordType::Txt));
    let (ours, theirs) = (walk(dns, policy_domain), walk(dns, host));
    let (ours, theirs) = (ours?.organization(), theirs?.organization());
    if let (Ok((ours, _)), Ok((theirs, _))) = (&ours, &theirs)
        && ours == theirs
    {
        let sentence = format!(
            "{host_text} belongs to the same organizational domain {}",
            ours.as_ascii()
        );
        return Ok(about(Authorization::Internal, None, sentence));
    }
    let (Ok(name), Some(answer)) = (&name, answer) else {
        let sentence = format!(
            "{host_text} cannot agree to take reports about {domain}: together the names are too long for DNS"
        );
        return Ok(about(Authorization::NotAuthorized, None, sentence));
    };
    let found = answer?;
    if let Said::Temporary(cause) = found.said {
        let sentence = format!(
            "whether {host_text} takes reports about {domain} is not known: {name}: {cause}"
        );
        return Ok(about(Authorization::Unknown, Some(name), sentence));
    }
    // 6 to 8: any record that begins with v=DMARC1 is enough.
    let agreeing: Vec<Reading> = found
        .texts()
        .filter_map(|text| Reading::parse(text).ok())
        .collect();
    // 9: one that sends reports to yet another host forbids them.
    let elsewhere = |reading: &Reading| {
        let mut uris = reading.record.rua.iter();
        uris.find_map(|uri| uri.destination().filter(|other| *other != host).cloned())
    };
    if let Some(other) = agreeing.iter().find_map(elsewhere) {
        let sentence = format!(
            "the record at {name} sends reports on to {}, which RFC 9990 does not allow",
            other.as_ascii()
        );
        return Ok(about(Authorization::NotAuthorized, Some(name), sentence));
    }
    if !agreeing.is_empty() {
        let sentence = format!("{host_text} agrees to take reports about {domain}");
        return Ok(about(Authorization::Authorized, Some(name), sentence));
    }
    // Without an answer to either walk they may be one organization, which needs no record.
    if let Some(missing) = ours.err().or(theirs.err()) {
        let sentence = format!(
            "whether {host_text} and {domain} belong together is not known: {}: {}",
            missing.name, missing.cause
        );
        return Ok(about(Authorization::Unknown, Some(name), sentence));
    }
    let sentence = format!(
        "{host_text} does not agree to take reports about {domain}, so that none are sent; it has to publish: \
         {name}. TXT \"{AUTHORIZING_RECORD}\""
    );
    Ok(about(Authorization::NotAuthorized, Some(name), sentence))
}
