//! Arguments that several commands share, from text to what they mean.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};
use dkimkit::canon::Canonicalization;
use dkimkit::dns::system::read_server;
use dkimkit::header::FieldName;
use dkimkit::keystore::KeyStore;
use dkimkit::name::{Domain, Selector};
use dkimkit::time::UnixTime;

/// When to color.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum ColorChoice {
    /// On a terminal, unless NO_COLOR is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What a bare LF means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(super) enum LineEnds {
    /// A bare LF is hashed as CRLF
    #[default]
    Crlf,
    /// Every byte is hashed as it came
    AsIs,
}

/// How the bytes of a message are read.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct ReadArgs {
    /// What a bare LF means: crlf hashes it as CRLF, as-is hashes the bytes untouched
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    pub(super) line_ends: LineEnds,
}

/// The clock.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct ClockArgs {
    /// The time to take for now: Unix seconds or RFC 3339
    #[arg(long, value_name = "TIME", value_parser = time)]
    now: Option<UnixTime>,
}

impl ClockArgs {
    /// Whether a time is given.
    pub(super) fn is_set(&self) -> bool {
        self.now.is_some()
    }

    /// The time given, or that of the system.
    pub(super) fn now(&self) -> UnixTime {
        self.now.unwrap_or_else(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH);
            UnixTime(since.map_or(0, |d| d.as_secs()))
        })
    }
}

/// The key store, with its default.
#[derive(Debug, Clone, Args)]
pub(super) struct StoreArgs {
    /// The key store
    #[arg(
        long,
        value_name = "DIR",
        env = "DKIMKIT_KEYS",
        default_value = "keys",
        hide_env_values = true
    )]
    keys: PathBuf,
}

impl StoreArgs {
    pub(super) fn store(&self) -> KeyStore {
        KeyStore::new(&self.keys)
    }
}

/// Domain and selector of one key.
#[derive(Debug, Clone, Args)]
pub(super) struct KeyArgs {
    /// The signing domain (d=)
    #[arg(short, long, value_parser = domain)]
    pub(super) domain: Domain,
    /// The selector (s=)
    #[arg(short, long, value_parser = selector)]
    pub(super) selector: Selector,
}

pub(super) fn time(text: &str) -> Result<UnixTime, String> {
    UnixTime::read(text).ok_or_else(|| "neither Unix seconds nor RFC 3339".to_owned())
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let number = text.parse().map(Duration::from_secs);
    number
        .or_else(|_| humantime::parse_duration(text))
        .map_err(|_| "not a span of time such as 5s, 30m or 14d".to_owned())
}

/// A domain as people write it, who may end it with a dot as zone files do. Within a message that is no domain.
pub(super) fn domain(text: &str) -> Result<Domain, String> {
    Domain::new(text.strip_suffix('.').unwrap_or(text)).map_err(|e| e.to_string())
}

pub(super) fn selector(text: &str) -> Result<Selector, String> {
    Selector::new(text).map_err(|e| e.to_string())
}

pub(super) fn canonicalization(text: &str) -> Result<Canonicalization, String> {
    Canonicalization::from_tag(text)
        .ok_or_else(|| "not simple or relaxed, or two of them with a slash between".to_owned())
}

/// Field names with colons or commas between them.
pub(super) fn field_names(text: &str) -> Result<Vec<FieldName>, String> {
    let name = |word: &str| {
        FieldName::new(word.trim()).ok_or_else(|| format!("\"{word}\" is not a field name"))
    };
    text.split([':', ',']).map(name).collect()
}

/// `ADDR` or `ADDR:PORT`.
pub(super) fn nameserver(text: &str) -> Result<SocketAddr, String> {
    read_server(text).ok_or_else(|| "not an IP address, with or without a port".to_owned())
}
