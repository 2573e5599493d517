//! The options of `opendkim.conf`, and what becomes of each.

mod table;

pub use self::table::OPTIONS;

/// An option of OpenDKIM.
#[derive(Debug, PartialEq, Eq)]
pub struct OpenDkimOption {
    /// Its name.
    pub name: &'static str,
    /// What its value is.
    pub kind: Kind,
    /// What becomes of it.
    pub fate: Fate,
    /// What it becomes, or why it does not.
    pub text: &'static str,
}

/// What the value of an option is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Yes or no, by its first byte.
    Boolean,
    /// A number.
    Integer,
    /// Any text.
    Text,
    /// A list, a file, or a data base.
    DataSet,
    /// What is done with a message.
    Action,
    /// Another file.
    Include,
}

/// What becomes of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is taken over.
    Supported,
    /// It is taken over in another form.
    Renamed,
    /// It is ignored, because it is always so here.
    Always,
    /// It cannot be honoured.
    Cannot,
}

impl Fate {
    /// As the table of the documentation has it.
    pub fn words(self) -> &'static str {
        match self {
            Fate::Supported => "supported",
            Fate::Renamed => "renamed",
            Fate::Always => "ignored: always so",
            Fate::Cannot => "cannot be honoured",
        }
    }
}

/// The option of this name, in whatever case.
///
/// ```
/// use dkimkit::milter::opendkim::{Fate, option};
/// assert_eq!(option("keytable").unwrap().fate, Fate::Supported);
/// ```
pub fn option(name: &str) -> Option<&'static OpenDkimOption> {
    let name = name.to_ascii_lowercase();
    let at = OPTIONS.binary_search_by(|option| option.name.to_ascii_lowercase().cmp(&name));
    at.ok().map(|at| &OPTIONS[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `UPDATE_OPTIONS=1 cargo test` writes the table anew.
    #[test]
    fn the_documentation_has_the_same_table() {
        let mut table = String::from(
            "# The options of OpenDKIM\n\nWhat an import makes of each line of `opendkim.conf`.\n\n\
             | option | fate | what it becomes, or why not |\n| --- | --- | --- |\n",
        );
        for o in OPTIONS {
            table += &format!("| {} | {} | {} |\n", o.name, o.fate.words(), o.text);
        }
        if std::env::var_os("UPDATE_OPTIONS").is_some() {
            let path = concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/src/milter/opendkim/options.md"
            );
            std::fs::write(path, &table).unwrap();
        } else {
            assert_eq!(include_str!("options.md"), table);
        }
    }

    /// What stands in backquotes is a key of `milter.toml`, perhaps with its value, or plainly something else.
    #[test]
    fn every_key_that_a_row_names_is_in_the_configuration() {
        let mut keys = vec![
            "signing.rule".to_owned(),
            "verifying.actions.key-not-found".to_owned(),
        ];
        let mut table = String::new();
        for line in include_str!("../setup/milter.toml").lines() {
            let line = line.trim_start_matches('#');
            if let Some(name) = line.strip_prefix('[') {
                table = name
                    .split(']')
                    .next()
                    .unwrap()
                    .trim_start_matches('[')
                    .to_owned();
                keys.push(table.clone());
            } else if let Some((key, _)) = line.split_once(" = ")
                && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
            {
                let dot = if table.is_empty() { "" } else { "." };
                keys.push(format!("{table}{dot}{key}"));
            }
        }
        for word in ["none", "temperror", "policy", "fail"] {
            keys.push(format!("verifying.actions.{word}"));
        }
        for o in OPTIONS {
            let named = o.text.split('`').skip(1).step_by(2);
            let named: Vec<&str> = named
                .map(|text| text.split(" = ").next().unwrap())
                .collect();
            let is_key = |text: &&&str| keys.iter().any(|key| key == **text);
            let honoured = matches!(o.fate, Fate::Supported | Fate::Renamed);
            if honoured && !["BaseDirectory", "Include"].contains(&o.name) {
                assert!(
                    named.first().is_some_and(|text| is_key(&text)),
                    "{}",
                    o.name
                );
            }
            let other = |text: &&&str| {
                text.contains([':', '='])
                    || ["explain", "canonicalize", "use-vc", "dkim=none"].contains(*text)
            };
            for text in named.iter().filter(|text| !other(text)) {
                assert!(is_key(&text), "{}: {text}", o.name);
            }
        }
    }

    #[test]
    fn every_option_is_found() {
        for o in OPTIONS {
            assert_eq!(option(o.name), Some(o));
            assert_eq!(option(&o.name.to_uppercase()), Some(o));
        }
        assert_eq!(option("Nonsense"), None);
    }
}
