//! What the fields of a message or of a part say of its content (RFC 2045), and the checks of content that is
//! encoded.

use super::header::unfolded;

/// What the header of a message or part says of its content.
#[derive(Debug, Clone, Default)]
pub(super) struct Entity {
    pub(super) content_type: Option<ContentType>,
    pub(super) encoding: Encoding,
    /// Content-Disposition: attachment.
    pub(super) attached: bool,
}

/// Content-Transfer-Encoding (RFC 2045 §6.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Encoding {
    #[default]
    SevenBit,
    EightBit,
    Binary,
    QuotedPrintable,
    Base64,
    Unknown,
}

/// So much of a value is read; a longer one is a fault of its own.
const MAX_VALUE: usize = 8192;

impl Entity {
    pub(super) fn take(&mut self, name: &str, value: &[u8]) {
        let value = unfolded(&value[..value.len().min(MAX_VALUE)]);
        if name.eq_ignore_ascii_case("Content-Type") {
            self.content_type = Some(ContentType::read(&value));
        } else if name.eq_ignore_ascii_case("Content-Transfer-Encoding") {
            self.encoding = Encoding::read(&value);
        } else if name.eq_ignore_ascii_case("Content-Disposition") {
            let word = value.trim_ascii_start();
            let word = word.get(..10).unwrap_or_default();
            self.attached = word.eq_ignore_ascii_case(b"attachment");
        }
    }

    pub(super) fn is(&self, main: &str) -> bool {
        self.content_type.as_ref().is_some_and(|t| t.main == main)
    }

    /// Whether it is text; what says nothing is (RFC 2045 §5.2).
    pub(super) fn is_text(&self) -> bool {
        let broken = |t: &ContentType| t.main == "text" || t.broken;
        self.content_type.as_ref().is_none_or(broken)
    }

    /// Whether it is a message (RFC 2046 §5.2.1, RFC 6532).
    pub(super) fn is_message(&self) -> bool {
        let message = |t: &ContentType| t.main == "message";
        let whole = |t: &ContentType| matches!(t.sub.as_str(), "rfc822" | "global");
        self.content_type
            .as_ref()
            .is_some_and(|t| message(t) && whole(t))
    }

    pub(super) fn param(&self, name: &str) -> Option<&Param> {
        let params = &self.content_type.as_ref()?.params;
        params.iter().find(|param| param.name == name)
    }

    /// Whether a parameter comes in pieces or with a charset (RFC 2231), which is not read here.
    pub(super) fn has_extended(&self, name: &str) -> bool {
        let params = self.content_type.as_ref().map(|t| t.params.as_slice());
        let extended = |param: &Param| {
            let rest = param.name.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with('*'))
        };
        params.unwrap_or_default().iter().any(extended)
    }
}

impl Encoding {
    fn read(value: &[u8]) -> Encoding {
        let word = value.split(|b| *b == b'(').next().unwrap_or_default();
        let word = word.trim_ascii().to_ascii_lowercase();
        match word.as_slice() {
            b"7bit" => Encoding::SevenBit,
            b"8bit" => Encoding::EightBit,
            b"binary" => Encoding::Binary,
            b"quoted-printable" => Encoding::QuotedPrintable,
            b"base64" => Encoding::Base64,
            _ => Encoding::Unknown,
        }
    }
}

/// A Content-Type (RFC 2045 §5.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ContentType {
    /// In lower case.
    pub(super) main: String,
    /// In lower case.
    pub(super) sub: String,
    pub(super) params: Vec<Param>,
    /// Whether it does not fit the grammar.
    pub(super) broken: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Param {
    /// In lower case.
    pub(super) name: String,
    pub(super) value: Vec<u8>,
    /// Whether it has characters for which it should stand in quotes.
    pub(super) wants_quotes: bool,
}

/// So many parameters are read.
const MAX_PARAMS: usize = 50;

impl ContentType {
    fn read(value: &[u8]) -> ContentType {
        let mut read = ContentType::default();
        let mut rest = blanks(value);
        let (main, after) = token(rest);
        rest = blanks(after);
        let sub = rest.strip_prefix(b"/").map(blanks).map(token);
        let (sub, after) = sub.unwrap_or((b"", rest));
        read.main = lower(main);
        read.sub = lower(sub);
        read.broken = main.is_empty() || sub.is_empty();
        rest = blanks(after);
        while let Some(after) = rest.strip_prefix(b";") {
            rest = blanks(after);
            // Many programs end the list with a semicolon, and nobody minds.
            if rest.is_empty() {
                break;
            }
            let Some((param, after)) = parameter(rest) else {
                read.broken = true;
                break;
            };
            if read.params.len() == MAX_PARAMS {
                break;
            }
            read.params.push(param);
            rest = blanks(after);
        }
        read.broken |= !rest.is_empty() && read.params.len() < MAX_PARAMS;
        read
    }
}

