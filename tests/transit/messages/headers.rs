//! The header of a message, as mailers write it: names, folds and fields in several ways.

use super::bodies::Content;
use crate::coding;
use crate::mail::{Field, Mail};
use crate::random::Random;
use crate::words;

pub(super) fn make(rng: &mut Random, content: Content) -> Mail {
    let mut fields = Vec::new();
    for _ in 0..rng.below(3) {
        fields.push(received(rng));
    }
    if rng.below(6) == 0 {
        fields.extend(list_fields());
    }
    let id = *rng.pick(&["Message-ID", "Message-ID", "Message-Id"]);
    let mut main = vec![
        Field::new("From", address(rng, "test.example")),
        Field::new("To", addresses(rng)),
        Field::new("Subject", subject(rng)),
        Field::new("Date", date(rng)),
        Field::new(id, format!("<{}@test.example>", words::token(rng, 20))),
    ];
    if rng.below(3) == 0 {
        main.push(Field::new("Cc", addresses(rng)));
    }
    if rng.below(5) == 0 {
        main.push(Field::new("Reply-To", address(rng, "test.example")));
    }
    if rng.below(3) == 0 {
        main.extend(references(rng));
    }
    if rng.below(4) == 0 {
        main.push(Field::new("User-Agent", "Mailer/2.4 (X11; Linux x86_64)"));
    }
    if rng.below(6) == 0 {
        main.push(Field::new(
            "Sender",
            format!("<{}@test.example>", words::local_part(rng)),
        ));
    }
    if rng.below(8) == 0 {
        main.push(Field::new("Organization", "Weaver & Sons  Ltd."));
    }
    if rng.below(10) == 0 {
        for _ in 0..2 + rng.below(2) {
            main.push(Field::new("Keywords", words::token(rng, 6)));
        }
    }
    if rng.below(10) == 0 {
        main.push(Field::new("X-Priority", "3"));
    }
    // Mailers put them in any order.
    for at in (1..main.len()).rev() {
        if rng.below(3) == 0 {
            main.swap(at, rng.below(at + 1));
        }
    }
    let mut mime = content.fields;
    if !mime.is_empty() {
        let at = if rng.below(2) == 0 { 0 } else { mime.len() };
        mime.insert(at, Field::new("MIME-Version", "1.0"));
    }
    fields.extend(main);
    fields.extend(mime);
    if rng.below(8) == 0 {
        odd_form(rng, &mut fields);
    }
    Mail {
        fields,
        body: content.body,
    }
}

/// Blanks and letters that are allowed, and that a program which writes the header anew does not keep.
fn odd_form(rng: &mut Random, fields: &mut [Field]) {
    let at = rng.below(fields.len());
    let field = &mut fields[at];
    let text = field.value().trim_ascii_start().to_vec();
    let name = field.name();
    match rng.below(5) {
        0 => field.raw = [name.as_bytes(), b":", &text].concat(),
        1 => field.raw = [name.as_bytes(), b":  ", &text].concat(),
        2 => field.raw.push(b' '),
        3 => field.raw = [name.to_ascii_uppercase().as_bytes(), b": ", &text].concat(),
        _ => field.raw = [name.as_bytes(), b":\t", &text].concat(),
    }
}

fn received(rng: &mut Random) -> Field {
    let text = format!(
        "from client-{0}.test.example (client-{0}.test.example [192.0.2.{0}])\r\n\tby mail.test.example with ESMTPSA id {1}\r\n\tfor <anna@test.example>; Mon, 14 Dec 2026 09:26:5{2} +0100",
        rng.below(200) + 1,
        words::token(rng, 10),
        rng.below(10),
    );
    Field::new("Received", text)
}

