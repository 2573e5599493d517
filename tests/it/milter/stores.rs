//! Keys that go away, and names that come from the MTA.

use std::fs;

use dkimkit::milter::wire::Reply;

use super::world::{ANNA, Client, STRANGER, World};

const VERIFYING: &str = "[verifying]\nnameservers = [NS]\n";

fn message(more: &str) -> String {
    format!("From: a@example.com\r\nTo: b@example.org\r\n{more}\r\nHello\r\n")
}

#[test]
fn a_store_that_was_emptied_keeps_what_was_known() {
    let world = World::new(VERIFYING);
    let dir = world.store().dir().to_owned();
    fs::rename(&dir, dir.with_extension("away")).unwrap();
    fs::create_dir(&dir).unwrap();
    world.reload();
    assert_eq!(world.mail(ANNA, &message("")).told(), "signed a");
    let troubles = world.filter.live().keyring().troubles().join(" ");
    assert!(
        troubles.contains("is empty: is its file system mounted?"),
        "{troubles}"
    );
}

#[test]
fn keys_for_every_domain_in_a_directory() {
    let rule = "[[signing.rule]]\nfrom = \"*\"\nselector = \"s\"\nkey = \"each/%.pem\"\n";
    let world = World::new(&format!("{VERIFYING}{rule}"));
    // The directory is not there.
    assert_eq!(
        world.mail(ANNA, &message("")).told(),
        "unsigned key-unusable"
    );
    let keys = world.store();
    let each = keys.dir().with_file_name("each");
    fs::create_dir(&each).unwrap();
    world.reload();
    assert_eq!(world.mail(ANNA, &message("")).told(), "unsigned no-key");
    let pem = keys.pem_path(&"example.com".parse().unwrap(), &"a".parse().unwrap());
    // The name of the file is a domain however it is written.
    fs::copy(pem, each.join("Example.com.pem")).unwrap();
    world.reload();
    assert_eq!(world.filter.live().keyring().signing(), 1);
    assert_eq!(world.mail(ANNA, &message("")).told(), "signed s");
    // It goes away: nothing leaves unsigned in silence.
    fs::rename(&each, each.with_extension("away")).unwrap();
    world.reload();
    assert_eq!(world.mail(ANNA, &message("")).told(), "signed s");
    assert_eq!(world.filter.live().keyring().troubles().len(), 1);
}

#[test]
fn another_store_does_not_inherit_keys() {
    let world = World::new(VERIFYING);
    let elsewhere = World::new(&format!("keys = \"nowhere\"\n{VERIFYING}"));
    let config = elsewhere.filter.live().config().clone();
    let before = world.filter.live();
    let keyring = dkimkit::milter::keyring::Keyring::load(&config, before.keyring());
    assert!(keyring.unreadable().is_some() && keyring.signing() == 0);
}

#[test]
fn without_a_name_of_our_own_we_go_by_that_of_the_mta() {
    let world = World::new(VERIFYING);
    let mta = Client {
        macros: &[("j", "mail.example.net")],
        ..STRANGER
    };
    let fields = "Authentication-Results: mail.example.net; dkim=pass\r\n\
        Authentication-Results: mx.example.org; dkim=pass\r\nAuthentication-Results: other; none\r\n";
    let done = world.mail(mta, &message(fields));
    assert!(
        done.inserted[0].starts_with("Authentication-Results: mail.example.net;"),
        "{done:?}"
    );
    let numbers: Vec<u32> = done.deleted.iter().map(|(_, number)| *number).collect();
    assert_eq!(numbers, [2, 1]);
    // What is no name is not taken for one.
    let odd = Client {
        macros: &[("j", "mail; dkim=pass")],
        ..STRANGER
    };
    let done = world.mail(odd, &message(""));
    assert!(
        done.inserted[0].starts_with("Authentication-Results: mx.example.org;"),
        "{done:?}"
    );
}

#[test]
fn a_header_that_is_not_told_to_its_end_is_refused_and_that_is_told() {
    let world = World::new(VERIFYING);
    let done = world.mail(STRANGER, &message(&"X: y\r\n".repeat(20_001)));
    let Reply::Text(reply) = &done.reply else {
        panic!("{done:?}")
    };
    assert_eq!(reply.to_string(), "550 5.3.4 DKIM: header-too-large");
    assert_eq!(done.told(), "refused header-too-large");
    assert_eq!(done.get("action"), "reject");
}
