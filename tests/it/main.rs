//! The one integration binary: harnesses here, cases as data in `testdata/`.

#[cfg(feature = "cli")]
mod batch;
#[cfg(feature = "cli")]
mod cli;
mod corpus;
#[cfg(feature = "resolver")]
mod dns;
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
mod vectors;

/// Says loudly that a suite is skipped, past the capture of the test harness; in CI nothing is.
fn skipped(what: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "\nSKIPPED: {what}");
    assert!(std::env::var_os("CI").is_none(), "in CI nothing is skipped");
}
