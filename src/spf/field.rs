//! What came of a check, as fields of a message say it: Received-SPF (RFC 7208 §9.1) and Authentication-Results
//! (RFC 8601 §2.7.2).
//!
//! Everything that comes from others is quoted or escaped; what cannot be quoted is left out.

use super::{Identity, Outcome, Query, SpfResult};
use crate::authres::{ResInfo, identity_value, quoted, token_or_quoted};
use crate::report::is_harmful;

/// A value that is longer is left out: with it a line might have more octets than it may (RFC 5322 §2.1.1).
const MAX_VALUE: usize = 400;

/// Writes the field Received-SPF for a check. Lines end with CRLF; there is none at the end.
///
/// ```
/// use dkimkit::dns::Zone;
/// use dkimkit::spf::{Query, evaluate, received_spf};
/// let zone = Zone::parse("example.com. TXT \"v=spf1 ip4:192.0.2.1 -all\"")?;
/// let query = Query::new("192.0.2.1".parse().unwrap(), "mx.example.com", "anna@example.com");
/// let outcome = evaluate(&zone, &query).unwrap();
/// assert_eq!(
///     received_spf(&query, &outcome),
///     "Received-SPF: pass\r\n\
///      \t(unknown: ip4:192.0.2.1 in the record of example.com matched)\r\n\
///      \treceiver=unknown; client-ip=192.0.2.1;\r\n\
///      \tenvelope-from=\"anna@example.com\"; helo=mx.example.com;\r\n\
///      \tidentity=mailfrom; mechanism=\"ip4:192.0.2.1\""
/// );
/// # Ok::<(), dkimkit::dns::ZoneError>(())
/// ```
pub fn received_spf(query: &Query, outcome: &Outcome) -> String {
    let mut text = format!("Received-SPF: {}", outcome.result);
    let comment = sentence(&format!("{}: {}", query.receiver, outcome.reason));
    let comment = comment
        .replace('\\', "\\\\")
        .replace('(', "\\(")
        .replace(')', "\\)");
    let mut line = 0;
    for (at, word) in format!("({comment})").split_ascii_whitespace().enumerate() {
        push(&mut text, &mut line, word, at == 0);
    }
    // §9.1: the sender of the envelope, whichever identity was checked.
    let envelope_from = match (query.mail_from.as_slice(), query.helo.as_slice()) {
        // §2.4; without a name there is nobody.
        ([], []) => Vec::new(),
        ([], helo) => [b"postmaster@", helo].concat(),
        (mail_from, _) => mail_from.to_vec(),
    };
    let (problem, mechanism) = match outcome.result {
        SpfResult::TempError | SpfResult::PermError => {
            (Some(sentence(&outcome.reason.to_string())), None)
        }
        SpfResult::None => (None, None),
        // §9.1: default where no mechanism matched.
        _ => (
            None,
            Some(sentence(outcome.mechanism.as_deref().unwrap_or("default"))),
        ),
    };
    let pairs = [
        ("receiver", Some(query.receiver.clone().into_bytes())),
        (
            "client-ip",
            Some(query.ip.to_canonical().to_string().into_bytes()),
        ),
        (
            "envelope-from",
            Some(envelope_from).filter(|address| !address.is_empty()),
        ),
        (
            "helo",
            Some(query.helo.clone()).filter(|helo| !helo.is_empty()),
        ),
        (
            "identity",
            Some(outcome.identity.as_str().as_bytes().to_vec()),
        ),
        ("mechanism", mechanism.map(String::into_bytes)),
        ("problem", problem.map(String::into_bytes)),
    ];
    let pairs = pairs
        .into_iter()
        .filter_map(|(key, value)| Some(format!("{key}={}", pair_value(&value?)?)));
    let pairs: Vec<String> = pairs.collect();
    for (at, pair) in pairs.iter().enumerate() {
        let end = if at + 1 < pairs.len() { ";" } else { "" };
        push(&mut text, &mut line, &format!("{pair}{end}"), at == 0);
    }
    text
}

/// Puts a word on this line or, if it does not fit, on the next one.
fn push(text: &mut String, column: &mut usize, word: &str, starts_line: bool) {
    if starts_line || *column + 1 + word.len() > 78 {
        text.push_str("\r\n\t");
        *column = 8;
    } else {
        text.push(' ');
        *column += 1;
    }
    text.push_str(word);
    *column += word.len();
}

