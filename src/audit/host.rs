//! A server as the user names it: by its name, or by its address.

use std::fmt;
use std::net::IpAddr;

use super::facts::{Addresses, Facts};
use super::finding::Finding;
use crate::dns::lookup::{DnsName, Pending};
use crate::name::Domain;

/// Where a server is: what stands before the port.
///
/// ```
/// use dkimkit::audit::Host;
/// use dkimkit::name::Domain;
/// assert_eq!(Host::from(Domain::new("mx.example.org")?).to_string(), "mx.example.org");
/// assert_eq!(Host::Address("2001:db8::1".parse().unwrap()).to_string(), "[2001:db8::1]");
/// # Ok::<(), dkimkit::name::NameError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A name, which leads to its addresses.
    Name(Domain),
    /// An address. What stands by a name, such as that in a certificate, is not judged there.
    Address(IpAddr),
}

impl From<Domain> for Host {
    fn from(name: Domain) -> Host {
        Host::Name(name)
    }
}

impl fmt::Display for Host {
    /// An address stands in brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name.as_ascii()),
            Host::Address(address) => write!(f, "[{address}]"),
        }
    }
}

impl Host {
    /// Under which its servers are known.
    pub(super) fn known_as(&self) -> DnsName {
        match self {
            Host::Name(name) => DnsName::from(name),
            Host::Address(_) => {
                DnsName::new(self.to_string().as_bytes()).expect("an address is short")
            }
        }
    }

    pub(super) fn addresses(&self, facts: &Facts<'_>) -> Result<Addresses, Pending> {
        match self {
            Host::Name(name) => facts.addresses(&DnsName::from(name)),
            Host::Address(address) => Ok(Addresses {
                list: vec![*address],
                aliases: Vec::new(),
                exists: true,
                failure: None,
            }),
        }
    }

    /// What is said where nobody can talk to it, as it leads nowhere.
    pub(super) fn lost(&self, facts: &Facts<'_>) -> Result<Option<Finding>, Pending> {
        let addresses = self.addresses(facts)?;
        if !addresses.list.is_empty() {
            return Ok(None);
        }
        if let Some((question, cause)) = &addresses.failure {
            return Ok(Some(Finding::no_answer(question, *cause)));
        }
        let why = match addresses.exists {
            true => "has no address",
            false => "does not exist",
        };
        Ok(Some(Finding::new(
            "no-connection",
            self,
            format!("{self}, the server that --smtp names, could not be talked to: it {why}"),
            "name the server by a name that leads to it, or by its address",
        )))
    }
}

/// Whether a server has no name but its address.
pub(super) fn is_literal(name: &DnsName) -> bool {
    bare(&name.to_string()).is_some_and(|text| text.parse::<IpAddr>().is_ok())
}

/// What stands between brackets.
pub(super) fn bare(text: &str) -> Option<&str> {
    text.strip_prefix('[')?.strip_suffix(']')
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::super::net::Tls;
    use super::super::testing::{ServerSays, greeting, judge_with, options, server_says, words};
    use super::super::{Options, Probe};
    use super::*;

    const ZONE: &str = "example.org. MX 10 mx.example.org.\nmx.example.org. A 192.88.1.1";

    fn at(host: Host) -> Options {
        let mut options = options();
        options.smtp = Some((host, 25));
        options.own_server = true;
        options
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn relaying_is_tried_at_an_address() {
        for (text, literal) in [("192.88.1.7", "[192.88.1.7]"), ("2a01::7", "[2a01::7]")] {
            let options = at(Host::Address(address(text)));
            let open = |takes: bool| {
                server_says(move |sender, recipient| {
                    let far =
                        sender.contains("example.net") && recipient.ends_with("www.example.com");
                    let known = recipient == "postmaster@example.org";
                    ServerSays::Recipient(match known || far && takes {
                        true => "250 ok",
                        false => "554 no",
                    })
                })
            };
            let report = judge_with("open-relay", ZONE, &options, open(true));
            assert_eq!(words(&report), ["relay-open"], "{text}");
            let server = report.facts["tried"][0]["server"].as_str().unwrap();
            assert_eq!(server, literal);
            let report = judge_with("open-relay", ZONE, &options, open(false));
            assert_eq!(words(&report), [""; 0], "{text}");
            assert_eq!(report.facts["tested"], true);
        }
    }

    #[test]
    fn an_address_of_an_mx_host_is_that_host() {
        let options = at(Host::Address(address("192.88.1.1")));
        let shows = server_says(|_, _| ServerSays::Recipient("554 no"));
        let report = judge_with("open-relay", ZONE, &options, shows);
        let server = report.facts["tried"][0]["server"].as_str().unwrap();
        assert_eq!(server, "mx.example.org [192.88.1.1]");
    }

    #[test]
    fn a_server_without_a_name_is_not_judged_by_one() {
        let zone = format!("{ZONE}\nout.example.org. A 192.88.1.7");
        let options = at(Host::Address(address("192.88.1.7")));
        let shown = greeting("220 localhost", "250 localhost", Tls::NotOffered);
        let fine = greeting("220 mx.example.org", "250 mx.example.org", Tls::NotOffered);
        let shows = |probe: &Probe| match probe {
            Probe::Greeting(server) if server.name.to_string() == "mx.example.org" => {
                Some(fine.clone())
            }
            _ => Some(shown.clone()),
        };
        let report = judge_with("greeting", &zone, &options, shows);
        assert_eq!(words(&report), ["greeting-not-qualified"]);
        assert!(
            !report.findings[0].mend.contains("such as"),
            "{}",
            report.findings[0].mend
        );
        // No PTR record can hold an address.
        let report = judge_with("reverse-dns", &zone, &options, shows);
        assert_eq!(words(&report), ["ptr-missing"]);
        assert!(report.findings[0].publish.is_empty());
    }

    #[test]
    fn an_address_of_the_own_network_is_one_to_talk_to_and_never_a_sender() {
        let zone = format!("{ZONE}\nexample.org. TXT \"v=spf1 mx -all\"");
        let shown = greeting("220 mx.example.org", "250 mx.example.org", Tls::NotOffered);
        for text in ["127.0.0.1", "10.0.0.1", "fe80::1", "0.0.0.0"] {
            let options = at(Host::Address(address(text)));
            let judged =
                |check| words(&judge_with(check, &zone, &options, |_| Some(shown.clone())));
            // That of the MX host.
            assert_eq!(judged("reverse-dns"), ["ptr-missing"], "{text}");
            assert_eq!(judged("spf"), [""; 0], "{text}");
            assert_eq!(judged("greeting"), [""; 0], "{text}");
        }
    }

    #[test]
    fn a_name_with_a_bracket_is_no_address() {
        let literal = |text: &str| is_literal(&DnsName::new(text.as_bytes()).unwrap());
        assert!(literal("[192.88.1.1]") && literal("[2a01::1]"));
        assert!(!literal("[mail].example.org") && !literal("192.88.1.1") && !literal("[mail]"));
    }

    #[test]
    fn a_name_that_leads_nowhere_is_unknown_to_each_that_would_talk_to_it() {
        let nowhere = Host::from(Domain::new("nowhere.example.net").unwrap());
        let shown = greeting("220 mx.example.org", "250 mx.example.org", Tls::NotOffered);
        for check in ["greeting", "open-relay"] {
            let report = judge_with(check, ZONE, &at(nowhere.clone()), |_| Some(shown.clone()));
            assert_eq!(words(&report), ["no-connection"], "{check}");
            assert!(report.findings[0].sentence.contains("does not exist"));
        }
    }
}
