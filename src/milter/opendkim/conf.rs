//! `opendkim.conf`: an option and its value a line.

use super::dataset::DataSet;
use super::options::{Kind, OpenDkimOption, option};
use super::{ConfError, Fault, ReadFile, lines_of};

/// A configuration, with every line that sets something, in the order of reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conf {
    file: String,
    settings: Vec<Setting>,
}

/// A line that sets an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// What is set.
    pub option: &'static OpenDkimOption,
    /// To what: never empty.
    pub value: String,
    /// In which file.
    pub file: String,
    /// In which line of it, from 1 on.
    pub line: usize,
}

impl Conf {
    /// Reads the file at `path`, and those that it includes.
    ///
    /// ```
    /// use dkimkit::milter::opendkim::Conf;
    /// let read = |_: &str| Ok(b"# ours\nsubdomains TRUE  # below as well\nMode\tsv\n".to_vec());
    /// let conf = Conf::read("opendkim.conf", &read)?;
    /// assert!(conf.flag("SubDomains"));
    /// assert_eq!(conf.get("Mode").unwrap().line, 3);
    /// # Ok::<(), dkimkit::milter::opendkim::ConfError>(())
    /// ```
    ///
    /// # Errors
    /// [`ConfError`] with the line: an unknown option, a value that is missing or not of its kind, a file that
    /// cannot be read.
    pub fn read(path: &str, files: &dyn ReadFile) -> Result<Conf, ConfError> {
        let mut conf = Conf {
            file: path.to_owned(),
            settings: Vec::new(),
        };
        conf.read_level(path, files, (path, 0), 0)?;
        Ok(conf)
    }

    fn read_level(
        &mut self,
        path: &str,
        files: &dyn ReadFile,
        whence: (&str, usize),
        level: usize,
    ) -> Result<(), ConfError> {
        if level > MAX_LEVELS {
            let max = MAX_LEVELS;
            return Err(ConfError::new(
                whence.0,
                whence.1,
                Fault::IncludeTooDeep { max },
            ));
        }
        for (index, line) in lines_of(path, files, whence)?.iter().enumerate() {
            let at = |fault| ConfError::new(path, index + 1, fault);
            let Some((option, value)) = split(line).map_err(at)? else {
                continue;
            };
            if self.settings.len() == MAX_SETTINGS {
                return Err(at(Fault::TooManyEntries { max: MAX_SETTINGS }));
            }
            self.settings.push(Setting {
                option,
                value: value.to_owned(),
                file: path.to_owned(),
                line: index + 1,
            });
            if option.kind == Kind::Include {
                self.read_level(value, files, (path, index + 1), level + 1)?;
            }
        }
        Ok(())
    }

    /// The file that was read first.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Every line that sets something, in the order of reading.
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }

    /// The setting that counts: the last one of the option `name`, in whatever case.
    pub fn get(&self, name: &str) -> Option<&Setting> {
        let named = |s: &&Setting| s.option.name.eq_ignore_ascii_case(name);
        self.settings.iter().rev().find(named)
    }

    /// The data set that the option `name` names, if it is set; relative paths lie below BaseDirectory.
    ///
    /// # Errors
    /// Those of [`DataSet::open`].
    pub fn data_set(&self, name: &str, files: &dyn ReadFile) -> Result<Option<DataSet>, ConfError> {
        let open = |setting| DataSet::open(setting, self.base(), files);
        self.get(name).map(open).transpose()
    }

    /// BaseDirectory.
    pub(super) fn base(&self) -> Option<&str> {
        self.get("BaseDirectory").map(|s| s.value.as_str())
    }

    /// Whether the Boolean option `name` is set to yes.
    pub fn flag(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|s| truth(&s.value) == Some(true))
    }
}

/// OpenDKIM allows five files below the first.
const MAX_LEVELS: usize = 5;
const MAX_SETTINGS: usize = 10_000;

/// The option and the value of a line; `None` for an empty one.
fn split(line: &str) -> Result<Option<(&'static OpenDkimOption, &str)>, Fault> {
    let line = line.split(['#', '\r']).next().unwrap_or_default();
    let line = line.trim_matches(BLANKS);
    if line.is_empty() {
        return Ok(None);
    }
    let (name, value) = line.split_once(BLANKS).unwrap_or((line, ""));
    let value = value.trim_matches(BLANKS);
    let Some(option) = option(name) else {
        let name = name.to_owned();
        return Err(Fault::UnknownOption { name });
    };
    check(option, value)?;
    Ok(Some((option, value)))
}

const BLANKS: [char; 2] = [' ', '\t'];

