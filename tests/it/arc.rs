//! ARC: the third-party corpus, properties of chains that are sealed here, and a second opinion.

mod chains;
mod corpus;
#[cfg(feature = "resolver")]
mod second_opinion;
