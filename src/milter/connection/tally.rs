//! How much of a message came, and whether that is too much.

use super::super::Limits;
use super::super::service::Overflow;
use super::super::session::Event;

/// What is counted of a message.
#[derive(Debug, Default)]
pub(super) struct Tally {
    octets: usize,
    fields: usize,
    recipients: usize,
}

/// Whether there is room for what comes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// There is.
    Enough,
    /// This goes beyond.
    Exceeded(Overflow),
    /// So did something before it.
    Gone,
}

impl Tally {
    pub(super) fn take(&mut self, event: &Event<'_>, limits: &Limits) -> Room {
        match event {
            Event::Rcpt(_) => {
                let limit = limits.recipients;
                let what = Overflow::Recipients { limit };
                fill(&mut self.recipients, 1, limit, what)
            }
            Event::Header(name, value) => {
                let limit = limits.header_fields;
                let what = Overflow::HeaderFields { limit };
                let fields = fill(&mut self.fields, 1, limit, what);
                if fields != Room::Enough {
                    // Told once, whatever the limit was.
                    let told = self.octets > limits.header_octets;
                    return if told { Room::Gone } else { fields };
                }
                let limit = limits.header_octets;
                let what = Overflow::HeaderOctets { limit };
                let octets = name.len() + value.len() + b":\r\n".len();
                fill(&mut self.octets, octets, limit, what)
            }
            _ => Room::Enough,
        }
    }
}

/// Counts up to the limit and once beyond it.
fn fill(filled: &mut usize, more: usize, limit: usize, what: Overflow) -> Room {
    if *filled > limit {
        return Room::Gone;
    }
    *filled = filled.saturating_add(more);
    match *filled > limit {
        true => Room::Exceeded(what),
        false => Room::Enough,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::milter::wire::Strings;

    fn take(limits: &Limits, events: &[Event<'_>]) -> Vec<Room> {
        let mut tally = Tally::default();
        let rooms = events.iter().map(|event| tally.take(event, limits));
        rooms.collect()
    }

    #[test]
    fn what_is_too_much_is_told_once_of_recipients_and_once_of_the_header() {
        let limits = Limits {
            header_octets: 20,
            header_fields: 3,
            recipients: 1,
            ..Limits::default()
        };
        let rcpt = || Event::Rcpt(Strings::default());
        let field = |value: &'static [u8]| Event::Header(b"A", value.into());
        let limit = 1;
        let recipients = Room::Exceeded(Overflow::Recipients { limit });
        let (few, many) = (field(b"1"), field(b"0123456789abcdef"));
        assert_eq!(
            take(&limits, &[rcpt(), rcpt(), rcpt(), Event::Data, field(b"1")]),
            [
                Room::Enough,
                recipients,
                Room::Gone,
                Room::Enough,
                Room::Enough
            ]
        );
        let limit = 3;
        let fields = Room::Exceeded(Overflow::HeaderFields { limit });
        let four = [field(b"1"), field(b"1"), field(b"1"), field(b"1")];
        assert_eq!(take(&limits, &four)[2..], [Room::Enough, fields]);
        let limit = 20;
        let octets = Room::Exceeded(Overflow::HeaderOctets { limit });
        let rooms = take(&limits, &[many, few, field(b""), field(b""), field(b"")]);
        assert_eq!(rooms[0], Room::Enough);
        assert_eq!(rooms[1], octets);
        assert!(rooms[2..].iter().all(|room| *room == Room::Gone));
    }

    #[test]
    fn limits_of_any_size_are_kept() {
        for limit in [0, usize::MAX] {
            let limits = Limits {
                header_octets: limit,
                header_fields: limit,
                recipients: limit,
                ..Limits::default()
            };
            let events = [
                Event::Rcpt(Strings::default()),
                Event::Header(b"A", b"b".into()),
            ];
            for room in take(&limits, &events) {
                assert_eq!(room == Room::Enough, limit > 0);
            }
        }
    }
}
