//! The service that signs what is ours and verifies all else.
//!
//! Everything that a message needs is taken when it begins, from the [`Live`] of that moment: a reload
//! changes nothing under a message, with one exception. Who signs is decided again at the end if a reload
//! came in between, so that a key that was retired meanwhile does not sign.

mod signing;
mod verifying;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;

use self::signing::Signing;
use self::verifying::Verifying;
use super::config::{Action, Config, LogLevel, Rule};
use super::decide::{Decision, Origin, Why, Writers, by_rule, client, decide, login, origin};
use super::journal::{Entry, Journal, Severity};
use super::keyring::Keyring;
use super::lookups::Lookups;
use super::metrics::Metrics;
use super::service::{End, Notice, Overflow, Service};
use super::session::{Answer, Context, Options, Outcome};
use super::wire::{
    Actions, MacroStage, Modification, ReplyText, Steps, Strings, is_field_name, put_field_bytes,
};
use crate::authres::{self, AuthservId, is_forged, value_hides_forged};
use crate::dns::system::{Resolver, ResolverError, system_servers};
use crate::message::{Header, HeaderLimits, SplitError};
use crate::name::Domain;
use crate::sign::SigningIdentity;
use crate::time::UnixTime;
use crate::verify::Appetite;

/// Configuration, keys and caches of a moment.
#[derive(Debug)]
pub struct Live {
    config: Config,
    keyring: Keyring,
    /// Our name, then the others whose fields are removed.
    ids: Vec<AuthservId>,
    servers: Vec<SocketAddr>,
    lookups: Arc<Lookups>,
}

impl Live {
    /// The configuration.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The keys.
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    fn new(
        config: Config,
        keyring: Keyring,
        host: &str,
        before: Option<&Live>,
        metrics: &Arc<Metrics>,
    ) -> Result<Live, FilterError> {
        let verifying = &config.verifying;
        let id = match &verifying.authserv_id {
            Some(id) => id.clone(),
            None => AuthservId::new(host).ok_or_else(|| FilterError::HostName {
                host: host.to_owned(),
            })?,
        };
        let ids = std::iter::once(id).chain(verifying.remove_ids.iter().cloned());
        let servers = match verifying.nameservers.is_empty() {
            true => system_servers()?,
            false => verifying.nameservers.clone(),
        };
        let same = before.filter(|live| {
            let old = &live.config.verifying;
            old.policy == verifying.policy
                && old.dns_timeout == verifying.dns_timeout
                && live.servers == servers
        });
        let lookups = match same {
            // What is known stays known.
            Some(live) => live.lookups.clone(),
            None => {
                let timeout = verifying.dns_timeout;
                let resolver = Resolver::with_nameservers(servers.clone(), timeout)?;
                Arc::new(Lookups::new(resolver, verifying.policy, metrics.clone()))
            }
        };
        Ok(Live {
            ids: ids.collect(),
            config,
            keyring,
            servers,
            lookups,
        })
    }
}

/// Why a configuration cannot be put to use.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// The resolver cannot be set up.
    #[error("verifying.nameservers: {0}")]
    Resolver(#[from] ResolverError),
    /// The name of the host cannot stand in Authentication-Results.
    #[error(
        "the name of this host, {host:?}, cannot stand in Authentication-Results: set verifying.authserv_id"
    )]
    HostName {
        /// Its name.
        host: String,
    },
}

/// Who signs by a rule for an author of this domain.
///
/// # Errors
/// In words that name the way out: the rule names a key that is not there, cannot be read, or is not active.
pub fn rule_identities(
    keyring: &Keyring,
    rule: &Rule,
    author: &Domain,
) -> Result<Vec<SigningIdentity>, String> {
    let domain = rule.domain.as_ref().unwrap_or(author);
    by_rule(keyring, rule, domain, &mut Why::default())
}

/// Signs and verifies.
pub struct Filter {
    live: ArcSwap<Live>,
    host: String,
    metrics: Arc<Metrics>,
    journal: Arc<dyn Journal>,
    clock: fn() -> UnixTime,
}

