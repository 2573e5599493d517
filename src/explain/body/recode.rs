//! Text that was encoded in another way, or in another character set: decoded, and encoded as it may have been.

use encoding_rs::Encoding;

use super::quoted::{STYLES, Style, decode, decode_lines, encode, encode_lines};
use crate::explain::kind::Kind;
use crate::explain::lines::line_end;
use crate::explain::mime::{Part, Structure, field_end};
use crate::explain::reading::with_crlf;

/// A text in another form, undone.
#[derive(Debug, Clone)]
pub(super) struct Recoding {
    scope: Scope,
    /// The character set that it has now, and the one it had.
    charset: Option<(Charset, Charset)>,
    to: Coding,
    /// The fields of the part as they were, where it has fields of its own.
    fields: Fields,
    /// Whether the name of the character set was in capitals.
    upper: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Every part of text that the rewriting befits.
    All,
    /// Every part that is base64, attachments too: its lines are longer or shorter.
    Lines,
    Leaf(usize),
}

impl Scope {
    fn holds(self, nth: usize, part: &Part) -> bool {
        match self {
            Scope::All => part.is_text(),
            Scope::Lines => part.encoding == "base64",
            Scope::Leaf(leaf) => nth == leaf,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Coding {
    /// As it is, with these words for Content-Transfer-Encoding.
    Plain,
    Quoted(usize),
    /// In lines of so many characters; whether the text had LF alone, and what its end was.
    Base64(usize, bool, End),
    /// As it is encoded now: only the character set is another one.
    Same,
}

/// Whether a text had the line end that it has at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Same,
    Less,
    More,
}

/// What Content-Transfer-Encoding of a part said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fields {
    Same,
    /// This word.
    Word(&'static str),
    /// There was no such field.
    Absent,
}

/// A character set, by a name as it is written in a field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Charset {
    name: &'static str,
    encoding: Option<&'static Encoding>,
}

const CHARSETS: [&str; 16] = [
    "utf-8",
    "iso-8859-1",
    "windows-1252",
    "iso-8859-15",
    "iso-8859-2",
    "windows-1250",
    "windows-1251",
    "koi8-r",
    "iso-8859-5",
    "iso-8859-7",
    "windows-1254",
    "iso-2022-jp",
    "shift_jis",
    "euc-jp",
    "gb18030",
    "big5",
];

impl Charset {
    fn named(name: &'static str) -> Charset {
        // What is called iso-8859-1 on the web is windows-1252; in mail it is itself.
        let encoding = (name != "iso-8859-1")
            .then(|| Encoding::for_label(name.as_bytes()))
            .flatten();
        Charset { name, encoding }
    }

    fn of(label: &str) -> Option<Charset> {
        CHARSETS
            .into_iter()
            .find(|name| *name == label)
            .map(Charset::named)
    }

    fn decode(self, bytes: &[u8]) -> Option<String> {
        match self.encoding {
            None => Some(encoding_rs::mem::decode_latin1(bytes).into_owned()),
            Some(encoding) => {
                let text = encoding.decode_without_bom_handling_and_without_replacement(bytes)?;
                Some(text.into_owned())
            }
        }
    }