/// `dot-atom / quoted-string` (§9.1).
fn pair_value(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?;
    if text.len() > MAX_VALUE || text.chars().any(is_harmful) {
        return None;
    }
    let is_atext = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b);
    let is_dot_atom = text
        .split('.')
        .all(|part| !part.is_empty() && part.bytes().all(is_atext));
    Some(match is_dot_atom {
        true => text.to_owned(),
        false => quoted(text),
    })
}

/// A sentence of ours in ASCII, cut where it is long.
fn sentence(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if out.len() > MAX_VALUE - 10 {
            out.push_str("...");
            break;
        }
        match c {
            '“' | '”' => out.push('"'),
            '…' => out.push_str("..."),
            ' '..='~' => out.push(c),
            _ => out.push('?'),
        }
    }
    out
}

/// One `resinfo` of RFC 8601 §2.2 for a check, to stand beside others in a field Authentication-Results.
///
/// ```
/// use dkimkit::dns::Zone;
/// use dkimkit::authres::{AuthservId, with_results};
/// use dkimkit::spf::{Query, evaluate, resinfo};
/// let zone = Zone::parse("example.com. TXT \"v=spf1 ip4:192.0.2.1 -all\"")?;
/// let query = Query::new("192.0.2.9".parse().unwrap(), "mx.example.com", "anna@example.com");
/// let outcome = evaluate(&zone, &query).unwrap();
/// let id = AuthservId::new("mx.example.org").unwrap();
/// assert_eq!(
///     with_results(&id, &[resinfo(&query, &outcome)]),
///     "Authentication-Results: mx.example.org;\r\n\tspf=fail reason=\"matched\" smtp.mailfrom=anna@example.com"
/// );
/// # Ok::<(), dkimkit::dns::ZoneError>(())
/// ```
pub fn resinfo(query: &Query, outcome: &Outcome) -> ResInfo {
    let mut words = vec![format!("spf={}", outcome.result)];
    if outcome.result != SpfResult::Pass {
        words.push(format!("reason=\"{}\"", outcome.reason.word()));
    }
    // The domain is a name of DNS or escaped; anything else is quoted.
    let domain = token_or_quoted(&outcome.domain);
    let local = memchr::memrchr(b'@', &query.mail_from).map(|at| &query.mail_from[..at]);
    // §2.7.2: MAIL FROM, or HELO where that is what was checked, as for a bounce.
    let property = match outcome.identity {
        Identity::MailFrom if !query.mail_from.is_empty() => {
            let local = local.filter(|local| !local.is_empty() && domain == outcome.domain);
            let whole = local.and_then(|local| identity_value(&unquoted(local), &domain));
            format!("smtp.mailfrom={}", whole.unwrap_or(domain))
        }
        _ => format!("smtp.helo={domain}"),
    };
    let of_nobody = query.helo.is_empty() && query.mail_from.is_empty();
    if outcome.domain.len() <= MAX_VALUE && !of_nobody {
        words.push(property);
    }
    ResInfo::of(words.iter().map(String::as_str))
}

/// One `resinfo` where SPF was to be judged, and the client or what it said is not known, whatever DNS says: a `permerror`,
/// since another attempt gives nothing else, and nothing that would count for the sender (RFC 7208 §2.6.7).
///
/// ```
/// use dkimkit::authres::{AuthservId, with_results};
/// let id = AuthservId::new("mx.example.org").unwrap();
/// assert_eq!(
///     with_results(&id, &[dkimkit::spf::unjudged()]),
///     "Authentication-Results: mx.example.org;\r\n\tspf=permerror reason=\"client-unknown\""
/// );
/// ```
pub fn unjudged() -> ResInfo {
    ResInfo::of(["spf=permerror", "reason=\"client-unknown\""].into_iter())
}