impl Filter {
    /// A filter of this configuration with these keys. `host` is the name of this machine, and `clock` tells
    /// the time for t= and x=.
    ///
    /// # Errors
    /// [`FilterError`]: the resolver or our own name cannot be used.
    pub fn new(
        config: Config,
        keyring: Keyring,
        host: &str,
        journal: Arc<dyn Journal>,
        clock: fn() -> UnixTime,
    ) -> Result<Filter, FilterError> {
        let metrics = Arc::new(Metrics::default());
        let live = Live::new(config, keyring, host, None, &metrics)?;
        metrics.loaded(&live.keyring, clock());
        Ok(Filter {
            live: ArcSwap::from_pointee(live),
            host: host.to_owned(),
            metrics,
            journal,
            clock,
        })
    }

    /// What counts now.
    pub fn live(&self) -> Arc<Live> {
        self.live.load_full()
    }

    /// The metrics.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Puts other keys in place, with the configuration that is there.
    pub fn replace_keys(&self, keyring: Keyring) {
        let before = self.live();
        self.metrics.loaded(&keyring, (self.clock)());
        self.live.store(Arc::new(Live {
            config: before.config.clone(),
            ids: before.ids.clone(),
            servers: before.servers.clone(),
            lookups: before.lookups.clone(),
            keyring,
        }));
    }

    /// Puts another configuration and other keys in place for all messages that end from now on.
    ///
    /// # Errors
    /// [`FilterError`]; then what was there stays.
    pub fn replace(&self, config: Config, keyring: Keyring) -> Result<(), FilterError> {
        let before = self.live();
        let live = Live::new(config, keyring, &self.host, Some(&before), &self.metrics);
        self.metrics.reloaded(live.is_ok());
        let live = live?;
        self.metrics.loaded(&live.keyring, (self.clock)());
        self.live.store(Arc::new(live));
        Ok(())
    }

    /// Counts a reload that was refused before it came to [`replace`](Filter::replace).
    pub fn refused(&self) {
        self.metrics.reloaded(false);
    }

    fn tell(&self, entry: &Entry) {
        self.journal.write(entry);
    }

    /// The end of a message: its line, its numbers, and the answer.
    fn close(&self, context: &Context, mail: &Mail, ending: Ending) -> Answer {
        let took = mail.began.elapsed();
        let event = ending.event;
        self.metrics.answered(
            event,
            &ending.result,
            ending.action.as_str(),
            took,
            mail.octets,
        );
        let level = mail.live.config.log;
        let grave = ending.severity <= Severity::Warning;
        if level != LogLevel::Trouble || grave {
            let mut entry = mail.entry(context, event, ending.severity);
            for (name, value) in ending.values {
                entry = entry.with(name, value);
            }
            if ending.action != Action::Accept {
                entry = entry.with("action", ending.action.as_str());
            }
            if mail.removed > 0 {
                entry = entry.with("forged_results_removed", mail.removed);
            }
            entry = entry
                .with("size", mail.octets)
                .with("ms", format_args!("{:.1}", took.as_secs_f64() * 1e3));
            if level == LogLevel::Why {
                entry = entry.with("why", mail.why.rules().join("; "));
            } else if event != "signed" && event != "verified" {
                entry = entry.with_some("detail", mail.why.rules().last());
            }
            self.tell(&entry);
        }
        let mut modifications = ending.modifications;
        let outcome = match ending.action {
            Action::Accept => Outcome::Accept,
            Action::Quarantine => {
                let reason = format!("DKIM: {}", ending.result).into_bytes();
                modifications.push(Modification::Quarantine { reason });
                Outcome::Accept
            }
            Action::TempFail => refusal(451, ending.code, &ending.result),
            Action::Reject => refusal(550, ending.code, &ending.result),
        };
        Answer {
            modifications,
            outcome,
        }
    }
}

/// A refusal, with an enhanced code (RFC 3463).
fn refusal(code: u16, (subject, detail): (u16, u16), result: &str) -> Outcome {
    let text = format!("DKIM: {result}");
    match (ReplyText::new(code, subject, detail, &text), code) {
        (Ok(text), _) => Outcome::Refuse(text),
        (Err(_), 400..500) => Outcome::TempFail,
        (Err(_), _) => Outcome::Reject,
    }
}

