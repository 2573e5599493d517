//! The mail filter: what signs and verifies beside Postfix or Sendmail.

pub mod opendkim;
