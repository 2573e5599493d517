//! What the options of `opendkim.conf` come to in our configuration, but for the tables.

mod fields;
mod verifying;

use super::conf::{Conf, Setting, integer};
use super::hosts::HostSet;
use super::import::{Imported, Note, What};
use super::rules::Row;
use super::toml::{list, quoted};
use super::{ConfError, ReadFile};

/// A setting of our configuration, and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The table; empty for the keys before the first one.
    pub table: &'static str,
    /// The key.
    pub key: &'static str,
    /// The value, as TOML has it.
    pub value: String,
    /// From which line it comes, or why it stands there.
    pub why: Vec<String>,
}

/// The settings, and notes on lines that are not taken over as their option is.
///
/// # Errors
/// [`ConfError`] where a data set cannot be read.
pub(super) fn settings(
    conf: &Conf,
    imported: &Imported,
    files: &dyn ReadFile,
) -> Result<(Vec<Item>, Vec<Note>), ConfError> {
    let mode = conf.get("Mode").map_or("sv", |s| s.value.as_str());
    let mut writer = Writer {
        conf,
        files,
        items: Vec::new(),
        notes: Vec::new(),
    };
    let has_rules = imported.rows.iter().any(|row| matches!(row, Row::Rule(_)));
    let (sign, verify) = (mode.contains('s') && has_rules, mode.contains('v'));
    writer.service(sign, verify, imported);
    match sign {
        true => writer.signing(imported)?,
        false => writer.unused(
            &SIGNING,
            "nothing is signed: there is no rule, or Mode is v",
        ),
    }
    match verify {
        true => writer.verifying()?,
        false => writer.unused(&VERIFYING, "nothing is verified: Mode is s"),
    }
    Ok((writer.items, writer.notes))
}

/// The options that are for signing alone.
const SIGNING: [&str; 18] = [
    "Canonicalization",
    "Domain",
    "ExternalIgnoreList",
    "InternalHosts",
    "KeyFile",
    "KeyTable",
    "MacroList",
    "MTA",
    "MultipleSignatures",
    "OmitHeaders",
    "On-SignatureError",
    "OversignHeaders",
    "Selector",
    "SenderHeaders",
    "SignatureTTL",
    "SignHeaders",
    "SigningTable",
    "SubDomains",
];

/// The options that are for verifying alone.
const VERIFYING: [&str; 13] = [
    "AuthservID",
    "ClockDrift",
    "DNSTimeout",
    "MaximumSignaturesToVerify",
    "MinimumKeyBits",
    "Nameservers",
    "On-BadSignature",
    "On-DNSError",
    "On-KeyNotFound",
    "On-NoSignature",
    "On-Security",
    "Quarantine",
    "RemoveARFrom",
];

struct Writer<'a> {
    conf: &'a Conf,
    files: &'a dyn ReadFile,
    items: Vec<Item>,
    notes: Vec<Note>,
}

impl<'a> Writer<'a> {
    fn put(&mut self, table: &'static str, key: &'static str, value: String, why: Vec<String>) {
        self.items.push(Item {
            table,
            key,
            value,
            why,
        });
    }

    /// A setting that comes from one line.
    fn from(&mut self, setting: &Setting, table: &'static str, key: &'static str, value: String) {
        self.put(table, key, value, vec![place(setting)]);
    }

    fn note(&mut self, setting: &Setting, what: What, text: impl Into<String>) {
        self.notes.push(Note {
            option: setting.option.name,
            file: setting.file.clone(),
            line: setting.line,
            what,
            text: text.into(),
        });
    }

    fn cannot(&mut self, setting: &Setting, text: impl Into<String>) {
        self.note(setting, What::Cannot, text);
    }

