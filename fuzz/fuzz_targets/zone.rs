//! Zone files and JSON: a text gives one zone, and every TXT that is found can be published and found again.

#![no_main]

use dkimkit::dns::{Answer, LookupTxt as _, Zone};
use dkimkit::name::{Domain, KeyName, Selector};
use dkimkit::publish::{Form, Place, json_object, strings, zone_line};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let zone = match Zone::parse(text) {
        Ok(zone) => zone,
        Err(error) => {
            let _ = error.to_string();
            return;
        }
    };
    assert_eq!(Zone::parse(text).as_ref(), Ok(&zone), "one text, one zone");
    let mut merged = Zone::default();
    merged.merge(zone.clone());
    assert_eq!(merged, zone);
    merged.merge(zone.clone());
    assert_eq!(merged, zone);
    for (selector, domain) in names(text) {
        let (Ok(selector), Ok(domain)) = (Selector::new(selector), Domain::new(domain)) else {
            continue;
        };
        let Ok(name) = KeyName::new(&selector, &domain) else {
            continue;
        };
        written(&selector, &domain, &name);
        if let Answer::Records { txt, .. } = zone.lookup_txt(&name) {
            assert!(!txt.is_empty());
            for record in &txt {
                published(&name, record);
                rendered(&name, &domain, record);
            }
        }
    }
});

/// What may be the name of a key in this text, cut at `._domainkey.`; relative names under example.com.
fn names(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let words = text.split([' ', '\t', '\r', '\n', '"', ';', '(', ')']);
    let words = words.take(50).map(|word| {
        let (selector, domain) = word.split_once("._domainkey").unwrap_or((word, ""));
        let domain = domain.trim_matches('.');
        let relative = domain.is_empty();
        (selector, if relative { "example.com" } else { domain })
    });
    words.chain([("s", "example.com")])
}

/// A name is found under what it is written as.
fn written(selector: &Selector, domain: &Domain, name: &KeyName) {
    let mut zone = Zone::default();
    zone.insert_txt(&format!("{selector}._domainkey.{domain}."), b"x".to_vec());
    assert!(
        matches!(zone.lookup_txt(name), Answer::Records { .. }),
        "{name}"
    );
}

fn published(name: &KeyName, record: &[u8]) {
    let Ok(text) = std::str::from_utf8(record) else {
        return;
    };
    let strings = strings(text);
    assert!(strings.iter().all(|s| s.len() <= 255));
    assert_eq!(strings.concat(), text);
    for form in [zone_line(name, text), json_object(name, text)] {
        let zone = Zone::parse(&form).unwrap_or_else(|e| panic!("{form:?}: {e}"));
        let Answer::Records { txt, .. } = zone.lookup_txt(name) else {
            panic!("{form:?} does not give {name}");
        };
        assert_eq!(txt, [record], "{form:?}");
    }
}

/// Each form takes a record or refuses it; those with a line of a zone file in them say what the record says.
fn rendered(name: &KeyName, domain: &Domain, record: &[u8]) {
    let Ok(text) = std::str::from_utf8(record) else {
        return;
    };
    let place = Place::new(name, domain, Some(60)).expect("a key is in its domain");
    for form in Form::ALL {
        let Ok(rendered) = place.render(text, form) else {
            continue;
        };
        let line = match form {
            Form::Zone => rendered.as_str(),
            Form::Quoted => &format!("{} IN TXT {rendered}", name.as_str()),
            Form::Unbound => rendered.split('\'').nth(1).expect("a quoted line"),
            Form::Nsupdate => {
                let line = rendered.lines().nth(3).expect("four lines");
                line.strip_prefix("update add ").expect("a command")
            }
            _ => continue,
        };
        let zone = Zone::parse(line).unwrap_or_else(|e| panic!("{line:?}: {e}"));
        let Answer::Records { txt, .. } = zone.lookup_txt(name) else {
            panic!("{line:?} does not give {name}");
        };
        assert_eq!(txt, [record], "{form}");
    }
}
