//! A milter: what an MTA (Postfix, Sendmail) asks about each message, and what it may be told.

pub mod wire;
