use super::*;

/// What a piece writes.
fn written(limit: usize, inner: impl FnOnce(&mut Html)) -> String {
    let mut html = Html::new(limit);
    inner(&mut html);
    html.out
}

/// What a browser makes of our escapes.
fn read(html: &str) -> String {
    let marks = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&#96;", "`"),
    ];
    let text = marks
        .iter()
        .fold(html.to_owned(), |text, (from, to)| text.replace(from, to));
    text.replace("&amp;", "&")
}

fn is_safe(escaped: &str) -> bool {
    let mut rest = escaped;
    while let Some(at) = rest.find('&') {
        rest = &rest[at..];
        let entity = ["&amp;", "&lt;", "&gt;", "&quot;", "&#39;", "&#96;"]
            .into_iter()
            .find(|e| rest.starts_with(e));
        match entity {
            Some(entity) => rest = &rest[entity.len()..],
            None => return false,
        }
    }
    !escaped.contains(['<', '>', '"', '\'', '`']) && !escaped.chars().any(char::is_control)
}

#[test]
fn every_byte_is_escaped_in_every_position() {
    for byte in 0..=255u8 {
        for line in [
            vec![byte],
            vec![b'a', byte, b'z'],
            vec![byte; 3],
            vec![b'<', byte],
            vec![byte, b'>'],
        ] {
            for ends in [false, true] {
                let html = written(10_000, |html| html.line(&line, ends));
                let inner = html
                    .replace("<i>→</i>\t", "→")
                    .replace("<i>", "")
                    .replace("</i>", "");
                assert!(is_safe(&inner), "{line:?} gives {html}");
                assert!(!inner.is_empty());
            }
            let text = String::from_utf8_lossy(&line);
            let html = written(10_000, |html| html.text(&text));
            assert!(is_safe(&html), "{line:?} gives {html}");
            let tag = written(10_000, |html| html.empty("input", &[("id", &text)]));
            let value = tag
                .strip_prefix("<input id=\"")
                .and_then(|t| t.strip_suffix("\">"));
            assert!(value.is_some_and(is_safe), "{line:?} gives {tag}");
        }
    }
}

#[test]
fn every_character_is_safe_and_what_is_seen_stays() {
    for c in '\0'..=char::MAX {
        let mut out = String::new();
        plain(c.encode_utf8(&mut [0; 4]), &mut out);
        assert!(is_safe(&out), "{c:?} gives {out}");
        let shown = read(&out);
        assert!(
            shown.chars().eq([c]) || shown.chars().eq(c.escape_default()),
            "{c:?} gives {out}"
        );
        assert!(
            !c.is_ascii_graphic() || shown.chars().eq([c]),
            "{c:?} gives {out}"
        );
    }
}

#[test]
fn what_nobody_sees_is_made_visible() {
    let line = |bytes: &[u8], ends| written(10_000, |html| html.line(bytes, ends));
    assert_eq!(line(b"a\tb", true), "a<i>→</i>\tb");
    assert_eq!(line(b"a \t ", true), "a<i>·→·</i>");
    assert_eq!(line(b"a  ", false), "a  ");
    assert_eq!(line(b"   ", true), "<i>···</i>");
    assert_eq!(line(b"a\0\rb", true), r"a<i>\u{0}\r</i>b");
    assert_eq!(line(b"a\xff\xfe\xc3b", true), r"a<i>\xff\xfe\xc3</i>b");
    assert_eq!(
        line("\u{202e}gpj.exe\u{a0}".as_bytes(), true),
        r"<i>\u{202e}</i>gpj.exe<i>\u{a0}</i>"
    );
    assert_eq!(line("Grüße, שלום".as_bytes(), true), "Grüße, שלום");
    assert_eq!(line(b"", true), "");
}

#[test]
fn marks_do_not_pile_up() {
    let text = format!("e\u{301}\u{302}{}x", "\u{303}".repeat(100));
    let expected = format!("e\u{301}\u{302}<i>{}</i>x", r"\u{303}".repeat(100));
    assert_eq!(
        written(10_000, |html| html.line(text.as_bytes(), true)),
        expected
    );
    assert_eq!(
        written(10_000, |html| html.text(&text)),
        expected.replace("<i>", "").replace("</i>", "")
    );
}

#[test]
fn a_piece_keeps_its_limit_and_is_closed() {
    let write = |html: &mut Html| {
        html.element("section", "a", |html| {
            html.say("p", "", "Some text & more");
            html.element("div", "", |html| {
                html.line("\u{202e}\t<\u{ff}".as_bytes(), true);
                html.within(30, |html| html.say("p", "", &"x".repeat(50)));
                html.empty("input", &[("type", "radio")]);
            });
            html.brief(&"y".repeat(100), 20);
        });
        html.say("p", "", "end");
    };
    let whole = written(100_000, write);
    assert!(whole.contains("y<span class=\"gap\">… 80 bytes more</span>"));
    for limit in 0..whole.len() + 10 {
        let html = written(limit, write);
        assert!(html.len() <= limit);
        assert_eq!(html == whole, limit >= whole.len());
        let mut open = Vec::new();
        for tag in html.split('<').skip(1) {
            let name = tag.split([' ', '>']).next().unwrap();
            match name.strip_prefix('/') {
                Some(name) => assert_eq!(open.pop(), Some(name)),
                None if name == "input" => {}
                None => open.push(name),
            }
        }
        assert!(open.is_empty(), "{html}");
    }
}

