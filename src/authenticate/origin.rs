//! Who handed a message over and as whom, as far as its own header tells.

use std::net::IpAddr;

use serde::Serialize;

use super::{Client, Received};
use crate::header::FieldIndex;
use crate::message::Header;
use crate::special::{in_one_form, is_for_documentation, is_of_own_network, unreachable};

/// Client and envelope, read from the Received and Return-Path fields of a message; and how far they can be trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Origin {
    /// The address of the client.
    pub ip: Option<IpAddr>,
    /// What it said in HELO or EHLO.
    pub helo: Option<String>,
    /// The address of MAIL FROM, without angle brackets; empty for a bounce.
    pub mail_from: Option<String>,
    /// Which Received field was taken, counted from 1 at the top.
    pub received: Option<usize>,
    /// The server that wrote it, as it says.
    pub by: Option<String>,
    /// Where each of them comes from and on what it rests, in sentences.
    pub trust: Vec<String>,
}

/// What is known from elsewhere, and not looked for in the message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Given {
    /// The address of the client: the rest is taken from the handover of this one.
    pub ip: Option<IpAddr>,
    /// Whether its HELO is known.
    pub helo: bool,
    /// Whether MAIL FROM is known.
    pub mail_from: bool,
    /// So many Received fields at the top are of handovers between own servers, whatever they say.
    pub below_received: usize,
}

/// What was stepped over.
#[derive(Default)]
struct Above {
    fields: usize,
    clients: Vec<IpAddr>,
}

/// So many addresses are told in a sentence.
const MAX_TOLD: usize = 8;

impl Above {
    /// On what it rests that a field below is not the sender's own.
    fn condition(mut self) -> String {
        if self.fields == 0 {
            return "true only if that server is yours".to_owned();
        }
        let mut text =
            "true only if that server and those of the fields above are yours".to_owned();
        self.clients.sort();
        self.clients.dedup();
        if !self.clients.is_empty() {
            let told: Vec<String> = self
                .clients
                .iter()
                .take(MAX_TOLD)
                .map(IpAddr::to_string)
                .collect();
            let rest = if self.clients.len() > MAX_TOLD {
                " and others"
            } else {
                ""
            };
            text.push_str(&format!(
                ", and if each handover above came from a machine of yours: {}{rest}",
                told.join(", ")
            ));
        }
        text
    }
}

/// So many Received fields are looked at; a message with more goes in a circle (RFC 5321 §6.3).
const MAX_RECEIVED: usize = 100;

impl Origin {
    /// Takes the topmost Received field in which a client with an address of the Internet hands the message over:
    /// those above it are of handovers within the receiver's own network. A field above it that does not tell its
    /// client ends the search: the client may be there, and what stands below it was then written by the sender. So
    /// does one of a user of the server, also of one who logged in from the own network, or of an address that is neither
    /// one of the own network nor of the Internet; those for documentation count as of the Internet.
    ///
    /// ```
    /// use dkimkit::authenticate::Origin;
    /// use dkimkit::message::{Header, HeaderLimits};
    /// let header = b"Return-Path: <a@example.com>\r\n\
    ///     Received: from localhost (localhost [127.0.0.1]) by box.example.org; x\r\n\
    ///     Received: from mx.example.com (mx.example.com [9.9.9.9]) by box.example.org; x\r\n";
    /// let origin = Origin::of(&Header::parse(header, HeaderLimits::default())?);
    /// assert_eq!(origin.ip, "9.9.9.9".parse().ok());
    /// assert_eq!((origin.received, origin.mail_from.as_deref()), (Some(2), Some("a@example.com")));
    /// # Ok::<(), dkimkit::message::SplitError>(())
    /// ```
    pub fn of(header: &Header) -> Origin {
        Origin::beside(header, Given::default())
    }

    /// Takes only what is not given.
    pub fn beside(header: &Header, given: Given) -> Origin {
        let mut origin = Origin::default();
        if given.ip.is_some() && given.helo && given.mail_from {
            return origin;
        }
        let index = FieldIndex::new(header);
        let fields: Vec<usize> = index.positions(header, "Received").collect();
        let taken = origin.take_handover(header, &fields, given);
        if !given.mail_from {
            let bound = taken.or(fields.first().copied());
            let paths: Vec<usize> = index.positions(header, "Return-Path").collect();
            origin.take_path(header, &paths, bound);
        }
        origin
    }

