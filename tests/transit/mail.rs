//! A message as gateways hold it: fields and a body, and the MIME parts of the body.

use std::ops::Range;

use crate::coding;

#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Field {
    /// Name, colon and value with its folds, without the final CRLF.
    pub(crate) raw: Vec<u8>,
}

impl Field {
    pub(crate) fn new(name: &str, value: impl AsRef<[u8]>) -> Field {
        let raw = [name.as_bytes(), b": ", value.as_ref()].concat();
        Field { raw }
    }

    fn colon(&self) -> usize {
        let colon = self.raw.iter().position(|b| *b == b':');
        colon.unwrap_or(self.raw.len())
    }

    pub(crate) fn name(&self) -> String {
        let name = self.raw[..self.colon()].trim_ascii_end();
        String::from_utf8_lossy(name).into_owned()
    }

    pub(crate) fn is(&self, name: &str) -> bool {
        self.raw[..self.colon()]
            .trim_ascii_end()
            .eq_ignore_ascii_case(name.as_bytes())
    }

    /// What stands behind the colon, as it stands there.
    pub(crate) fn value(&self) -> &[u8] {
        self.raw.get(self.colon() + 1..).unwrap_or_default()
    }

    /// The value with its folds taken out and without blanks at its ends.
    pub(crate) fn text(&self) -> String {
        let value = String::from_utf8_lossy(self.value()).replace("\r\n", "");
        value.trim_matches([' ', '\t']).to_owned()
    }

    pub(crate) fn set(&mut self, value: impl AsRef<[u8]>) {
        let colon = self.colon();
        self.raw.truncate(colon);
        self.raw.extend_from_slice(b": ");
        self.raw.extend_from_slice(value.as_ref());
    }

    pub(crate) fn is_folded(&self) -> bool {
        coding::find(&self.raw, b"\r\n").is_some()
    }
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Mail {
    pub(crate) fields: Vec<Field>,
    pub(crate) body: Vec<u8>,
}

impl Mail {
    /// None for what is no message with CRLF any more.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Mail> {
        let end = coding::find(bytes, b"\r\n\r\n")?;
        let mut fields: Vec<Field> = Vec::new();
        for line in coding::lines_of(&bytes[..end + 2]) {
            match line.first()? {
                b' ' | b'\t' => fields.last_mut()?.raw.extend_from_slice(line),
                _ => fields.push(Field { raw: line.to_vec() }),
            }
        }
        for field in &mut fields {
            let end = field.raw.len().checked_sub(2)?;
            field.raw.truncate(end);
        }
        let body = bytes[end + 4..].to_vec();
        Some(Mail { fields, body })
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for field in &self.fields {
            out.extend_from_slice(&field.raw);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.body);
        out
    }

