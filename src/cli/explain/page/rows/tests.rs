use super::*;
use crate::cli::page::{Script, document};

const ALL: Much = Much {
    head: 1000,
    tail: 1000,
    bytes: 1 << 20,
};

fn mark(at: Range<usize>, signed: &str) -> Mark {
    Mark {
        at,
        signed: signed.as_bytes().to_vec(),
        signed_len: signed.len(),
        is_field: false,
    }
}

/// Each line as its number and text, with changes in brackets.
fn lines(text: &[u8], marks: &[Mark], much: Much) -> Vec<String> {
    let mut html = Html::new(1 << 20);
    let marks: Vec<&Mark> = marks.iter().collect();
    rows(&mut html, text, 0..text.len(), &marks, much, 1);
    let page = document("", "", Script::Nothing, html);
    let body = page
        .split("<body>\n")
        .nth(1)
        .unwrap()
        .split("\n<footer>")
        .next()
        .unwrap();
    let texts = [
        ("<ins>", "{+"),
        ("</ins>", "+}"),
        ("<del>", "[-"),
        ("</del>", "-]"),
        ("</span><span class=\"t\">", "|"),
    ];
    let text = texts
        .iter()
        .fold(body.to_owned(), |text, (from, to)| text.replace(from, to));
    let strip = |line: &str| {
        let mut out = String::new();
        let mut tag = false;
        for c in line.chars() {
            match c {
                '<' => tag = true,
                '>' if tag => tag = false,
                c if !tag => out.push(c),
                _ => {}
            }
        }
        out
    };
    text.lines()
        .map(strip)
        .filter(|line| !line.is_empty())
        .collect()
}

#[test]
fn what_came_and_what_was_signed_stand_side_by_side() {
    let text = b"one\r\ntwo\r\nthree\r\n";
    assert_eq!(lines(text, &[], ALL), ["1|one", "2|two", "3|three"]);
    assert_eq!(
        lines(text, &[mark(5..8, "zwei")], ALL),
        ["1|one", "2±|[-zwei-]{+two+}", "3|three"]
    );
    assert_eq!(
        lines(text, &[mark(5..10, "")], ALL),
        ["1|one", "2+|{+two↵+}", "3|three"]
    );
    assert_eq!(
        lines(text, &[mark(5..5, "gone\r\n")], ALL),
        ["1|one", "−|[-gone↵-]", "2|two", "3|three"]
    );
    assert_eq!(
        lines(text, &[mark(17..17, "gone\r\n")], ALL),
        ["1|one", "2|two", "3|three", "−|[-gone↵-]"]
    );
    assert_eq!(
        lines(text, &[mark(3..3, " ")], ALL),
        ["1−|one[- -]", "2|two", "3|three"]
    );
    assert_eq!(
        lines(text, &[mark(3..5, "")], ALL),
        ["1+|one{+↵+}", "2|two", "3|three"]
    );
    assert_eq!(lines(b"", &[mark(0..0, "all\r\n")], ALL), ["−|[-all↵-]"]);
}

#[test]
fn line_ends_that_are_none_are_seen() {
    assert_eq!(lines(b"a\nb\rc\r\n", &[], ALL), [r"1|a\n", r"2|b\rc"]);
    assert_eq!(
        lines(b"a\r\r\nb", &[mark(1..2, "")], ALL),
        [r"1+|a{+\r+}", "2|b"]
    );
}

#[test]
fn letters_are_not_cut_in_two() {
    // é is C3 A9 and è is C3 A8: only the second byte was changed.
    let text = "caf\u{e9}!".as_bytes();
    let mut one = mark(4..5, "");
    one.signed = vec![0xa8];
    one.signed_len = 1;
    one.widen(text, 0);
    assert_eq!(
        (one.at.clone(), one.signed.as_slice()),
        (3..5, "\u{e8}".as_bytes())
    );
    assert_eq!(lines(text, &[one], ALL), ["1±|caf[-è-]{+é+}!"]);
}

