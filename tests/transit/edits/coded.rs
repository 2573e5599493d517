//! Text that is encoded in another way: transfer encodings, character sets, links, no-break spaces.

use dkimkit::explain::Kind;

use super::Fate::{self, Undoable};
use super::{Edit, edit};
use crate::coding;
use crate::mail::{Field, Leaf, Mail};
use crate::random::Random;
use crate::signing::Plan;
use crate::words;

const ENCODED: &[Kind] = &[Kind::TransferEncoding];

pub(super) const EDITS: [Edit; 10] = [
    edit("8bit to quoted-printable", ENCODED, |rng, mail, _| {
        encode(rng, mail, &["8bit"], "quoted-printable")
    }),
    edit("8bit to base64", ENCODED, |rng, mail, _| {
        encode(rng, mail, &["8bit"], "base64")
    }),
    edit("7bit to quoted-printable", ENCODED, |rng, mail, _| {
        encode(rng, mail, &["7bit"], "quoted-printable")
    }),
    edit("quoted-printable to 8bit", ENCODED, |rng, mail, _| {
        encode(rng, mail, &["quoted-printable"], "8bit")
    }),
    edit("quoted-printable to base64", ENCODED, |rng, mail, _| {
        encode(rng, mail, &["quoted-printable"], "base64")
    }),
    edit("base64 to 8bit or quoted", ENCODED, base64_undone),
    edit("encoded with other lines", ENCODED, other_lines),
    edit("charset changed", &[Kind::Charset], charset),
    edit("links rewritten", &[Kind::Links], links),
    edit("no-break spaces", &[Kind::NoBreakSpaces], no_break),
];

/// Writes the encoding into the header of the leaf, where there was one.
fn announce(mail: &mut Mail, leaf: &Leaf, name: &str, value: &str) -> Fate {
    if leaf.is_whole() {
        match mail.get_mut(name) {
            Some(field) => field.set(value),
            None => mail.push(name, value),
        }
        return Undoable;
    }
    let header = mail.body[leaf.header.clone()].to_vec();
    let Some(mut part) = Mail::parse(&[&header, &b"\r\n"[..]].concat()) else {
        return Undoable;
    };
    match part.get_mut(name) {
        Some(field) => field.set(value),
        None => part.push(name, value),
    }
    let header = part.bytes();
    mail.body
        .splice(leaf.header.clone(), header[..header.len() - 2].to_vec());
    Undoable
}

/// The field whose value is a common constant, written as all write it.
fn is_usual(field: Option<&Field>) -> bool {
    field.is_none_or(|f| {
        f.raw.starts_with(b"Content-Transfer-Encoding: ")
            && !f.is_folded()
            && !f.raw.ends_with(b" ")
    })
}

fn encode(rng: &mut Random, mail: &mut Mail, from: &[&str], to: &str) -> Option<Fate> {
    let leaves = mail.leaves();
    let fits: Vec<&Leaf> = leaves
        .iter()
        .filter(|l| l.kind.starts_with("text/") && from.contains(&l.encoding.as_str()))
        .collect();
    if fits.is_empty() {
        return None;
    }
    // All texts, as a gateway to which 8 bits are forbidden does, or only the first.
    let count = if rng.below(3) == 0 { 1 } else { fits.len() };
    let mut fate = Fate::of(is_usual(mail.get("Content-Transfer-Encoding")));
    for leaf in fits[..count].iter().rev() {
        let code = mail.body[leaf.content.clone()].to_vec();
        let text = coding::decoded(&leaf.encoding, &code)?;
        if leaf.encoding == "7bit" && mail.text("Content-Type").is_empty() {
            mail.push("MIME-Version", "1.0");
            mail.push("Content-Type", "text/plain; charset=us-ascii");
        }
        fate = fate.and(Fate::of(
            coding::like(&code, coding::encoded(&leaf.encoding, &text)) == code,
        ));
        let new = match to {
            "quoted-printable" if rng.below(4) == 0 => coding::quoted_by_word(&text, 76),
            _ => coding::encoded(to, &text),
        };
        let new = if to == "base64" {
            coding::like(&code, new)
        } else {
            new
        };
        // A CR or LF alone is a line end to who encodes by lines.
        fate = fate.and(Fate::of(coding::decoded(to, &new)? == text));
        mail.body.splice(leaf.content.clone(), new);
        fate = fate.and(announce(mail, leaf, "Content-Transfer-Encoding", to));
    }
    Some(fate)
}

fn base64_undone(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let to = *rng.pick(&["8bit", "quoted-printable"]);
    encode(rng, mail, &["base64"], to)
}

/// The same encoding with lines of another length, as a program writes it that keeps parts decoded.
fn other_lines(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let leaves = mail.leaves();
    let fits: Vec<&Leaf> = leaves
        .iter()
        .filter(|l| matches!(l.encoding.as_str(), "base64" | "quoted-printable"))
        .collect();
    let mut fate = Undoable;
    let width = *rng.pick(&[60, 64, 72]);
    for leaf in fits.iter().rev() {
        let code = mail.body[leaf.content.clone()].to_vec();
        let text = coding::decoded(&leaf.encoding, &code)?;
        fate = fate.and(Fate::of(
            coding::like(&code, coding::encoded(&leaf.encoding, &text)) == code,
        ));
        let new = match leaf.encoding.as_str() {
            "base64" => coding::base64(&text, width),
            _ => coding::quoted(&text, width),
        };
        mail.body
            .splice(leaf.content.clone(), coding::like(&code, new));
    }
    (!fits.is_empty()).then_some(fate)
}

