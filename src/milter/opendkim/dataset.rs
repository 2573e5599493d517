//! Data sets: a list in the configuration, a file of keys and values, or a file of patterns.

use std::collections::HashMap;

use super::conf::Setting;
use super::{ConfError, Fault, ReadFile, lines_of};
use crate::milter::pattern;

/// A data set that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataSet {
    source: String,
    /// Whether upper case stands for lower.
    fold: bool,
    entries: Vec<Entry>,
    /// The keys of the entries, where they are patterns.
    patterns: Option<Vec<Pattern>>,
    /// Where the entries of a key in lower case stand; empty where there are patterns.
    index: HashMap<String, Vec<usize>>,
    remarks: Vec<Remark>,
}

/// A key, and what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key, or the pattern.
    pub key: String,
    /// What stands behind it.
    pub value: Option<String>,
    /// The line, from 1 on.
    pub line: usize,
}

/// A line that does not do what it seems to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// The file.
    pub file: String,
    /// The line, from 1 on.
    pub line: usize,
    /// What is to be known of it.
    pub text: String,
}

impl DataSet {
    /// Reads the set that a setting names. `base` is BaseDirectory, for relative paths.
    ///
    /// # Errors
    /// [`ConfError`]: a file that cannot be read, too many entries, or a kind of set that is not read here.
    pub fn open(
        setting: &Setting,
        base: Option<&str>,
        files: &dyn ReadFile,
    ) -> Result<DataSet, ConfError> {
        let at = |fault| ConfError::new(&setting.file, setting.line, fault);
        let (kind, rest) = kind_of(&setting.value).map_err(at)?;
        let mut set = DataSet {
            source: setting.file.clone(),
            // In a KeyTable case counts.
            fold: setting.option.name != "KeyTable",
            entries: Vec::new(),
            patterns: (kind == SetKind::Patterns).then(Vec::new),
            index: HashMap::new(),
            remarks: Vec::new(),
        };
        if kind == SetKind::List {
            let looks_like_path = rest.starts_with("./") || rest.starts_with("../");
            if looks_like_path {
                let text = "OpenDKIM takes a relative path without file: for an entry of a list";
                set.remark(setting.line, text.to_owned());
            }
            for item in rest.split(',').filter(|item| !item.is_empty()) {
                let (key, value) = match item.split_once('=') {
                    Some((key, value)) => (key, Some(value.trim().to_owned())),
                    None => (item, None),
                };
                set.add(key.trim(), value, setting.line)?;
            }
            return Ok(set);
        }
        let path = below(base, rest);
        let lines = lines_of(&path, files, (&setting.file, setting.line))?;
        set.source = path;
        for (index, line) in lines.iter().enumerate() {
            set.read_line(line, index + 1)?;
        }
        Ok(set)
    }

    fn read_line(&mut self, line: &str, number: usize) -> Result<(), ConfError> {
        let line = line.split('#').next().unwrap_or_default();
        // OpenDKIM takes what stands before the first white space for the pattern, and skips it where it is empty.
        if self.has_patterns() && line.starts_with(|c: char| c.is_ascii_whitespace()) {
            if !line.trim().is_empty() {
                let text =
                    "the line begins with white space: OpenDKIM skips it in a refile, and so do we";
                self.remark(number, text.to_owned());
            }
            return Ok(());
        }
        let line = line.trim_matches(|c: char| c.is_ascii_whitespace());
        let (key, value) = match line.split_once(|c: char| c.is_ascii_whitespace()) {
            Some((key, value)) => (key, Some(value.trim_ascii_start().to_owned())),
            None => (line, None),
        };
        if key.is_empty() {
            return Ok(());
        }
        if self.has_patterns() && key.contains(METACHARACTERS) {
            let text = format!(
                "OpenDKIM reads {key:?} as a regular expression, which only * is meant to be: it matches nothing here"
            );
            self.remark(number, text);
        }
        self.add(key, value, number)
    }

    fn add(&mut self, key: &str, value: Option<String>, line: usize) -> Result<(), ConfError> {
        // Patterns are tried one after the other, so that there may be fewer of them.
        let max = if self.has_patterns() {
            MAX_PATTERNS
        } else {
            MAX_ENTRIES
        };
        if self.entries.len() == max {
            return Err(ConfError::new(
                &self.source,
                line,
                Fault::TooManyEntries { max },
            ));
        }
        match &mut self.patterns {
            Some(patterns) => patterns.push(Pattern::new(key, self.fold)),
            None => {
                let at = self.index.entry(folded(key, self.fold)).or_default();
                at.push(self.entries.len());
            }
        }
        let key = key.to_owned();
        self.entries.push(Entry { key, value, line });
        Ok(())
    }