fn parameter(text: &[u8]) -> Option<(Param, &[u8])> {
    let (name, rest) = token(text);
    let rest = blanks(rest).strip_prefix(b"=").map(blanks)?;
    if name.is_empty() {
        return None;
    }
    let name = lower(name);
    if rest.first() == Some(&b'"') {
        let (value, rest) = quoted(&rest[1..])?;
        let wants_quotes = false;
        return Some((
            Param {
                name,
                value,
                wants_quotes,
            },
            rest,
        ));
    }
    // What readers take for the value, special characters and all.
    let end = rest.iter().position(|b| matches!(b, b';' | b' ' | b'\t'));
    let (value, rest) = rest.split_at(end.unwrap_or(rest.len()));
    if value.is_empty() {
        return None;
    }
    let param = Param {
        name,
        value: value.to_vec(),
        wants_quotes: !value.iter().all(is_token),
    };
    Some((param, rest))
}

/// The text of a quoted string, and what follows it.
fn quoted(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut value = Vec::new();
    let mut at = 0;
    loop {
        match text.get(at)? {
            b'"' => return Some((value, &text[at + 1..])),
            b'\\' => {
                at += 1;
                value.push(*text.get(at)?);
            }
            byte => value.push(*byte),
        }
        at += 1;
    }
}

/// White space and comments.
fn blanks(text: &[u8]) -> &[u8] {
    let mut rest = text;
    let mut depth = 0u32;
    loop {
        match rest.first() {
            Some(b' ' | b'\t') => {}
            Some(b'(') => depth += 1,
            Some(b')') if depth > 0 => depth -= 1,
            Some(_) if depth > 0 => {}
            _ => return rest,
        }
        rest = &rest[1..];
    }
}

fn token(text: &[u8]) -> (&[u8], &[u8]) {
    let len = text.iter().take_while(|b| is_token(b)).count();
    text.split_at(len)
}

/// RFC 2045 §5.1: printable ASCII without the tspecials.
fn is_token(byte: &u8) -> bool {
    byte.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(byte)
}

fn lower(text: &[u8]) -> String {
    text.escape_ascii().to_string().to_ascii_lowercase()
}

/// RFC 2046 §5.1.1: what a boundary may hold; a blank not at its end.
pub(super) fn is_boundary(text: &[u8]) -> bool {
    let legal = |b: &u8| b.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(b);
    text.iter().all(legal) && text.last() != Some(&b' ')
}

/// Text that comes in pieces, held against UTF-8.
#[derive(Debug, Clone, Default)]
pub(super) struct Utf8 {
    /// The beginning of a character whose end has not come.
    held: Vec<u8>,
}

impl Utf8 {
    /// Whether what came so far, with `bytes` behind it, can be UTF-8.
    pub(super) fn holds(&mut self, bytes: &[u8]) -> bool {
        if self.held.is_empty() && bytes.is_ascii() {
            return true;
        }
        self.held.extend_from_slice(bytes);
        match std::str::from_utf8(&self.held) {
            Ok(_) => {
                self.held.clear();
                true
            }
            Err(error) if error.error_len().is_none() => {
                self.held.drain(..error.valid_up_to());
                true
            }
            Err(_) => {
                self.held.clear();
                false
            }
        }
    }

    /// Whether it ends within a character.
    pub(super) fn is_cut(&self) -> bool {
        !self.held.is_empty()
    }
}

/// What a line of quoted-printable says (RFC 2045 §6.7).
#[derive(Debug, Default)]
pub(super) struct QpLine {
    pub(super) bytes: Vec<u8>,
    pub(super) broken: bool,
}

/// Decodes a line, without its line end.
pub(super) fn decode_qp(line: &[u8]) -> QpLine {
    let mut out = QpLine::default();
    let text = line.trim_ascii_end();
    let (text, soft) = match text.strip_suffix(b"=") {
        Some(text) => (text, true),
        None => (line, false),
    };
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'=', rest) {
        out.bytes.extend_from_slice(&rest[..at]);
        let code = rest.get(at + 1..at + 3).and_then(|digits| {
            let text = std::str::from_utf8(digits).ok()?;
            let hex = digits.iter().all(u8::is_ascii_hexdigit);
            hex.then(|| u8::from_str_radix(text, 16).ok()).flatten()
        });
        match code {
            Some(byte) => {
                out.bytes.push(byte);
                rest = &rest[at + 3..];
            }
            None => {
                out.broken = true;
                rest = &rest[at + 1..];
            }
        }
    }
    out.bytes.extend_from_slice(rest);
    if !soft {
        out.bytes.push(b'\n');
    }
    out
}

/// Base64 that comes line by line (RFC 2045 §6.8).
#[derive(Debug, Clone, Default)]
pub(super) struct Base64 {
    bits: u32,
    /// How many characters of a group of four have come.
    count: u8,
    padded: bool,
}