/// How a message ended.
struct Ending {
    event: &'static str,
    /// One word for the numbers.
    result: String,
    severity: Severity,
    values: Vec<(&'static str, String)>,
    action: Action,
    /// What an enhanced code says of it, where it is refused.
    code: (u16, u16),
    modifications: Vec<Modification>,
}

/// RFC 7372 §3.1: no passing signature.
const NO_PASSING_SIGNATURE: (u16, u16) = (7, 20);

/// A message between its calls.
pub struct Mail {
    live: Arc<Live>,
    began: Instant,
    origin: Origin,
    login: Option<String>,
    why: Why,
    /// The header as the message has it, as far as it came.
    header: Vec<u8>,
    fields: usize,
    fault: Option<SplitError>,
    octets: u64,
    work: Work,
    writers: Option<Writers>,
    /// How many fields of each name came, in small letters, and deletions of those that claim to be our results,
    /// from the bottom up.
    numbers: HashMap<Vec<u8>, u32>,
    deletions: Vec<Modification>,
    removed: usize,
}

/// What is being done with a message.
enum Work {
    /// Its header is not complete.
    Header,
    /// It is ours, and is not signed.
    Unsigned(&'static str, Action),
    Sign(Box<Signing>),
    Verify(Box<Verifying>),
    /// It cannot be read.
    Unreadable(SplitError),
}

impl Mail {
    fn entry(&self, context: &Context, event: &str, severity: Severity) -> Entry {
        let id = context.queue_id().map(String::from_utf8_lossy);
        let (ip, host) = client(context);
        let author = self.writers.as_ref().and_then(Writers::author);
        Entry::new(severity, event)
            .with_some("queue_id", id)
            .with_some("from", author.map(|a| a.text()))
            .with_some("client", ip)
            .with_some("client_name", Some(host).filter(|host| !host.is_empty()))
            .with_some("login", self.login.as_ref())
    }

    fn limits(&self) -> HeaderLimits {
        self.live.config.verifying.policy.limits.header
    }

    /// The header is complete: what is done with the message follows from it.
    fn begin(&mut self, now: UnixTime) {
        let header = match self.fault.take() {
            Some(fault) => Err(fault),
            None => Header::parse(&self.header, self.limits()),
        };
        self.header = Vec::new();
        let header = match header {
            Ok(header) => header,
            Err(fault) => {
                self.why
                    .note(|| format!("the header cannot be read: {fault}"));
                self.work = match self.origin.is_ours() {
                    true => Work::Unsigned("header-unreadable", Action::Accept),
                    false => Work::Unreadable(fault),
                };
                return;
            }
        };
        let writers = Writers::of(&header, &self.live.config);
        self.work = if self.origin.is_ours() {
            self.begin_ours(header, &writers, now)
        } else {
            Work::Verify(Box::new(Verifying::new(header, &self.live, now)))
        };
        self.writers = Some(writers);
    }

    fn decide(&mut self, live: &Live, writers: &Writers) -> Decision {
        let login = self.login.as_deref();
        decide(&live.config, &live.keyring, login, writers, &mut self.why)
    }

    fn begin_ours(&mut self, header: Header, writers: &Writers, now: UnixTime) -> Work {
        let live = self.live.clone();
        let signing = &live.config.signing;
        match self.decide(&live, writers) {
            Decision::Sign(identities) => match Signing::new(header, identities, &live, now) {
                Ok(signing) => Work::Sign(Box::new(signing)),
                Err(error) => {
                    self.why.note(|| error.to_string());
                    Work::Unsigned("cannot-be-signed", Action::Accept)
                }
            },
            Decision::Unsigned(reason) => Work::Unsigned(reason, Action::Accept),
            Decision::Mismatch => Work::Unsigned("sender-mismatch", signing.on_sender_mismatch),
            Decision::Trouble(trouble) => {
                self.why.note(|| trouble);
                Work::Unsigned("key-unusable", signing.on_error)
            }
        }
    }

    /// Looks at a field by itself, whatever becomes of the rest of the header: one of Authentication-Results
    /// that claims to be ours is deleted, and so is one of any name in which some readers see such a field.
    /// What passes through a trusted network may bear our earlier result.
    fn look_for_forged(&mut self, name: &[u8], value: &[u8]) {
        if self.origin == Origin::Trusted {
            return;
        }
        let bare = name.trim_ascii_end();
        let number = self.numbers.entry(bare.to_ascii_lowercase()).or_insert(0);
        *number += 1;
        let number = *number;
        if self.claims_to_be_ours(name, value) {
            let deletion = Modification::delete_header(bare, number);
            // The last one first: deleting one does not change the numbers of those before it.
            self.deletions.insert(0, deletion);
            self.removed += 1;
        }
    }

