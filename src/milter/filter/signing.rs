//! A message of ours, from the end of its header to its signatures.

use std::sync::Arc;
use std::time::Duration;

use super::super::config::Action;
use super::super::decide::Decision;
use super::super::journal::Severity;
use super::super::keyring::Keyring;
use super::super::wire::Modification;
use super::mail::Ending;
use super::{Filter, Live, Mail};
use crate::dns::Answer;
use crate::message::Header;
use crate::name::{Domain, KeyName};
use crate::policy::{Level, Policy};
use crate::record::KeyRecord;
use crate::sign::{SignError, SignOptions, Signer, SigningIdentity};
use crate::signature::FIELD_NAME;
use crate::time::UnixTime;
use crate::verify::{Appetite, BodyVerifier, Verifier};

/// RFC 3463 §3.4 and §3.8.
const WRONGLY_CONFIGURED: (u16, u16) = (3, 5);
const NOT_AUTHORIZED: (u16, u16) = (7, 1);

/// A message that is being signed.
pub(super) struct Signing {
    signer: Signer,
    identities: Vec<SigningIdentity>,
    /// Looks whether one of our keys has signed it already, where it has a signature that says so.
    again: Option<BodyVerifier>,
}

impl Signing {
    pub(super) fn new(
        header: Header,
        identities: Vec<SigningIdentity>,
        live: &Live,
        now: UnixTime,
    ) -> Result<Signing, SignError> {
        let signing = &live.config.signing;
        let options = SignOptions {
            timestamp: now,
            expiration: signing
                .expires
                .map(|more| UnixTime(now.0.saturating_add(more))),
            // Whether a domain may sign for this author was decided before.
            third_party: true,
            ..signing.options.clone()
        };
        let signer = Signer::new(&header, identities.clone(), &options)?;
        let again = already_signed(header, &identities, &live.keyring, now);
        Ok(Signing {
            signer,
            identities,
            again,
        })
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Appetite {
        self.signer.write(bytes);
        if let Some(again) = &mut self.again {
            let _ = again.write(bytes);
        }
        Appetite::More
    }
}

/// A verifier that knows our own keys alone, if the message has a signature by one of them. Only a signature
/// that holds counts: a forged field must not keep a message from being signed.
fn already_signed(
    header: Header,
    identities: &[SigningIdentity],
    keyring: &Keyring,
    now: UnixTime,
) -> Option<BodyVerifier> {
    if !header.fields().any(|field| field.is(FIELD_NAME)) {
        return None;
    }
    let policy = Arc::new(Policy::new(Level::Strict));
    let mut verifier = Verifier::new(header, policy, now);
    let mut ours = false;
    for name in verifier.wanted().to_vec() {
        let answer = match own_record(&name, identities, keyring) {
            Some(record) => {
                ours = true;
                Answer::Records {
                    txt: vec![record.into_bytes()],
                    ttl: Duration::ZERO,
                    secure: None,
                }
            }
            None => Answer::NoName,
        };
        verifier.supply(&name, answer);
    }
    ours.then(|| verifier.start_body())
}

/// The record of one of our keys that sign, by its name.
fn own_record(name: &KeyName, identities: &[SigningIdentity], keyring: &Keyring) -> Option<String> {
    for identity in identities {
        let is = |selector| KeyName::new(selector, &identity.domain).is_ok_and(|n| n == *name);
        let stored = keyring.selectors(&identity.domain).iter();
        let stored = stored.filter(|stored| is(&stored.selector));
        let mut stored = stored.filter_map(|stored| stored.key.as_ref()?.as_ref().ok());
        let key = match is(&identity.selector) {
            true => Some(&identity.key),
            false => stored.next(),
        };
        if let Some(key) = key {
            let kind = key.algorithm().key_type();
            return Some(KeyRecord::new(kind, key.public_bytes()).to_string());
        }
    }
    None
}

impl Filter {
    pub(super) fn end_signing(&self, mail: &mut Mail, signing: Signing) -> Ending {
        let Signing {
            mut signer,
            mut identities,
            again,
        } = signing;
        let live = self.live();
        if !Arc::ptr_eq(&live, &mail.live)
            && let Some(writers) = mail.writers.take()
        {
            mail.why
                .note(|| "keys were loaded anew meanwhile".to_owned());
            let decision = mail.decide(&live, &writers);
            mail.writers = Some(writers);
            let on_error = live.config.signing.on_error;
            let on_mismatch = live.config.signing.on_sender_mismatch;
            match decision {
                Decision::Sign(others) => identities = others,
                Decision::Unsigned(reason) => return mail.end_unsigned(reason, Action::Accept),
                Decision::Mismatch => return mail.end_unsigned("sender-mismatch", on_mismatch),
                Decision::Trouble(trouble) => {
                    mail.why.note(|| trouble);
                    return mail.end_unsigned("key-unusable", on_error);
                }
            }
        }
        if let Some(again) = again {
            let verdicts = again.finish();
            let passing: Vec<Domain> = verdicts
                .into_iter()
                .filter(|verdict| verdict.failure().is_none())
                .filter_map(|verdict| verdict.claims.domain)
                .collect();
            identities.retain(|identity| !passing.contains(&identity.domain));
            if identities.is_empty() {
                mail.why
                    .note(|| "a key of the same domain has signed it already".to_owned());
                return mail.end_unsigned("already-signed", Action::Accept);
            }
            mail.why.note(|| match passing.is_empty() {
                true => "a signature in our name does not hold".to_owned(),
                false => "one of the domains has signed it already".to_owned(),
            });
        }
        let names = |part: fn(&SigningIdentity) -> String| {
            let mut names: Vec<String> = identities.iter().map(part).collect();
            names.dedup();
            names.join(",")
        };
        let values = vec![
            ("domain", names(|i| i.domain.as_ascii().to_owned())),
            ("selector", names(|i| i.selector.as_ascii().to_owned())),
            (
                "algorithm",
                names(|i| i.key.algorithm().as_str().to_owned()),
            ),
        ];
        let signed = signer
            .set_identities(identities)
            .and_then(|()| signer.finish());
        match signed {
            Ok(fields) => {
                let mut modifications = std::mem::take(&mut mail.deletions);
                // Each goes to the top, so that the first one is there in the end.
                let fields = fields.iter().rev();
                modifications.extend(fields.map(|field| Modification::insert_field(0, field)));
                Ending {
                    event: "signed",
                    result: "signed".to_owned(),
                    severity: Severity::Info,
                    values,
                    action: Action::Accept,
                    code: WRONGLY_CONFIGURED,
                    modifications,
                }
            }
            Err(error) => {
                mail.why.note(|| error.to_string());
                mail.end_unsigned("key-unusable", live.config.signing.on_error)
            }
        }
    }
}

impl Mail {
    pub(super) fn end_unsigned(&mut self, reason: &'static str, action: Action) -> Ending {
        let severity = match reason {
            "key-unusable" => Severity::Error,
            "sender-mismatch" | "header-unreadable" | "cannot-be-signed" => Severity::Warning,
            _ => Severity::Info,
        };
        Ending {
            event: "unsigned",
            result: reason.to_owned(),
            severity,
            values: vec![("reason", reason.to_owned())],
            action,
            code: match reason {
                "sender-mismatch" => NOT_AUTHORIZED,
                _ => WRONGLY_CONFIGURED,
            },
            modifications: std::mem::take(&mut self.deletions),
        }
    }
}