    fn remark(&mut self, line: usize, text: String) {
        let file = self.source.clone();
        self.remarks.push(Remark { file, line, text });
    }

    /// The file, or the configuration in which the list stands.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether the keys are patterns with `*`.
    pub fn has_patterns(&self) -> bool {
        self.patterns.is_some()
    }

    /// The entries, in order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What is to be known of single lines.
    pub fn remarks(&self) -> &[Remark] {
        &self.remarks
    }

    /// The first entry that matches `key`. Case counts in a KeyTable alone.
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.matches(key).next()
    }

    /// Every entry that matches `key`. Case counts in a KeyTable alone.
    pub(super) fn matches<'a>(&'a self, key: &str) -> impl Iterator<Item = &'a Entry> + use<'a> {
        let key = folded(key, self.fold);
        let exact = self.index.get(&key).map(Vec::as_slice).unwrap_or_default();
        let patterns = self.patterns.iter().flatten().zip(&self.entries);
        let patterns = patterns.filter(move |(pattern, _)| pattern.is_match(&key));
        let exact = exact.iter().map(|at| &self.entries[*at]);
        exact.chain(patterns.map(|(_, entry)| entry))
    }
}

const MAX_ENTRIES: usize = 1_000_000;
const MAX_PATTERNS: usize = 100_000;

/// What OpenDKIM passes on to the regular expressions of the system; `.` and `+` it escapes.
const METACHARACTERS: [char; 12] = ['[', ']', '(', ')', '{', '}', '^', '$', '?', '|', '\\', '\0'];

/// A text in which `*` stands for any text; `None` matches nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Option<String>);

impl Pattern {
    pub(super) fn new(key: &str, fold: bool) -> Pattern {
        let legible = !key.contains(METACHARACTERS);
        Pattern(legible.then(|| folded(key, fold)))
    }

    /// Whether it is a pattern at all, and no regular expression.
    pub(super) fn is_legible(&self) -> bool {
        self.0.is_some()
    }

    /// Whether `text`, folded as the pattern is, matches.
    pub(super) fn is_match(&self, text: &str) -> bool {
        let pattern = self.0.as_ref();
        pattern.is_some_and(|pattern| pattern::is_match(pattern, text))
    }
}

