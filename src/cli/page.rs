//! Pages of HTML: one file each that loads nothing and can be read on a phone and on paper.
//!
//! What is shown is often hostile. Names of elements and attributes are literals of this program; everything else goes
//! through [`Html::text`] or [`Html::line`] and is escaped there. Should that fail some day, the page forbids all
//! scripts and all loading by its Content-Security-Policy, where only our own style is let through, and on a page with
//! buttons that copy the one script that does so; each by its hash.

mod visible;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dkimkit::canon::Sink as _;
use dkimkit::hash::{HashAlgorithm, Hasher};
use dkimkit::report::grouped;

use self::visible::{Piece, is_seen, pieces, plain};

/// The elements that pages are made of. None of them loads anything, and none leads anywhere.
const ELEMENTS: [&str; 34] = [
    "b", "bdi", "button", "code", "dd", "del", "details", "div", "dl", "dt", "em", "footer", "h1",
    "h2", "h3", "h4", "header", "i", "input", "ins", "label", "li", "main", "ol", "p", "pre",
    "section", "small", "span", "strong", "summary", "table", "td", "ul",
];

/// The attributes that they may have. None of them takes an address, a style or a script.
const ATTRIBUTES: [&str; 13] = [
    "aria-hidden",
    "aria-label",
    "aria-labelledby",
    "checked",
    "class",
    "for",
    "id",
    "name",
    "open",
    "role",
    "tabindex",
    "translate",
    "type",
];

/// A piece of a page that is being written: elements are closed where they were opened, and it stays within a
/// number of bytes whatever is put into it.
pub(super) struct Html {
    out: String,
    /// So many bytes may be there in the end.
    limit: usize,
    /// The bytes that the elements need which are open.
    owed: usize,
    /// Whether something had no room. Nothing is written behind it.
    cut: bool,
}

impl Html {
    pub(super) fn new(limit: usize) -> Html {
        Html {
            out: String::new(),
            limit,
            owed: 0,
            cut: false,
        }
    }

    /// An element of a class, which may be none.
    pub(super) fn element(
        &mut self,
        name: &'static str,
        class: &'static str,
        inner: impl FnOnce(&mut Html),
    ) {
        match class {
            "" => self.with(name, &[], inner),
            class => self.with(name, &[("class", class)], inner),
        }
    }

    /// An element that holds a text alone.
    pub(super) fn say(&mut self, name: &'static str, class: &'static str, text: &str) {
        self.element(name, class, |html| html.text(text));
    }

    /// An element with attributes.
    pub(super) fn with(
        &mut self,
        name: &'static str,
        attributes: &[(&'static str, &str)],
        inner: impl FnOnce(&mut Html),
    ) {
        // "</" and ">".
        let owed = name.len() + 3;
        if !self.start(name, attributes, owed) {
            return;
        }
        self.owed += owed;
        inner(self);
        self.owed -= owed;
        for part in ["</", name, ">"] {
            self.out.push_str(part);
        }
        // For those who read the source: only where blanks mean nothing.
        if matches!(name, "section" | "div" | "p" | "dl" | "ul") {
            self.put("\n", 0);
        }
    }

    /// An element without content, such as `input`.
    pub(super) fn empty(&mut self, name: &'static str, attributes: &[(&'static str, &str)]) {
        self.start(name, attributes, 0);
    }