fn check(option: &'static OpenDkimOption, value: &str) -> Result<(), Fault> {
    let name = option.name;
    let owned = || value.to_owned();
    match option.kind {
        _ if value.is_empty() => Err(Fault::NoValue { name }),
        Kind::Boolean if truth(value).is_none() => Err(Fault::NotBoolean {
            name,
            value: owned(),
        }),
        Kind::Integer if integer(value).is_none() => Err(Fault::NotInteger {
            name,
            value: owned(),
        }),
        _ => Ok(()),
    }
}

/// Only the first byte counts.
fn truth(value: &str) -> Option<bool> {
    match value.as_bytes().first()? {
        b't' | b'T' | b'y' | b'Y' | b'1' => Some(true),
        b'f' | b'F' | b'n' | b'N' | b'0' => Some(false),
        _ => None,
    }
}

/// As C reads it: hexadecimal behind 0x, octal behind 0.
pub(super) fn integer(value: &str) -> Option<i64> {
    let (sign, digits) = match value.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, value.strip_prefix('+').unwrap_or(value)),
    };
    let (digits, radix) = match digits.strip_prefix("0x").or(digits.strip_prefix("0X")) {
        Some(hex) => (hex, 16),
        None if digits.len() > 1 && digits.starts_with('0') => (&digits[1..], 8),
        None => (digits, 10),
    };
    // Another sign would be read as one.
    if !digits.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return None;
    }
    i64::from_str_radix(digits, radix).ok()?.checked_mul(sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)]) -> Result<Conf, ConfError> {
        let get = |path: &str| {
            let file = files.iter().find(|f| f.0 == path);
            let text = file.ok_or(std::io::ErrorKind::NotFound)?.1;
            Ok(text.as_bytes().to_vec())
        };
        Conf::read(files[0].0, &get)
    }

    /// What `opendkim -n -x FILE` says to each of these.
    #[test]
    fn lines_are_read_as_opendkim_reads_them() {
        for (text, error) in [
            ("subdomains TRUE\nmode v", None),
            (" \tMode  v  # comment\n\n#Mode\n", None),
            ("Mode v\r\n", None),
            ("ClockDrift 0x10\nUMask 007\n", None),
            (
                "Nonsense 1\n",
                Some(
                    "c:1: OpenDKIM has no option \"Nonsense\": correct its spelling, or remove the line",
                ),
            ),
            (
                "Mode=v\n",
                Some(
                    "c:1: OpenDKIM has no option \"Mode=v\": correct its spelling, or remove the line",
                ),
            ),
            (
                "\nMode\n",
                Some("c:2: Mode has no value: give one, or remove the line"),
            ),
            (
                "Mode # v\n",
                Some("c:1: Mode has no value: give one, or remove the line"),
            ),
            (
                "SubDomains maybe\n",
                Some("c:1: SubDomains is \"maybe\": write yes or no"),
            ),
            (
                "ClockDrift 12x\n",
                Some("c:1: ClockDrift is \"12x\": write a whole number"),
            ),
        ] {
            let got = read(&[("c", text)]).err().map(|e| e.to_string());
            assert_eq!(got.as_deref(), error, "{text:?}");
        }
    }

    #[test]
    fn numbers_are_those_of_c() {
        for (text, number) in [
            ("0", Some(0)),
            ("017", Some(15)),
            ("0x1F", Some(31)),
            ("-5", Some(-5)),
            ("08", None),
            ("--5", None),
            ("0x", None),
            ("+-5", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(integer(text), number, "{text}");
        }
    }

    #[test]
    fn the_last_line_counts_wherever_it_is_included() {
        let files = [
            ("c", "Mode s\nInclude d\nSyslog yes\n"),
            ("d", "# here\nMode v\nSyslog no\n"),
        ];
        let conf = read(&files).unwrap();
        let mode = conf.get("MODE").unwrap();
        assert_eq!(
            (mode.value.as_str(), mode.file.as_str(), mode.line),
            ("v", "d", 2)
        );
        assert!(conf.flag("Syslog"));
    }

    #[test]
    fn includes_end() {
        let error = read(&[("c", "Include c\n")]).unwrap_err();
        assert_eq!(error.fault, Fault::IncludeTooDeep { max: 5 });
        let error = read(&[("c", "\nInclude none\n")]).unwrap_err();
        assert!(
            error.to_string().starts_with("c:2: cannot read none: "),
            "{error}"
        );
        // The number of lines is bounded, not the depth alone.
        let next = |name: &str| format!("Include {name}\n").repeat(50);
        let texts: Vec<String> = ["d", "e", "f", "g", "h"].into_iter().map(next).collect();
        let mut files: Vec<(&str, &str)> = ["c", "d", "e", "f", "g"]
            .into_iter()
            .zip(texts.iter().map(String::as_str))
            .collect();
        files.push(("h", ""));
        let error = read(&files).unwrap_err();
        assert_eq!(error.fault, Fault::TooManyEntries { max: MAX_SETTINGS });
    }
}
