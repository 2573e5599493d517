//! The options that are lists of names: header fields and macros.

use std::collections::BTreeMap;

use super::super::ConfError;
use super::super::conf::Setting;
use super::super::import::Imported;
use super::super::toml::{list, quoted};
use super::{Writer, place};
use crate::header::FieldName;
use crate::sign::{NEVER_SIGNED, SignOptions};
use crate::time::UnixTime;

/// What OpenDKIM 2.11 signs where SignHeaders does not say otherwise (RFC 6376 §5.4.1, without what it reads as
/// content).
const SIGNED: [&str; 20] = [
    "From",
    "Reply-To",
    "Subject",
    "Date",
    "To",
    "Cc",
    "Resent-Date",
    "Resent-From",
    "Resent-Sender",
    "Resent-To",
    "Resent-Cc",
    "In-Reply-To",
    "References",
    "List-Id",
    "List-Help",
    "List-Unsubscribe",
    "List-Subscribe",
    "List-Post",
    "List-Owner",
    "List-Archive",
];

/// What it does not sign where OmitHeaders is given as a change of its list.
const OMITTED: [&str; 7] = [
    "Return-Path",
    "Received",
    "Comments",
    "Keywords",
    "Bcc",
    "Resent-Bcc",
    "DKIM-Signature",
];

