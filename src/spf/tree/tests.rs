use std::cell::RefCell;

use super::super::{Query, evaluate};
use super::*;
use crate::dns::Zone;
use crate::dns::lookup::{Known, settle};

fn domain() -> Domain {
    Domain::new("example.com").unwrap()
}

fn grown(zone: &str) -> Tree {
    tree(&Zone::parse(zone).unwrap(), &domain()).unwrap()
}

#[test]
fn the_tree_is_told_as_a_receiver_counts() {
    let found = grown(
        "example.com. TXT \"v=spf1 mx a:v4.example include:b.example ?include:%{d2}.c.example exists:%{i}.x.example ~all a redirect=d.example\"\n\
         example.com. MX 5 m1.example.\nexample.com. MX 6 v4.example.\nv4.example. A 192.0.2.1\nm1.example. A 192.0.2.2\nm1.example. AAAA 2001:db8::2\n\
         b.example. TXT \"v=spf1 ip4:198.51.100.0/22 include:c.example include:none.example ptr exp=x.example\"\n\
         c.example. TXT \"v=spf1 ip6:2001:db8::/20 ?ip4:10.0.0.0/8 -ip4:10.1.0.0/16\"\n\
         example.com.c.example. TXT \"v=spf1 include:c.example ip4:203.0.113.0/24\"",
    );
    assert_eq!(
        found.to_string(),
        "9 of 10 lookups, void: 1 over IPv4, 3 over IPv6
example.com
  mx (lookups 1, void: 0 over IPv4, 1 over IPv6; 2 of 10 exchanges)
  a:v4.example (lookups 1, void: 0 over IPv4, 1 over IPv6)
  include:b.example (lookups 4, 1 void)
    b.example
      ip4:198.51.100.0/22
      include:c.example (lookups 1)
        c.example
          ip6:2001:db8::/20
          ?ip4:10.0.0.0/8
          -ip4:10.1.0.0/16
      include:none.example (lookups 1, 1 void)
        none.example: none.example does not exist
      ptr (lookups 1; depends on the sender)
      exp=x.example
  ?include:%{d2}.c.example (lookups 2)
    example.com.c.example
      include:c.example (lookups 1)
        c.example: as above, once more
      ip4:203.0.113.0/24
  exists:%{i}.x.example (lookups 1; depends on the sender)
  ~all
  a (never reached)
  redirect=d.example (never reached)
"
    );
    let networks: Vec<String> = found
        .networks
        .iter()
        .map(|n| format!("{} {}", n.network, n.domain))
        .collect();
    assert_eq!(
        networks,
        [
            "192.0.2.2 example.com",
            "2001:db8::2 example.com",
            "192.0.2.1 example.com",
            "198.51.100.0/22 b.example",
            "2001::/20 c.example",
        ]
    );
    let wide: Vec<&str> = found.wide(24, 32).map(|n| n.term.as_str()).collect();
    assert_eq!(wide, ["ip4:198.51.100.0/22", "ip6:2001:db8::/20"]);
    assert!(!found.has_too_many_lookups() && found.has_too_many_voids() && !found.cut);
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(
        json["root"]["terms"][3]["node"]["terms"][0]["node"]["place"],
        "repeated"
    );
    assert_eq!(json["networks"][3]["network"], "198.51.100.0/22");
}

#[test]
fn loops_end_and_are_told() {
    let found = grown(
        "example.com. TXT \"v=spf1 include:b.example -all\"\nb.example. TXT \"v=spf1 a redirect=example.com\"\nb.example. A 192.0.2.1",
    );
    assert!(found.endless && found.has_too_many_lookups());
    assert_eq!(
        found.to_string(),
        "lookups without end, void: 0 over IPv4, 1 over IPv6
example.com
  include:b.example (lookups 3, void: 0 over IPv4, 1 over IPv6)
    b.example
      a (lookups 1, void: 0 over IPv4, 1 over IPv6)
      redirect=example.com (lookups 1)
        example.com: leads back to itself
  -all
"
    );
}

