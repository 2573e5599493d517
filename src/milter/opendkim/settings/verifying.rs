//! The options that are for verifying.

use super::super::ConfError;
use super::super::conf::integer;
use super::super::dataset::DataSet;
use super::super::import::What;
use super::super::options::Kind;
use super::super::toml::{list, quoted};
use super::Writer;
use crate::authres::AuthservId;

impl Writer<'_> {
    /// What is for verifying.
    pub(super) fn verifying(&mut self) -> Result<(), ConfError> {
        let table = "verifying";
        if let Some(setting) = self.get("AuthservID") {
            match setting.value.as_str() {
                "HOSTNAME" => self.note(
                    setting,
                    What::Translated,
                    "the name of the host, as by default",
                ),
                id if AuthservId::new(id).is_some() => {
                    self.from(setting, table, "authserv_id", quoted(id));
                }
                _ => self.cannot(setting, "this is no name such as mx.example.org"),
            }
        }
        self.remove_ids()?;
        if let Some(setting) = self.get("MaximumSignaturesToVerify") {
            match integer(&setting.value) {
                Some(0) | None => self.cannot(
                    setting,
                    "a bound has to be: `verifying.signatures` stays as it is by default",
                ),
                Some(most) => self.from(setting, table, "signatures", most.to_string()),
            }
        }
        if let Some(setting) = self.get("MinimumKeyBits") {
            match integer(&setting.value) {
                Some(bits @ 1024..=8192) => {
                    self.from(setting, table, "minimum_key_bits", bits.to_string())
                }
                _ => self.cannot(
                    setting,
                    "a bound from 1024 bits (RFC 8301) to 8192 can be set",
                ),
            }
        }
        if let Some(setting) = self.get("ClockDrift") {
            self.seconds(setting, table, "clock_skew");
        }
        if let Some(setting) = self.get("DNSTimeout") {
            match integer(&setting.value) {
                Some(0) => self.cannot(
                    setting,
                    "an end has to be: `verifying.dns_timeout` stays as it is by default",
                ),
                _ => self.seconds(setting, table, "dns_timeout"),
            }
        }
        self.nameservers();
        self.actions();
        Ok(())
    }

    fn nameservers(&mut self) {
        let Some(setting) = self.get("Nameservers") else {
            return;
        };
        let mut servers = Vec::new();
        for word in setting
            .value
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty())
        {
            match word.parse::<std::net::IpAddr>() {
                Ok(ip) => servers.push(std::net::SocketAddr::new(ip, 53).to_string()),
                Err(_) => self.cannot(setting, format!("{word:?} is no IP address")),
            }
        }
        if servers.len() > 3 {
            let text = format!(
                "three resolvers are asked at most, and not {}",
                servers[3..].join(", ")
            );
            self.cannot(setting, text);
            servers.truncate(3);
        }
        if !servers.is_empty() {
            let value = list(servers.iter().map(String::as_str));
            self.from(setting, "verifying", "nameservers", value);
        }
    }

    fn actions(&mut self) {
        let rows = [
            ("none", "On-NoSignature", None),
            ("temperror", "On-DNSError", Some("tempfail")),
            ("fail", "On-BadSignature", None),
            ("\"key-not-found\"", "On-KeyNotFound", None),
            ("policy", "On-Security", None),
        ];
        let table = "verifying.actions";
        for (key, name, default) in rows {
            // What is dangerous to us is more than what is so to OpenDKIM, so that its own option has to say so.
            let blanket = self.get("On-Default").filter(|_| name != "On-Security");
            let quarantine = self.is_on("Quarantine").filter(|_| key == "fail");
            if let Some(setting) = self.get(name).or(quarantine).or(blanket) {
                match setting.option.kind {
                    Kind::Action => self.action(setting, table, key),
                    _ => self.from(setting, table, key, quoted("quarantine")),
                }
            } else if let Some(action) = default {
                let why = format!("OpenDKIM's default, as {name} is not set");
                self.put(table, key, quoted(action), vec![why]);
            }
        }
    }

    fn remove_ids(&mut self) -> Result<(), ConfError> {
        let (Some(setting), Some(set)) = (
            self.get("RemoveARFrom"),
            self.conf.data_set("RemoveARFrom", self.files)?,
        ) else {
            return Ok(());
        };
        let keys = |set: &DataSet| {
            set.entries()
                .iter()
                .map(|entry| entry.key.clone())
                .collect::<Vec<_>>()
        };
        let (wide, ids): (Vec<String>, Vec<String>) = keys(&set)
            .into_iter()
            .partition(|id| id.starts_with('.') || AuthservId::new(id).is_none());
        if !wide.is_empty() {
            let text = format!("authserv-ids are named one by one: {}", wide.join(", "));
            self.cannot(setting, text);
        }
        if ids.is_empty() {
            self.note(setting, What::Ignored, "no id is left");
        } else {
            self.from(
                setting,
                "verifying",
                "remove_ids",
                list(ids.iter().map(String::as_str)),
            );
        }
        Ok(())
    }
}