fn folded(text: &str, fold: bool) -> String {
    if fold {
        text.to_ascii_lowercase()
    } else {
        text.to_owned()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum SetKind {
    List,
    File,
    Patterns,
}

/// The kind of a set, and what follows the prefix.
fn kind_of(spec: &str) -> Result<(SetKind, &str), Fault> {
    // A colon behind a comma belongs to an entry of a list.
    let first = spec.split(',').next().unwrap_or_default();
    let Some((prefix, _)) = first.split_once(':') else {
        return match spec {
            _ if spec.ends_with(".db") => Err(refused("db")),
            _ if spec.starts_with('/') => Ok((SetKind::File, spec)),
            _ => Ok((SetKind::List, spec)),
        };
    };
    let rest = &spec[prefix.len() + 1..];
    match prefix.to_ascii_lowercase().as_str() {
        "csl" => Ok((SetKind::List, rest)),
        "file" => Ok((SetKind::File, rest)),
        "refile" => Ok((SetKind::Patterns, rest)),
        other => Err(refused(other)),
    }
}

/// Why a kind of set is not read.
fn refused(prefix: &str) -> Fault {
    let hint = match prefix {
        "db" | "bdb" => {
            "write it out with db_dump -p as lines of key and value, and name it with file:"
        }
        "lmdb" | "mdb" => {
            "write it out with mdb_dump -p as lines of key and value, and name it with file:"
        }
        "dsn" => {
            "write the table out with the client of its server as lines of key and value, and name it with file:"
        }
        "ldap" | "ldaps" | "ldapi" => {
            "write it out with ldapsearch as lines of key and value, and name it with file:"
        }
        "lua" => "write what the script answers as lines of key and value, and name it with file:",
        "memcache" | "socket" | "erlang" | "repute" => {
            "ask the service for all that it knows, write it as lines of key and value, and name it with file:"
        }
        _ => {
            let prefix = prefix.to_owned();
            return Fault::UnknownBackend { prefix };
        }
    };
    let prefix = prefix.to_owned();
    Fault::Backend { prefix, hint }
}

/// A path below BaseDirectory, where it is relative and there is one.
pub(super) fn below(base: Option<&str>, path: &str) -> String {
    match base {
        Some(base) if !path.starts_with('/') => format!("{}/{path}", base.trim_end_matches('/')),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::milter::opendkim::option;

    fn open(value: &str, text: &str) -> Result<DataSet, ConfError> {
        let setting = Setting {
            option: option("InternalHosts").unwrap(),
            value: value.to_owned(),
            file: "c".to_owned(),
            line: 7,
        };
        let read = |path: &str| match path {
            "/f" | "/base/f" => Ok(text.as_bytes().to_vec()),
            _ => Err(std::io::ErrorKind::NotFound.into()),
        };
        DataSet::open(&setting, Some("/base/"), &read)
    }

    #[test]
    fn the_kind_is_told_as_opendkim_tells_it() {
        for (value, keys) in [
            ("a, b,,c=d", vec!["a", "b", "c"]),
            ("csl:::1,10.0.0.1", vec!["::1", "10.0.0.1"]),
            ("10.0.0.1,::1", vec!["10.0.0.1", "::1"]),
            ("./f", vec!["./f"]),
            ("/f", vec!["x", "y"]),
            ("FILE:/f", vec!["x", "y"]),
            ("file:f", vec!["x", "y"]),
            ("refile:/f", vec!["x", "y"]),
        ] {
            let set = open(value, "x 1 # c\n\n# c\ny\n").unwrap();
            let got: Vec<&str> = set.entries().iter().map(|e| e.key.as_str()).collect();
            assert_eq!(got, keys, "{value}");
        }
    }

    #[test]
    fn what_is_not_text_is_refused_with_the_way_out() {
        for prefix in [
            "db", "bdb", "lmdb", "mdb", "dsn", "ldap", "ldaps", "ldapi", "lua", "memcache",
            "socket", "erlang",
        ] {
            let error = open(&format!("{prefix}:/x"), "").unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("c:7: {prefix}: data sets are not read: ")),
                "{error}"
            );
            assert!(error.ends_with("name it with file:"), "{error}");
        }
        let fault = |value| open(value, "").unwrap_err().fault;
        assert!(matches!(fault("/etc/hosts.db"), Fault::Backend { .. }));
        assert!(matches!(
            fault("::1,10.0.0.1"),
            Fault::UnknownBackend { .. }
        ));
        assert!(matches!(fault("/none"), Fault::Unreadable { .. }));
    }

    #[test]
    fn lines_that_mislead_are_remarked_upon() {
        let set = open(
            "refile:/f",
            "*@ok.example a\n *@blank.example a\nu?@x.example a\n",
        )
        .unwrap();
        let lines: Vec<usize> = set.remarks().iter().map(|r| r.line).collect();
        assert_eq!(lines, [2, 3]);
        assert!(set.get("u@blank.example").is_none());
        assert!(set.get("u?@x.example").is_none());
    }

    #[test]
    fn the_star_stands_for_any_text() {
        for (pattern, text, matches) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("*", "", true),
            ("a*", "a", true),
            ("*a", "ba", true),
            ("a*a", "a", false),
            ("a*b*a", "aba", true),
            ("a*b*a", "aa", false),
            ("*ab*ab", "ab", false),
            ("*ab*ab", "abxab", true),
            ("*@*.Example.com", "u@a.example.com", true),
            ("*@*.example.com", "u@example.com", false),
            ("a.b", "axb", false),
            ("a+b", "a+b", true),
            ("**", "x", true),
            ("\u{fc}*", "\u{fc}x", true),
        ] {
            assert_eq!(
                Pattern::new(pattern, true).is_match(text),
                matches,
                "{pattern} {text}"
            );
        }
    }

    #[test]
    fn matching_is_linear() {
        let pattern = Pattern::new(&"*a".repeat(500_000), true);
        assert!(!pattern.is_match(&"a".repeat(499_999)));
        assert!(
            !Pattern::new(&("*".to_owned() + &"a*b".repeat(1000)), true)
                .is_match(&"a".repeat(1_000_000))
        );
    }
}
