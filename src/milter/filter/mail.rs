//! A message between the calls about it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use super::super::config::Action;
use super::super::decide::{Decision, Origin, Why, Writers, client, decide, login};
use super::super::journal::{Entry, Severity};
use super::super::session::Context;
use super::super::wire::{Modification, is_field_name, put_field_bytes};
use super::Live;
use super::signing::Signing;
use super::verifying::Verifying;
use crate::authres::{self, AuthservId, is_forged, value_hides_forged};
use crate::message::{Header, HeaderLimits, SplitError};
use crate::time::UnixTime;

/// How a message ended.
pub(super) struct Ending {
    pub(super) event: &'static str,
    /// One word for the numbers.
    pub(super) result: String,
    pub(super) severity: Severity,
    pub(super) values: Vec<(&'static str, String)>,
    pub(super) action: Action,
    /// What an enhanced code says of it, where it is refused.
    pub(super) code: (u16, u16),
    pub(super) modifications: Vec<Modification>,
}

/// RFC 7372 §3.1: no passing signature.
pub(super) const NO_PASSING_SIGNATURE: (u16, u16) = (7, 20);

/// A message between its calls.
pub struct Mail {
    pub(super) live: Arc<Live>,
    /// Our name in results, where the MTA gave it.
    id: Option<AuthservId>,
    pub(super) began: Instant,
    pub(super) origin: Origin,
    pub(super) login: Option<String>,
    pub(super) why: Why,
    /// The header as the message has it, as far as it came.
    pub(super) header: Vec<u8>,
    pub(super) fields: usize,
    pub(super) fault: Option<SplitError>,
    pub(super) octets: u64,
    pub(super) work: Work,
    pub(super) writers: Option<Writers>,
    /// How many fields of each name came, in small letters, and deletions of those that claim to be our results,
    /// from the bottom up.
    pub(super) numbers: HashMap<Vec<u8>, u32>,
    pub(super) deletions: Vec<Modification>,
    pub(super) removed: usize,
    /// Whether its line is in the log.
    pub(super) told: bool,
}

/// What is being done with a message.
pub(super) enum Work {
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
    /// A message of which nothing has come yet.
    pub(super) fn new(live: Arc<Live>, context: &Context, origin: Origin, why: Why) -> Mail {
        // Without a name of our own we go by that of the MTA.
        let id = match live.config.verifying.authserv_id {
            Some(_) => None,
            None => context.macro_value("j"),
        };
        let id = id.and_then(|name| AuthservId::new(std::str::from_utf8(name).ok()?));
        Mail {
            id,
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
            told: false,
            live,
        }
    }

    /// Our name in results.
    pub(super) fn id(&self) -> &AuthservId {
        self.id.as_ref().unwrap_or(&self.live.ids[0])
    }

    pub(super) fn entry(&self, context: &Context, event: &str, severity: Severity) -> Entry {
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

    pub(super) fn limits(&self) -> HeaderLimits {
        self.live.config.verifying.policy.limits.header
    }

    /// The header is complete: what is done with the message follows from it.
    pub(super) fn begin(&mut self, now: UnixTime) {
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

    pub(super) fn decide(&mut self, live: &Live, writers: &Writers) -> Decision {
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
    pub(super) fn look_for_forged(&mut self, name: &[u8], value: &[u8]) {
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
        let ids = || self.id.iter().chain(&self.live.ids);
        let bare = name.trim_ascii_end();
        if ids().any(|id| value_hides_forged(id, value)) {
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
            header.len() > 1 || ids().any(|id| is_forged(id, field))
        })
    }
}
