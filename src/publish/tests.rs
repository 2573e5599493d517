use super::*;
use crate::dns::{Answer, LookupTxt as _, Zone};
use crate::name::Selector;

/// What would end a quote, a line, a field or a template somewhere.
const NASTY: &str =
    "v=DKIM1; n=a\"b' \\ \\\\; ${x} %{y} $${z} $(id) `id` %% :,|&<> \" \" #; p=Zm9v";
const UNSEEN: &str = "v=DKIM1; n=\u{e9}\u{1f600}\r\n\0\u{7f}\u{2028}\t; p=Zm9v";

fn domain(text: &str) -> Domain {
    Domain::new(text).unwrap()
}

fn name() -> KeyName {
    let selector = Selector::new("s").unwrap();
    KeyName::new(&selector, &domain("example.com")).unwrap()
}

fn render(record: &str, form: Form) -> Result<String, PublishError> {
    let (name, zone) = (name(), domain("example.com"));
    Place::new(&name, &zone, None)?.render(record, form)
}

/// The record as our reader of zone files reads a line.
fn read(line: &str) -> String {
    let zone = Zone::parse(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    let Answer::Records { txt, .. } = zone.lookup_txt(&name()) else {
        panic!("{line}");
    };
    assert_eq!(txt.len(), 1, "{line}");
    String::from_utf8(txt[0].clone()).unwrap()
}

#[test]
fn every_form_is_read_back_as_it_was() {
    for len in [0, 1, 200, 240, 250, 255, 600] {
        // The empty record too, and what would break a line.
        let record = "v=DKIM1;\u{e9}\"\\\r\n\0\u{7f}".repeat(len);
        assert!(strings(&record).iter().all(|s| s.len() <= 255));
        for text in [zone_line(&name(), &record), json_object(&name(), &record)] {
            assert_eq!(read(&text), record);
        }
    }
}

#[test]
fn a_form_is_known_by_its_word() {
    for form in Form::ALL {
        assert_eq!(Form::from_word(form.as_str()), Some(form));
        assert!(!form.about().ends_with('.') && !form.about().is_empty());
    }
    let mut words: Vec<&str> = Form::ALL.iter().map(|form| form.as_str()).collect();
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), Form::ALL.len());
}

#[test]
fn the_forms_of_name_servers_hold_a_line_that_our_reader_reads() {
    let long = format!("v=DKIM1; p={}", "Zm9v".repeat(180));
    for record in ["", "v=DKIM1; p=", NASTY, UNSEEN, &long] {
        for form in [Form::Zone, Form::Quoted, Form::Nsupdate, Form::Unbound] {
            let text = render(record, form).unwrap();
            let line = match form {
                Form::Quoted => format!("{} IN TXT {text}", name().as_str()),
                Form::Nsupdate => {
                    let line = text.lines().nth(3).unwrap();
                    line.strip_prefix("update add ").unwrap().to_owned()
                }
                Form::Unbound => {
                    let (_, rest) = text.split_once('\'').unwrap();
                    let (line, end) = rest.split_once('\'').unwrap();
                    assert_eq!(end, "\n");
                    line.to_owned()
                }
                _ => text,
            };
            assert_eq!(read(&line), record, "{form}");
        }
    }
}

