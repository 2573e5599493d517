//! `--check` with the records that are published.

use std::time::Duration;

use dkimkit::keystore::KeyState;

use super::place::Place;
use crate::milter::world::text_of;
use crate::nameserver::{NameServer, Reply, Script};

const NAME: &str = "a._domainkey.example.com.";

/// What is found about the record of the key, and how the check ends.
fn found(place: &Place, script: Script) -> (String, Option<i32>) {
    let server = NameServer::start(script);
    place.configure(&format!(
        "[sender_login]\nanna = [\"example.com\"]\n[verifying]\nauthserv_id = \"mx.test\"\n\
         nameservers = [\"{}\"]\ndns_timeout = \"300ms\"\n",
        server.addr()
    ));
    let (code, text) = place.run(&["--check"]);
    let about = format!(" {NAME}: ");
    let line = text.lines().find(|line| line.contains(&about));
    (line.unwrap_or(&text).to_owned(), code)
}

#[test]
fn what_is_published_is_held_against_the_keys_that_sign() {
    let place = Place::new("");
    let zone = text_of(&place.store());
    let other = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    for (script, code, words) in [
        (
            Script::zone(&zone),
            0,
            "ok       NAME: it signs, and its record is published",
        ),
        (
            Script::new(),
            1,
            "error    NAME: it signs, but its record is not published; `dkimkit check` tells more",
        ),
        (
            Script::new().on(NAME, Reply::txt(other)),
            1,
            "error    NAME: it signs, but what is published is not its record; ",
        ),
        (
            Script::new().on(NAME, Reply::txt("v=DKIM1; p=")),
            1,
            "error    NAME: it signs, but what is published is not its record; ",
        ),
        (
            Script::new().on(NAME, Reply::Silence).without_tcp(),
            75,
            "unknown  NAME: ",
        ),
        (
            Script::new().on(NAME, Reply::NoName.late(Duration::from_millis(20))),
            1,
            "error    NAME: ",
        ),
    ] {
        let (line, ended) = found(&place, script);
        let words = words.replace("NAME", NAME);
        assert!(line.starts_with(&words), "{words}: {line}");
        assert_eq!(ended, Some(code), "{line}");
    }
    // A key that does not sign need not be there, and one that no key can stand for is asked about nowhere.
    place.rotate();
    let server = NameServer::start(Script::zone(&text_of(&place.store())));
    place.configure(&format!(
        "[verifying]\nauthserv_id = \"mx.test\"\nnameservers = [\"{}\"]\n",
        server.addr()
    ));
    let (code, text) = place.run(&["--check"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(!text.contains(NAME), "{text}");
    assert!(
        text.contains("ok       b._domainkey.example.com.: it signs"),
        "{text}"
    );
    place.state("b", KeyState::Retired);
    let asked = server.asked_in_all();
    let (code, text) = place.run(&["--check"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains(
            "error    keys: no key signs; make one: dkimkit generate --keys DIR/keys -d DOMAIN"
        ),
        "{text}"
    );
    assert_eq!(server.asked_in_all(), asked);
    // Nothing was opened, and nothing is left.
    assert_eq!(place.names(), ["keys", "milter.toml"]);
}
