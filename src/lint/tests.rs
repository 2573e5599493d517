//! The linter as a whole; what each word looks like stands in `testdata/lint`.

use super::*;

/// A header with which nothing is wrong.
const HEADER: &str =
    "From: a@b.example\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\nMessage-ID: <a@b.example>\r\n";

fn words(message: &str) -> Vec<&'static str> {
    let findings = lint(message.as_bytes(), &LintOptions::default()).unwrap();
    findings.iter().map(Finding::word).collect()
}

#[test]
fn an_ordinary_message_has_no_findings() {
    assert_eq!(words(&format!("{HEADER}\r\nHello.\r\n")), [""; 0]);
}

#[test]
fn of_each_fault_three_places_are_listed_and_the_others_counted() {
    let message = format!("{HEADER}\r\n{}", "From here\r\n".repeat(44));
    let findings = lint(message.as_bytes(), &LintOptions::default()).unwrap();
    let lines: Vec<_> = findings.iter().map(|f| (f.line, f.more)).collect();
    assert_eq!(lines, [(Some(5), 0), (Some(6), 0), (Some(7), 41)]);
    assert!(findings[2].detail().contains("(and at 41 more places)"));
}

#[test]
fn the_findings_are_the_same_at_every_cut() {
    let body = "--x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
        a\r=E2=82=AC=\r\n\u{e9} =Q\0\r\nFrom x \n.\r\n--x\r\nContent-Transfer-Encoding: base64\r\n\r\nw6k=\r\nYWJ\r\n--x--\r\nz\r";
    let header =
        format!("{HEADER}MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n");
    let whole = lint(
        format!("{header}\r\n{body}").as_bytes(),
        &LintOptions::default(),
    )
    .unwrap();
    assert!(whole.len() > 8, "{whole:?}");
    let header = Header::parse(header.as_bytes(), HeaderLimits::default()).unwrap();
    for step in 1..body.len() {
        let mut linter = Linter::new(&header, &LintOptions::default());
        for chunk in body.as_bytes().chunks(step) {
            linter.write(chunk);
        }
        assert_eq!(linter.finish(), whole, "step {step}");
    }
}

#[test]
fn a_file_with_lf_has_the_same_findings_at_its_own_places() {
    let header = format!("{HEADER}MIME-Version: 1.0\r\n");
    let header = Header::parse(header.as_bytes(), HeaderLimits::default()).unwrap();
    let options = LintOptions {
        origin: Origin {
            lines_before: 1,
            body_at: Some(200),
            line_end: LineEnd::Lf,
            bare_lf_in_header: 0,
        },
        ..LintOptions::default()
    };
    let mut linter = Linter::new(&header, &options);
    linter.write(b"Hello\nwor\0ld\n.\n");
    let findings = linter.finish();
    let places: Vec<String> = findings.iter().map(|f| format!("{f}")).collect();
    assert!(
        places[0].starts_with("nul-byte: line 8, byte 209: a NUL byte"),
        "{places:?}"
    );
    assert!(
        places[1].starts_with("lone-dot: line 9, byte 213: "),
        "{places:?}"
    );
    assert_eq!(findings.len(), 2);
}

#[test]
fn parts_are_numbered_as_readers_number_them() {
    let body = "preamble\r\n--a\r\nContent-Type: multipart/alternative; boundary=\"b\"\r\n\r\n--b\r\n\r\nplain\r\n\
        --b\r\nContent-Type: text/html\r\n\r\n\0html\r\n--b--\r\n--a\r\nContent-Type: message/rfc822\r\n\r\n\
        Subject: x\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\n\0inner\r\n--c--\r\n\
        --a\r\nContent-Type: message/rfc822\r\n\r\nSubject: y\r\n\r\n\0text\r\n--a--\r\n";
    let message = format!(
        "{HEADER}MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n{body}"
    );
    let findings = lint(message.as_bytes(), &LintOptions::default()).unwrap();
    let nul = findings.iter().filter(|f| f.fault == Fault::NulByte);
    let parts: Vec<_> = nul.map(|f| f.part.as_deref().unwrap()).collect();
    assert_eq!(parts, ["1.2", "2.1", "3.1"]);
    assert_eq!(findings.len(), 3, "{findings:?}");
}

#[test]
fn what_is_kept_does_not_grow_with_the_message() {
    for unit in [
        "x",
        "\r",
        "\n",
        "\0",
        "--",
        "--x\r\n",
        "--x\r\n\r\n",
        "--x\r\nA: b\r\n",
        " \r\n",
        "--x\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n",
        "--x\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: message/rfc822\r\n\r\n",
    ] {
        let header = format!("{HEADER}Content-Type: multipart/mixed; boundary=x\r\n");
        let header = Header::parse(header.as_bytes(), HeaderLimits::default()).unwrap();
        let mut linter = Linter::new(&header, &LintOptions::default());
        let chunk = unit.repeat(2_000);
        let mut held = 0;
        for round in 0..20 {
            linter.write(chunk.as_bytes());
            let now = format!("{linter:?}").len();
            // Counters grow by a digit now and then.
            assert!(
                round < 10 || now <= held + 200,
                "{unit:?}: {held} then {now}"
            );
            held = held.max(now);
        }
        assert!(held < 400_000, "{unit:?}: {held}");
        assert!(linter.finish().len() < WORDS.len() * 3);
    }
}

#[test]
fn the_report_says_ok_below_a_warning() {
    let report = |body: &str| {
        let message = format!("{HEADER}\r\n{body}");
        let findings = lint(message.as_bytes(), &LintOptions::default()).unwrap();
        LintReport::new("a".to_owned(), findings).result
    };
    assert_eq!(report("From x\r\n"), "ok");
    assert_eq!(report(".\r\n"), "warning");
    assert_eq!(report(".\r\n\0"), "error");
}
