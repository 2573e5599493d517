//! A milter over real sockets, asked by an MTA of our own that also misbehaves.

#[cfg(feature = "cli")]
mod daemon;
mod filter;
mod limits;
mod metrics;
mod misbehaving;
mod mta;
mod orderly;
mod service;
mod stores;
mod world;