#[test]
fn what_is_wrong_stands_where_it_is() {
    let mail: String = (0..11)
        .map(|n| format!("example.com. MX {n} m{n}.example.\n"))
        .collect();
    let found = grown(&format!(
        "{mail}example.com. TXT \"v=spf1 mx include:b.example include:c.example include:%{{d1}} +all\"\n\
         b.example. TXT \"v=spf1 moo\"\nc.example. TXT \"v=spf1\"\nc.example. TXT \"v=spf1 -all\"",
    ));
    assert_eq!(
        found.to_string(),
        "4 of 10 lookups
example.com
  mx (lookups 1; 11 of 10 exchanges; mx in the record of example.com has 11 mail exchanges, where 10 are allowed)
  include:b.example (lookups 1)
    b.example: in the record of b.example, the term “moo”: there is no mechanism “moo”
  include:c.example (lookups 1)
    c.example: c.example has 2 SPF records, where it may have one
  include:%{d1} (lookups 1)
    com: “com” is no name of a sending domain
  +all
"
    );
    let all: Vec<String> = found
        .networks
        .iter()
        .map(|n| n.network.to_string())
        .collect();
    assert_eq!(all, ["0.0.0.0/0", "::/0"]);
    assert_eq!(grown("").root.trouble.unwrap().word(), "no-domain");
}

#[test]
fn a_level_is_asked_for_at_once() {
    let zone = Zone::parse(
        "example.com. TXT \"v=spf1 mx a include:b.example include:c.example -all\"\nexample.com. MX 1 m.example.\n\
         b.example. TXT \"v=spf1 include:d.example mx\"\nc.example. TXT \"v=spf1 ip4:192.0.2.1\"\nd.example. TXT \"v=spf1\"",
    )
    .unwrap();
    let rounds = RefCell::new(Vec::new());
    let found = settle(
        MAX_TREE_QUESTIONS,
        |questions| {
            rounds.borrow_mut().push(questions.len());
            questions
                .into_iter()
                .map(|q| (q.clone(), zone.answer(&q)))
                .collect()
        },
        |dns: &Known| tree(dns, &domain()),
    );
    assert_eq!(found, tree(&zone, &domain()).unwrap());
    // The record; what its terms ask, with the records that they name; the exchange; the next level; nothing is left.
    assert_eq!(rounds.into_inner(), [1, 5, 2, 2]);
}

#[test]
fn a_tree_that_is_too_large_is_cut() {
    let mut zone = Zone::default();
    for n in 0..80 {
        let below =
            (0..20).map(|m| format!(" include:n{}.example a:h{n}x{m}.example", n * 20 + m + 1));
        let text = format!("v=spf1{}", below.collect::<String>());
        zone.insert_txt(&format!("n{n}.example."), text.into_bytes());
    }
    zone.insert_txt("example.com.", b"v=spf1 include:n0.example".to_vec());
    let asked = RefCell::new(0);
    let found = settle(
        usize::MAX,
        |questions| {
            *asked.borrow_mut() += questions.len();
            questions
                .into_iter()
                .map(|q| (q.clone(), zone.answer(&q)))
                .collect()
        },
        |dns: &Known| tree(dns, &domain()),
    );
    assert!(found.cut && found.to_string().contains("not looked at"));
    assert!(*asked.borrow() <= MAX_TREE_QUESTIONS, "{asked:?}");
}

/// What a receiver counts is never more than the tree says.
#[test]
fn no_check_costs_more_than_the_tree_says() {
    let text = "example.com. TXT \"v=spf1 a:%{p}.x.example mx include:b.example ~all\"\n\
        b.example. TXT \"v=spf1 exists:%{d}.y.example include:c.example\"\nc.example. TXT \"v=spf1 a:m.example\"\n\
        m.example. AAAA 2001:db8::1";
    let zone = Zone::parse(text).unwrap();
    let tree = grown(text);
    for ip in ["192.0.2.1", "2001:db8::2"] {
        let query = Query::new(ip.parse().unwrap(), "helo.example", "a@example.com");
        let found = evaluate(&zone, &query).unwrap();
        assert!(found.lookups <= tree.lookups, "{found:?}");
    }
    assert_eq!(tree.lookups, 7);
}
