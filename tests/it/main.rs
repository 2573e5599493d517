//! The one integration binary: harnesses here, cases as data in `testdata/`.

#[cfg(feature = "cli")]
mod cli;
mod corpus;
#[cfg(feature = "resolver")]
mod dns;
#[cfg(feature = "resolver")]
mod nameserver;
mod properties;
mod random;
mod vectors;
