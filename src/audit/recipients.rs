//! Whom the servers of the domain take mail for: one conversation that several checks read.
//!
//! The sender is the null sender, as in a bounce: a server takes it from everybody (RFC 5321 §4.5.5), and neither SPF nor
//! a call back speaks against it.

use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::facts::{Envelope, Facts, Server};
use super::finding::Finding;
use super::net::{Dialogue, Outcome, Reply};
use crate::dns::lookup::Pending;

/// The roles that are asked for: postmaster is a must (RFC 5321 §4.5.1), abuse expected of everybody, and the others of
/// those who offer the service (RFC 2142).
pub(super) const ROLES: [&str; 6] = [
    "postmaster",
    "abuse",
    "hostmaster",
    "webmaster",
    "security",
    "noc",
];

/// What a server says to the recipients.
#[derive(Debug, Clone)]
pub(super) struct Recipients {
    dialogue: Arc<Dialogue>,
    /// A recipient that nobody has.
    pub(super) nobody: String,
}

/// Asks a server for the roles, and for somebody whom nobody has.
pub(super) fn ask(facts: &Facts<'_>, server: &Server) -> Result<Recipients, Pending> {
    let domain = facts.options.domain.as_ascii();
    let nobody = format!("{}@{domain}", nobody(facts));
    let roles = ROLES.iter().map(|role| format!("{role}@{domain}"));
    // RFC 5321 §4.5.1: postmaster needs no domain.
    let rest = ["postmaster".to_owned(), nobody.clone()];
    let envelopes = roles.chain(rest).map(|recipient| Envelope {
        sender: String::new(),
        recipient,
    });
    let dialogue = facts.dialogue(server, envelopes.collect())?;
    Ok(Recipients { dialogue, nobody })
}

/// A local part that no mailbox has, another one for each domain and time.
pub(super) fn nobody(facts: &Facts<'_>) -> String {
    let seed = format!("{} {}", facts.options.domain.as_ascii(), facts.options.now);
    let hash = Sha256::digest(seed.as_bytes());
    let letters: String = hash
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("nobody-{letters}")
}

impl Recipients {
    /// What is said to a role.
    pub(super) fn role(&self, role: &str) -> Option<&Outcome> {
        let at = ROLES.iter().position(|known| *known == role)?;
        self.dialogue.outcomes.get(at)
    }

    /// What is said to postmaster without a domain.
    pub(super) fn bare_postmaster(&self) -> Option<&Outcome> {
        self.dialogue.outcomes.get(ROLES.len())
    }

    /// What is said to somebody whom nobody has.
    pub(super) fn unknown(&self) -> Option<&Outcome> {
        self.dialogue.outcomes.get(ROLES.len() + 1)
    }

    /// A finding where the conversation broke off before its end.
    pub(super) fn trouble(&self, server: &Server) -> Option<Finding> {
        let trouble = self.dialogue.trouble.as_ref()?;
        Some(super::contact::no_connection(server, trouble))
    }
}

/// A server that does not say at once whether it takes a recipient.
pub(super) fn unclear(server: &Server, recipient: &str, reply: &Reply) -> Finding {
    Finding::new(
        "recipient-unclear",
        server,
        format!("{server} puts mail for {recipient} off: {reply}"),
        "run the audit again after some minutes; where it is greylisting, let the server refuse unknown recipients before it (Postfix: reject_unlisted_recipient in smtpd_recipient_restrictions, and unknown_local_recipient_reject_code = 550)",
    )
}
