//! Text that lists and gateways add: behind, before and within the body.

use dkimkit::explain::Kind;

use super::Fate::{self, Undoable};
use super::{Edit, edit};
use crate::coding;
use crate::footers;
use crate::mail::{Leaf, Mail};
use crate::random::Random;
use crate::signing::Plan;

const ADDED: &[Kind] = &[Kind::TextAppended, Kind::TextPrepended, Kind::TextInserted];
const CODED: &[Kind] = &[
    Kind::TextAppended,
    Kind::TextPrepended,
    Kind::TextInserted,
    Kind::TransferEncoding,
];

pub(super) const EDITS: [Edit; 10] = [
    edit("footer", &[Kind::TextAppended], footer),
    edit("footer in encoded text", CODED, coded_footer),
    edit("banner", &[Kind::TextPrepended, Kind::TextInserted], banner),
    edit("banner and footer", ADDED, banner_and_footer),
    edit("text in a part", CODED, in_part),
    edit("text in an encoded part", CODED, in_coded_part),
    edit("text in html", CODED, in_html),
    edit("text in text and html", CODED, in_both),
    edit(
        "text behind the parts",
        &[Kind::TextAppended, Kind::TextInserted],
        behind_parts,
    ),
    edit("text between parts", ADDED, between_parts),
];

/// The whole message as a text of its own, with the encodings given.
fn whole(mail: &Mail, encodings: &[&str]) -> Option<Leaf> {
    let leaf = mail.leaves().into_iter().next()?;
    let fits = leaf.is_whole()
        && leaf.kind.starts_with("text/")
        && encodings.contains(&leaf.encoding.as_str());
    fits.then_some(leaf)
}

fn fitting_footer(rng: &mut Random, leaf: &Leaf) -> Vec<u8> {
    let text = match leaf.charset.as_str() {
        "utf-8" if leaf.encoding != "7bit" => footers::footer(rng),
        _ => footers::ascii_footer(rng),
    };
    match leaf.encoding.as_str() {
        "quoted-printable" => coding::quoted(text.as_bytes(), 76),
        _ => text.into_bytes(),
    }
}

fn footer(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let leaf = whole(mail, &["7bit", "8bit", "quoted-printable"])?;
    let footer = match leaf.kind.as_str() {
        "text/html" if leaf.encoding == "quoted-printable" => return None,
        "text/html" => footers::page(rng).into_bytes(),
        _ => fitting_footer(rng, &leaf),
    };
    if !mail.body.ends_with(b"\r\n") && !mail.body.is_empty() {
        mail.body.extend_from_slice(b"\r\n");
    }
    if rng.below(3) == 0 {
        mail.body.extend_from_slice(b"\r\n");
    }
    mail.body.extend_from_slice(&footer);
    Some(Undoable)
}

/// Decoded, lengthened, and encoded again.
fn again(
    mail: &mut Mail,
    leaf: &Leaf,
    change: impl FnOnce(Vec<u8>) -> Option<Vec<u8>>,
) -> Option<Fate> {
    let code = mail.body[leaf.content.clone()].to_vec();
    let text = coding::decoded(&leaf.encoding, &code)?;
    let back = coding::like(&code, coding::encoded(&leaf.encoding, &text));
    let new = coding::like(&code, coding::encoded(&leaf.encoding, &change(text)?));
    mail.body.splice(leaf.content.clone(), new);
    Some(Fate::of(back == code))
}

fn coded_footer(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let leaf = whole(mail, &["quoted-printable", "base64"])?;
    let footer = match leaf.kind.as_str() {
        "text/html" => footers::page(rng),
        _ => footers::ascii_footer(rng),
    };
    again(mail, &leaf, |text| {
        Some([&text, footer.as_bytes()].concat())
    })
}

fn banner(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let leaf = whole(mail, &["7bit", "8bit", "quoted-printable"])?;
    let banner = match leaf.kind.as_str() {
        "text/html" => footers::page_banner(rng),
        _ => footers::banner(rng),
    };
    let banner = match leaf.encoding.as_str() {
        "quoted-printable" => coding::quoted(banner.as_bytes(), 76),
        _ => banner.into_bytes(),
    };
    mail.body.splice(0..0, banner);
    Some(Undoable)
}

fn banner_and_footer(rng: &mut Random, mail: &mut Mail, plan: &Plan) -> Option<Fate> {
    let before = banner(rng, mail, plan)?;
    Some(before.and(footer(rng, mail, plan)?))
}

