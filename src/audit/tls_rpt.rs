//! TLS-RPT (RFC 8460): who gets reports about TLS from those who send mail to the domain.

use super::facts::Facts;
use super::finding::{CheckReport, Finding};
use super::text::{self, Texts};
use crate::dmarc::record::ReportUri;
use crate::dns::lookup::{Ask as _, DnsName, Pending, RecordType};

const NAME: &str = "tls-rpt";

pub(super) fn judge(facts: &Facts<'_>) -> Result<CheckReport, Pending> {
    let domain = facts.domain();
    let Ok(name) = domain.below("_smtp._tls") else {
        return Ok(CheckReport::new(NAME, TOO_LONG, Vec::new()));
    };
    let used = is_useful(facts);
    let texts = match text::at(facts, &name)? {
        Ok(texts) => texts,
        Err(finding) => return Ok(CheckReport::new(NAME, "", vec![*finding])),
    };
    let meant = texts.meant("v=tlsrpt");
    let readings: Vec<(&[u8], Reading)> = meant
        .into_iter()
        .map(|text| (text, Reading::of(text)))
        .collect();
    // RFC 8460 §3: those that begin otherwise are passed over; if not one is left, there is none.
    let counting = readings.iter().filter(|(_, reading)| reading.counts);
    let mut judged: Vec<&(&[u8], Reading)> = counting.collect();
    let count = judged.len();
    if count == 0 {
        judged = readings.iter().collect();
    }
    let mut uris: Vec<String> = Vec::new();
    for uri in judged.iter().flat_map(|(_, reading)| &reading.uris) {
        if !uris.contains(uri) {
            uris.push(uri.clone());
        }
    }
    let is_unclear = judged.iter().any(|(_, reading)| reading.is_unclear);
    let better =
        (!uris.is_empty() && !is_unclear).then(|| format!("v=TLSRPTv1; rua={}", uris.join(",")));
    let is_published = better.is_some();
    let old: Vec<&[u8]> = judged.iter().map(|(text, _)| *text).collect();
    let mended = |finding| match better {
        Some(better) => texts.replace(finding, &old, better),
        None => texts.tell(finding),
    };
    let finding = match judged.as_slice() {
        [] => match used? {
            Some(what) => Some(missing(&domain, &texts, what)),
            None => {
                let sentence = "there is no TLS-RPT record, and neither MTA-STS nor DANE of which reports would tell";
                return Ok(CheckReport::new(NAME, sentence, Vec::new()));
            }
        },
        [_, _, ..] if count > 0 => Some(mended(Finding::new(
            "tls-rpt-several",
            &texts.name,
            format!("{count} TLS-RPT records stand at {name}, and so none counts"),
            "publish one record alone",
        ))),
        _ => {
            let unclear = judged.iter().find(|(_, reading)| reading.is_unclear);
            let mut told = unclear.into_iter().chain(&judged);
            let wrong = told.find_map(|(_, reading)| reading.fault.as_ref());
            let mend = match is_published {
                true => "publish the record as it stands below".to_owned(),
                false => {
                    format!("name an address in rua=, such as rua=mailto:tls-reports@{domain}")
                }
            };
            wrong.map(|fault| {
                let sentence = format!("the TLS-RPT record cannot be used: {fault}");
                mended(Finding::new("tls-rpt-syntax", &texts.name, sentence, mend))
            })
        }
    };
    let sentence = format!("reports about TLS go to {}", uris.join(", "));
    let report = CheckReport::new(NAME, sentence, finding.into_iter().collect());
    Ok(report.fact("rua", uris))
}

const TOO_LONG: &str = "the name of the domain is too long for a TLS-RPT record";

