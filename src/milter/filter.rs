//! The service that signs what is ours and verifies all else.
//!
//! Everything that a message needs is taken when it begins, from the [`Live`] of that moment: a reload
//! changes nothing under a message, with one exception. Who signs is decided again at the end if a reload
//! came in between, so that a key that was retired meanwhile does not sign.

mod live;
mod mail;
mod signing;
mod verifying;

use std::ops::ControlFlow;
use std::sync::Arc;

use arc_swap::ArcSwap;

pub use self::live::{FilterError, Live};
pub use self::mail::Mail;
use self::mail::{Ending, NO_PASSING_SIGNATURE, Work};
use super::config::{Action, Config, LogLevel, Rule};
use super::decide::{Origin, Why, by_rule, origin};
use super::journal::{Entry, Journal, Severity};
use super::keyring::Keyring;
use super::metrics::Metrics;
use super::service::{End, Notice, Overflow, Service};
use super::session::{Answer, Context, Options, Outcome};
use super::wire::{Actions, MacroStage, Modification, ReplyText, Steps, Strings, put_field_bytes};
use crate::message::SplitError;
use crate::name::Domain;
use crate::sign::SigningIdentity;
use crate::time::UnixTime;
use crate::verify::Appetite;

/// RFC 3463 §3.4.
const MESSAGE_TOO_BIG: (u16, u16) = (3, 4);

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
        let mail = Mail::new(live.clone(), context, origin, why);
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
    fn overflow(&self, context: &Context, mail: &mut Mail, what: Overflow) -> ControlFlow<Outcome> {
        match what {
            Overflow::Recipients { .. } => return ControlFlow::Continue(()),
            Overflow::HeaderOctets { limit } | Overflow::HeaderFields { limit } => {
                mail.why
                    .note(|| format!("the header is too large: the limit is {limit}"));
            }
        }
        let ending = Ending {
            event: "refused",
            result: "header-too-large".to_owned(),
            severity: Severity::Warning,
            values: vec![("reason", "header-too-large".to_owned())],
            action: Action::Reject,
            code: MESSAGE_TOO_BIG,
            modifications: Vec::new(),
        };
        mail.told = true;
        ControlFlow::Break(self.close(context, mail, ending).outcome)
    }

    fn ended(&self, context: &Context, mail: Mail, end: End) {
        // What we have refused has its line.
        if mail.told {
            return;
        }
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