/// Raw text at the beginning or end of a part, or in the middle behind a separator line.
fn in_part(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let leaf = mail
        .leaf("text/plain")
        .filter(|leaf| !leaf.is_whole() && leaf.encoding != "base64")?;
    let footer = fitting_footer(rng, &leaf);
    let end = leaf.content.end;
    match rng.below(3) {
        0 => {
            let banner = footers::banner(rng);
            let banner = match leaf.encoding.as_str() {
                "quoted-printable" => coding::quoted(banner.as_bytes(), 76),
                _ => banner.into_bytes(),
            };
            mail.body
                .splice(leaf.content.start..leaf.content.start, banner);
        }
        1 => {
            let text = [b"\r\n", footer.as_slice()].concat();
            mail.body.splice(end..end, text);
        }
        _ => {
            let text = [b"\r\n\r\n", footer.trim_ascii_end()].concat();
            mail.body.splice(end..end, text);
        }
    }
    Some(Undoable)
}

fn in_coded_part(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let coded = |leaf: &Leaf| matches!(leaf.encoding.as_str(), "base64" | "quoted-printable");
    let leaf = mail
        .leaf("text/plain")
        .filter(|leaf| !leaf.is_whole() && coded(leaf))?;
    let front = rng.below(2) == 0;
    let text = if front {
        footers::banner(rng)
    } else {
        footers::footer(rng)
    };
    again(mail, &leaf, |old| {
        Some(match front {
            true => [text.as_bytes(), &old].concat(),
            false => [old.as_slice(), b"\r\n", text.as_bytes()].concat(),
        })
    })
}

/// Where gateways put their HTML.
fn put_html(rng: &mut Random, page: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(page).into_owned();
    let small = text.to_ascii_lowercase();
    let behind_body = small
        .find("<body")
        .and_then(|at| small[at..].find('>').map(|end| at + end + 1));
    let end = small.rfind("</body>").or(small.rfind("</html>"));
    let top = rng.below(2) == 0;
    let at = match top {
        true => behind_body
            .or(small.find("<html>").map(|at| at + 6))
            .unwrap_or(0),
        false => end.unwrap_or(text.trim_end().len()),
    };
    let mut added = if top {
        footers::page_banner(rng)
    } else {
        footers::page(rng)
    };
    if rng.below(4) == 0 {
        added = format!("\r\n{added}\r\n");
    }
    format!("{}{added}{}", &text[..at], &text[at..]).into_bytes()
}

fn in_html(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let leaf = mail.leaf("text/html")?;
    again(mail, &leaf, |page| Some(put_html(rng, &page)))
}

fn in_both(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let plain = mail.leaf("text/plain").filter(|leaf| !leaf.is_whole())?;
    let page = mail
        .leaf("text/html")
        .filter(|page| page.content.start > plain.content.end)?;
    let first = again(mail, &page, |page| Some(put_html(rng, &page)))?;
    let front = rng.below(2) == 0;
    let text = if front {
        footers::banner(rng)
    } else {
        footers::ascii_footer(rng)
    };
    let second = again(mail, &plain, |old| {
        Some(match front {
            true => [text.as_bytes(), &old].concat(),
            false => [old.as_slice(), b"\r\n", text.as_bytes()].concat(),
        })
    })?;
    Some(first.and(second))
}

fn behind_parts(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    mail.closing()?;
    let blank = if rng.below(2) == 0 { "\r\n" } else { "" };
    let footer = footers::ascii_footer(rng);
    mail.body
        .extend_from_slice(format!("{blank}{footer}").as_bytes());
    Some(Undoable)
}

/// Before the first boundary, or between two parts in lines of their own.
fn between_parts(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let line = format!("--{}\r\n", mail.boundary()?);
    let first = coding::find(&mail.body, line.as_bytes())?;
    let second = coding::find(&mail.body[first + 1..], line.as_bytes()).map(|at| first + 1 + at);
    let (at, text) = match (rng.below(3), second) {
        (0, Some(second)) => (second, footers::ascii_footer(rng)),
        (1, _) => (first, footers::banner(rng)),
        _ => (
            first,
            "This is a multi-part message in MIME format.\r\n\r\n".to_owned(),
        ),
    };
    mail.body.splice(at..at, text.into_bytes());
    Some(Undoable)
}
