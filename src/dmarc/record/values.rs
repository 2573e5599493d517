//! The values of the tags.

use std::fmt;

use serde::Serialize;

/// What the owner of a domain wants done with a message that fails (p=, sp=, np=).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// Nothing.
    None,
    /// It is suspicious.
    Quarantine,
    /// It is to be refused.
    Reject,
}

impl Policy {
    /// The word of the record.
    pub fn as_str(self) -> &'static str {
        match self {
            Policy::None => "none",
            Policy::Quarantine => "quarantine",
            Policy::Reject => "reject",
        }
    }

    /// One level below, which is what t=y asks for (§4.7).
    ///
    /// ```
    /// use dkimkit::dmarc::record::Policy;
    /// assert_eq!(Policy::Reject.lowered(), Policy::Quarantine);
    /// ```
    pub fn lowered(self) -> Policy {
        match self {
            Policy::Reject => Policy::Quarantine,
            Policy::Quarantine | Policy::None => Policy::None,
        }
    }

    fn read(value: &[u8]) -> Option<Policy> {
        [Policy::None, Policy::Quarantine, Policy::Reject]
            .into_iter()
            .find(|policy| value.eq_ignore_ascii_case(policy.as_str().as_bytes()))
    }
}

/// What became of p=, sp= or np=.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// The tag does not stand there.
    Absent,
    /// It stands there, and its value means nothing.
    Invalid,
    /// It asks for this.
    Asks(Policy),
}

impl Request {
    /// What it asks for, where it does.
    pub fn policy(self) -> Option<Policy> {
        match self {
            Request::Asks(policy) => Some(policy),
            Request::Absent | Request::Invalid => None,
        }
    }
}

/// How close an identifier must be to the author domain (adkim=, aspf=).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// They belong to the same organizational domain (§3.2.10.1).
    #[default]
    Relaxed,
    /// They are the same (§3.2.10.2).
    Strict,
}

impl Mode {
    /// The word in sentences.
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Relaxed => "relaxed",
            Mode::Strict => "strict",
        }
    }
}

/// Whether the domain is a public suffix (psd=).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Psd {
    /// It is one: its subdomains belong to others.
    Yes,
    /// It is none, and the organizational domain of all below it.
    No,
    /// The tree walk finds out.
    #[default]
    Unknown,
}

/// When reports of single failures are asked for (fo=).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailureOptions {
    /// `0`: if no mechanism gives an aligned pass.
    pub all: bool,
    /// `1`: if any mechanism gives none.
    pub any: bool,
    /// `d`: if a signature fails, whatever its alignment.
    pub dkim: bool,
    /// `s`: if SPF fails, whatever its alignment.
    pub spf: bool,
}

impl FailureOptions {
    /// The default, `0`.
    pub const ALL: FailureOptions = FailureOptions {
        all: true,
        any: false,
        dkim: false,
        spf: false,
    };

    /// `0` or `1`, `d` and `s`, each once at most, in any order with colons between (§4.8).
    pub(super) fn read(value: &[u8]) -> Option<FailureOptions> {
        let (mut all, mut any, mut dkim, mut spf) = (false, false, false, false);
        for option in value.split(|byte| *byte == b':') {
            let seen = match option {
                b"0" => &mut all,
                b"1" => &mut any,
                b"d" | b"D" => &mut dkim,
                b"s" | b"S" => &mut spf,
                _ => return None,
            };
            if std::mem::replace(seen, true) {
                return None;
            }
        }
        let options = FailureOptions {
            all,
            any,
            dkim,
            spf,
        };
        (!(all && any)).then_some(options)
    }
}

/// As fo= has it.
impl fmt::Display for FailureOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = [
            ("0", self.all),
            ("1", self.any),
            ("d", self.dkim),
            ("s", self.spf),
        ];
        let set = options.into_iter().filter(|(_, set)| *set);
        let set: Vec<&str> = set.map(|(option, _)| option).collect();
        f.write_str(&set.join(":"))
    }
}

pub(super) fn request(value: &[u8]) -> Request {
    Policy::read(value).map_or(Request::Invalid, Request::Asks)
}

pub(super) fn mode(value: &[u8]) -> Option<Mode> {
    match value {
        b"r" | b"R" => Some(Mode::Relaxed),
        b"s" | b"S" => Some(Mode::Strict),
        _ => None,
    }
}

pub(super) fn psd(value: &[u8]) -> Option<Psd> {
    match value {
        b"y" | b"Y" => Some(Psd::Yes),
        b"n" | b"N" => Some(Psd::No),
        b"u" | b"U" => Some(Psd::Unknown),
        _ => None,
    }
}

pub(super) fn testing(value: &[u8]) -> Option<bool> {
    match value {
        b"y" | b"Y" => Some(true),
        b"n" | b"N" => Some(false),
        _ => None,
    }
}