    /// The last of this name, which is the first that a signature means.
    pub(crate) fn at(&self, name: &str) -> Option<usize> {
        self.fields.iter().rposition(|f| f.is(name))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Field> {
        self.at(name).map(|at| &self.fields[at])
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Field> {
        let at = self.at(name)?;
        self.fields.get_mut(at)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.get(name).map(Field::text).unwrap_or_default()
    }

    pub(crate) fn count(&self, name: &str) -> usize {
        self.fields.iter().filter(|f| f.is(name)).count()
    }

    pub(crate) fn push(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.fields.push(Field::new(name, value));
    }

    pub(crate) fn push_front(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.fields.insert(0, Field::new(name, value));
    }

    /// The parts that hold no further parts; one without a header of its own where there is no multipart.
    pub(crate) fn leaves(&self) -> Vec<Leaf> {
        let mut leaves = Vec::new();
        let all = 0..self.body.len();
        descend(
            self,
            &self.text("Content-Type"),
            &self.text("Content-Transfer-Encoding"),
            0..0,
            all,
            &mut leaves,
        );
        leaves
    }

    /// The leaf of this type, such as `text/plain`.
    pub(crate) fn leaf(&self, kind: &str) -> Option<Leaf> {
        self.leaves().into_iter().find(|leaf| leaf.kind == kind)
    }

    /// The boundary of the outermost multipart.
    pub(crate) fn boundary(&self) -> Option<String> {
        boundary(&self.text("Content-Type"))
    }

    /// Where the last line begins that closes the outermost multipart.
    pub(crate) fn closing(&self) -> Option<usize> {
        let line = format!("\r\n--{}--", self.boundary()?);
        coding::rfind(&self.body, line.as_bytes()).map(|at| at + 2)
    }
}

/// A part of the body without parts of its own.
#[derive(Clone)]
pub(crate) struct Leaf {
    /// In small letters, without parameters.
    pub(crate) kind: String,
    pub(crate) charset: String,
    pub(crate) encoding: String,
    /// Its header in the body, with the line end of its last field; empty for a message without parts.
    pub(crate) header: Range<usize>,
    /// Its content, without the line end that belongs to the boundary behind it.
    pub(crate) content: Range<usize>,
}

impl Leaf {
    pub(crate) fn is_whole(&self) -> bool {
        self.header.end == 0
    }
}

pub(crate) fn parameter(value: &str, name: &str) -> Option<String> {
    let start = value.to_ascii_lowercase().find(&format!("{name}="))? + name.len() + 1;
    let rest = &value[start..];
    match rest.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next().map(str::to_owned),
        None => rest.split([';', ' ', '\t']).next().map(str::to_owned),
    }
}

fn boundary(content_type: &str) -> Option<String> {
    let multipart = content_type.to_ascii_lowercase().starts_with("multipart/");
    parameter(content_type, "boundary").filter(|_| multipart)
}

fn descend(
    mail: &Mail,
    kind: &str,
    encoding: &str,
    header: Range<usize>,
    content: Range<usize>,
    out: &mut Vec<Leaf>,
) {
    let Some(boundary) = boundary(kind) else {
        let word = kind.split(';').next().unwrap_or_default().trim();
        let word = if word.is_empty() { "text/plain" } else { word };
        let charset = parameter(kind, "charset").unwrap_or("us-ascii".into());
        let encoding = if encoding.is_empty() {
            "7bit"
        } else {
            encoding
        };
        out.push(Leaf {
            kind: word.to_ascii_lowercase(),
            charset: charset.to_ascii_lowercase(),
            encoding: encoding.to_ascii_lowercase(),
            header,
            content,
        });
        return;
    };
    let delimiter = format!("--{boundary}");
    let mut begun = None;
    let mut at = content.start;
    for line in coding::lines_of(&mail.body[content.clone()]) {
        let start = at;
        at += line.len();
        let (text, _) = coding::cut_end(line);
        let Some(rest) = text.strip_prefix(delimiter.as_bytes()) else {
            continue;
        };
        if !rest.trim_ascii().is_empty() && rest.trim_ascii() != b"--" {
            continue;
        }
        if let Some(begin) = begun {
            part(mail, begin..start.saturating_sub(2).max(begin), out);
        }
        begun = (rest.trim_ascii() != b"--").then_some(at);
        if begun.is_none() {
            break;
        }
    }
}

/// One part, from behind its boundary line.
fn part(mail: &Mail, range: Range<usize>, out: &mut Vec<Leaf>) {
    let bytes = &mail.body[range.clone()];
    let len = match bytes.starts_with(b"\r\n") {
        true => 0,
        false => match coding::find(bytes, b"\r\n\r\n") {
            Some(at) => at + 2,
            None => return,
        },
    };
    let head = [&bytes[..len], b"\r\n"].concat();
    let fields = match len {
        0 => Vec::new(),
        _ => Mail::parse(&head).map(|m| m.fields).unwrap_or_default(),
    };
    let text = |name: &str| {
        fields
            .iter()
            .find(|f| f.is(name))
            .map(Field::text)
            .unwrap_or_default()
    };
    let header = range.start..range.start + len;
    let content = (header.end + 2).min(range.end)..range.end;
    descend(
        mail,
        &text("Content-Type"),
        &text("Content-Transfer-Encoding"),
        header,
        content,
        out,
    );
}
