//! What is to be imported, and what is to be said of every line.

use super::conf::{Conf, Setting, integer};
use super::dataset::Remark;
use super::hosts::HostSet;
use super::keytable::{KeyParts, KeySource};
use super::options::{Fate, Kind};
use super::rules::{Row, translate};
use super::scope::REGULAR;
use super::settings::{Item, settings};
use super::signing::SigningRules;
use super::{ConfError, Fault, ReadFile};
use crate::name::{Domain, Selector};

/// All that an OpenDKIM configuration comes to. Nothing is written: it is a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The keys that the tables name, those of `%` for every domain that has a file.
    pub keys: Vec<ImportedKey>,
    /// Who signs with which, as OpenDKIM decides it.
    pub rules: SigningRules,
    /// The same as rules of ours, in their order, and the rows that are none.
    pub rows: Vec<Row>,
    /// What else the configuration says, as settings of ours.
    pub settings: Vec<Item>,
    /// Clients whose mail is signed (InternalHosts; where it is not set, 127.0.0.1 and ::1).
    pub internal: HostSet,
    /// Clients that may write our From addresses unsigned (ExternalIgnoreList).
    pub external_ignore: HostSet,
    /// Clients whose mail is passed untouched (PeerList).
    pub peers: HostSet,
    /// What became of every line.
    pub notes: Vec<Note>,
}

/// A key that is to be imported into the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedKey {
    /// The domain.
    pub domain: Domain,
    /// The selector.
    pub selector: Selector,
    /// Where the private key is.
    pub source: KeySource,
    /// Whether a rule signs with it.
    pub signs: bool,
    /// The table that names it, or the configuration.
    pub file: String,
    /// The line, from 1 on.
    pub line: usize,
}

/// What became of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The option to which it belongs.
    pub option: &'static str,
    /// The file.
    pub file: String,
    /// The line, from 1 on.
    pub line: usize,
    /// Whether it is honoured.
    pub what: What,
    /// How, or why not.
    pub text: String,
}

/// Whether a line is honoured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// It is, perhaps in another form.
    Translated,
    /// It has no effect: it is so anyway, or a later line counts.
    Ignored,
    /// It is not.
    Cannot,
}

impl Imported {
    /// Plans the import of `conf`, whose tables `files` reads.
    ///
    /// ```
    /// use dkimkit::milter::opendkim::{Conf, Imported, What};
    /// let read = |_: &str| Ok(b"Domain example.com\nSelector s\nKeyFile /k.pem\nSyslogSuccess yes\n".to_vec());
    /// let imported = Imported::plan(&Conf::read("c", &read)?, &read)?;
    /// assert_eq!(imported.keys.len(), 1);
    /// assert_eq!(imported.notes[3].what, What::Ignored);
    /// # Ok::<(), dkimkit::milter::opendkim::ConfError>(())
    /// ```
    ///
    /// # Errors
    /// [`ConfError`]: what OpenDKIM would not start with either, or data sets that are not text.
    pub fn plan(conf: &Conf, files: &dyn ReadFile) -> Result<Imported, ConfError> {
        check_values(conf)?;
        let hosts = |name| -> Result<Option<HostSet>, ConfError> {
            let set = conf.data_set(name, files)?;
            Ok(set.map(|set| HostSet::of(&set)))
        };
        let rules = SigningRules::read(conf, files)?;
        let translation = translate(&rules, conf.base(), files)?;
        let mut imported = Imported {
            keys: translation.keys,
            rules,
            rows: translation.rows,
            settings: Vec::new(),
            internal: hosts("InternalHosts")?.unwrap_or_else(|| HostSet::new(["127.0.0.1", "::1"])),
            external_ignore: hosts("ExternalIgnoreList")?.unwrap_or_default(),
            peers: hosts("PeerList")?.unwrap_or_default(),
            notes: conf.settings().iter().map(|s| note(conf, s)).collect(),
        };
        imported.note_hosts();
        imported.note_rows();
        let (settings, notes) = settings(conf, &imported, files)?;
        imported.settings = settings;
        notes.into_iter().for_each(|note| imported.amend(note));
        Ok(imported)
    }