impl Writer<'_> {
    /// SignHeaders, OmitHeaders and OversignHeaders.
    pub(super) fn fields(&mut self) -> Result<(), ConfError> {
        let (signed, omitted) = (self.get("SignHeaders"), self.get("OmitHeaders"));
        let mut names = self
            .chosen("SignHeaders", &SIGNED)?
            .unwrap_or_else(|| SIGNED.map(str::to_owned).to_vec());
        if let Some(omit) = self.chosen("OmitHeaders", &OMITTED)? {
            names.retain(|name| !has(&omit, name));
            if let Some(setting) = omitted.filter(|_| has(&omit, "From")) {
                self.cannot(
                    setting,
                    "From is signed in any case; OpenDKIM signs nothing without it",
                );
            }
        }
        if !has(&names, "From") {
            names.insert(0, "From".to_owned());
        }
        let oversign = self.chosen("OversignHeaders", &[])?;
        self.never(&mut names, signed);
        let mut extra = oversign.clone().unwrap_or_default();
        self.never(&mut extra, self.get("OversignHeaders"));

        let usual = SignOptions::new(UnixTime(0)).headers;
        let usual: Vec<String> = usual.iter().map(|name| name.as_str().to_owned()).collect();
        let also = names.iter().filter(|name| !has(&usual, name));
        let not = usual
            .iter()
            .filter(|name| !has(&names, name) && !has(&extra, name));
        let mut why: Vec<String> = [signed, omitted].into_iter().flatten().map(place).collect();
        if why.is_empty() {
            why.push("OpenDKIM's default, as SignHeaders is not set".to_owned());
        }
        let (also, not) = (
            list(also.map(String::as_str)),
            list(not.map(String::as_str)),
        );
        self.put("signing", "sign_also", also, why.clone());
        why.push(
            "Without this line they are signed, and nobody can change them on the way".to_owned(),
        );
        self.put("signing", "do_not_sign", not, why);

        let why = match (self.get("OversignHeaders"), &oversign) {
            (Some(setting), Some(_)) => vec![place(setting)],
            _ => vec![
                "OpenDKIM's default, as OversignHeaders is not set".to_owned(),
                "Without this line From, Subject, To and Cc are, so that nobody can add a second one".to_owned(),
            ],
        };
        let extra = list(extra.iter().map(String::as_str));
        self.put("signing", "oversign", extra, why);
        Ok(())
    }

    /// The names of a list, or a change of a default one.
    fn chosen(&mut self, option: &str, default: &[&str]) -> Result<Option<Vec<String>>, ConfError> {
        let (Some(setting), Some(set)) =
            (self.get(option), self.conf.data_set(option, self.files)?)
        else {
            return Ok(None);
        };
        let keys: Vec<&str> = set
            .entries()
            .iter()
            .map(|entry| entry.key.as_str())
            .collect();
        let delta = keys.contains(&"*") && !default.is_empty();
        let mut names: Vec<String> = match delta {
            true => default.iter().map(|name| (*name).to_owned()).collect(),
            false => Vec::new(),
        };
        for key in keys {
            let name = match (delta, key.strip_prefix('+'), key.strip_prefix('-')) {
                (true, Some(name), _) => name,
                (true, None, Some(name)) => {
                    names.retain(|known| !known.eq_ignore_ascii_case(name));
                    continue;
                }
                // It counts for nothing, as OpenDKIM reads a change.
                (true, None, None) => continue,
                (false, ..) => key,
            };
            match FieldName::new(name) {
                Some(_) if has(&names, name) => {}
                Some(_) => names.push(name.to_owned()),
                // That is how no field at all is said.
                None if name == "." => {}
                None => self.cannot(setting, format!("{name:?} is no name of a header field")),
            }
        }
        Ok(Some(names))
    }

    /// Takes out what is never signed.
    fn never(&mut self, names: &mut Vec<String>, setting: Option<&Setting>) {
        let never = |name: &String| {
            NEVER_SIGNED
                .iter()
                .any(|never| never.eq_ignore_ascii_case(name))
        };
        let out: Vec<String> = names.iter().filter(|name| never(name)).cloned().collect();
        names.retain(|name| !never(name));
        if let (Some(setting), false) = (setting, out.is_empty()) {
            let text = format!(
                "never signed, because they change on the way or are not to be told: {}",
                out.join(", ")
            );
            self.cannot(setting, text);
        }
    }

    pub(super) fn author_fields(&mut self, imported: &Imported) {
        let Some(setting) = self.get("SenderHeaders") else {
            return;
        };
        let (good, bad): (Vec<&str>, Vec<&str>) = imported
            .rules
            .sender_fields()
            .iter()
            .map(String::as_str)
            .partition(|name| FieldName::new(name).is_some());
        if !bad.is_empty() {
            self.cannot(
                setting,
                format!("no names of header fields: {}", bad.join(", ")),
            );
        }
        if !good.is_empty() {
            self.from(setting, "signing", "author_fields", list(good));
        }
    }

    /// MacroList and MTA.
    pub(super) fn macros(&mut self) -> Result<(), ConfError> {
        let mut why = Vec::new();
        // Without values any value will do.
        let mut macros: BTreeMap<String, Vec<String>> = BTreeMap::new();
        if let (Some(setting), Some(set)) =
            (self.get("MTA"), self.conf.data_set("MTA", self.files)?)
        {
            why.push(place(setting));
            let names = set.entries().iter().map(|entry| entry.key.clone());
            macros.insert("daemon_name".to_owned(), names.collect());
        }
        if let (Some(setting), Some(set)) = (
            self.get("MacroList"),
            self.conf.data_set("MacroList", self.files)?,
        ) {
            why.push(place(setting));
            for entry in set.entries() {
                if entry.key.starts_with('{') {
                    let text = format!(
                        "OpenDKIM never finds {:?}: write it without braces",
                        entry.key
                    );
                    self.cannot(setting, text);
                    continue;
                }
                let value = entry.value.as_deref().unwrap_or_default();
                let values = value.split('|').filter(|value| !value.is_empty());
                let values: Vec<String> = values.map(str::to_owned).collect();
                let known = macros.entry(entry.key.clone());
                match known {
                    std::collections::btree_map::Entry::Vacant(place) => {
                        place.insert(values);
                    }
                    std::collections::btree_map::Entry::Occupied(mut place) => {
                        match values.is_empty() {
                            true => place.get_mut().clear(),
                            false => place.get_mut().extend(values),
                        }
                    }
                }
            }
        }
        if !macros.is_empty() {
            let each = macros.iter().map(|(name, values)| {
                format!(
                    "{} = {}",
                    quoted(name),
                    list(values.iter().map(String::as_str))
                )
            });
            let value = format!("{{ {} }}", each.collect::<Vec<_>>().join(", "));
            self.put("signing", "macros", value, why);
        }
        Ok(())
    }
}

fn has(names: &[String], name: &str) -> bool {
    names.iter().any(|known| known.eq_ignore_ascii_case(name))
}