fn list_fields() -> Vec<Field> {
    vec![
        Field::new("List-Id", "News of the shop <news.test.example>"),
        Field::new(
            "List-Unsubscribe",
            "<https://news.test.example/leave?u=81a6>,\r\n <mailto:leave@test.example>",
        ),
        Field::new("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
    ]
}

fn address(rng: &mut Random, domain: &str) -> String {
    let mailbox = format!("{}@{domain}", words::local_part(rng));
    match rng.below(9) {
        0 => mailbox,
        1 => format!("<{mailbox}>"),
        2 => format!(
            "{} <{mailbox}>",
            coding::word_q(words::accented(rng), "UTF-8")
        ),
        3 => format!(
            "{} <{mailbox}>",
            coding::word_b(words::accented(rng), "utf-8")
        ),
        4 => format!("{mailbox} ({})", words::name(rng).replace(',', "")),
        5 => format!("\"{}\" <{mailbox}>", words::name(rng)),
        _ => match words::name(rng) {
            // Specials have to be quoted (RFC 5322 §3.2.4).
            name if name.contains([',', '.']) => format!("\"{name}\" <{mailbox}>"),
            name => format!("{name} <{mailbox}>"),
        },
    }
}

fn addresses(rng: &mut Random) -> String {
    let domains = ["customer.example", "test.example", "other.example"];
    let count = [1, 1, 1, 2, 3, 6][rng.below(6)];
    let all: Vec<String> = (0..count)
        .map(|_| {
            let domain = *rng.pick(&domains);
            address(rng, domain)
        })
        .collect();
    let long = all.iter().map(String::len).sum::<usize>() > 60;
    match rng.below(4) {
        _ if !long => all.join(", "),
        0 => all.join(",\r\n\t"),
        1 => all.join(",\r\n        "),
        _ => all.join(",\r\n "),
    }
}

fn subject(rng: &mut Random) -> String {
    if rng.below(4) == 0 {
        let text = rng.pick(&words::SUBJECTS_WIDE);
        return match rng.below(3) {
            0 => coding::word_q(text, "UTF-8"),
            1 => coding::word_b(text, "UTF-8"),
            _ => coding::word_q(text, "utf-8"),
        };
    }
    let text = *rng.pick(&words::SUBJECTS);
    match rng.below(3) {
        0 => text.to_owned(),
        _ => fold(text, "Subject: ".len(), 76),
    }
}

/// Folds at blanks where the line would be longer than `width`.
fn fold(text: &str, begun: usize, width: usize) -> String {
    let mut out = String::new();
    let mut column = begun;
    for (at, word) in text.split(' ').enumerate() {
        if at > 0 && column + 1 + word.len() > width {
            out.push_str("\r\n");
            column = 0;
        }
        if at > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += word.len();
    }
    out
}

fn date(rng: &mut Random) -> String {
    // 1 December 2026 is a Tuesday.
    let day = 1 + rng.below(28);
    let name = ["Tue", "Wed", "Thu", "Fri", "Sat", "Sun", "Mon"][(day - 1) % 7];
    let time = format!(
        "{:02}:{:02}:{:02}",
        rng.below(24),
        rng.below(60),
        rng.below(60)
    );
    let zone = *rng.pick(&[
        "+0100",
        "+0000",
        "-0500",
        "-0800 (PST)",
        "+0100 (CET)",
        "GMT",
        "+0000 (UTC)",
    ]);
    match rng.below(4) {
        0 => format!("{name}, {day:02} Dec 2026 {time} {zone}"),
        1 => format!("{day} Dec 2026 {time} {zone}"),
        _ => format!("{name}, {day} Dec 2026 {time} {zone}"),
    }
}

fn references(rng: &mut Random) -> Vec<Field> {
    let ids: Vec<String> = (0..1 + rng.below(9))
        .map(|_| format!("<{}@customer.example>", words::token(rng, 18)))
        .collect();
    let last = ids.last().expect("there is one").clone();
    let join = *rng.pick(&["\r\n ", " ", "\r\n\t"]);
    vec![
        Field::new("In-Reply-To", last),
        Field::new("References", ids.join(join)),
    ]
}
