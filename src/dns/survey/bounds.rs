//! How far a survey goes.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Trouble;
use crate::special::unreachable;

/// How many servers are asked, and which.
#[derive(Clone)]
pub(super) struct Bounds {
    /// No more addresses of the servers of a zone are asked (the root has 26).
    pub(super) servers: usize,
    /// Among strangers: how often servers may still be asked.
    contacts: Option<Arc<AtomicUsize>>,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds {
            servers: 64,
            contacts: None,
        }
    }
}

impl Bounds {
    pub(super) fn among_strangers(contacts: usize) -> Bounds {
        Bounds {
            servers: 32,
            contacts: Some(Arc::new(AtomicUsize::new(contacts))),
        }
    }

    /// Why a server at this address is not asked; none where it is, which takes a place in the room.
    pub(super) fn refuses(&self, address: IpAddr, room: &mut usize) -> Option<Trouble> {
        if self.contacts.is_some() && unreachable(address).is_some() {
            return Some(Trouble::Unreachable);
        }
        let Some(rest) = room.checked_sub(1) else {
            return Some(Trouble::TooMany);
        };
        let left = self.contacts.as_ref().is_none_or(|contacts| {
            let taken = |left: usize| left.checked_sub(1);
            let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
            contacts.fetch_update(set, fetch, taken).is_ok()
        });
        if !left {
            return Some(Trouble::TooMany);
        }
        *room = rest;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn among_strangers_nobody_is_led_inside_and_all_clones_share_what_is_left() {
        let bounds = Bounds::among_strangers(3);
        let ask = |address: &str, room: &mut usize| {
            bounds.clone().refuses(address.parse().unwrap(), room)
        };
        let mut room = 2;
        for inside in [
            "127.0.0.53",
            "10.0.0.53",
            "169.254.169.254",
            "::1",
            "::ffff:10.0.0.1",
        ] {
            assert_eq!(
                ask(inside, &mut room),
                Some(Trouble::Unreachable),
                "{inside}"
            );
        }
        assert_eq!(ask("192.88.1.1", &mut room), None);
        assert_eq!(ask("192.88.1.2", &mut room), None);
        assert_eq!(ask("192.88.1.3", &mut room), Some(Trouble::TooMany));
        room = 2;
        assert_eq!(ask("192.88.1.4", &mut room), None);
        assert_eq!(
            (ask("192.88.1.5", &mut room), room),
            (Some(Trouble::TooMany), 1)
        );
        // Who names a server of his own may have it where he likes.
        assert_eq!(
            Bounds::default().refuses([127, 0, 0, 1].into(), &mut room),
            None
        );
    }
}
