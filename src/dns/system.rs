//! Lookups over the network, through hickory-resolver. Being written.
