//! Bodies, with the MIME fields that belong to them.

use crate::coding;
use crate::mail::Field;
use crate::random::Random;
use crate::words::{self, ENGLISH, LATIN, WIDE};

pub(crate) struct Content {
    pub(crate) fields: Vec<Field>,
    pub(crate) body: Vec<u8>,
}

fn content(fields: Vec<(&str, String)>, body: impl Into<Vec<u8>>) -> Content {
    let fields = fields
        .into_iter()
        .map(|(name, value)| Field::new(name, value))
        .collect();
    Content {
        fields,
        body: body.into(),
    }
}

fn lines(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\r\n")).collect()
}

/// Paragraphs with an empty line between any two.
fn letter(rng: &mut Random, from: &[&str], width: usize) -> String {
    let all: Vec<String> = (0..1 + rng.below(5))
        .map(|_| {
            let sentences = 1 + rng.below(4);
            lines(&words::wrapped(
                &words::paragraph(rng, from, sentences),
                width,
            ))
        })
        .collect();
    format!(
        "Hello {},\r\n\r\n{}",
        words::name(rng).replace(',', ""),
        all.join("\r\n")
    )
}

fn plain_fields(rng: &mut Random) -> Vec<(&'static str, String)> {
    match rng.below(4) {
        0 => Vec::new(),
        1 => vec![("Content-Type", "text/plain; charset=us-ascii".into())],
        2 => vec![
            ("Content-Type", "text/plain; charset=\"us-ascii\"".into()),
            ("Content-Transfer-Encoding", "7bit".into()),
        ],
        _ => vec![
            ("Content-Type", "text/plain; charset=UTF-8".into()),
            ("Content-Transfer-Encoding", "7bit".into()),
        ],
    }
}

pub(crate) fn plain(rng: &mut Random) -> Content {
    content(plain_fields(rng), letter(rng, &ENGLISH, 72))
}

pub(crate) fn with_signature(rng: &mut Random) -> Content {
    let body = format!(
        "{}\r\n-- \r\n{}\r\nTest Example Inc.\r\n",
        letter(rng, &ENGLISH, 76),
        words::name(rng)
    );
    content(plain_fields(rng), body)
}

pub(crate) fn reply(rng: &mut Random) -> Content {
    let quoted: String = letter(rng, &ENGLISH, 68)
        .lines()
        .map(|line| format!("> {line}\r\n"))
        .collect();
    let body = format!(
        "On Monday {} wrote:\r\n{quoted}\r\n{}",
        words::name(rng),
        letter(rng, &ENGLISH, 72)
    );
    content(plain_fields(rng), body)
}

pub(crate) fn text(rng: &mut Random, charset: &str, encoding: &str) -> Content {
    let from: Vec<&str> = match charset {
        "utf-8" => LATIN.iter().chain(&WIDE).copied().collect(),
        _ => LATIN.into(),
    };
    let text = letter(rng, &from, 70);
    // Latin-1 has no such apostrophe.
    let text = if charset == "iso-8859-1" {
        text.replace('’', "'")
    } else {
        text
    };
    let bytes = coding::into_charset(&text, charset).expect("the words fit");
    let word = match rng.below(3) {
        0 => charset.to_ascii_uppercase(),
        1 => format!("\"{charset}\""),
        _ => charset.to_owned(),
    };
    let fields = vec![
        ("Content-Type", format!("text/plain; charset={word}")),
        ("Content-Transfer-Encoding", encoding.to_owned()),
    ];
    content(fields, coding::encoded(encoding, &bytes))
}

pub(crate) fn by_word(rng: &mut Random) -> Content {
    let body = words::paragraph(rng, &LATIN, 8) + "\r\n";
    let fields = vec![
        ("Content-Type", "text/plain; charset=\"UTF-8\"".into()),
        ("Content-Transfer-Encoding", "quoted-printable".into()),
    ];
    content(fields, coding::quoted_by_word(body.as_bytes(), 76))
}