/// A local part without the quotes in which SMTP carries it (RFC 5321 §4.1.2).
fn unquoted(local: &[u8]) -> Vec<u8> {
    let Some(inner) = local
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""))
    else {
        return local.to_vec();
    };
    let mut escaped = false;
    let kept = inner.iter().filter(|byte| {
        escaped = **byte == b'\\' && !escaped;
        !escaped
    });
    kept.copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Zone;
    use crate::spf::{evaluate, evaluate_helo};

    const ZONE: &str = "example.com. TXT \"v=spf1 include:b.example\"\nb.example. TXT \"v=spf1 a:(x)\\\\\\\"y\"\n\
        ok.example. TXT \"v=spf1 +all\"";

    fn both(helo: &str, mail_from: &str) -> (String, String) {
        let query = Query {
            receiver: "mx.example.org".to_owned(),
            ..Query::new("2001:db8::1".parse().unwrap(), helo, mail_from)
        };
        let outcome = evaluate(&Zone::parse(ZONE).unwrap(), &query).unwrap();
        (received_spf(&query, &outcome), resinfo(&query, &outcome).0)
    }

    #[test]
    fn what_others_wrote_is_quoted_or_left_out() {
        let (received, results) = both("(x) \"y\\", "\"a b\"@example.com");
        assert_eq!(
            received,
            r#"Received-SPF: permerror
	(mx.example.org: in the record of b.example, the term "a:\(x\)\\"y":
	"\(x\)\\"y" is a single label and no name of a domain)
	receiver=mx.example.org; client-ip="2001:db8::1";
	envelope-from="\"a b\"@example.com"; helo="(x) \"y\\";
	identity=mailfrom;
	problem="in the record of b.example, the term \"a:(x)\\\"y\": \"(x)\\\"y\" is a single label and no name of a domain""#
                .replace('\n', "\r\n")
        );
        assert_eq!(
            results,
            ";\r\n\tspf=permerror reason=\"syntax-error\" smtp.mailfrom=\"a b\"@example.com"
        );
        let (received, results) = both("x\r\ny: z", "a\r\nb@ok.example\r\n");
        assert!(
            !received.contains("\ny") && !received.contains("\nb"),
            "{received}"
        );
        assert!(!results.contains("\nb"), "{results}");
    }

    #[test]
    fn a_bounce_is_told_as_what_was_checked() {
        let (received, results) = both("ok.example", "");
        assert!(
            received.contains("envelope-from=\"postmaster@ok.example\"; helo=ok.example;"),
            "{received}"
        );
        assert!(received.contains("client-ip=\"2001:db8::1\""), "{received}");
        assert_eq!(results, ";\r\n\tspf=pass smtp.helo=ok.example");
        let query = Query::new(
            "192.0.2.1".parse().unwrap(),
            "ok.example",
            "anna@example.com",
        );
        let outcome = evaluate_helo(&Zone::parse(ZONE).unwrap(), &query).unwrap();
        assert_eq!(
            resinfo(&query, &outcome).0,
            ";\r\n\tspf=pass smtp.helo=ok.example"
        );
        let unfolded = received_spf(&query, &outcome).replace("\r\n\t", " ");
        assert!(
            unfolded.ends_with("identity=helo; mechanism=all"),
            "{unfolded}"
        );
        // The sender of the envelope is who it is, whatever was checked.
        let sender = "envelope-from=\"anna@example.com\"; helo=ok.example;";
        assert!(unfolded.contains(sender), "{unfolded}");
    }

    #[test]
    fn what_was_cut_stays_ascii() {
        let labels = |count: usize| vec!["x".repeat(40); count].join(".");
        // Of a name that is too long the first labels are left out (RFC 7208 §7.3).
        let mut zone = Zone::parse(&format!("{}.example. A 127.0.0.2", labels(6))).unwrap();
        let record = format!("v=spf1 exists:{}.example -all", labels(8));
        zone.insert_txt("example.com.", record.into_bytes());
        let query = Query::new("192.0.2.1".parse().unwrap(), "h.example", "a@example.com");
        let outcome = evaluate(&zone, &query).unwrap();
        assert_eq!(outcome.result, SpfResult::Pass);
        let received = received_spf(&query, &outcome);
        assert!(
            received.is_ascii() && received.contains("...\""),
            "{received}"
        );
    }

    #[test]
    fn nobody_is_not_told() {
        let (received, results) = both("", "");
        assert!(!received.contains("envelope-from"), "{received}");
        assert!(!results.contains("smtp."), "{results}");
    }

    #[test]
    fn lines_have_an_end_whatever_is_in_them() {
        let long = format!("{}@{}.example", "a".repeat(300), "b".repeat(600));
        for mail_from in [&long, "anna@example.com", "ä@ok.example", &"(".repeat(900)] {
            let (received, results) = both(&"h".repeat(900), mail_from);
            for line in received.split("\r\n").chain(results.split("\r\n")) {
                assert!(line.len() < 998, "{line}");
            }
        }
    }
}