    fn encode(self, text: &str) -> Option<Vec<u8>> {
        match self.encoding {
            None => {
                let latin = encoding_rs::mem::is_str_latin1(text);
                latin.then(|| encoding_rs::mem::encode_latin1_lossy(text).into_owned())
            }
            Some(encoding) => {
                let (bytes, _, unmapped) = encoding.encode(text);
                (!unmapped).then(|| bytes.into_owned())
            }
        }
    }
}

/// Rewritings that fit the parts of this body.
pub(super) fn all(text: &[u8], structure: &Structure) -> Vec<Recoding> {
    let mut out = Vec::new();
    let leaves: Vec<&Part> = structure.leaves().take(8).collect();
    let multipart = structure.is_multipart();
    let mut scopes = vec![Scope::All];
    if leaves.len() > 1 {
        scopes.extend((0..leaves.len()).map(Scope::Leaf));
    }
    let to_lines = |width| Recoding {
        scope: Scope::Lines,
        charset: None,
        to: Coding::Base64(width, false, End::Same),
        fields: Fields::Same,
        upper: false,
    };
    out.extend([76, 72, 64, 60, usize::MAX].map(to_lines));
    for scope in scopes {
        let covered: Vec<&Part> = leaves
            .iter()
            .enumerate()
            .filter(|(nth, part)| scope.holds(*nth, part))
            .map(|(_, part)| *part)
            .collect();
        let encoded = |word: &str| covered.iter().any(|part| part.encoding == word);
        let eight = covered
            .iter()
            .any(|part| !text[part.body.clone()].is_ascii());
        let has_escapes = covered
            .iter()
            .any(|part| memchr::memchr(b'=', &text[part.body.clone()]).is_some());
        let mut push = |charset: Option<(Charset, Charset)>, to, fields: &[Fields]| {
            let fields = if multipart { fields } else { &[Fields::Same] };
            let letters: &[bool] = match multipart && charset.is_some() {
                true => &[false, true],
                false => &[false],
            };
            for upper in letters {
                out.extend(fields.iter().map(|fields| Recoding {
                    scope,
                    charset,
                    to,
                    fields: *fields,
                    upper: *upper,
                }));
            }
        };
        if encoded("quoted-printable") || encoded("base64") || has_escapes && !eight {
            push(None, Coding::Plain, PLAIN_FIELDS);
        }
        for nth in 0..STYLES.len() {
            push(None, Coding::Quoted(nth), QUOTED_FIELDS);
        }
        for width in [76, 72, 64, 60, usize::MAX] {
            for lf in [false, true] {
                for end in [End::Same, End::Less, End::More] {
                    push(None, Coding::Base64(width, lf, end), BASE64_FIELDS);
                }
            }
        }
        for (now, was) in pairs(
            &covered,
            eight || encoded("quoted-printable") || encoded("base64"),
        ) {
            push(Some((now, was)), Coding::Same, &[Fields::Same]);
            push(Some((now, was)), Coding::Plain, PLAIN_FIELDS);
            push(Some((now, was)), Coding::Quoted(0), QUOTED_FIELDS);
            push(
                Some((now, was)),
                Coding::Base64(76, false, End::Same),
                BASE64_FIELDS,
            );
        }
    }
    out
}

const PLAIN_FIELDS: &[Fields] = &[
    Fields::Word("8bit"),
    Fields::Same,
    Fields::Word("7bit"),
    Fields::Absent,
    Fields::Word("8BIT"),
    Fields::Word("binary"),
    Fields::Word("7BIT"),
];
const QUOTED_FIELDS: &[Fields] = &[
    Fields::Word("quoted-printable"),
    Fields::Same,
    Fields::Word("Quoted-Printable"),
    Fields::Word("QUOTED-PRINTABLE"),
];
const BASE64_FIELDS: &[Fields] = &[Fields::Word("base64"), Fields::Same, Fields::Word("BASE64")];

/// Character sets that the text may have now, with those that it may have had.
fn pairs(parts: &[&Part], some: bool) -> Vec<(Charset, Charset)> {
    if !some {
        return Vec::new();
    }
    let declared = parts
        .iter()
        .find_map(|part| Charset::of(part.charset.as_deref()?));
    let utf8 = Charset::named("utf-8");
    let now = declared.unwrap_or(utf8);
    let mut pairs: Vec<(Charset, Charset)> = Vec::new();
    for was in CHARSETS.map(Charset::named) {
        if was.name != now.name {
            pairs.push((now, was));
        }
    }
    // The field may say what the text was, and not what it is.
    if now.name != utf8.name {
        pairs.push((utf8, now));
    }
    pairs
}

impl Recoding {
    /// The kind of this change, and what it was.
    pub(super) fn about(&self) -> (Kind, String) {
        let form = match self.to {
            Coding::Plain => "it was not encoded".to_owned(),
            Coding::Quoted(nth) => match STYLES[nth].width {
                76 | usize::MAX => "it was quoted-printable".to_owned(),
                width => format!("it was quoted-printable in lines of {width} characters"),
            },
            Coding::Base64(76, ..) => "it was base64".to_owned(),
            Coding::Base64(usize::MAX, ..) => "it was base64 in one line".to_owned(),
            Coding::Base64(width, ..) => format!("it was base64 in lines of {width} characters"),
            Coding::Same => String::new(),
        };
        match self.charset {
            None => (Kind::TransferEncoding, form),
            Some((now, was)) => {
                let sets = format!("from {} to {}", was.name, now.name);
                let detail = if form.is_empty() {
                    sets
                } else {
                    format!("{sets}; {form}")
                };
                (Kind::Charset, detail)
            }
        }
    }

