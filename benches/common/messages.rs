//! Messages for benchmarks: the same for the same seed, each another one, with the twelve header fields that
//! ordinary mail has.
//!
//! A text body has lines of about 70 characters, of which one in eight ends with white space, one in six has a
//! run of it inside, one in fifty a tab, and one in twenty is empty. A base64 body has none of that.

use crate::common::random::Random;

/// What a body is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Base64,
}

/// A message from test.example with a body of at least `size` bytes.
pub(crate) fn message(random: &mut Random, kind: Kind, size: usize) -> Vec<u8> {
    let mut out = header(random, kind).into_bytes();
    let end = out.len() + size;
    out.reserve(size + 100);
    while out.len() < end {
        match kind {
            Kind::Text => text_line(random, &mut out),
            Kind::Base64 => base64_line(random, &mut out),
        }
    }
    out
}

fn header(random: &mut Random, kind: Kind) -> String {
    let number = random.next();
    let name = word(random);
    let encoding = match kind {
        Kind::Text => "8bit",
        Kind::Base64 => "base64",
    };
    let subject: Vec<&str> = (0..6).map(|_| word(random)).collect();
    format!(
        "Received: from mail.test.example (mail.test.example [192.0.2.1])\r\n\
         \tby mx.example.net (Postfix) with ESMTPS id {number:x}\r\n\
         \tfor <{name}@example.net>; Tue, 14 Nov 2023 22:13:21 +0000 (UTC)\r\n\
         From: Anna Test <anna@test.example>\r\n\
         To: {name} <{name}@example.net>\r\n\
         Cc: Ben <ben@example.net>, Carl <carl@example.net>\r\n\
         Subject: {}\r\n\
         Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n\
         Message-ID: <{number:x}.{name}@test.example>\r\n\
         In-Reply-To: <{:x}@example.net>\r\n\
         References: <{:x}@example.net>\r\n <{:x}@test.example>\r\n\
         MIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: {encoding}\r\n\
         \r\n",
        subject.join(" "),
        random.next(),
        random.next(),
        random.next(),
    )
}

const WORDS: [&str; 24] = [
    "the", "a", "boat", "harbour", "is", "was", "ready", "tomorrow", "and", "or", "invoice",
    "number", "we", "you", "meet", "at", "noon", "customer", "delivery", "of", "to", "received",
    "with", "thanks",
];

fn word(random: &mut Random) -> &'static str {
    WORDS[random.below(WORDS.len())]
}

fn text_line(random: &mut Random, out: &mut Vec<u8>) {
    if random.below(20) > 0 {
        let run = random.below(6) == 0;
        let tab = random.below(50) == 0;
        let end = out.len() + 60 + random.below(20);
        let wide = out.len() + random.below(60);
        let mut wide = run.then_some(wide);
        while out.len() < end {
            out.extend_from_slice(word(random).as_bytes());
            let blank: &[u8] = if wide.take_if(|at| out.len() >= *at).is_some() {
                if tab { b" \t" } else { b"  " }
            } else {
                b" "
            };
            out.extend_from_slice(blank);
        }
        if random.below(8) > 0 {
            out.truncate(out.trim_ascii_end().len());
        }
    }
    out.extend_from_slice(b"\r\n");
}

fn base64_line(random: &mut Random, out: &mut Vec<u8>) {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bits = 0;
    for at in 0..76 {
        if at % 10 == 0 {
            bits = random.next();
        }
        out.push(LETTERS[(bits & 63) as usize]);
        bits >>= 6;
    }
    out.extend_from_slice(b"\r\n");
}