/// What reports would be about, if anything.
fn is_useful(facts: &Facts<'_>) -> Result<Option<&'static str>, Pending> {
    let exchanges = facts.exchanges()?;
    let sts = match facts.domain().below("_mta-sts") {
        Ok(name) => text::at(facts, &name),
        Err(_) => return Ok(None),
    };
    let hosts = exchanges.hosts.iter().filter(|(_, host)| !host.is_root());
    let names = hosts.filter_map(|(_, host)| host.below("_25._tcp").ok());
    let pinned: Vec<_> = names
        .map(|name| facts.look(&name, RecordType::Tlsa))
        .collect();
    if exchanges.null {
        return Ok(None);
    }
    if sts?.is_ok_and(|texts| !texts.meant("v=stsv1").is_empty()) {
        return Ok(Some("MTA-STS"));
    }
    for found in pinned {
        if !found?.records().is_empty() {
            return Ok(Some("DANE"));
        }
    }
    Ok(None)
}

fn missing(domain: &DnsName, texts: &Texts, what: &str) -> Finding {
    let finding = Finding::new(
        "tls-rpt-missing",
        &texts.name,
        format!("{domain} has {what}, and nobody gets reports when it keeps mail away"),
        "publish a TLS-RPT record; any address that somebody reads will do",
    );
    texts.publish(
        finding,
        format!("v=TLSRPTv1; rua=mailto:postmaster@{domain}"),
    )
}

/// A record, as far as it can be read.
struct Reading {
    /// Whether it begins as it must.
    counts: bool,
    /// Where reports are to go, written as they must be.
    uris: Vec<String>,
    /// The first thing that is wrong with it.
    fault: Option<String>,
    /// Whether it is not known where an address ends; a guess could send reports to somebody else.
    is_unclear: bool,
    /// What begins like the address of a mailbox and has no domain: that may stand behind the next comma or semicolon.
    open: Option<String>,
}

impl Reading {
    /// RFC 8460 §3.
    fn of(text: &[u8]) -> Reading {
        let mut reading = Reading {
            counts: false,
            uris: Vec::new(),
            fault: None,
            is_unclear: false,
            open: None,
        };
        let clean = text::unpasted(text);
        if clean.as_bytes() != text {
            reading.fault("quotes, backslashes or blanks around it were pasted into it".to_owned());
        }
        let behind = clean.strip_prefix(VERSION).map(str::trim_start);
        let right = behind.is_some_and(|behind| behind.starts_with(';'));
        reading.counts = reading.fault.is_none() && right;
        if !right {
            reading.fault(format!("it does not begin with {VERSION};"));
        }
        let rest = match clean.split_once(';') {
            Some((_, rest)) => rest,
            None => behind.unwrap_or_default(),
        };
        let mut in_list = false;
        for piece in rest.split(';') {
            let field = piece.trim();
            if field.is_empty() {
                continue;
            }
            let parts = field.split_once('=');
            if in_list && reading.may_go_on(piece) {
                let shown = text::excerpt(field);
                reading.unclear(format!(
                    "\"{shown}\" stands behind a semicolon, which ends the address before it: where it belongs to that, the semicolon must be written %3B, and a comma %2C"
                ));
                continue;
            }
            if in_list && is_of_list(field) {
                let shown = text::excerpt(field);
                reading.fault(format!(
                    "a semicolon stands before \"{shown}\" where a comma must stand"
                ));
                reading.addresses(field);
                continue;
            }
            in_list = parts.is_some_and(|(tag, _)| tag.trim().eq_ignore_ascii_case("rua"));
            match parts {
                Some((tag, value)) if tag.trim().eq_ignore_ascii_case("rua") => {
                    if !field.starts_with("rua=") {
                        let tag = text::excerpt(tag);
                        reading.fault(format!("\"{tag}=\" is not \"rua=\""));
                    }
                    reading.addresses(value);
                }
                // Others may follow one day.
                Some((tag, _)) if is_extension(tag) => {}
                _ => reading.fault(format!(
                    "\"{}\" is not of the form tag=value",
                    text::excerpt(field)
                )),
            }
        }
        if reading.is_unclear {
            reading.uris.clear();
        }
        if reading.uris.is_empty() {
            reading.fault("rua= names nobody who could get reports".to_owned());
        }
        reading
    }

    fn fault(&mut self, fault: String) {
        self.fault.get_or_insert(fault);
    }

    /// What is not known comes before all else that is wrong, since nothing can be published for it.
    fn unclear(&mut self, fault: String) {
        if !self.is_unclear {
            self.fault = Some(fault);
        }
        self.is_unclear = true;
    }

    /// Whether what stands behind a semicolon may belong to the address before it.
    fn may_go_on(&self, piece: &str) -> bool {
        let field = piece.trim();
        if has_scheme(field) || field.contains('=') {
            return false;
        }
        let is_web = self.uris.last().is_some_and(|uri| is_web(uri));
        self.open.is_some() || is_web && !piece.starts_with([' ', '\t'])
    }

    /// URIs of RFC 3986, with commas between.
    fn addresses(&mut self, list: &str) {
        let mut pieces = list.split(',').peekable();
        while let Some(piece) = pieces.next() {
            let mut uri = piece.to_owned();
            while let Some(next) = pieces.next_if(|next| continues(&uri, next)) {
                uri = format!("{uri},{next}");
            }
            let uri = uri.trim();
            if let Some(open) = self.open.as_ref().filter(|_| !has_scheme(uri)) {
                let shown = text::excerpt(&format!("{open},{uri}"));
                self.unclear(format!(
                    "in \"{shown}\" a comma stands within an address, where it must be written %2C, or the address before it is not whole"
                ));
                continue;
            }
            if is_open(uri) {
                self.open = Some(uri.to_owned());
            }
            self.address(uri);
        }
    }

    fn address(&mut self, uri: &str) {
        let shown = text::excerpt(uri);
        let parted: Vec<&str> = uri.split_ascii_whitespace().collect();
        let encoded = encoded(uri);
        if !uri.contains(',') && is_usable(uri) {
            self.uris.push(uri.to_owned());
        } else if parted.len() > 1 && parted.iter().all(|part| is_usable(part)) {
            self.fault(format!(
                "in \"{shown}\" a blank stands where a comma must stand"
            ));
            self.uris.extend(parted.into_iter().map(str::to_owned));
        } else if let Some((uri, _)) = uri.rsplit_once('!').filter(|(_, size)| is_size(size)) {
            self.fault(format!(
                "\"{shown}\" has a size behind it, which only DMARC knows"
            ));
            self.address(uri);
        } else if encoded != uri && is_usable(&encoded) {
            self.fault(format!(
                "in \"{shown}\" a comma must be written %2C, and an exclamation mark %21"
            ));
            self.uris.push(encoded);
        } else if !uri.contains(':') && is_usable(&format!("mailto:{uri}")) {
            self.fault(format!("\"{shown}\" lacks mailto:"));
            self.uris.push(format!("mailto:{uri}"));
        } else if let Some(address) = after_slashes(uri).filter(|address| is_usable(address)) {
            self.fault(format!("\"{shown}\" has slashes behind mailto:"));
            self.uris.push(address);
        } else if let Some(error) = ReportUri::parse(uri.as_bytes())
            .err()
            .filter(|_| has_scheme(uri))
        {
            self.fault(format!("\"{shown}\" gets no reports: {error}"));
        } else if has_scheme(uri) {
            self.fault(format!(
                "\"{shown}\" gets no reports: it names no host, or no mailbox"
            ));
        } else {
            self.fault(format!("\"{shown}\" is neither mailto: nor https:"));
        }
    }
}

/// Whether what stands behind a comma belongs to the address of a web server before it: it is no address, and no blank
/// parts them.
fn continues(uri: &str, next: &str) -> bool {
    let is_apart = next.is_empty() || next.contains([':', '@', ' ', '\t']);
    let joined = encoded(&format!("{},{next}", uri.trim_start()));
    !is_apart && is_web(uri.trim_start()) && is_usable(&joined)
}

/// Whether it begins like the address of a mailbox, and has no domain.
fn is_open(uri: &str) -> bool {
    let scheme = uri.get(.."mailto:".len());
    let begins = scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("mailto:"));
    begins && !uri.contains('@')
}