    fn start(
        &mut self,
        name: &'static str,
        attributes: &[(&'static str, &str)],
        owed: usize,
    ) -> bool {
        debug_assert!(ELEMENTS.contains(&name), "{name} is no element of ours");
        let mut tag = format!("<{name}");
        for (key, value) in attributes {
            debug_assert!(ATTRIBUTES.contains(key), "{key} is no attribute of ours");
            tag.push_str(&format!(" {key}=\""));
            plain(value, &mut tag);
            tag.push('"');
        }
        tag.push('>');
        self.put(&tag, owed)
    }

    /// A text, with what nobody sees as escapes.
    pub(super) fn text(&mut self, text: &str) {
        // A piece at a time, so that what has no room is not escaped first.
        for part in chunks(text, 4096) {
            let mut escaped = String::with_capacity(part.len());
            plain(part, &mut escaped);
            self.put(&escaped, 0);
        }
    }

    /// A text that may be long: what is beyond `most` bytes is left out, and that is said.
    pub(super) fn brief(&mut self, text: &str, most: usize) {
        let end = text.floor_char_boundary(most);
        self.text(&text[..end]);
        if end < text.len() {
            self.say(
                "span",
                "gap",
                &format!("… {} bytes more", grouped(text.len() - end)),
            );
        }
    }

    /// Bytes of a line of a message, without its line end: each that is no text or that nobody sees is made visible
    /// and marked. `ends` says that the line ends here, where blanks are seen as little.
    pub(super) fn line(&mut self, bytes: &[u8], ends: bool) {
        for piece in pieces(bytes, ends) {
            match piece {
                Piece::Text(text) => self.text(text),
                Piece::Sign(sign) => self.sign(&sign),
                Piece::Tab => {
                    self.sign("→");
                    self.put("\t", 0);
                }
            }
        }
    }

    /// A line end that is to be seen.
    pub(super) fn line_end(&mut self) {
        self.sign("↵");
    }

    /// Something that stands for what is not seen.
    fn sign(&mut self, sign: &str) {
        self.element("i", "", |html| {
            html.put(sign, 0);
        });
    }

    /// A text that stands in a box of its own, with a button that copies it, on a page of [`Script::Copy`]. What nobody
    /// sees is shown by a sign, which is not what is to be copied: then there is no button.
    pub(super) fn copied(&mut self, what: &str, text: &str) {
        self.element("div", "copied", |html| {
            html.say("span", "", what);
            html.element("pre", "", |html| {
                html.element("code", "", |html| {
                    for (at, line) in text.split('\n').enumerate() {
                        html.put(if at == 0 { "" } else { "\n" }, 0);
                        html.text(line);
                    }
                });
            });
            match text.split('\n').all(is_seen) {
                true => html.with("button", &[("type", "button")], |html| html.text("Copy")),
                false => html.say(
                    "p",
                    "gap",
                    "What begins with a backslash may stand for a character that is not seen: do not copy this, but take it from where it stands",
                ),
            }
        });
    }

    /// Lets `inner` have so many bytes at most; says whether they were enough.
    pub(super) fn within(&mut self, bytes: usize, inner: impl FnOnce(&mut Html)) -> bool {
        let outer = (self.limit, self.cut);
        self.limit = self.limit.min(self.used() + bytes);
        inner(self);
        let fits = !self.cut;
        (self.limit, self.cut) = outer;
        fits
    }

    /// Takes in what was written apart.
    pub(super) fn append(&mut self, part: Html) {
        self.put(&part.out, 0);
    }

    /// How many bytes there is room for.
    pub(super) fn room(&self) -> usize {
        match self.cut {
            true => 0,
            false => self.limit.saturating_sub(self.used()),
        }
    }

    fn used(&self) -> usize {
        self.out.len() + self.owed
    }

    /// Writes what is escaped already, if there is room for it and for `more` bytes.
    fn put(&mut self, escaped: &str, more: usize) -> bool {
        if escaped.len() + more > self.room() {
            self.cut = true;
        }
        if !self.cut {
            self.out.push_str(escaped);
        }
        !self.cut
    }
}

/// The pieces of a text, each of at most so many bytes.
fn chunks(text: &str, most: usize) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (part, behind) = rest.split_at(rest.floor_char_boundary(most));
        rest = behind;
        (!part.is_empty()).then_some(part)
    })
}

/// What runs on a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Script {
    Nothing,
    /// Buttons copy the text beside them.
    Copy,
}

/// A whole page around its content.
pub(super) fn document(title: &str, style: &str, script: Script, content: Html) -> String {
    let style = format!("{STYLE}{style}");
    let mut escaped = String::new();
    plain(title, &mut escaped);
    let (allowed, script, says) = match script {
        Script::Nothing => (
            String::new(),
            String::new(),
            "loads nothing and runs nothing",
        ),
        Script::Copy => (
            format!("script-src 'sha256-{}'; ", hash(COPY)),
            format!("<script>{COPY}</script>\n"),
            "loads nothing; its only script copies what you tell it to copy",
        ),
    };
    let policy = format!(
        "default-src 'none'; {allowed}style-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(&style)
    );
    let version = env!("CARGO_PKG_VERSION");
    // Telephones make links of what looks like a number, a date or an address, if they are let.
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta name=\"format-detection\" content=\"telephone=no, date=no, address=no, email=no, url=no\">\n\
         <meta name=\"robots\" content=\"noindex\">\n\
         <meta name=\"generator\" content=\"dkimkit {version}\">\n\
         <title>{escaped}</title>\n<style>{style}</style>\n{script}</head>\n<body>\n{}\n\
         <footer>dkimkit {version}. This page {says}.</footer>\n</body>\n</html>\n",
        content.out
    )
}

/// A text as a sentence: with a capital, unless it begins with a name or a number, and with its full stop, unless it
/// ends with an address on the web, which would seem to have it too.
pub(super) fn sentence(text: &str) -> String {
    let word = text.split(' ').next().unwrap_or_default();
    let word = word.trim_end_matches([',', ':', ';', '.']);
    let is_word = word
        .chars()
        .all(|c| c.is_alphabetic() || matches!(c, '-' | '\''));
    let mut chars = text.chars();
    let first: String = match chars.next() {
        Some(first) if is_word => first.to_uppercase().collect(),
        first => first.into_iter().collect(),
    };
    let last = text.rsplit(' ').next().unwrap_or_default();
    let address = last.starts_with("https://") && !last.ends_with(['"', ')']);
    let end = if text.ends_with(['.', '…', ':']) || address {
        ""
    } else {
        "."
    };
    format!("{first}{}{end}", chars.as_str())
}

const STYLE: &str = include_str!("page/page.css");
const COPY: &str = include_str!("page/copy.js");

/// The hash by which the policy knows our style and our script.
fn hash(text: &str) -> String {
    let mut hasher = Hasher::new(HashAlgorithm::Sha256);
    hasher.put(text.as_bytes());
    STANDARD.encode(hasher.finish().as_bytes())
}

#[cfg(test)]
mod tests;