    /// Adds what is to be said of a line of the configuration; where nothing came of the line, in the place of
    /// what is said of its option.
    fn amend(&mut self, note: Note) {
        let place = format!("{}:{}: {}", note.file, note.line, note.option);
        let is_there = self.settings.iter().any(|item| item.why.contains(&place));
        let same = |n: &Note| (n.option, &n.file, n.line) == (note.option, &note.file, note.line);
        match self.notes.iter().rposition(same) {
            Some(at)
                if note.what == What::Cannot
                    && (is_there || self.notes[at].what == What::Cannot) =>
            {
                self.notes.insert(at + 1, note);
            }
            Some(at) => self.notes[at] = note,
            None => self.notes.push(note),
        }
    }

    fn note_hosts(&mut self) {
        let mut remarks: Vec<(&'static str, Remark)> = Vec::new();
        let sets = [
            ("InternalHosts", &self.internal),
            ("ExternalIgnoreList", &self.external_ignore),
            ("PeerList", &self.peers),
        ];
        for (name, set) in sets {
            remarks.extend(set.remarks().iter().map(|r| (name, r.clone())));
        }
        let tables = self.rules.remarks().into_iter();
        remarks.extend(tables.map(|r| ("SigningTable", r)));
        for (option, remark) in remarks {
            self.cannot(option, &remark.file, remark.line, remark.text);
        }
    }

    fn cannot(&mut self, option: &'static str, file: &str, line: usize, text: String) {
        let file = file.to_owned();
        let what = What::Cannot;
        self.notes.push(Note {
            option,
            file,
            line,
            what,
            text,
        });
    }

    /// A note for every row that no message can use.
    fn note_rows(&mut self) {
        let rules = self.rules.clone();
        let keys = rules.tables().map(|(keys, _)| keys);
        for (keys, entry) in keys
            .iter()
            .flat_map(|k| k.entries().iter().map(move |e| (k, e)))
        {
            let sample = |domain| if domain == "%" { "example.com" } else { domain };
            let names = KeyParts::read(keys, entry).and_then(|p| p.names(sample(p.domain)));
            if let Err(error) = names {
                let text = error.to_string();
                let place = format!("{}:{}: ", keys.source(), entry.line);
                let text = text.strip_prefix(&place).unwrap_or(&text);
                self.cannot("KeyTable", keys.source(), entry.line, text.to_owned());
            }
        }
        let option = match rules.single() {
            Some(_) => "Domain",
            None => "SigningTable",
        };
        for row in self.rows.clone() {
            if let Row::Left { file, line, why } = row
                // The data set has a remark on it.
                && why != REGULAR
            {
                self.cannot(option, &file, line, why);
            }
        }
    }
}

/// What is to be said of a line of the configuration.
fn note(conf: &Conf, setting: &Setting) -> Note {
    let option = setting.option;
    let last = conf
        .get(option.name)
        .is_some_and(|s| std::ptr::eq(s, setting));
    let (what, text) = if !last && option.kind != Kind::Include {
        (What::Ignored, "a later line sets it again".to_owned())
    } else {
        let off = option.kind == Kind::Boolean && !conf.flag(option.name);
        let what = match option.fate {
            Fate::Supported | Fate::Renamed => What::Translated,
            Fate::Always => What::Ignored,
            // What is not done is not missed.
            Fate::Cannot if off => What::Ignored,
            Fate::Cannot => What::Cannot,
        };
        let action = setting.value.to_ascii_lowercase();
        if option.kind == Kind::Action && !ACTIONS.contains(&action.as_str()) {
            let text = format!(
                "{:?} is no action, which OpenDKIM does not say",
                setting.value
            );
            (What::Cannot, text)
        } else {
            (what, option.text.to_owned())
        }
    };
    Note {
        option: option.name,
        file: setting.file.clone(),
        line: setting.line,
        what,
        text,
    }
}

const ACTIONS: [&str; 10] = [
    "a",
    "accept",
    "d",
    "discard",
    "q",
    "quarantine",
    "r",
    "reject",
    "t",
    "tempfail",
];

/// Values for which OpenDKIM does not start.
fn check_values(conf: &Conf) -> Result<(), ConfError> {
    for setting in conf.settings() {
        let value = setting.value.as_str();
        let words = |text: &str| matches!(text.to_ascii_lowercase().as_str(), "simple" | "relaxed");
        let want = match setting.option.name {
            "Mode" if !value.chars().all(|c| matches!(c, 's' | 'v')) => "s, v or sv",
            "Canonicalization" if !value.splitn(2, '/').all(words) => {
                "simple or relaxed, or two of them around a /"
            }
            "SignatureTTL" | "MaximumHeaders" | "MaximumSignaturesToVerify" | "MinimumKeyBits"
                if integer(value).is_some_and(|n| n < 0) =>
            {
                "a number from 0 on"
            }
            _ => continue,
        };
        let fault = Fault::BadValue {
            name: setting.option.name,
            value: value.to_owned(),
            want,
        };
        return Err(ConfError::new(&setting.file, setting.line, fault));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(files: &[(&str, &str)]) -> Result<Imported, ConfError> {
        let read = |path: &str| {
            let file = files.iter().find(|f| f.0 == path);
            let text = file.ok_or(std::io::ErrorKind::NotFound)?.1;
            Ok(text.as_bytes().to_vec())
        };
        Imported::plan(&Conf::read("c", &read)?, &read)
    }

    #[test]
    fn every_line_has_its_note() {
        let conf = "Syslog yes\nUMask 002\nSyslogSuccess yes\nSendReports yes\nDiagnostics no\nMode v\nMode s\n\
                    KeyTable /k\nSigningTable /s\nInternalHosts 10.1.1.1/8\n";
        let keys = "a example.com:s:/a.pem\nb example.com:s\nc %:t:/keys/%.pem\nd x.%:u:/d.pem\ne example.net:v:MIIE\n";
        let imported = plan(&[
            ("c", conf),
            ("/k", keys),
            ("/s", "example.com a\nexample.net\n"),
        ])
        .unwrap();
        let notes: Vec<_> = imported
            .notes
            .iter()
            .map(|n| (n.option, n.file.as_str(), n.line, n.what))
            .collect();
        assert_eq!(
            notes,
            [
                ("Syslog", "c", 1, What::Translated),
                ("UMask", "c", 2, What::Translated),
                ("SyslogSuccess", "c", 3, What::Ignored),
                ("SendReports", "c", 4, What::Cannot),
                ("Diagnostics", "c", 5, What::Ignored),
                ("Mode", "c", 6, What::Ignored),
                ("Mode", "c", 7, What::Translated),
                ("KeyTable", "c", 8, What::Translated),
                ("SigningTable", "c", 9, What::Translated),
                ("InternalHosts", "c", 10, What::Translated),
                ("InternalHosts", "c", 10, What::Cannot),
                ("KeyTable", "/k", 2, What::Cannot),
                ("KeyTable", "/k", 4, What::Cannot),
                ("SigningTable", "/s", 2, What::Cannot),
            ]
        );
        let sources: Vec<_> = imported
            .keys
            .iter()
            .map(|k| format!("{} {} {:?} {}", k.domain, k.selector, k.source, k.signs))
            .collect();
        assert_eq!(
            sources,
            [
                "example.com s Path(\"/a.pem\") true",
                "example.net v Inline(..) false",
            ]
        );
    }

    #[test]
    fn what_opendkim_does_not_start_with_is_an_error() {
        for (conf, error) in [
            ("Mode x\n", "c:1: Mode is \"x\": write s, v or sv"),
            (
                "Canonicalization foo\n",
                "c:1: Canonicalization is \"foo\": write simple or relaxed, or two of them around a /",
            ),
            (
                "Domain x\n",
                "c:1: Domain needs Selector: set it as well, or remove the line",
            ),
            (
                "\nKeyTable csl:a=b\n",
                "c:2: KeyTable needs SigningTable: set it as well, or remove the line",
            ),
            (
                "SigningTable csl:a=b\n",
                "c:1: SigningTable needs KeyTable: set it as well, or remove the line",
            ),
        ] {
            assert_eq!(plan(&[("c", conf)]).unwrap_err().to_string(), error);
        }
        assert!(plan(&[("c", "Mode v\nDomain x\n")]).is_ok());
    }
}