/// Text converted, and the word in Content-Type with it; what has no place there becomes a question mark.
fn charset(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let known = ["utf-8", "iso-8859-1", "iso-8859-15", "windows-1252"];
    let leaf = mail
        .leaves()
        .into_iter()
        .find(|l| l.kind.starts_with("text/") && known.contains(&l.charset.as_str()))?;
    let code = mail.body[leaf.content.clone()].to_vec();
    let text = coding::decoded(&leaf.encoding, &code)?;
    let text = coding::from_charset(&text, &leaf.charset).filter(|text| !text.is_ascii())?;
    let to = match leaf.charset.as_str() {
        "utf-8" => *rng.pick(&["iso-8859-1", "iso-8859-15", "windows-1252"]),
        _ => "utf-8",
    };
    let mut lost = false;
    let kept: String = text
        .chars()
        .map(|c| match coding::into_charset(&c.to_string(), to) {
            Some(_) => c,
            None => {
                lost = true;
                '?'
            }
        })
        .collect();
    let common = coding::like(
        &code,
        coding::encoded(&leaf.encoding, &coding::into_charset(&text, &leaf.charset)?),
    ) == code;
    let new = coding::encoded(&leaf.encoding, &coding::into_charset(&kept, to)?);
    mail.body
        .splice(leaf.content.clone(), coding::like(&code, new));
    let fate = Fate::of(!lost && common);
    // The word alone is exchanged, in the way it was written.
    let swap = |raw: &[u8]| {
        let raw = String::from_utf8_lossy(raw).into_owned();
        let at = raw.to_ascii_lowercase().find("charset=").map(|at| at + 8)?;
        let at = if raw[at..].starts_with('"') {
            at + 1
        } else {
            at
        };
        Some(format!("{}{to}{}", &raw[..at], &raw[at + leaf.charset.len()..]).into_bytes())
    };
    if leaf.is_whole() {
        let field = mail.get_mut("Content-Type")?;
        field.raw = swap(&field.raw)?;
    } else {
        let header = swap(&mail.body[leaf.header.clone()])?;
        mail.body.splice(leaf.header.clone(), header);
    }
    Some(fate)
}

/// Links through a scanner; the old address stands in the new one, or nowhere.
fn links(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let leaves = mail.leaves();
    let readable =
        |l: &&Leaf| l.kind.starts_with("text/") && matches!(l.encoding.as_str(), "7bit" | "8bit");
    let leaf = leaves.iter().find(readable)?;
    let text = String::from_utf8(mail.body[leaf.content.clone()].to_vec()).ok()?;
    let way = rng.below(4);
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find("https://") {
        let end = rest[at..]
            .find([' ', '"', '<', '>', '\r'])
            .map_or(rest.len(), |len| at + len);
        out.push_str(&rest[..at]);
        let link = &rest[at..end];
        let token = words::token(rng, 24);
        out.push_str(&match way {
            0 => format!(
                "https://nam02.safelinks.protection.outlook.com/?url={}&data=05%7C02%7C%7C{token}%7C0%7C0&sdata={}%3D&reserved=0",
                coding::percent(link),
                words::token(rng, 20)
            ),
            1 => format!("https://urldefense.com/v3/__{link}__;!!{}!{token}$", words::token(rng, 8)),
            2 => format!("https://linkprotect.cudasvc.com/url?a={}&c=E,1,{token}&typo=1", coding::percent(link)),
            _ => format!("https://protect.gateway.example/s/{token}"),
        });
        rest = &rest[end..];
    }
    out.push_str(rest);
    if out == text {
        return None;
    }
    mail.body.splice(leaf.content.clone(), out.into_bytes());
    // urldefense writes some characters of the link in another way; those have none of them.
    Some(Fate::of(way < 3))
}

/// Spaces that were doubled, or all before punctuation, become no-break spaces, or the other way round.
fn no_break(rng: &mut Random, mail: &mut Mail, _: &Plan) -> Option<Fate> {
    let leaves = mail.leaves();
    let leaf = leaves
        .iter()
        .find(|l| l.encoding == "8bit" && l.charset == "utf-8")?;
    let text = String::from_utf8(mail.body[leaf.content.clone()].to_vec()).ok()?;
    let had = text.contains('\u{a0}');
    let new = match rng.below(3) {
        0 => text
            .replace(" 1", "\u{a0}1")
            .replace(" :", "\u{a0}:")
            .replace(" !", "\u{a0}!"),
        1 => text.replace(' ', "\u{a0}"),
        _ => text.replace(". ", ".\u{a0}"),
    };
    mail.body.splice(leaf.content.clone(), new.into_bytes());
    Some(Fate::of(!had))
}
