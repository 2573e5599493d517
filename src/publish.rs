//! A key record in the forms in which it is published.

use serde_json::{Map, json};

use crate::name::KeyName;
use crate::report::spaced_json;

/// A record as a line of a zone file: strings of at most 255 bytes, quoted (RFC 1035 §3.3.14 and §5.1).
///
/// ```
/// use dkimkit::name::{Domain, KeyName, Selector};
/// use dkimkit::publish::zone_line;
/// let name = KeyName::new(&Selector::new("mail")?, &Domain::new("example.com")?)?;
/// assert_eq!(
///     zone_line(&name, "v=DKIM1; p=Zm9v"),
///     "mail._domainkey.example.com. IN TXT \"v=DKIM1; p=Zm9v\"\n"
/// );
/// # Ok::<(), dkimkit::name::NameError>(())
/// ```
pub fn zone_line(name: &KeyName, record: &str) -> String {
    let strings: Vec<String> = strings(record).into_iter().map(quoted).collect();
    format!("{} IN TXT {}\n", name.as_str(), strings.join(" "))
}

/// A quoted string of a zone file (RFC 1035 §5.1), on one line whatever it holds.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_ascii_control() => out.push_str(&format!("\\{:03}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A record as the JSON that [`Zone::parse`](crate::dns::Zone::parse) reads, with its strings beside it.
pub fn json_object(name: &KeyName, record: &str) -> String {
    let entry = json!({"TXT": [record], "strings": [strings(record)]});
    let mut object = Map::new();
    object.insert(name.as_str().to_owned(), entry);
    spaced_json(&object)
}

/// A record cut into strings of at most 255 bytes, never within a character; an empty one is one empty
/// string, for a TXT record has at least one (RFC 1035 §3.3.14).
pub fn strings(record: &str) -> Vec<&str> {
    let (head, mut rest) = record.split_at(record.floor_char_boundary(255));
    let mut strings = vec![head];
    while !rest.is_empty() {
        let (head, tail) = rest.split_at(rest.floor_char_boundary(255));
        strings.push(head);
        rest = tail;
    }
    strings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::{Answer, LookupTxt as _, Zone};
    use crate::name::{Domain, Selector};

    #[test]
    fn every_form_is_read_back_as_it_was() {
        let selector = Selector::new("s").unwrap();
        let name = KeyName::new(&selector, &Domain::new("example.com").unwrap()).unwrap();
        for len in [0, 1, 200, 240, 250, 255, 600] {
            // The empty record too, and what would break a line.
            let record = "v=DKIM1;\u{e9}\"\\\r\n\0\u{7f}".repeat(len);
            assert!(strings(&record).iter().all(|s| s.len() <= 255));
            for text in [zone_line(&name, &record), json_object(&name, &record)] {
                let Answer::Records { txt, .. } = Zone::parse(&text).unwrap().lookup_txt(&name)
                else {
                    panic!("{text}");
                };
                assert_eq!(txt, [record.as_bytes()]);
            }
        }
    }
}