#[test]
fn json_holds_a_value_that_our_reader_reads() {
    let long = format!("v=DKIM1; p={}", "Zm9v".repeat(180));
    let value = |form, record, pointer: &str| {
        let text = render(record, form).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let value = json.pointer(pointer).unwrap().as_str().unwrap();
        read(&format!("{} IN TXT {value}", name().as_str()))
    };
    for record in ["", NASTY, UNSEEN, &long] {
        assert_eq!(value(Form::Cloudflare, record, "/content"), record);
        assert_eq!(value(Form::Flarectl, record, "/0/Content"), record);
        assert_eq!(value(Form::Google, record, "/rrdatas/0"), record);
    }
    let pointer = "/Changes/0/ResourceRecordSet/ResourceRecords/0/Value";
    for record in [NASTY, &long] {
        assert_eq!(value(Form::Route53, record, pointer), record);
        for (form, pointer) in [
            (Form::Azure, "/properties/TXTRecords/0/value"),
            (Form::Cpanel, "/data"),
        ] {
            let json: serde_json::Value =
                serde_json::from_str(&render(record, form).unwrap()).unwrap();
            let strings = json.pointer(pointer).unwrap().as_array().unwrap();
            let strings: Vec<&str> = strings.iter().map(|s| s.as_str().unwrap()).collect();
            assert!(strings.iter().all(|s| s.len() <= 255));
            assert_eq!(strings.concat(), record);
        }
    }
    // Octal, unlike everywhere else.
    let text = render("\u{e9}", Form::Route53).unwrap();
    assert!(text.contains(r#""\"\\303\\251\"""#), "{text}");
}

#[test]
fn no_line_has_more_than_it_should() {
    for form in Form::ALL {
        for record in [NASTY, UNSEEN] {
            let Ok(text) = render(record, form) else {
                continue;
            };
            let plain = render("v=DKIM1; p=Zm9v", form).unwrap();
            assert_eq!(text.lines().count(), plain.lines().count(), "{form}");
            assert!(text.ends_with('\n'));
            assert!(
                form == Form::Json || !text.chars().any(|c| c != '\n' && is_harmful(c)),
                "{form}"
            );
        }
    }
}

#[test]
fn what_a_form_cannot_say_is_refused() {
    let refused = |record: &str| -> Vec<Form> {
        let refuses = |form: &Form| match render(record, *form) {
            Ok(_) => false,
            Err(PublishError::Unwritable { form: named, .. }) => {
                assert_eq!(named, *form);
                true
            }
            Err(error) => panic!("{error}"),
        };
        Form::ALL.into_iter().filter(refuses).collect()
    };
    use Form::{
        Azure, Cpanel, Dnsmasq, Octodns, TerraformAzure, TerraformDigitalocean as Ocean, Value,
    };
    assert_eq!(refused("v=DKIM1; n=a' ${x} %{y} $(id) :,; p=Zm9v"), []);
    assert_eq!(refused("v=DKIM1; n=\\; p="), [Ocean, Octodns]);
    assert_eq!(refused("v=DKIM1; n=\"; p="), [Ocean]);
    assert_eq!(refused("v=DKIM1; n=\" \"; p="), [Ocean, Octodns]);
    let ascii = [Azure, TerraformAzure, Ocean, Octodns, Cpanel];
    assert_eq!(refused("v=DKIM1; n=\u{e9}; p="), ascii);
    let seen = [
        Value,
        Azure,
        TerraformAzure,
        Ocean,
        Octodns,
        Cpanel,
        Dnsmasq,
    ];
    assert_eq!(refused("v=DKIM1;\r\n p="), seen);
}

#[test]
fn what_is_too_long_is_refused() {
    let len = |n: usize| format!("v=DKIM1; p={}", "Z".repeat(n));
    let too_long = |record: &str| -> Vec<Form> {
        let is = |form: &Form| matches!(render(record, *form), Err(PublishError::TooLong { .. }));
        Form::ALL.into_iter().filter(is).collect()
    };
    assert_eq!(too_long(&len(400)), []);
    // An RSA key of 4096 bits.
    assert_eq!(too_long(&len(736)), [Form::TerraformDigitalocean]);
    assert_eq!(too_long(&len(5000)).len(), 7);
    assert_eq!(too_long(&len(70_000)), Form::ALL);
}

#[test]
fn a_name_is_relative_to_its_zone() {
    let relative = |zone: &str| {
        let (name, zone) = (
            KeyName::new(&Selector::new("a.b").unwrap(), &domain("mail.example.com")).unwrap(),
            domain(zone),
        );
        Place::new(&name, &zone, Some(60)).map(|place| place.relative("@"))
    };
    assert_eq!(relative("mail.example.com").unwrap(), "a.b._domainkey");
    assert_eq!(relative("Example.COM").unwrap(), "a.b._domainkey.mail");
    assert_eq!(relative("_domainkey.mail.example.com").unwrap(), "a.b");
    assert_eq!(relative("a.b._domainkey.mail.example.com").unwrap(), "@");
    for zone in ["ample.com", "other.example", "x.mail.example.com"] {
        let error = relative(zone).unwrap_err();
        assert!(matches!(error, PublishError::OutsideZone { .. }), "{zone}");
    }
}

#[test]
fn a_ttl_is_said_where_it_is_asked_for() {
    let (name, zone) = (name(), domain("example.com"));
    let asked = Place::new(&name, &zone, Some(7777)).unwrap();
    let silent = [Form::Value, Form::Quoted, Form::Json, Form::Dnsmasq];
    for form in Form::ALL {
        let text = asked.render("v=DKIM1; p=Zm9v", form).unwrap();
        assert_eq!(text.contains("7777"), !silent.contains(&form), "{form}");
        let text = render("v=DKIM1; p=Zm9v", form).unwrap();
        let said = !silent.contains(&form) && form != Form::Zone;
        assert_eq!(text.contains("3600"), said, "{form}");
    }
    let error = Place::new(&name, &zone, Some(1 << 31)).unwrap_err();
    assert_eq!(error, PublishError::Ttl { ttl: 1 << 31 });
}

#[test]
fn a_revoked_record_keeps_all_but_its_key() {
    for (record, expected) in [
        ("v=DKIM1; k=rsa; p=Zm9v", "v=DKIM1; k=rsa; p="),
        ("p = Zm 9v= ; n=p=q; x=y;", "p =; n=p=q; x=y;"),
        ("v=DKIM1; p=", "v=DKIM1; p="),
    ] {
        assert_eq!(revoked(record), expected);
    }
}