fn html(rng: &mut Random, from: &[&str]) -> String {
    let paragraphs: Vec<String> = (0..2 + rng.below(4))
        .map(|_| {
            let text = words::wrapped(&words::paragraph(rng, from, 2), 90).join("\r\n");
            match rng.below(4) {
                0 => format!("<p style=\"margin:0 0 12px 0\">{text}</p>"),
                1 => format!("<div>{text}<br>\r\n<a href=\"https://shop.test.example/item/{}\">more</a></div>", rng.below(9000)),
                _ => format!("<p>{text}</p>"),
            }
        })
        .collect();
    let inner = paragraphs.join("\r\n");
    match rng.below(3) {
        0 => format!("<div dir=\"ltr\">{inner}</div>\r\n"),
        1 => format!(
            "<!DOCTYPE html>\r\n<html>\r\n<head>\r\n<meta http-equiv=\"Content-Type\" content=\"text/html; charset=utf-8\">\r\n<title>News</title>\r\n</head>\r\n<body bgcolor=\"#ffffff\" style=\"font-family:sans-serif\">\r\n{inner}\r\n</body>\r\n</html>\r\n"
        ),
        _ => format!("<html><head></head><body>{inner}</body></html>\r\n"),
    }
}

pub(crate) fn html_only(rng: &mut Random, encoding: &str) -> Content {
    let text = html(rng, &LATIN);
    let fields = vec![
        ("Content-Type", "text/html; charset=utf-8".into()),
        ("Content-Transfer-Encoding", encoding.into()),
    ];
    content(fields, coding::encoded(encoding, text.as_bytes()))
}

fn boundary(rng: &mut Random) -> String {
    match rng.below(4) {
        0 => format!(
            "----=_Part_{}_{}.{}",
            rng.below(9999),
            rng.below(99_999_999),
            rng.below(999_999)
        ),
        1 => format!("000000000000{}", words::token(rng, 16).to_ascii_lowercase()),
        2 => format!("------------{}", words::token(rng, 24)),
        _ => format!("_{}_", words::token(rng, 28)),
    }
}

fn text_part(rng: &mut Random, kind: &str, text: &str, encoding: &str) -> String {
    let charset = *rng.pick(&["utf-8", "UTF-8", "\"UTF-8\""]);
    let body = coding::encoded(encoding, text.as_bytes());
    let body = String::from_utf8(body).expect("it was text");
    let body = body.strip_suffix("\r\n").unwrap_or(&body);
    format!(
        "Content-Type: text/{kind}; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{body}\r\n"
    )
}

fn join(boundary: &str, parts: &[String]) -> String {
    let parts: String = parts
        .iter()
        .map(|part| format!("--{boundary}\r\n{part}"))
        .collect();
    format!("{parts}--{boundary}--\r\n")
}

fn multipart(rng: &mut Random, kind: &str, parts: &[String]) -> Content {
    let boundary = boundary(rng);
    let fold = if rng.below(3) == 0 { "\r\n\t" } else { " " };
    let value = format!("multipart/{kind};{fold}boundary=\"{boundary}\"");
    let preamble = if rng.below(4) == 0 {
        "This is a multi-part message in MIME format.\r\n"
    } else {
        ""
    };
    content(
        vec![("Content-Type", value)],
        format!("{preamble}{}", join(&boundary, parts)),
    )
}

fn both(rng: &mut Random, encoding: &str) -> [String; 2] {
    let from: Vec<&str> = LATIN.iter().chain(&ENGLISH).copied().collect();
    let plain = letter(rng, &from, 72);
    let page = html(rng, &from);
    [
        text_part(rng, "plain", &plain, encoding),
        text_part(rng, "html", &page, encoding),
    ]
}

pub(crate) fn alternative(rng: &mut Random, encoding: &str) -> Content {
    let parts = both(rng, encoding);
    multipart(rng, "alternative", &parts)
}