    /// Takes address and HELO, and returns the position of the field where they stand.
    fn take_handover(&mut self, header: &Header, fields: &[usize], given: Given) -> Option<usize> {
        let wanted = given.ip.map(in_one_form);
        let mut above = Above {
            fields: given.below_received.min(fields.len()),
            ..Above::default()
        };
        if given.below_received > 0 {
            let count = given.below_received;
            self.trust.push(format!(
                "Received fields from the top that were said to be of your own servers: {count}"
            ));
        }
        let looked_at = fields.iter().take(MAX_RECEIVED).enumerate();
        for (at, &position) in looked_at.skip(given.below_received) {
            let number = at + 1;
            let field = Received::parse(header.field(position).value());
            match step(&field, wanted) {
                Step::Take(ip) => {
                    self.take_field(field, ip, number, given, above);
                    return Some(position);
                }
                Step::Over(what) => self.tell(number, &what),
                Step::End(what) => {
                    self.tell(number, &what);
                    break;
                }
            }
            above.fields += 1;
            if let Client::Address(ip) | Client::Delivery(ip) = field.client {
                above.clients.push(ip);
            }
        }
        let none = "no Received field is known to name a client with an address of the Internet"
            .to_owned();
        let of = |ip| format!("no Received field is known to be of a handover from {ip}");
        self.trust.push(wanted.map_or(none, of));
        None
    }

    fn tell(&mut self, number: usize, what: &str) {
        self.trust
            .push(format!("Received field {number} from the top {what}"));
    }

    fn take_field(
        &mut self,
        field: Received,
        ip: IpAddr,
        number: usize,
        given: Given,
        above: Above,
    ) {
        let by = field.by.as_deref();
        let by = by.unwrap_or("a server that it does not name");
        let place =
            format!("Received field {number} from the top, which says it was written by {by}");
        let condition = above.condition();
        self.trust.push(match given.ip {
            None => format!("the address {ip} stands in {place}: {condition}"),
            Some(_) => format!("the handover from {ip} stands in {place}: {condition}"),
        });
        self.ip = Some(ip);
        self.received = Some(number);
        if !given.helo {
            self.helo = field.helo;
        }
        self.by = field.by;
    }

    /// The delivering server puts Return-Path before all else (RFC 5321 §4.4): one that does not stand above the
    /// handover, or in a message of which no server tells, came with the message.
    fn take_path(&mut self, header: &Header, paths: &[usize], bound: Option<usize>) {
        let above = |position: &&usize| bound.is_some_and(|bound| **position < bound);
        let topmost = paths.iter().find(above);
        self.mail_from = topmost.and_then(|position| path(header.field(*position).value()));
        self.trust.push(match (topmost, &self.mail_from, paths.len()) {
            (Some(_), Some(_), 1) => "MAIL FROM stands in Return-Path, which the server that delivers writes: it is true if that server is yours".to_owned(),
            (Some(_), Some(_), count) => format!("there are {count} Return-Path fields: MAIL FROM is that of the topmost, and the others came from outside"),
            (Some(_), None, _) => "Return-Path cannot be read: MAIL FROM is not known".to_owned(),
            (None, _, 0) => "there is no Return-Path: MAIL FROM is not known".to_owned(),
            (None, ..) => "Return-Path does not stand above the handover, where the server that delivers writes it: it came with the message, and MAIL FROM is not known".to_owned(),
        });
    }
}

/// What a field is to the search.
enum Step {
    Take(IpAddr),
    /// What is told of it.
    Over(String),
    End(String),
}