    fn get(&self, name: &str) -> Option<&'a Setting> {
        self.conf.get(name)
    }

    fn is_on(&self, name: &str) -> Option<&'a Setting> {
        self.get(name).filter(|_| self.conf.flag(name))
    }

    fn unused(&mut self, names: &[&str], why: &str) {
        let conf = self.conf;
        for setting in names.iter().filter_map(|name| conf.get(name)) {
            self.note(setting, What::Ignored, why);
        }
    }

    /// What is for the whole service.
    fn service(&mut self, sign: bool, verify: bool, imported: &Imported) {
        let listen = self
            .get("Socket")
            .and_then(|setting| Some((setting, socket(&setting.value)?)));
        match (listen, self.get("Socket")) {
            (Some((setting, listen)), _) => {
                self.from(setting, "", "listen", list([listen.as_str()]))
            }
            (None, setting) => {
                if let Some(setting) = setting {
                    self.cannot(setting, "this is no socket with a whole path or a port");
                }
                let why = "There is no Socket that can be used: write the one that the MTA knows"
                    .to_owned();
                self.put(
                    "",
                    "listen",
                    list(["unix:/run/dkimkit/milter.sock"]),
                    vec![why],
                );
            }
        }
        if let Some(setting) = self.get("UMask") {
            let mode = 0o666 & !integer(&setting.value).unwrap_or(0);
            self.from(setting, "", "socket_mode", quoted(&format!("{mode:04o}")));
        }
        if let Some(setting) = self.get("UserID") {
            let (user, group) = setting
                .value
                .split_once(':')
                .unwrap_or((&setting.value, ""));
            self.from(setting, "", "user", quoted(user));
            if !group.is_empty() {
                self.from(setting, "", "group", quoted(group));
            }
        }
        let modes = [("sign", sign), ("verify", verify)];
        let value = list(modes.into_iter().filter(|m| m.1).map(|m| m.0));
        let mut why = vec![match self.get("Mode") {
            Some(setting) => place(setting),
            None => "OpenDKIM signs and verifies, where Mode is not set".to_owned(),
        }];
        if !sign && self.get("Mode").is_none_or(|s| s.value.contains('s')) {
            why.push("Nothing is signed: no rule came of the tables. Without rules every key of the store would sign".to_owned());
        }
        self.put("", "mode", value, why);
        if let Some(setting) = self.is_on("LogWhy") {
            self.from(setting, "", "log", quoted("why"));
        }
        self.log();
        if let Some(setting) = self.get("PeerList") {
            self.hosts(setting, &imported.peers, "", "peers");
        }
    }

    fn log(&mut self) {
        let Some(syslog) = self.is_on("Syslog") else {
            let why = "Syslog is not on: the log goes to journald or standard error";
            return self.unused(&["Syslog", "SyslogFacility", "SyslogName"], why);
        };
        self.from(syslog, "", "log_to", quoted("syslog"));
        for (name, key) in [
            ("SyslogFacility", "syslog_facility"),
            ("SyslogName", "syslog_name"),
        ] {
            if let Some(setting) = self.get(name) {
                self.from(setting, "", key, quoted(&setting.value));
            }
        }
    }

    /// A list of hosts; what OpenDKIM never finds in it is left out.
    fn hosts(
        &mut self,
        setting: &Setting,
        hosts: &HostSet,
        table: &'static str,
        key: &'static str,
    ) {
        let (said, unsaid) = hosts.listed();
        let mut why = vec![place(setting)];
        why.extend(unsaid.iter().map(|host| format!("Left out: {host}")));
        if hosts.has_patterns() && !unsaid.is_empty() {
            let text = format!(
                "no pattern stands for hosts: write networks for {}",
                unsaid.join(", ")
            );
            self.cannot(setting, text);
        }
        self.put(table, key, list(said.iter().map(String::as_str)), why);
    }

    /// What is for signing.
    fn signing(&mut self, imported: &Imported) -> Result<(), ConfError> {
        let table = "signing";
        match self.get("InternalHosts") {
            Some(setting) => self.hosts(setting, &imported.internal, table, "trusted_networks"),
            None => {
                let hosts = list(["127.0.0.1", "::1"]);
                let why = "OpenDKIM's default, as InternalHosts is not set".to_owned();
                self.put(table, "trusted_networks", hosts, vec![why]);
            }
        }
        self.macros()?;
        if let Some(setting) = self.get("ExternalIgnoreList") {
            self.hosts(
                setting,
                &imported.external_ignore,
                table,
                "may_use_our_names",
            );
        }
        self.author_fields(imported);
        let why = "The rules below say what is signed for whom".to_owned();
        self.put(table, "subdomains", "false".to_owned(), vec![why]);
        match self.get("Canonicalization") {
            Some(setting) => {
                let value = setting.value.to_ascii_lowercase();
                let body = if value.contains('/') { "" } else { "/simple" };
                self.from(
                    setting,
                    table,
                    "canonicalization",
                    quoted(&format!("{value}{body}")),
                );
            }
            None => {
                let why = "OpenDKIM's default; \"relaxed/relaxed\" survives more of what happens to mail on its way";
                self.put(
                    table,
                    "canonicalization",
                    quoted("simple/simple"),
                    vec![why.to_owned()],
                );
            }
        }
        if let Some(setting) = self
            .get("SignatureTTL")
            .filter(|s| integer(&s.value) != Some(0))
        {
            self.seconds(setting, table, "expires");
        }
        self.fields()?;
        if let Some(setting) = self.get("On-SignatureError") {
            self.action(setting, table, "on_error");
        }
        match (self.get("KeyTable"), self.is_on("MultipleSignatures")) {
            (Some(_), Some(setting)) => {
                let why = "OpenDKIM 2.11 signs by the first and the last rule alone where more than two match";
                self.put(
                    table,
                    "rules",
                    quoted("all"),
                    vec![place(setting), why.to_owned()],
                );
            }
            (Some(_), None) => {
                let names = ["Domain", "KeyFile", "Selector", "SubDomains"];
                self.unused(&names, "the KeyTable takes its place");
            }
            (None, _) => self.unused(&["MultipleSignatures"], "there is one key"),
        }
        Ok(())
    }

    fn seconds(&mut self, setting: &Setting, table: &'static str, key: &'static str) {
        // More than a century is none, for us.
        let seconds = integer(&setting.value).filter(|s| (0..=100 * 365 * 86_400).contains(s));
        match seconds {
            Some(seconds) => self.from(setting, table, key, quoted(&format!("{seconds}s"))),
            None => self.cannot(
                setting,
                format!("this is no span of time: `{table}.{key}` stays as it is by default"),
            ),
        }
    }

    fn action(&mut self, setting: &Setting, table: &'static str, key: &'static str) {
        let action = match setting.value.to_ascii_lowercase().as_str() {
            "a" | "accept" => "accept",
            "t" | "tempfail" => "tempfail",
            "r" | "reject" => "reject",
            "q" | "quarantine" => "quarantine",
            "d" | "discard" => {
                let text = format!("mail is not dropped in silence: `{table}.{key}` is \"reject\"");
                self.cannot(setting, text);
                "reject"
            }
            // The note of the line says so already.
            _ => return,
        };
        self.from(setting, table, key, quoted(action));
    }
}

/// A line, as it is named in the configuration.
fn place(setting: &Setting) -> String {
    format!("{}:{}: {}", setting.file, setting.line, setting.option.name)
}

/// The listener.
fn socket(text: &str) -> Option<String> {
    let Some((family, rest)) = text.split_once(':') else {
        return text.starts_with('/').then(|| format!("unix:{text}"));
    };
    match family.to_ascii_lowercase().as_str() {
        "local" | "unix" => rest.starts_with('/').then(|| format!("unix:{rest}")),
        family @ ("inet" | "inet6") => {
            let (port, host) = rest.split_once('@').unwrap_or((rest, ""));
            let host = match (family, host) {
                ("inet", "") => "*",
                ("inet", "localhost") => "127.0.0.1",
                (_, "") => "[::]",
                (_, "localhost") => "[::1]",
                // An address of IPv4 stands in brackets there.
                _ => match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
                    Some(inner) if !inner.contains(':') => inner,
                    _ => host,
                },
            };
            let port = port.trim();
            let legal = port.parse::<u16>().is_ok_and(|port| port != 0);
            legal.then(|| format!("inet:{port}@{host}"))
        }
        _ => None,
    }
}