fn file(rng: &mut Random, size: usize) -> String {
    let bytes: Vec<u8> = (0..size).map(|_| rng.next() as u8).collect();
    let code = String::from_utf8(coding::base64(&bytes, 76)).expect("it is ASCII");
    let name = format!("report-{}.pdf", rng.below(900));
    format!(
        "Content-Type: application/pdf; name=\"{name}\"\r\nContent-Disposition: attachment; filename=\"{name}\"\r\nContent-Transfer-Encoding: base64\r\n\r\n{code}"
    )
}

pub(crate) fn attachment(rng: &mut Random) -> Content {
    let text = letter(rng, &ENGLISH, 72);
    let encoding = *rng.pick(&["7bit", "quoted-printable", "base64"]);
    let text = text_part(rng, "plain", &text, encoding);
    let size = 500 + rng.below(9000);
    let parts = [text, file(rng, size)];
    multipart(rng, "mixed", &parts)
}

pub(crate) fn large(rng: &mut Random) -> Content {
    let text = letter(rng, &ENGLISH, 72);
    let text = text_part(rng, "plain", &text, "7bit");
    let size = 60_000 + rng.below(90_000);
    let parts = [text, file(rng, size)];
    multipart(rng, "mixed", &parts)
}

pub(crate) fn nested(rng: &mut Random) -> Content {
    let encoding = *rng.pick(&["7bit", "8bit", "quoted-printable"]);
    let encoding = if encoding == "7bit" {
        "quoted-printable"
    } else {
        encoding
    };
    let inner = both(rng, encoding);
    let inner_boundary = boundary(rng);
    let inner = format!(
        "Content-Type: multipart/alternative; boundary=\"{inner_boundary}\"\r\n\r\n{}\r\n",
        join(&inner_boundary, &inner)
    );
    let size = 300 + rng.below(2000);
    let parts = [inner, file(rng, size)];
    multipart(rng, "mixed", &parts)
}

pub(crate) fn signed_mail(rng: &mut Random) -> Content {
    let text = letter(rng, &ENGLISH, 72);
    let text = text_part(rng, "plain", &text, "quoted-printable");
    let code: Vec<u8> = (0..200).map(|_| rng.next() as u8).collect();
    let code = String::from_utf8(coding::base64(&code, 64)).expect("it is ASCII");
    let signature = format!(
        "Content-Type: application/pgp-signature; name=\"signature.asc\"\r\nContent-Description: OpenPGP digital signature\r\n\r\n-----BEGIN PGP SIGNATURE-----\r\n\r\n{code}-----END PGP SIGNATURE-----\r\n\r\n"
    );
    let boundary = boundary(rng);
    let value = format!(
        "multipart/signed; micalg=pgp-sha512;\r\n\tprotocol=\"application/pgp-signature\"; boundary=\"{boundary}\""
    );
    content(
        vec![("Content-Type", value)],
        join(&boundary, &[text, signature]),
    )
}

pub(crate) fn flowed(rng: &mut Random) -> Content {
    let mut body = String::new();
    for _ in 0..1 + rng.below(5) {
        let sentences = 2 + rng.below(3);
        let text = words::paragraph(rng, &ENGLISH, sentences);
        let wrapped = words::wrapped(&text, 70);
        // RFC 3676 §4.2: a blank at its end says that the line goes on.
        body.push_str(&wrapped.join(" \r\n"));
        body.push_str("\r\n\r\n");
    }
    body.push_str("-- \r\nAnna\r\n");
    let fields = vec![
        (
            "Content-Type",
            "text/plain; charset=UTF-8; format=flowed".into(),
        ),
        ("Content-Transfer-Encoding", "7bit".into()),
    ];
    content(fields, body)
}

pub(crate) fn long_lines(rng: &mut Random) -> Content {
    let mut body = String::new();
    for _ in 0..1 + rng.below(3) {
        let sentences = 16 + rng.below(40);
        body.push_str(&words::paragraph(rng, &ENGLISH, sentences));
        body.push_str("\r\n\r\n");
    }
    content(plain_fields(rng), body)
}