    fn claims_to_be_ours(&self, name: &[u8], value: &[u8]) -> bool {
        let ids = &self.live.ids;
        let bare = name.trim_ascii_end();
        if ids.iter().any(|id| value_hides_forged(id, value)) {
            // Nothing can be said to an MTA about what has no name.
            return is_field_name(bare);
        }
        if !bare.eq_ignore_ascii_case(authres::FIELD_NAME.as_bytes()) {
            return false;
        }
        let mut bytes = Vec::new();
        let read = put_field_bytes(&mut bytes, name, value).ok();
        let header = read.and_then(|()| Header::parse(&bytes, self.limits()).ok());
        // What nobody can read is not ours to vouch for.
        header.is_none_or(|header| {
            let field = header.field(0);
            header.len() > 1 || ids.iter().any(|id| is_forged(id, field))
        })
    }
}

impl Service for Filter {
    type Message = Mail;

    fn options(&self) -> Options {
        let live = self.live();
        let config = &live.config;
        let actions = config.verifying.actions.values();
        let mut all = actions.chain([&config.signing.on_error, &config.signing.on_sender_mismatch]);
        let quarantine = match all.any(|action| *action == Action::Quarantine) {
            true => Actions::QUARANTINE,
            false => Actions::NONE,
        };
        let ours = config
            .signing
            .macros
            .iter()
            .map(|(name, _)| match name.len() {
                1 => format!(" {name}"),
                _ => format!(" {{{name}}}"),
            });
        let listed: String = ours.collect();
        Options {
            actions: Actions::ADD_HEADERS | Actions::CHANGE_HEADERS | quarantine,
            // What is decided without an answer is said where one is due. DATA has one: without it, Postfix
            // waits for 40 ms over TCP, since another program of it takes over the connection there, and what the
            // first one wrote last is acknowledged late if no answer carries the acknowledgement.
            steps: Steps::NO_HELO | Steps::NO_RCPT | Steps::NO_REPLY_CONNECT | Steps::NO_REPLY_MAIL,
            macros: vec![
                (
                    MacroStage::Connect,
                    format!("j {{daemon_name}} {{client_resolve}}{listed}"),
                ),
                (
                    MacroStage::Mail,
                    format!("i {{auth_authen}} {{auth_type}}{listed}"),
                ),
                (MacroStage::EndOfMessage, "i".to_owned()),
            ],
        }
    }

    fn mail(&self, context: &Context, _: Strings<'_>) -> ControlFlow<Outcome, Mail> {
        let live = self.live();
        let config = &live.config;
        let mut why = Why::new(config.log != LogLevel::Trouble);
        let origin = origin(config, context, &mut why);
        let untouched = match origin {
            Origin::Peer => Some("peer"),
            Origin::Login | Origin::Trusted if !config.sign => Some("signing-off"),
            Origin::Foreign if !config.verify => Some("verifying-off"),
            Origin::Login | Origin::Trusted | Origin::Foreign => None,
        };
        let mail = Mail {
            began: Instant::now(),
            origin,
            login: login(context),
            why,
            header: Vec::new(),
            fields: 0,
            fault: None,
            octets: 0,
            work: Work::Header,
            writers: None,
            numbers: HashMap::new(),
            deletions: Vec::new(),
            removed: 0,
            live,
        };
        match untouched {
            None => ControlFlow::Continue(mail),
            Some(reason) => {
                let answer = self.close(
                    context,
                    &mail,
                    Ending {
                        event: "untouched",
                        result: reason.to_owned(),
                        severity: Severity::Info,
                        values: vec![("reason", reason.to_owned())],
                        action: Action::Accept,
                        code: NO_PASSING_SIGNATURE,
                        modifications: Vec::new(),
                    },
                );
                ControlFlow::Break(answer.outcome)
            }
        }
    }

