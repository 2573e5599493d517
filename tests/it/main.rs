//! The one integration binary: harnesses here, cases as data in `testdata/`.

mod arc;
#[cfg(feature = "cli")]
mod authenticate;
#[cfg(feature = "cli")]
mod batch;
#[cfg(feature = "cli")]
mod cli;
mod corpus;
mod dmarc;
#[cfg(feature = "resolver")]
mod dns;
mod domainkeys;
#[cfg(feature = "explain")]
mod explain;
#[cfg(feature = "cli")]
mod faults;
mod lint;
#[cfg(all(feature = "milter", unix))]
mod milter;
#[cfg(feature = "resolver")]
mod nameserver;
mod properties;
mod random;
#[cfg(feature = "resolver")]
mod second_opinion;
mod spf_corpus;
mod spf_properties;
#[cfg(feature = "resolver")]
mod spf_second_opinion;
mod vectors;

/// Says loudly that a suite is skipped, past the capture of the test harness; in CI nothing is.
fn skipped(what: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "\nSKIPPED: {what}");
    assert!(std::env::var_os("CI").is_none(), "in CI nothing is skipped");
}