pub(crate) fn from_and_dots(rng: &mut Random) -> Content {
    let mut body = letter(rng, &ENGLISH, 60);
    for _ in 0..1 + rng.below(3) {
        let more = *rng.pick(&[
            "\r\nFrom here on it gets easier.\r\n",
            "\r\nFrom the office:\r\nFrom Monday on we open at nine.\r\n",
            "\r\n>From an older letter, quoted on its way.\r\n",
        ]);
        body.push_str(more);
        let more = *rng.pick(&[
            ".htaccess has to be read again\r\n",
            "..\r\n",
            "... and so on\r\n",
            ".5 of it is enough\r\nthe rest\r\n.profile too\r\n",
            "",
        ]);
        body.push_str(more);
    }
    content(plain_fields(rng), body)
}

pub(crate) fn code(rng: &mut Random) -> Content {
    let mut body = String::from("The patch:\r\n\r\n");
    for at in 0..4 + rng.below(8) {
        let indent = "\t".repeat(rng.below(3));
        let more = *rng.pick(&["", "\r\n", "#define\tSIZE\t64\r\n"]);
        body.push_str(more);
        body.push_str(&format!(
            "{indent}if (n > {at}) {{\r\n{indent}\treturn n;\t/* done */\r\n{indent}}}\r\n"
        ));
    }
    content(plain_fields(rng), body)
}

/// A table and code as they are written without tabs.
pub(crate) fn columns(rng: &mut Random) -> Content {
    let mut body = String::from("The figures:\r\n\r\n");
    for _ in 0..3 + rng.below(6) {
        let name = words::token(rng, 3);
        body.push_str(&format!(
            "{name:<16}{:<8}{:>8}\r\n",
            rng.below(90),
            rng.below(9000)
        ));
    }
    for at in 0..2 + rng.below(4) {
        let indent = " ".repeat(8 * rng.below(3));
        body.push_str(&format!(
            "{indent}if (n > {at})\r\n{indent}        return n;\r\n"
        ));
    }
    content(plain_fields(rng), body)
}

pub(crate) fn trailing_blanks(rng: &mut Random) -> Content {
    let text = letter(rng, &ENGLISH, 60);
    let mut body = String::new();
    for line in text.lines() {
        body.push_str(line);
        let more = *rng.pick(&["", "", " ", "   ", "\t"]);
        body.push_str(more);
        body.push_str("\r\n");
    }
    let more = *rng.pick(&["", " \r\n", "\t\r\n\r\n"]);
    body.push_str(more);
    content(plain_fields(rng), body)
}

pub(crate) fn blank_lines(rng: &mut Random) -> Content {
    let text = letter(rng, &ENGLISH, 72);
    let before = "\r\n".repeat(rng.below(4));
    let (head, tail) = text.split_once("\r\n\r\n").expect("there are paragraphs");
    let within = "\r\n".repeat(1 + rng.below(3));
    let after = "\r\n".repeat(rng.below(5));
    content(
        plain_fields(rng),
        format!("{before}{head}\r\n{within}{tail}{after}"),
    )
}

pub(crate) fn empty(rng: &mut Random) -> Content {
    let body = *rng.pick(&["", "", "\r\n", "\r\n\r\n", " \r\n", " \r\n\t\r\n"]);
    content(plain_fields(rng), body)
}

pub(crate) fn unended(rng: &mut Random) -> Content {
    let text = letter(rng, &ENGLISH, 72);
    content(plain_fields(rng), text.trim_end().to_owned())
}

/// A CR or LF alone in a line, which a signer hashes as it stands.
pub(crate) fn odd_ends(rng: &mut Random) -> Content {
    let text = letter(rng, &ENGLISH, 72);
    let ends: Vec<usize> = text.match_indices("\r\n").map(|(at, _)| at).collect();
    let at = *rng.pick(&ends);
    let odd = *rng.pick(&["\n", "\r", "\r\r\n"]);
    content(
        plain_fields(rng),
        format!("{}{odd}{}", &text[..at], &text[at + 2..]),
    )
}