#[test]
fn what_is_left_out_is_said_and_counted() {
    let text: Vec<u8> = (1..=1000)
        .flat_map(|n| format!("line {n}\r\n").into_bytes())
        .collect();
    let much = Much {
        head: 2,
        tail: 1,
        bytes: 1000,
    };
    let at = text.windows(8).position(|w| w == b"line 500").unwrap();
    let shown = lines(&text, &[mark(at..at + 4, "LINE")], much);
    assert_eq!(shown[..2], ["1|line 1", "2|line 2"]);
    assert_eq!(shown[2], "… 494 lines (4,836 bytes) not shown here …");
    assert_eq!(
        shown[3..6],
        ["497|line 497", "498|line 498", "499|line 499"]
    );
    assert_eq!(shown[6], "500±|[-LINE-]{+line+} 500");
    assert_eq!(shown.last().unwrap(), "1000|line 1000");
    assert_eq!(shown.len(), 12);
}

#[test]
fn the_middle_of_a_long_line_is_left_out_but_for_its_changes() {
    let text = [
        &b"W".repeat(5_000)[..],
        b"<here>",
        &b"V".repeat(5_000),
        b"\r\n",
    ]
    .concat();
    let shown = lines(&text, &[mark(5_000..5_006, "")], ALL);
    assert_eq!(shown.len(), 1);
    assert!(shown[0].contains("W{+&lt;here&gt;+}V"), "{}", shown[0]);
    assert!(
        shown[0].contains("W … 4,050 bytes not shown here … W"),
        "{}",
        shown[0]
    );
    assert!(shown[0].len() < 2_000);
}

#[test]
fn no_byte_is_lost_whatever_the_changes() {
    let mut seed = 1u64;
    let mut random = |below: usize| {
        seed = seed
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (seed >> 33) as usize % below.max(1)
    };
    for _ in 0..3_000 {
        let alphabet = [
            "a",
            "\r\n",
            "\n",
            "\r",
            "\u{e9}",
            " ",
            "<",
            "long long long ",
            "\u{1f600}",
        ];
        let length = random(60);
        let mut text: Vec<u8> = (0..length)
            .flat_map(|_| alphabet[random(9)].bytes())
            .collect();
        if random(10) == 0 {
            text.extend(b"x".repeat(3_000));
        }
        let spots: Vec<Spot> = (0..random(6))
            .map(|_| {
                let start = random(text.len() + 1);
                let signed: Vec<u8> = (0..random(4))
                    .flat_map(|_| alphabet[random(9)].bytes())
                    .collect();
                Spot {
                    at: start..start + random(20),
                    line: 1,
                    came: Vec::new(),
                    signed_len: signed.len(),
                    signed,
                    exact: true,
                }
            })
            .collect();
        let change = Change {
            kind: Cause::FieldChanged,
            field: None,
            detail: None,
            places: spots.len(),
            spots,
            added: 0,
            removed: 0,
        };
        let marks = marks(&text, [&change].into_iter());
        assert!(marks.is_sorted_by(|a, b| a.at.end <= b.at.start));
        let much = Much {
            head: random(4),
            tail: random(4),
            bytes: 30,
        };
        let start = random(text.len() + 1);
        let range = start..start + random(text.len() + 1 - start);
        let within: Vec<&Mark> = marks.iter().collect();
        let ranges = shown(&text, &range, &within, much);
        assert!(ranges.is_sorted_by(|a, b| a.end <= b.start));
        assert!(
            ranges
                .iter()
                .all(|kept| kept.start >= range.start && kept.end <= range.end)
        );
        let mut html = Html::new(1 << 20);
        let lines = memchr_iter(b'\n', &text[range.clone()]).count();
        assert_eq!(rows(&mut html, &text, range, &within, much, 7), 7 + lines);
    }
}