    /// The body before.
    pub(super) fn apply(&self, text: &[u8], structure: &Structure) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(text.len());
        let mut at = 0;
        let mut changed = false;
        for (nth, part) in structure.leaves().enumerate() {
            if !self.scope.holds(nth, part) || part.body.start < at {
                continue;
            }
            let Some(body) = self.part(&text[part.body.clone()], part) else {
                match self.scope {
                    Scope::All | Scope::Lines => continue,
                    Scope::Leaf(_) => return None,
                }
            };
            changed = true;
            out.extend_from_slice(&text[at..part.header.start.max(at)]);
            out.extend(self.header(&text[part.header.clone()], part));
            out.extend_from_slice(&text[part.header.end.max(at)..part.body.start]);
            out.extend(body);
            at = part.body.end;
        }
        out.extend_from_slice(&text[at..]);
        changed.then_some(out)
    }

    /// The body of a part before; `None` where this did not befall it.
    fn part(&self, body: &[u8], part: &Part) -> Option<Vec<u8>> {
        let (content, behind) = match part.encoding.as_str() {
            "base64" => decode_lines(body)?,
            "quoted-printable" => (decode(body), &[][..]),
            _ if self.to == Coding::Plain && self.charset.is_none() => (decode(body), &[][..]),
            _ => (body.to_vec(), &[][..]),
        };
        let mut content = content;
        if part.is_text() {
            content = with_crlf(&content).into_owned();
        }
        if let Some((now, was)) = self.charset {
            if content.is_ascii() && was.name != "iso-2022-jp" && now.name != "iso-2022-jp" {
                return None;
            }
            content = was.encode(&now.decode(&content)?)?;
        }
        let mut out = match self.to {
            Coding::Plain => content,
            Coding::Quoted(nth) => encode(&content, STYLES[nth]),
            Coding::Base64(width, lf, end) => {
                match end {
                    End::Same => {}
                    End::Less => content.truncate(content.strip_suffix(b"\r\n")?.len()),
                    End::More => content.extend_from_slice(b"\r\n"),
                }
                based(&content, width, lf)
            }
            Coding::Same => match part.encoding.as_str() {
                "base64" => based(&content, line_end(body).map_or(76, |end| end - 2), false),
                "quoted-printable" => encode(&content, style_of(body)),
                _ => content,
            },
        };
        // Encoders of base64 end with a line end, where the delimiter has its own.
        if matches!(self.to, Coding::Base64(..)) && !body.ends_with(b"\r\n") {
            out.truncate(out.len().saturating_sub(2));
        }
        out.extend_from_slice(behind);
        Some(out)
    }

    /// The fields of a part before.
    fn header(&self, fields: &[u8], part: &Part) -> Vec<u8> {
        let mut out = Vec::with_capacity(fields.len() + 20);
        let mut at = 0;
        while at < fields.len() {
            let end = at + field_end(&fields[at..]);
            let field = &fields[at..end];
            let is = |name: &str| {
                let named = field
                    .get(..name.len())
                    .is_some_and(|n| n.eq_ignore_ascii_case(name.as_bytes()));
                named && field[name.len()..].trim_ascii_start().starts_with(b":")
            };
            if is("content-transfer-encoding") && self.fields != Fields::Same {
                if let Fields::Word(word) = self.fields {
                    let colon = memchr::memchr(b':', field).unwrap_or(0);
                    out.extend_from_slice(&field[..=colon]);
                    out.extend_from_slice(format!(" {word}\r\n").as_bytes());
                }
            } else if is("content-type")
                && let Some((now, was)) = self.charset
                && part.charset.as_deref() == Some(now.name)
            {
                out.extend(renamed(field, now.name, was.name, self.upper));
            } else {
                out.extend_from_slice(field);
            }
            at = end;
        }
        out
    }
}

/// Another name for the character set.
fn renamed(field: &[u8], now: &str, was: &str, upper: bool) -> Vec<u8> {
    let lower = field.to_ascii_lowercase();
    let start = memchr::memmem::find(&lower, b"charset").unwrap_or(0);
    let Some(at) = memchr::memmem::find(&lower[start..], now.as_bytes()).map(|at| at + start)
    else {
        return field.to_vec();
    };
    let end = at + now.len();
    let name = if upper {
        was.to_ascii_uppercase()
    } else {
        was.to_owned()
    };
    [&field[..at], name.as_bytes(), &field[end..]].concat()
}

fn based(content: &[u8], width: usize, lf: bool) -> Vec<u8> {
    match lf {
        false => encode_lines(content, width),
        true => {
            let content: Vec<u8> = content.iter().copied().filter(|b| *b != b'\r').collect();
            encode_lines(&content, width)
        }
    }
}

/// The style in which this text is encoded.
fn style_of(body: &[u8]) -> Style {
    let content = decode(body);
    let fits = |style: &&Style| encode(&content, **style) == body;
    *STYLES.iter().find(fits).unwrap_or(&STYLES[0])
}