    fn header(
        &self,
        _: &Context,
        mail: &mut Mail,
        name: &[u8],
        value: &[u8],
    ) -> ControlFlow<Outcome> {
        let limits = mail.limits();
        mail.octets += (name.len() + value.len() + 3) as u64;
        mail.look_for_forged(name, value);
        if mail.fault.is_some() {
            return ControlFlow::Continue(());
        }
        mail.fields += 1;
        if mail.fields > limits.fields {
            mail.fault = Some(SplitError::TooManyFields {
                limit: limits.fields,
            });
        } else if mail.header.len() + name.len() + value.len() > limits.bytes {
            mail.fault = Some(SplitError::HeaderTooLarge {
                limit: limits.bytes,
            });
        } else if put_field_bytes(&mut mail.header, name, value).is_err() {
            mail.fault = Some(SplitError::NotAField { line: mail.fields });
        }
        if mail.fault.is_some() {
            mail.header = Vec::new();
        }
        ControlFlow::Continue(())
    }

    fn end_of_header(&self, _: &Context, mail: &mut Mail) -> ControlFlow<Outcome> {
        mail.begin((self.clock)());
        ControlFlow::Continue(())
    }

    fn body(&self, _: &Context, mail: &mut Mail, bytes: &[u8]) -> ControlFlow<Outcome, Appetite> {
        mail.octets += bytes.len() as u64;
        // No MTA leaves out the end of a header, and nothing that is hashed may depend on that.
        if matches!(mail.work, Work::Header) {
            mail.begin((self.clock)());
        }
        ControlFlow::Continue(match &mut mail.work {
            Work::Sign(signing) => signing.write(bytes),
            Work::Verify(verifying) => verifying.write(bytes),
            Work::Header | Work::Unsigned(..) | Work::Unreadable(_) => Appetite::Done,
        })
    }

    async fn end_of_message(&self, context: &Context, mut mail: Mail) -> Answer {
        // A message without a header has no end of one.
        if matches!(mail.work, Work::Header) {
            mail.begin((self.clock)());
        }
        let work = std::mem::replace(&mut mail.work, Work::Header);
        let ending = match work {
            Work::Header => unreachable!("the header has ended"),
            Work::Unsigned(reason, action) => mail.end_unsigned(reason, action),
            Work::Sign(signing) => self.end_signing(&mut mail, *signing),
            Work::Verify(verifying) => self.end_verifying(context, &mut mail, *verifying).await,
            Work::Unreadable(fault) => mail.end_unreadable(fault),
        };
        self.close(context, &mail, ending)
    }

    fn opened(&self) {
        self.metrics.opened();
    }

    fn closed(&self) {
        self.metrics.closed();
    }

    /// A header that is not told to its end may hide what should be removed from it.
    fn overflow(&self, _: &Context, _: &mut Mail, what: Overflow) -> ControlFlow<Outcome> {
        match what {
            Overflow::Recipients { .. } => ControlFlow::Continue(()),
            Overflow::HeaderOctets { .. } | Overflow::HeaderFields { .. } => {
                let text = ReplyText::new(552, 3, 4, "DKIM: the header is too large");
                ControlFlow::Break(text.map_or(Outcome::Reject, Outcome::Refuse))
            }
        }
    }

    fn ended(&self, context: &Context, mail: Mail, end: End) {
        let (severity, text) = match end {
            End::Aborted => (Severity::Info, "the MTA gave it up"),
            End::Replaced => (Severity::Info, "another message came in its place"),
            End::Decided => (Severity::Info, "it was decided before its end"),
            End::Lost => (Severity::Warning, "the connection to the MTA ended"),
            End::Panicked => (Severity::Error, "the milter failed, and it is deferred"),
            End::Closing => (
                Severity::Warning,
                "the milter ended, and the MTA tries again",
            ),
        };
        self.metrics
            .answered("given-up", text, "none", mail.began.elapsed(), mail.octets);
        if mail.live.config.log != LogLevel::Trouble || severity <= Severity::Warning {
            let entry = mail.entry(context, "given-up", severity);
            self.tell(&entry.with("reason", text).with("size", mail.octets));
        }
    }

    fn notice(&self, context: Option<&Context>, notice: &Notice) {
        let id = context.and_then(Context::queue_id);
        let entry = Entry::new(Severity::Warning, "trouble")
            .with_some("queue_id", id.map(String::from_utf8_lossy))
            .with("detail", notice);
        self.tell(&entry);
    }
}