#[test]
fn nothing_is_written_behind_a_cut() {
    let html = written(12, |html| {
        html.text("0123456789");
        html.text("abcdef");
        html.text("x");
    });
    assert_eq!(html, "0123456789");
}

#[test]
fn the_policy_knows_our_style_and_no_other() {
    let page = document(
        "a <title>",
        "x { color: red }",
        Script::Nothing,
        Html::new(100),
    );
    let (head, rest) = page.split_once("<style>").unwrap();
    let (style, rest) = rest.split_once("</style>").unwrap();
    assert!(!rest.contains("<style"));
    assert!(head.contains("default-src 'none'; style-src 'sha256-"));
    let allowed = head
        .split("'sha256-")
        .nth(1)
        .and_then(|h| h.split('\'').next())
        .unwrap();
    assert_eq!(allowed, hash(style));
    // Made with: printf 'x' | openssl dgst -sha256 -binary | base64
    assert_eq!(hash("x"), "LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE=");
    assert!(head.find("charset").unwrap() < 1024);
    assert!(head.find("Content-Security-Policy").unwrap() < head.find("<title>").unwrap());
    assert!(head.contains("<title>a &lt;title&gt;</title>"));
    assert!(!page.contains("script-src") && !page.contains("<script"));
}

#[test]
fn the_policy_knows_our_script_and_no_other() {
    let mut html = Html::new(1_000);
    html.copied("Value", "v=spf1 <b> -all");
    html.copied("File", "one\n<two>\r\n");
    let page = document("x", "", Script::Copy, html);
    let (head, rest) = page.split_once("<script>").unwrap();
    let (script, rest) = rest.split_once("</script>").unwrap();
    assert!(!head.contains("<script") && !rest.contains("<script"));
    let allowed = head
        .split("script-src ")
        .nth(1)
        .and_then(|p| p.split(';').next());
    assert_eq!(allowed, Some(format!("'sha256-{}'", hash(script)).as_str()));
    // What it may not do stands nowhere in it.
    for word in [
        "HTML", "eval", "src", "fetch", "http", "location", "write(", "Function", "import",
        "cookie", "Storage",
    ] {
        assert!(!script.contains(word), "{word}");
    }
    assert!(rest.contains(
        "<pre><code>v=spf1 &lt;b&gt; -all</code></pre><button type=\"button\">Copy</button>"
    ));
    assert!(rest.contains("<code>one\n&lt;two&gt;\\r\n</code>"));
    // What is not seen is shown by signs, and they are not the text.
    assert_eq!(rest.matches("<button").count(), 1);
    let mut html = Html::new(1_000);
    html.copied("Value", "v=spf1\u{a0}-all");
    html.copied("Value", "p=a\u{301}\u{301}\u{301}");
    html.copied("Value", "\u{fc}");
    let page = document("x", "", Script::Copy, html);
    assert!(page.contains("<code>v=spf1\\u{a0}-all</code>"));
    assert_eq!(page.matches("<button").count(), 1);
    assert_eq!(page.matches("do not copy this").count(), 2);
}

#[test]
fn a_sentence_has_a_capital_unless_it_begins_with_a_name() {
    for (text, expected) in [
        ("the boat", "The boat."),
        ("end it, now…", "End it, now…"),
        ("example.com is there", "example.com is there."),
        ("p= is empty", "p= is empty."),
        ("192.0.2.1 is listed", "192.0.2.1 is listed."),
        ("_dmarc holds it", "_dmarc holds it."),
        ("see https://example.com/a", "See https://example.com/a"),
        (
            "see \"https://example.com/a\"",
            "See \"https://example.com/a\".",
        ),
        ("", "."),
    ] {
        assert_eq!(sentence(text), expected);
    }
}

#[test]
fn nothing_is_loaded_by_the_frame_of_a_page() {
    let page = document("x", "", Script::Nothing, Html::new(100)).to_ascii_lowercase();
    for word in [
        "://",
        "//",
        "url(",
        "@import",
        "src=",
        "href",
        "<script",
        "javascript",
        "<link",
        " on",
        "expression(",
    ] {
        let found = page.replace("none of them", "").find(word);
        let allowed = word == " on" && found.is_some_and(|at| !page[at..].contains("=\""));
        assert!(found.is_none() || allowed, "{word}");
    }
}

#[test]
#[should_panic(expected = "no element of ours")]
fn an_element_that_loads_cannot_be_written() {
    Html::new(100).element("img", "", |_| {});
}

#[test]
#[should_panic(expected = "no attribute of ours")]
fn an_attribute_that_leads_away_cannot_be_written() {
    Html::new(100).with("p", &[("href", "x")], |_| {});
}

#[test]
fn thousands_are_set_apart() {
    let numbers = [0, 999, 1_000, 12_345, 1_234_567];
    assert_eq!(
        numbers.map(grouped),
        ["0", "999", "1,000", "12,345", "1,234,567"]
    );
}
