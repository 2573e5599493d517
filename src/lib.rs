//! DKIM (RFC 6376, 8301, 8463, 8616): sign messages, verify them, and say why a signature fails.
//!
//! The core opens no socket and no file and reads no clock: the time and the answers of DNS are
//! arguments. It hashes the bytes that came, and refuses what has no safe reading; it never repairs.
//! Body memory is constant, whatever the size of the message.
//!
//! ```text
//! message bytes
//!   │  message      one cut: header fields | body            (structure, no meaning)
//!   ├── header ──── which instance of a field does h= pick?  (bottom-up)
//!   │     └─ DKIM-Signature ── tag ── signature ── policy: may it be tried?
//!   │                                    │ d= s=
//!   │                                    ▼
//!   │                        name (KeyName) ──▶ dns (answer) ──▶ tag ── record ── key
//!   ▼
//! canon/header ─▶ Sink ─▶ hash ─────────────▶ key: sign or verify
//! canon/body   ─▶ Sink ─▶ hash (shared by signatures) ─▶ bh=
//!                                      │
//!             sign (writes the field)     verify (staged) ──▶ report
//! ```
//!
//! Two calls do the main work on bytes at hand: [`sign()`] and [`verify()`]. For messages that come in
//! chunks, and keys that come late, there are the stages under them: [`sign::Signer`] and
//! [`verify::Verifier`]. Beside them stand the neighbours of DKIM, fed with the same chunks: [`arc::ArcVerifier`],
//! [`arc::Sealer`] and [`domainkeys::DomainKeysVerifier`]. [`lint::Linter`] says what is known to break a message on its way. With the
//! feature `explain`, `explain::explain` says what did. With the feature `milter`, `milter::run` asks
//! a service of yours about each message that Postfix or Sendmail takes in. [`spf::evaluate`] says whether an address may send for
//! a domain, [`dmarc::evaluate`] what the owner of the domain in From wants, and [`authenticate::judge`] both of a received message,
//! over answers of DNS that are handed to them ([`dns::lookup`]). With the feature `audit`, `audit::run` looks at a whole domain.
//!
//! ```
//! use dkimkit::dns::Zone;
//! use dkimkit::key::{KeyKind, SigningKey};
//! use dkimkit::name::{Domain, Selector};
//! use dkimkit::policy::Policy;
//! use dkimkit::record::KeyRecord;
//! use dkimkit::report::{ResultWord, overall};
//! use dkimkit::sign::{SignOptions, SigningIdentity};
//! use dkimkit::time::UnixTime;
//!
//! let now = UnixTime(1_700_000_000);
//! let key = SigningKey::generate(KeyKind::Rsa(1024))?;
//! let record = KeyRecord::new(key.algorithm().key_type(), key.public_bytes());
//!
//! let message = b"From: Anna <anna@example.com>\r\nSubject: Hi\r\n\r\nHello.\r\n";
//! let identity = SigningIdentity::new(Domain::new("example.com")?, Selector::new("mail")?, key);
//! let fields = dkimkit::sign(message, vec![identity], &SignOptions::new(now))?;
//! let signed = [format!("{}\r\n", fields[0]).as_bytes(), message].concat();
//!
//! let mut dns = Zone::default();
//! dns.insert_txt("mail._domainkey.example.com.", record.to_string().into_bytes());
//! let verdicts = dkimkit::verify(&signed, &dns, &Policy::default(), now)?;
//! assert_eq!(overall(&verdicts), ResultWord::Pass);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

// Each room uses only rooms above it.
pub mod message;

pub mod header;

pub mod canon;

pub mod hash;

pub mod tag;

pub mod time;

pub mod name;

pub mod author;

pub mod key;

pub mod signature;

pub mod record;

pub mod dns;

pub mod report;

pub mod policy;

pub mod sign;

pub mod verify;
// Here the core ends.

pub mod authres;

mod special;

pub mod arc;

pub mod dmarc;

pub mod authenticate;
pub mod domainkeys;
pub mod spf;

pub mod lint;

#[cfg(feature = "resolver")]
pub mod check;

pub mod publish;

#[cfg(feature = "store")]
pub mod keystore;

#[cfg(feature = "store")]
pub mod rotate;

#[cfg(feature = "explain")]
pub mod explain;

#[cfg(feature = "audit")]
pub mod audit;

#[cfg(feature = "milter")]
pub mod milter;

pub use sign::sign;
pub use verify::verify;

/// The examples of the README are compiled and run with those of the documentation.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