/// Whether a field is an address for reports, and no tag with its value.
fn is_of_list(field: &str) -> bool {
    let mut pieces = field.split(',').map(str::trim);
    pieces.all(|piece| {
        is_usable(piece) || !piece.contains('=') && is_usable(&format!("mailto:{piece}"))
    })
}

/// A URI with that encoded which means something else in a record (RFC 8460 §3).
fn encoded(uri: &str) -> String {
    uri.replace(',', "%2C").replace('!', "%21")
}

/// Whether it is a size of DMARC: digits, and perhaps a unit.
fn is_size(text: &str) -> bool {
    let digits = text.strip_suffix(['k', 'm', 'g', 't', 'K', 'M', 'G', 'T']);
    let digits = digits.unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// The address behind `mailto://`, as it must be written.
fn after_slashes(uri: &str) -> Option<String> {
    let (scheme, address) = uri.split_once("://")?;
    let is_mail = scheme.eq_ignore_ascii_case("mailto");
    is_mail.then(|| format!("mailto:{address}"))
}

fn is_web(uri: &str) -> bool {
    let scheme = uri.get(.."https://".len());
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"))
}

/// Whether a report can be sent to a URI: to a mailbox, or to a server of the web.
fn is_usable(uri: &str) -> bool {
    let Ok(read) = ReportUri::parse(uri.as_bytes()) else {
        return false;
    };
    if read.size_limit.is_some() {
        return false;
    }
    if read.mailbox.is_some() {
        let address = uri.split(['?', '#']).next().unwrap_or_default();
        let twice = address.matches('@').count() > 1;
        return !twice && !address.contains("://");
    }
    let rest = uri.get("https://".len()..).filter(|_| is_web(uri));
    let authority = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
    let host = authority.and_then(|authority| authority.rsplit('@').next());
    host.is_some_and(|host| !host.is_empty() && !host.starts_with(':'))
}

fn has_scheme(uri: &str) -> bool {
    let scheme = uri.split(':').next().unwrap_or_default();
    ["mailto", "https"]
        .iter()
        .any(|known| scheme.eq_ignore_ascii_case(known))
}

const VERSION: &str = "v=TLSRPTv1";

/// Whether a tag may stand there: 32 letters, digits, and `_-.` at most, the first a letter or a digit.
fn is_extension(tag: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    tag.len() <= 32
        && tag.starts_with(|c: char| c.is_ascii_alphanumeric())
        && tag.bytes().all(legal)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{judge, mended, words};

    #[test]
    fn one_record_names_who_gets_reports() {
        for value in [
            "v=TLSRPTv1; rua=mailto:a@example.org",
            "v=TLSRPTv1;rua=https://example.org/reports , mailto:b@example.net;",
            "v=TLSRPTv1 ; rua=mailto:a@example.org; x-y=z",
        ] {
            let zone = format!("_smtp._tls.example.org. TXT \"{value}\"");
            assert_eq!(words(&judge("tls-rpt", &zone)), [""; 0], "{value}");
        }
        for (value, mended_to) in [
            (
                "v=TLSRPTv1; rua=a@example.org",
                Some("mailto:a@example.org"),
            ),
            (
                "v=TLSRPTv1 rua=mailto:a@example.org",
                Some("mailto:a@example.org"),
            ),
            (
                "v=tlsrptv1; rua=mailto:a@example.org",
                Some("mailto:a@example.org"),
            ),
            (
                "v=TLSRPTv1; rua=mailto:a@example.org!10m",
                Some("mailto:a@example.org"),
            ),
            (
                "v=TLSRPTv1; rua=mailto:a@example.org,http://example.org/",
                Some("mailto:a@example.org"),
            ),
            (
                "v=TLSRPTv1; RUA=mailto:a@example.org",
                Some("mailto:a@example.org"),
            ),
            (
                "\\\"v=TLSRPTv1; rua=mailto:a@example.org\\\"",
                Some("mailto:a@example.org"),
            ),
            ("v=TLSRPTv1", None),
            ("v=TLSRPTv1; rua=", None),
            (
                "v=TLSRPTv1; rua=mailto:a@example.org; nonsense",
                Some("mailto:a@example.org"),
            ),
        ] {
            let zone = format!("_smtp._tls.example.org. TXT \"{value}\"");
            let report = judge("tls-rpt", &zone);
            assert_eq!(words(&report), ["tls-rpt-syntax"], "{value}");
            let published = &report.findings[0].publish;
            let expected = mended_to.map(|uri| format!("v=TLSRPTv1; rua={uri}"));
            assert_eq!(
                published.first().map(|record| &record.value),
                expected.as_ref(),
                "{value}"
            );
            if mended_to.is_some() {
                assert_eq!(words(&mended("tls-rpt", &zone)), [""; 0], "{value}");
            }
        }
    }

    #[test]
    fn only_what_a_report_can_be_sent_to_counts() {
        for (list, mended_to) in [
            (
                "mailto:a@example.org mailto:b@example.org",
                Some("mailto:a@example.org,mailto:b@example.org"),
            ),
            (
                "mailto:a@example.org https://example.org/r,mailto:b@example.org",
                Some("mailto:a@example.org,https://example.org/r,mailto:b@example.org"),
            ),
            ("mailto:tls reports@example.org", None),
            ("mailto:@", None),
            ("mailto:@example.org", None),
            ("mailto:a@", None),
            ("https://", None),
            ("https:///r", None),
            ("https:example.org", None),
            ("https://:443/", None),
            ("https://a@:443/", None),
            ("mailto:a@b@example.org", None),
            ("mailto://a@example.org", Some("mailto:a@example.org")),
            ("mailto:a!b@example.org", Some("mailto:a%21b@example.org")),
            ("https://example.org/a,b", Some("https://example.org/a%2Cb")),
            (
                "https://example.org/?a=b!c,d,mailto:b@example.org",
                Some("https://example.org/?a=b%21c%2Cd,mailto:b@example.org"),
            ),
            (
                "https://example.org/?a=b!c!10m",
                Some("https://example.org/?a=b%21c"),
            ),
            (
                "https://example.org/a!10m,b@example.org,",
                Some("https://example.org/a,mailto:b@example.org"),
            ),
            ("http://example.org/", None),
            ("mailto:a\\027[2J@example.org", None),
            ("mailto:a\\195\\164@example.org", None),
            (
                "mailto:a\\027@example.org,mailto:b@example.org",
                Some("mailto:b@example.org"),
            ),
            ("mailto:a%4@example.org", None),
            // Where an address ends is not known, and b is another mailbox.
            ("mailto:a,b@example.org", None),
            ("mailto:\\\"a,b\\\"@example.org,mailto:c@example.org", None),
            ("mailto:a;b@example.org", None),
            ("mailto:a,b,c@example.org", None),
            ("mailto:a;b,c@example.org,mailto:d@example.org", None),
            ("https://example.org/a;b", None),
            ("https://example.org/a;b@example.org", None),
            (
                "mailto:a@example.org;mailto:b@example.org",
                Some("mailto:a@example.org,mailto:b@example.org"),
            ),
            (
                "mailto:a@example.org,b@example.org; mailto:c@example.org , d@example.org;",
                Some(
                    "mailto:a@example.org,mailto:b@example.org,mailto:c@example.org,mailto:d@example.org",
                ),
            ),
            (
                "https://example.org/r; mailto:b@example.org?subject=x",
                Some("https://example.org/r,mailto:b@example.org?subject=x"),
            ),
        ] {
            let zone = format!("_smtp._tls.example.org. TXT \"v=TLSRPTv1; rua={list}\"");
            let report = judge("tls-rpt", &zone);
            assert_eq!(words(&report), ["tls-rpt-syntax"], "{list}");
            let finding = &report.findings[0];
            let published = finding.publish.first().map(|record| record.value.clone());
            let expected = mended_to.map(|uri| format!("v=TLSRPTv1; rua={uri}"));
            assert_eq!(published, expected, "{list}");
            match mended_to {
                Some(_) => assert_eq!(words(&mended("tls-rpt", &zone)), [""; 0], "{list}"),
                None => assert!(finding.mend.contains("mailto:tls-reports@example.org")),
            }
        }
    }

    #[test]
    fn a_record_is_published_where_the_alias_leads() {
        let zone = "_mta-sts.example.org. TXT \"v=STSv1; id=1\"\n_smtp._tls.example.org. CNAME tls.example.org.\ntls.example.org. TXT other";
        let report = judge("tls-rpt", zone);
        assert_eq!(words(&report), ["tls-rpt-missing"]);
        assert_eq!(report.findings[0].publish[0].name, "tls.example.org.");
    }

    #[test]
    fn several_records_become_one() {
        let zone = "_smtp._tls.example.org. TXT \"v=TLSRPTv1; rua=mailto:a@example.org\"\n_smtp._tls.example.org. TXT \"v=TLSRPTv1; rua=mailto:b@example.org\"";
        assert_eq!(words(&judge("tls-rpt", zone)), ["tls-rpt-several"]);
        let after = mended("tls-rpt", zone);
        assert_eq!(words(&after), [""; 0]);
        assert_eq!(after.facts["rua"][1], "mailto:b@example.org");
    }

    #[test]
    fn what_is_passed_over_neither_counts_nor_harms() {
        let zone = "_smtp._tls.example.org. TXT \"v=TLSRPTv1; rua=mailto:a@example.org\"\n_smtp._tls.example.org. TXT \"v=tlsrptv1; rua=b@example.org\"";
        assert_eq!(words(&judge("tls-rpt", zone)), [""; 0]);
        let several = format!("{zone}\n_smtp._tls.example.org. TXT \"v=TLSRPTv1; rua=\"");
        let report = judge("tls-rpt", &several);
        assert_eq!(words(&report), ["tls-rpt-several"]);
        let finding = &report.findings[0];
        assert_eq!(finding.remove.len(), 2);
        assert_eq!(
            finding.publish[0].value,
            "v=TLSRPTv1; rua=mailto:a@example.org"
        );
        assert_eq!(words(&mended("tls-rpt", &several)), [""; 0]);
        // Nobody of those is left out whose address is not known.
        let unclear = several.replace("rua=\"", "rua=mailto:c,d@example.org\"");
        let report = judge("tls-rpt", &unclear);
        assert_eq!(words(&report), ["tls-rpt-several"]);
        assert_eq!(report.findings[0].publish, []);
        // Nor where none of them counts.
        let report = judge("tls-rpt", &unclear.replace("v=TLSRPTv1;", "v=TLSRPTv1"));
        assert_eq!(words(&report), ["tls-rpt-syntax"]);
        let finding = &report.findings[0];
        assert_eq!(finding.publish, []);
        assert!(finding.sentence.contains("%2C"), "{}", finding.sentence);
        assert!(
            finding.mend.starts_with("name an address"),
            "{}",
            finding.mend
        );
    }

    #[test]
    fn reports_are_missed_only_where_there_is_something_to_report() {
        for (zone, expected) in [
            ("example.org. MX 10 mx.example.org.", &[][..]),
            (
                "_mta-sts.example.org. TXT \"v=STSv1; id=1\"",
                &["tls-rpt-missing"],
            ),
            (
                "example.org. MX 10 mx.example.org.\n_25._tcp.mx.example.org. TLSA 3 1 1 00",
                &["tls-rpt-missing"],
            ),
            (
                "example.org. MX 0 .\n_mta-sts.example.org. TXT \"v=STSv1; id=1\"",
                &[],
            ),
        ] {
            assert_eq!(words(&judge("tls-rpt", zone)), expected, "{zone}");
            assert_eq!(words(&mended("tls-rpt", zone)), [""; 0], "{zone}");
        }
        let silent = r#"{"_smtp._tls.example.org.": {"status": "TIMEOUT"}}"#;
        assert_eq!(words(&judge("tls-rpt", silent)), ["no-answer"]);
    }
}