impl Base64 {
    /// Takes a line; gives what it says, and whether it is sound.
    pub(super) fn line(&mut self, line: &[u8]) -> (Vec<u8>, bool) {
        let mut out = Vec::with_capacity(line.len() / 4 * 3 + 3);
        let mut sound = true;
        for byte in line {
            let value = match byte {
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a' + 26,
                b'0'..=b'9' => byte - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                b'=' => {
                    // Padding fills a group up, and nothing follows it.
                    let due = self.count >= 2 || self.padded;
                    sound &= due;
                    self.pad(&mut out);
                    continue;
                }
                b' ' | b'\t' => continue,
                _ => {
                    sound = false;
                    continue;
                }
            };
            sound &= !self.padded;
            self.bits = self.bits << 6 | u32::from(value);
            self.count += 1;
            if self.count == 4 {
                out.extend_from_slice(&self.bits.to_be_bytes()[1..]);
                (self.bits, self.count) = (0, 0);
            }
        }
        (out, sound)
    }

    fn pad(&mut self, out: &mut Vec<u8>) {
        match self.count {
            2 => out.push((self.bits >> 4) as u8),
            3 => out.extend_from_slice(&((self.bits >> 2) as u16).to_be_bytes()),
            _ => {}
        }
        self.padded = true;
        (self.bits, self.count) = (0, 0);
    }

    /// Whether it ends within a group of four.
    pub(super) fn is_cut(&self) -> bool {
        self.count != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_type_is_read_by_the_grammar() {
        for (text, kind, params, broken) in [
            ("text/plain", "text/plain", "", false),
            (
                "TEXT / Plain ; Charset = UTF-8",
                "text/plain",
                "charset=UTF-8",
                false,
            ),
            (
                "text/plain (a; b) ; charset=\"x;\\\"y\";",
                "text/plain",
                "charset=x;\"y",
                false,
            ),
            (
                "multipart/mixed; boundary==_x",
                "multipart/mixed",
                "boundary!==_x",
                false,
            ),
            (
                "multipart/mixed; boundary=a b",
                "multipart/mixed",
                "boundary=a",
                true,
            ),
            ("text/plain; charset", "text/plain", "", true),
            ("text/plain charset=x", "text/plain", "", true),
            ("text/plain; charset=\"x", "text/plain", "", true),
            ("text", "text/", "", true),
            ("", "/", "", true),
        ] {
            let read = ContentType::read(text.as_bytes());
            let shown = read.params.iter().map(|p| {
                let value = String::from_utf8_lossy(&p.value);
                let mark = if p.wants_quotes { "!" } else { "" };
                format!("{}{mark}={value}", p.name)
            });
            let shown: Vec<String> = shown.collect();
            let got = format!("{}/{}", read.main, read.sub);
            assert_eq!(
                (got.as_str(), shown.join(" ").as_str(), read.broken),
                (kind, params, broken),
                "{text}"
            );
        }
    }

    #[test]
    fn base64_is_decoded_over_lines_and_faults_are_seen() {
        for (lines, want, sound) in [
            (&["YWJj"][..], "abc", true),
            (&["YW", "Jj", "YQ=="], "abca", true),
            (&["YWI="], "ab", true),
            (&["YW I="], "ab", true),
            (&["YW*I="], "ab", false),
            (&["YQ==", "YQ=="], "aa", false),
            (&["Y==="], "", false),
            (&["=", "YWJj"], "abc", false),
            (&["YWJ"], "", false),
        ] {
            let mut base64 = Base64::default();
            let mut good = true;
            let mut out = Vec::new();
            for line in lines {
                let (bytes, sound) = base64.line(line.as_bytes());
                out.extend(bytes);
                good &= sound;
            }
            let got = String::from_utf8(out).unwrap();
            assert_eq!(
                (got.as_str(), good && !base64.is_cut()),
                (want, sound),
                "{lines:?}"
            );
        }
    }

    #[test]
    fn quoted_printable_is_decoded_and_faults_are_seen() {
        for (line, want, broken) in [
            ("a=3Db", "a=b\n", false),
            ("a=3db", "a=b\n", false),
            ("a=", "a", false),
            ("a= \t", "a", false),
            ("a==", "a", true),
            ("a=b", "ab\n", true),
            ("=+1", "+1\n", true),
        ] {
            let read = decode_qp(line.as_bytes());
            let text = String::from_utf8(read.bytes).unwrap();
            assert_eq!((text.as_str(), read.broken), (want, broken), "{line}");
        }
    }

    #[test]
    fn utf8_is_seen_across_pieces() {
        let text = "a\u{e9}\u{20ac}\u{1f600}z".as_bytes();
        for step in 1..text.len() {
            let mut utf8 = Utf8::default();
            assert!(text.chunks(step).all(|piece| utf8.holds(piece)));
            assert!(!utf8.is_cut());
        }
        assert!(!Utf8::default().holds(b"\xe9 x"));
        let mut utf8 = Utf8::default();
        assert!(utf8.holds(b"\xe2\x82") && utf8.is_cut());
        assert!(!utf8.holds(b"x"));
    }
}
