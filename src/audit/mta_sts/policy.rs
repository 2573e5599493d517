//! The record and the policy of MTA-STS as text (RFC 8461 §3.1, §3.2).

use crate::dns::lookup::DnsName;

/// Blanks, as ABNF has them (RFC 5234, appendix B.1).
const WSP: [char; 2] = [' ', '\t'];

/// RFC 8461 §3.1: the record.
pub(super) fn read_record(text: &str) -> Result<(), String> {
    let rest = behind_version(text)?;
    let mut id = None;
    let mut fields: Vec<&str> = rest.split(';').collect();
    if fields
        .last()
        .is_some_and(|last| last.trim_matches(WSP).is_empty())
    {
        fields.pop();
    }
    for field in fields {
        let (name, value) = field.split_once('=').ok_or("a field has no `=`")?;
        let (name, value) = (name.trim_matches(WSP), value.trim_matches(WSP));
        let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if !(1..=32).contains(&name.len()) || !name.chars().all(named) {
            return Err(format!("`{name}` is no name of a field"));
        }
        if value.is_empty() || !value.chars().all(|c| c.is_ascii_graphic()) {
            return Err(format!("{name} has no value that can be used"));
        }
        if name == "id" && id.replace(value).is_some() {
            return Err("id stands twice".to_owned());
        }
    }
    let id = id.ok_or("it has no id")?;
    match id.len() <= 32 && id.chars().all(|c| c.is_ascii_alphanumeric()) {
        true => Ok(()),
        false => Err("id has 1 to 32 letters and digits".to_owned()),
    }
}

/// Whether senders take a text for a record, right or wrong: others are discarded (RFC 8461 §3.1).
pub(super) fn counts(text: &str) -> bool {
    behind_version(text).is_ok()
}

fn behind_version(text: &str) -> Result<&str, &'static str> {
    let rest = text
        .strip_prefix("v=STSv1")
        .ok_or("it must begin with `v=STSv1;`")?;
    let rest = rest.trim_start_matches(WSP).strip_prefix(';');
    rest.ok_or("a semicolon must stand behind v=STSv1")
}

/// A policy (RFC 8461 §3.2).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Policy {
    pub(super) mode: Mode,
    pub(super) max_age: u64,
    patterns: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::audit) enum Mode {
    Enforce,
    Testing,
    None,
}

impl Mode {
    const ALL: [Mode; 3] = [Mode::Enforce, Mode::Testing, Mode::None];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Mode::Enforce => "enforce",
            Mode::Testing => "testing",
            Mode::None => "none",
        }
    }

    fn read(word: &str) -> Option<Mode> {
        Mode::ALL.into_iter().find(|mode| mode.as_str() == word)
    }
}

/// The mode of a policy that may be unreadable otherwise.
pub(super) fn mode_of(text: &str) -> Option<Mode> {
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    let mut modes = fields.filter(|(key, _)| *key == "mode");
    Mode::read(modes.next()?.1.trim_matches(WSP))
}

/// So many patterns of a policy are read.
const MAX_PATTERNS: usize = 1000;
/// A year (RFC 8461 §3.2).
const MAX_AGE: u64 = 31_557_600;

impl Policy {
    pub(super) fn read(text: &str) -> Result<Policy, String> {
        let (mut version, mut mode, mut max_age) = (None, None, None);
        let mut patterns = Vec::new();
        for line in text.split('\n') {
            let line = line.strip_suffix('\r').unwrap_or(line);
            if line.trim_matches(WSP).is_empty() {
                continue;
            }
            let short: String = line.chars().take(60).collect();
            let (key, value) = line
                .split_once(':')
                .ok_or(format!("`{short}` is no field"))?;
            let value = value.trim_matches(WSP);
            match key {
                // Of fields that stand twice the first counts.
                "version" => _ = version.get_or_insert(value),
                "mode" => _ = mode.get_or_insert(value),
                "max_age" => _ = max_age.get_or_insert(value),
                "mx" if patterns.len() < MAX_PATTERNS => patterns.push(pattern(value)?),
                // Others are for later versions, where they look like a field at all.
                key => {
                    let named = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
                    if key.is_empty() || !key.chars().all(named) {
                        return Err(format!("`{short}` is no field"));
                    }
                }
            }
        }
        match version {
            None => return Err("it has no version".to_owned()),
            Some("STSv1") => {}
            Some(_) => return Err("the version is not STSv1".to_owned()),
        }
        let mode = Mode::read(mode.ok_or("it has no mode")?)
            .ok_or("the mode is none of enforce, testing and none")?;
        let max_age = max_age.ok_or("it has no max_age")?;
        let seconds = max_age
            .bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| max_age.parse().ok());
        let max_age = seconds.flatten().filter(|age| *age <= MAX_AGE);
        let max_age = max_age.ok_or("max_age is no number of seconds up to 31557600")?;
        if patterns.is_empty() && mode != Mode::None {
            return Err("it has no mx".to_owned());
        }
        Ok(Policy {
            mode,
            max_age,
            patterns,
        })
    }

    /// RFC 8461 §4.1: a wildcard stands for exactly one label, the first.
    pub(super) fn covers(&self, host: &DnsName) -> bool {
        let host = host.to_string();
        self.patterns
            .iter()
            .any(|pattern| match pattern.strip_prefix("*.") {
                None => *pattern == host,
                Some(rest) => host
                    .split_once('.')
                    .is_some_and(|(_, parent)| parent == rest),
            })
    }
}

fn pattern(value: &str) -> Result<String, String> {
    let name = value.strip_prefix("*.").unwrap_or(value);
    let sound = |label: &str| {
        !label.is_empty()
            && label.len() < 64
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    match name.split('.').all(sound) && name.len() < 254 {
        true => Ok(value.to_ascii_lowercase()),
        false => Err(format!(
            "`{}` is no name of a host",
            value.chars().take(60).collect::<String>()
        )),
    }
}
