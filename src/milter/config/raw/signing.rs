//! The tables `[signing]` and `[[signing.rule]]`.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;

use serde::Deserialize;

use super::super::rules::is_author;
use super::super::{Action, ConfigError, Rule, Rules, Signing};
use super::{Checked, OneOrMany, action, hosts, one_of, some_span};
use crate::canon::Canonicalization;
use crate::header::FieldName;
use crate::name::{Auid, Domain, Selector};
use crate::sign::{NEVER_SIGNED, SignOptions};
use crate::time::UnixTime;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSigning {
    authenticated: Option<bool>,
    trusted_networks: Option<Vec<String>>,
    #[serde(default)]
    macros: BTreeMap<String, OneOrMany>,
    may_use_our_names: Option<Vec<String>>,
    author_fields: Option<Vec<String>>,
    subdomains: Option<bool>,
    canonicalization: Option<String>,
    expires: Option<String>,
    sign_also: Option<Vec<String>>,
    do_not_sign: Option<Vec<String>>,
    oversign: Option<Vec<String>>,
    on_error: Option<String>,
    on_sender_mismatch: Option<String>,
    rules: Option<String>,
    #[serde(default)]
    rule: Vec<RawRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    from: String,
    domain: Option<String>,
    selector: Option<String>,
    identity: Option<String>,
    key: Option<String>,
}

fn names(key: &str, list: Option<Vec<String>>) -> Checked<Option<Vec<FieldName>>> {
    let name = |text: &String| {
        let name = FieldName::new(text);
        name.ok_or_else(|| ConfigError::value(key, format!("{text:?} is not the name of a field")))
    };
    list.map(|list| list.iter().map(name).collect()).transpose()
}

impl RawSigning {
    pub(super) fn checked(self, base: &Path) -> Checked<Signing> {
        let options = self.options()?;
        let expires = match self.expires.as_deref() {
            None => None,
            Some(text) => Some(
                some_span("signing.expires", Some(text), 0)?
                    .as_secs()
                    .max(1),
            ),
        };
        let author_fields = self
            .author_fields
            .unwrap_or_else(|| vec!["From".to_owned()]);
        if author_fields.is_empty() {
            return Err(ConfigError::value(
                "signing.author_fields",
                "name one field at least",
            ));
        }
        names("signing.author_fields", Some(author_fields.clone()))?;
        let all = match self.rules.as_deref() {
            None | Some("first") => false,
            Some("all") => true,
            Some(other) => return Err(one_of("signing.rules", other, "\"first\" or \"all\"")),
        };
        let rules = self.rule.into_iter().enumerate();
        let rules = rules.map(|(at, rule)| rule.checked(at + 1, base));
        let macros = self.macros.into_iter().map(|(name, values)| {
            let bare = name.trim_matches(['{', '}']).to_owned();
            let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '{' | '}' | ',');
            if bare.is_empty() || !bare.chars().all(plain) {
                let why = format!("{name:?} is not the name of a macro");
                return Err(ConfigError::value("signing.macros", why));
            }
            Ok((bare, values.into_vec()))
        });
        Ok(Signing {
            authenticated: self.authenticated.unwrap_or(true),
            trusted_networks: hosts(
                "signing.trusted_networks",
                self.trusted_networks,
                &["127.0.0.1", "::1"],
            )?,
            macros: macros.collect::<Checked<_>>()?,
            may_use_our_names: hosts("signing.may_use_our_names", self.may_use_our_names, &[])?,
            author_fields,
            subdomains: self.subdomains.unwrap_or(true),
            options,
            expires,
            on_error: action(
                "signing.on_error",
                self.on_error.as_deref(),
                Action::TempFail,
            )?,
            on_sender_mismatch: action(
                "signing.on_sender_mismatch",
                self.on_sender_mismatch.as_deref(),
                Action::Accept,
            )?,
            rules: Rules::new(rules.collect::<Checked<_>>()?, all),
        })
    }

    /// Which fields are signed, and how.
    fn options(&self) -> Checked<SignOptions> {
        let mut options = SignOptions::new(UnixTime(0));
        if let Some(text) = &self.canonicalization {
            options.canonicalization = Canonicalization::from_tag(text).ok_or_else(|| {
                let why = "write simple or relaxed, or two of them around a /";
                ConfigError::value("signing.canonicalization", why)
            })?;
        }
        let also = names("signing.sign_also", self.sign_also.clone())?.unwrap_or_default();
        let not = names("signing.do_not_sign", self.do_not_sign.clone())?.unwrap_or_default();
        let oversign = names("signing.oversign", self.oversign.clone())?;
        let never = |name: &&FieldName| NEVER_SIGNED.iter().any(|never| *name == *never);
        let lists = [
            ("signing.sign_also", Some(&also)),
            ("signing.oversign", oversign.as_ref()),
        ];
        for (key, list) in lists {
            if let Some(name) = list.into_iter().flatten().find(never) {
                let why = format!("{name} is never signed: it changes on the way");
                return Err(ConfigError::value(key, why));
            }
        }
        if not.iter().any(|name| name == "From") {
            let why = "From is always signed (RFC 6376, section 5.4)";
            return Err(ConfigError::value("signing.do_not_sign", why));
        }
        if let Some(oversign) = oversign {
            options.oversign = oversign;
            // As with `dkimkit sign --oversign`: who names the fields names all of them.
            options.oversign_present.clear();
        }
        options.headers.extend(also);
        for list in [
            &mut options.headers,
            &mut options.oversign,
            &mut options.oversign_present,
        ] {
            list.retain(|name| !not.contains(name));
        }
        Ok(options)
    }
}

impl RawRule {
    fn checked(self, number: usize, base: &Path) -> Checked<Rule> {
        let key = |name: &str| format!("signing.rule {number}: {name}");
        if !is_author(&self.from) {
            let why = "not an address, a domain, or a pattern with *";
            return Err(ConfigError::value(key("from"), why));
        }
        let bad = |name: &str, error: &dyn Display| ConfigError::value(key(name), error);
        let domain = self.domain.filter(|domain| domain != "%");
        let domain = domain.map(|text| Domain::new(&text).map_err(|e| bad("domain", &e)));
        let domain = domain.transpose()?;
        let selector = self.selector.as_deref().map(Selector::new).transpose();
        let selector = selector.map_err(|e| bad("selector", &e))?;
        if self.key.is_some() && selector.is_none() {
            return Err(bad("key", &"a key file needs a selector beside it"));
        }
        let relative = self
            .key
            .as_deref()
            .is_some_and(|path| !path.starts_with('/'));
        if relative && base.to_string_lossy().contains('%') {
            let why = "below a directory with a % in its name it must be a whole path";
            return Err(bad("key", &why));
        }
        if let Some(identity) = &self.identity {
            let sample = domain.as_ref().map_or("example.com", Domain::as_ascii);
            let auid = Auid::new(identity.replace('%', sample).as_bytes());
            let auid = auid.map_err(|e| bad("identity", &e))?;
            if let Some(domain) = &domain
                && !identity.contains('%')
                && auid.domain != *domain
                && !auid.domain.is_below(domain)
            {
                let why = format!("it is neither in {domain} nor below it");
                return Err(bad("identity", &why));
            }
        }
        Ok(Rule {
            from: self.from,
            domain,
            selector,
            identity: self.identity,
            key: self.key.map(|path| base.join(path).display().to_string()),
        })
    }
}