fn step(field: &Received, wanted: Option<IpAddr>) -> Step {
    let below = "may be the sender's own";
    let handed_in = || {
        Step::End(format!(
            "is of a message that a user or a program handed in, whether its own or one that came from outside: the fields below {below}"
        ))
    };
    match field.client {
        Client::Address(ip) if wanted == Some(ip) => Step::Take(ip),
        // A web mailer on the machine itself is handed whatever its user likes.
        Client::Address(ip) if field.is_users && is_of_own_network(ip) => handed_in(),
        // In an example one for documentation is a client as any other, as it is where it is given.
        Client::Address(ip) => match (
            wanted,
            unreachable(ip).filter(|_| !is_for_documentation(ip)),
        ) {
            (None, None) => Step::Take(ip),
            (Some(_), None) => Step::Over(format!("is of a handover from {ip}")),
            (None, Some(why)) if !is_of_own_network(ip) => Step::End(format!(
                "is of a handover from {ip}, which is {why}: strangers may come from there, and the fields below {below}"
            )),
            (_, Some(why)) => Step::Over(format!("is of a handover from {ip}, which is {why}")),
        },
        Client::Inside => Step::Over("is of no handover from outside".to_owned()),
        Client::Delivery(ip) => Step::Over(format!("is of a delivery over LMTP from {ip}")),
        Client::Submission => handed_in(),
        Client::Unknown(why) => Step::End(format!(
            "{why}: who handed the message over there is not known, and the fields below {below}"
        )),
    }
}

