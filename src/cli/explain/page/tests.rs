use std::sync::Arc;
use std::time::Duration;

use dkimkit::dns::{LookupTxt as _, Zone};
use dkimkit::explain::{Options, explain};
use dkimkit::key::{KeyKind, SigningKey};
use dkimkit::name::{Domain, Selector};
use dkimkit::record::KeyRecord;
use dkimkit::sign::{SignOptions, SigningIdentity};
use dkimkit::time::UnixTime;
use dkimkit::verify::PublishedKeys;

use super::*;

const NOW: UnixTime = UnixTime(1_700_000_000);
const PLAIN: &[u8] = b"From: Anna <anna@example.com>\r\nSubject: Thursday\r\nDate: Tue, 14 Nov 2023 22:13:20 +0000\r\n\r\nHello.\r\nGoodbye.\r\n";

/// Signs a message, lets `way` happen to it, and makes a page of what came.
fn page(message: &[u8], body_limit: bool, way: impl FnOnce(Vec<u8>) -> Vec<u8>) -> String {
    let key = SigningKey::generate(KeyKind::Ed25519).unwrap();
    let record = KeyRecord::new(key.algorithm().key_type(), key.public_bytes()).to_string();
    let mut dns = Zone::default();
    dns.insert_txt("mail._domainkey.example.com.", record.into_bytes());
    let identity = SigningIdentity::new(
        Domain::new("example.com").unwrap(),
        Selector::new("mail").unwrap(),
        key,
    );
    let fields = dkimkit::sign(message, vec![identity], &SignOptions::new(NOW)).unwrap();
    let signed = [fields[0].as_bytes(), b"\r\n", message].concat();
    let mut came = way(signed);
    if body_limit {
        let text = String::from_utf8(came).unwrap();
        came = text.replacen("v=1;", "v=1; l=8;", 1).into_bytes();
    }
    let mut options = Options::new(NOW);
    options.budget = Duration::from_secs(10);
    let keys = |name: &_| Arc::new(PublishedKeys::read(dns.lookup_txt(name), &options.policy));
    let explanation = explain(&came, keys, &options).unwrap();
    let mut page = Page::new();
    page.message("<img src=x>.eml", &explanation);
    page.finish()
}

#[test]
fn what_was_changed_is_marked() {
    let html = page(PLAIN, false, |mut came| {
        came.extend(b"-- \r\n<script>alert(1)</script>\r\n");
        came
    });
    assert!(html.contains("<ins>--<i>·</i><i>↵</i></ins>"));
    assert!(html.contains("<ins>&lt;script&gt;alert(1)&lt;/script&gt;<i>↵</i></ins>"));
    assert!(html.contains("Body: <b>changed</b>"));
    assert!(html.contains("<title>&lt;img src=x&gt;.eml: explained by dkimkit</title>"));
    assert!(html.contains("A mailing list with a footer"));

    let html = page(PLAIN, false, |came| {
        String::from_utf8(came)
            .unwrap()
            .replace("Subject: T", "Subject: [x] T")
            .into_bytes()
    });
    assert!(html.contains("Subject: <ins>[x] </ins>Thursday"));
    assert!(html.contains("Body: <b>signed</b>"));
}

#[test]
fn fields_that_came_or_went_are_named_so() {
    let html = page(PLAIN, false, |came| {
        [b"Subject: Friday\r\n", &came[..]].concat()
    });
    assert!(html.contains("<p class=\"tag\"><b>added</b></p>"));
    assert!(html.contains("<ins>Subject: Friday"));
    let html = page(PLAIN, false, |came| {
        String::from_utf8(came)
            .unwrap()
            .replace("Subject: Thursday\r\n", "")
            .into_bytes()
    });
    assert!(!html.contains("<b>added</b></p>"));
    assert!(
        html.contains("<p class=\"tag\"><b>removed</b></p>")
            || html.contains("<b>in doubt</b></p>")
    );
}

#[test]
fn what_is_beyond_the_limit_is_not_signed() {
    let html = page(PLAIN, true, |came| came);
    assert!(html.contains("the first 8 octets"));
    let (signed, beyond) = html.split_once("Beyond l=: <b>not signed</b>").unwrap();
    assert!(signed.contains(">Hello.<") && !signed.contains(">Goodbye.<"));
    assert!(beyond.contains(">Goodbye.<"));
}

#[test]
fn a_page_stays_small_whatever_it_shows() {
    let lines = b"<\x00\xff\xe2\x80\xae\t>'\"& \r\n".repeat(3_600_000);
    assert!(lines.len() > 50_000_000);
    let mut options = Options::new(NOW);
    options.budget = Duration::from_millis(200);
    let nothing = |_: &_| unreachable!("there is no signature");
    let explanation = explain(&[PLAIN, &lines].concat(), nothing, &options).unwrap();
    let mut unsigned = Page::new();
    for _ in 0..20 {
        unsigned.message("x", &explanation);
    }
    let html = unsigned.finish();
    assert!(html.len() <= LIMIT, "{}", html.len());
    assert!(html.contains(" bytes) not shown here …"));
    assert!(html.ends_with("</html>\n"));

    let html = page(PLAIN, false, |mut came| {
        came.extend_from_slice(&lines[..500_000]);
        came
    });
    assert!(html.len() <= MESSAGE + FRAME, "{}", html.len());
    assert!(html.contains(" bytes) not shown here …"));

    let long = [PLAIN, &b"\x00<".repeat(200_000)].concat();
    let html = page(&long, false, |came| came);
    assert!(html.len() < 100_000, "{}", html.len());
}

#[test]
fn many_messages_are_cut_off_with_a_word() {
    let mut page = Page::new();
    for number in 0..20_000 {
        page.unreadable(
            &format!("<{}{number}", "x".repeat(400)),
            SplitError::NoHeader,
        );
    }
    let html = page.finish();
    assert!(html.len() <= LIMIT);
    assert!(
        html.contains(" more of the messages are not shown: a page has 2,000,000 bytes at most.")
    );
    assert!(html.contains("<title>20,000 messages: explained by dkimkit</title>"));
}

#[test]
fn no_markup_of_a_message_is_markup_of_the_page() {
    let evil = "<x y='z' on=\"z\">&amp;</x>";
    let fields = "From: \"<x>\" <anna@example.com>\r\nSubject: <x>\r\n<x>: <x>\r\nDate: <x>\r\n";
    let message = format!("{fields}X: {evil}\r\n\r\n{evil}\r\n{evil}\r\n");
    for way in [
        |came: String| came,
        |came: String| format!("{came}<x>\r\n"),
        |came: String| came.replace("Subject: <x>", "Subject: <x> <x>"),
        |came: String| came.replace("; s=", "; z=<x>; s="),
        |came: String| format!("DKIM-Signature: v=1; d=<x>; s=<x>; <x>\r\n{came}"),
    ] {
        let html = page(message.as_bytes(), false, |came| {
            way(String::from_utf8(came).unwrap()).into_bytes()
        });
        assert!(!html.contains("<x") && !html.contains("</x"));
        assert!(!html.contains("<img"));
        assert!(html.contains("&lt;x y=&#39;z&#39; on=&quot;z&quot;&gt;&amp;amp;&lt;/x&gt;"));
    }
}