/// The address of a path (RFC 5321 §4.1.2), with a source route left out.
fn path(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?.trim();
    let inner = text.strip_prefix('<')?.strip_suffix('>')?.trim();
    let inner = match inner.strip_prefix('@') {
        Some(route) => route.split_once(':')?.1,
        None => inner,
    };
    let odd = |c: char| c.is_control() || matches!(c, '<' | '>');
    let plain = !inner.chars().any(odd) && inner.len() <= 320;
    let whole = inner.is_empty() || inner.contains('@');
    (plain && whole).then(|| inner.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::HeaderLimits;

    fn origin(header: &str) -> Origin {
        Origin::of(&Header::parse(header.as_bytes(), HeaderLimits::default()).unwrap())
    }

    #[test]
    fn a_return_path_is_an_address_or_nothing() {
        for (value, expected) in [
            (" <a@b.example>", Some("a@b.example")),
            (" <>", Some("")),
            (" <@route.example:a@b.example>", Some("a@b.example")),
            (" <\"a b\"@b.example>", Some("\"a b\"@b.example")),
            (" a@b.example", None),
            (" <a>", None),
            (" <a@b\u{7}>", None),
            ("", None),
        ] {
            assert_eq!(path(value.as_bytes()).as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn inner_handovers_are_left_out_and_told() {
        let found = origin(
            "Received: from x (x [10.0.0.1]) by inner.example; x\r\nReceived: by inner.example; x\r\n\
             Received: from client.example (unknown [9.9.9.9]) by mx.example; x\r\n\
             Received: from forged (f [8.8.8.8]) by nobody; x\r\n",
        );
        assert_eq!(found.ip, "9.9.9.9".parse().ok());
        assert_eq!(found.helo.as_deref(), Some("client.example"));
        assert_eq!(found.received, Some(3));
        let told = [
            "10.0.0.1",
            "field 2 from the top is of no handover",
            "mx.example",
            "no Return-Path",
        ];
        assert_eq!(found.trust.len(), told.len());
        for (sentence, part) in found.trust.iter().zip(told) {
            assert!(sentence.contains(part), "{sentence}");
        }
    }

    #[test]
    fn without_fields_nothing_is_known() {
        let found = origin("From: a@example.com\r\n");
        assert_eq!((found.ip, found.helo, found.mail_from), (None, None, None));
        assert_eq!(found.trust.len(), 2);
        let many = "Received: from a (a [127.0.0.1]) by b; x\r\n".repeat(150);
        assert_eq!(origin(&many).ip, None);
    }

    #[test]
    fn only_the_own_network_is_stepped_over() {
        for client in ["64:ff9b::808:842", "::ffff:8.8.8.66"] {
            let found = origin(&format!(
                "Received: from x (unknown [IPv6:{client}]) by mx.example.org; x\r\n{FORGED}"
            ));
            assert_eq!(found.ip, "8.8.8.66".parse().ok(), "{client}");
        }
        for client in [
            "192.0.2.1",
            "198.51.100.1",
            "203.0.113.1",
            "IPv6:2001:db8::1",
            "IPv6:3fff::1",
        ] {
            let found = origin(&format!(
                "Received: from x (unknown [{client}]) by mx.example.org; x\r\n{FORGED}"
            ));
            let bare = client.trim_start_matches("IPv6:");
            assert_eq!(found.ip, bare.parse().ok(), "{client}");
            assert_eq!(found.received, Some(1));
        }
        for client in [
            "IPv6:2002:808:842::1",
            "IPv6:2001:0:808:842::1",
            "IPv6:::808:842",
            "100.64.0.1",
            "198.18.0.1",
        ] {
            let found = origin(&format!(
                "Received: from x (unknown [{client}]) by mx.example.org; x\r\n{FORGED}"
            ));
            assert_eq!(found.ip, None, "{client}");
            assert!(
                found.trust[0].contains("strangers may come"),
                "{:?}",
                found.trust
            );
        }
    }

    #[test]
    fn what_a_user_of_the_server_handed_in_ends_the_search() {
        for top in [
            "by mx.example.org (Postfix, from userid 1001) id 1; x",
            "(from joe@localhost) by mx.example.org (8.17/8.17); x",
            "(qmail 9 invoked by uid 1000); x",
        ] {
            let header = format!("Received: {top}\r\n{FORGED}");
            let found = origin(&header);
            assert_eq!(found.ip, None, "{top}");
            assert!(
                found.trust[0].contains("a user or a program"),
                "{:?}",
                found.trust
            );
            let header = Header::parse(header.as_bytes(), HeaderLimits::default()).unwrap();
            let below = |below_received| {
                Origin::beside(
                    &header,
                    Given {
                        below_received,
                        ..Given::default()
                    },
                )
            };
            let found = below(1);
            assert_eq!(
                (found.ip, found.received),
                ("9.9.9.9".parse().ok(), Some(2))
            );
            assert!(
                found.trust[1].contains("those of the fields above are yours"),
                "{:?}",
                found.trust
            );
            assert_eq!(below(2).ip, None);
            assert_eq!(below(usize::MAX).ip, None);
        }
    }

    #[test]
    fn a_login_from_the_own_network_ends_the_search() {
        for top in [
            "from w (localhost [127.0.0.1]) (Authenticated sender: m) by mx.example.org (Postfix) with ESMTPSA id 1; x",
            "from [127.0.0.1] (helo=w) by mx.example.org with esmtpsa (TLS1.3) tls X (Exim 4.96) id 1; x",
            "from w (w [10.0.0.9]) (authenticated bits=0) by mx.example.org (8.17/8.17) with ESMTP id 1; x",
            "from [fd00::1] (account m HELO w) by mx.example.org (CommuniGate Pro SMTP 6) with ESMTPSA id 1; x",
        ] {
            let found = origin(&format!("Received: {top}\r\n{FORGED}"));
            assert_eq!((found.ip, found.received), (None, None), "{top}");
            let told = &found.trust[0];
            assert!(told.contains("a user or a program handed in"), "{told}");
        }
        let top =
            "from w (w [8.8.8.66]) (Authenticated sender: m) by mx.example.org with ESMTPSA; x";
        let found = origin(&format!("Received: {top}\r\n{FORGED}"));
        assert_eq!(found.ip, "8.8.8.66".parse().ok());
        let own = "Received: from w (w [10.0.0.9]) by mx.example.org with ESMTPSA; x\r\n";
        let header = Header::parse(own.as_bytes(), HeaderLimits::default()).unwrap();
        let given = Given {
            ip: "10.0.0.9".parse().ok(),
            ..Given::default()
        };
        assert_eq!(Origin::beside(&header, given).received, Some(1));
    }

    #[test]
    fn who_delivers_over_lmtp_is_told() {
        let top = "Received: from x (LHLO x) (8.8.8.66) by mx.example.org with LMTP; x\r\n";
        let found = origin(&format!("{top}{FORGED}"));
        assert_eq!(found.ip, "9.9.9.9".parse().ok());
        assert_eq!(
            found.trust[0],
            "Received field 1 from the top is of a delivery over LMTP from 8.8.8.66"
        );
        let told = &found.trust[1];
        assert!(
            told.ends_with("from a machine of yours: 8.8.8.66"),
            "{told}"
        );
        let hidden = top.replace("(LHLO x) (8.8.8.66)", "(lhlo [8.8.8.66])");
        assert_eq!(origin(&format!("{hidden}{FORGED}")).ip, None);
    }

    #[test]
    fn what_was_stepped_over_is_what_it_rests_on() {
        let found = origin(&format!(
            "Received: from x (unknown [172.17.0.1]) by mx.example.org (Postfix); x\r\n{FORGED}"
        ));
        let told = &found.trust[1];
        assert!(
            told.ends_with("each handover above came from a machine of yours: 172.17.0.1"),
            "{told}"
        );
        assert!(
            told.contains("which says it was written by mx.example.org"),
            "{told}"
        );
        let clients = (0..20).map(|at| IpAddr::from([10, 0, 0, at])).collect();
        let many = Above {
            fields: 20,
            clients,
        }
        .condition();
        assert!(many.ends_with("10.0.0.7 and others"), "{many}");
    }

    const FORGED: &str = "Received: from mail.bank.example (mail.bank.example [9.9.9.9]) by mx.example.org (Postfix); x\r\n";

    #[test]
    fn a_field_that_cannot_be_read_ends_the_search() {
        let long = format!("from {} (unknown [8.8.8.66]) by mx", "x".repeat(5000));
        for top in [
            "from x;y (unknown [8.8.8.66]) by mx.example.org (Postfix) with ESMTP id 1; x",
            "from x (unknown [unknown]) by mx.example.org (Postfix) with ESMTP id 1; x",
            "from x ([9.9.9.9]) (unknown [8.8.8.66]) by mx.example.org; x",
            &long,
        ] {
            let found = origin(&format!(
                "Return-Path: <a@b>\r\nReceived: {top}\r\n{FORGED}"
            ));
            assert_eq!((found.ip, &found.helo), (None, &None), "{top}");
            assert!(
                found.trust[0].contains("field 1 from the top"),
                "{:?}",
                found.trust
            );
        }
        for top in [
            "from by (unknown [8.8.8.66]) by mx.example.org (Postfix) with ESMTP id 1; x",
            "from x (unknown [::ffff:8.8.8.66]) by mx.example.org; x",
            "from x (unknown [IPv6:::ffff:8.8.8.66%eth0]) by mx.example.org; x",
            "(from unknown [8.8.8.66]) by mx.example.org; x",
        ] {
            let found = origin(&format!("Received: {top}\r\n{FORGED}"));
            assert_eq!(found.ip, "8.8.8.66".parse().ok(), "{top}");
        }
    }

    #[test]
    fn a_return_path_that_came_with_the_message_is_not_taken() {
        let real = "Received: from x (unknown [8.8.8.66]) by mx.example.org; x\r\n";
        let path = "Return-Path: <ceo@bank.example>\r\n";
        for header in [
            format!("{real}{path}"),
            format!("{real}Received: from a (a [127.0.0.1]) by b; x\r\n{path}{FORGED}"),
            format!("X: y\r\n{path}"),
        ] {
            let found = origin(&header);
            assert_eq!(found.mail_from, None, "{header}");
            let last = found.trust.last().unwrap();
            assert!(last.contains("came with the message"), "{last}");
        }
        let both = origin(&format!("Return-Path: <a@b.example>\r\n{real}{path}"));
        assert_eq!(both.mail_from.as_deref(), Some("a@b.example"));
        assert!(both.trust[1].contains("there are 2"), "{:?}", both.trust);
    }

    #[test]
    fn beside_what_is_given_only_the_rest_is_taken() {
        let header = "Return-Path: <a@b.example>\r\nReceived: from own (own [8.8.4.4]) by mx; x\r\n\
            Received: from x (unknown [8.8.8.66]) by mx.example.org; x\r\n";
        let header = Header::parse(header.as_bytes(), HeaderLimits::default()).unwrap();
        let of = |ip: &str, helo, mail_from| {
            let ip = Some(ip.parse().unwrap());
            Origin::beside(
                &header,
                Given {
                    ip,
                    helo,
                    mail_from,
                    below_received: 0,
                },
            )
        };
        let found = of("::ffff:8.8.8.66", false, false);
        assert_eq!(found.helo.as_deref(), Some("x"));
        assert_eq!(found.mail_from.as_deref(), Some("a@b.example"));
        assert!(found.trust[0].contains("8.8.4.4"), "{:?}", found.trust);
        let found = of("9.9.9.9", false, true);
        assert_eq!((found.helo, found.mail_from), (None, None));
        let told = "no Received field is known to be of a handover from 9.9.9.9";
        assert_eq!(found.trust[2], told);
        assert_eq!(of("8.8.8.66", true, true), Origin::default());
    }
}
