//! Which instance of a header field does an entry of h= stand for?
//!
//! The instances of a name are taken from the bottom of the header up, one for each time that the name
//! stands in h=; an entry for which none is left stands for nothing (RFC 6376 §5.4.2).

use std::cmp::Ordering;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::message::{Field, Header, is_field_name_byte};

/// Fields that may stand once: those of RFC 5322 §3.6, those of MIME (RFC 2045), and those of RFC 2369 and
/// RFC 8058.
pub(crate) const ONCE: [&str; 19] = [
    "Date",
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Bcc",
    "Message-ID",
    "In-Reply-To",
    "References",
    "Subject",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "Content-ID",
    "Content-Description",
    "Content-Disposition",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
];

/// A checked header field name (RFC 5322 §3.6.8); compared without regard to letter case.
#[derive(Clone)]
pub struct FieldName {
    text: Arc<str>,
    start: u128,
}

impl FieldName {
    /// Checks and keeps a field name.
    ///
    /// ```
    /// use dkimkit::header::FieldName;
    /// assert_eq!(FieldName::new("subject").unwrap(), FieldName::new("Subject").unwrap());
    /// assert!(FieldName::new("a b").is_none());
    /// ```
    ///
    /// Returns `None` for an empty name, and for one with a byte that is not printable ASCII, or a
    /// colon, or a semicolon (which h= cannot carry, RFC 6376 §3.5).
    pub fn new(name: &str) -> Option<FieldName> {
        FieldName::is_legal(name.as_bytes()).then(|| FieldName {
            text: name.into(),
            start: start(name.as_bytes()),
        })
    }

    pub(crate) fn is_legal(name: &[u8]) -> bool {
        let bad = |b: &u8| !is_field_name_byte(*b) || *b == b';';
        // All are looked at, so that it can be done many at a time.
        !name.is_empty() && !name.iter().fold(false, |found, b| found | bad(b))
    }

    /// The name as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl PartialEq for FieldName {
    fn eq(&self, other: &Self) -> bool {
        self.start == other.start && self.text.eq_ignore_ascii_case(&other.text)
    }
}

impl Eq for FieldName {}

impl PartialEq<str> for FieldName {
    fn eq(&self, other: &str) -> bool {
        self.text.eq_ignore_ascii_case(other)
    }
}

impl fmt::Debug for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl fmt::Display for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A list of field names, as h= has it, in one piece of memory: a header may hold very many of them.
#[derive(Clone)]
pub struct FieldNames {
    /// The names with a colon between any two, which no name holds.
    joined: Arc<str>,
    len: usize,
}

impl FieldNames {
    /// The names in their order.
    ///
    /// ```
    /// use dkimkit::header::{FieldName, FieldNames};
    /// let names: FieldNames = ["From", "To"].into_iter().filter_map(FieldName::new).collect();
    /// assert_eq!(names.iter().collect::<Vec<_>>(), ["From", "To"]);
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let mut rest = (self.len > 0).then_some(&*self.joined);
        std::iter::from_fn(move || {
            let text = rest?;
            // Names are short: a search made for long texts would not pay.
            let end = text.bytes().position(|b| b == b':');
            rest = end.map(|end| &text[end + 1..]);
            Some(&text[..end.unwrap_or(text.len())])
        })
    }

    /// The names in their order, each but the last with its colon.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = &str> {
        self.joined.split_inclusive(':')
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether `name` stands among them.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.iter().any(|n| n.eq_ignore_ascii_case(name))
    }

    /// How often `name` stands among them; letter case does not count.
    pub fn count(&self, name: &str) -> usize {
        self.iter().filter(|n| n.eq_ignore_ascii_case(name)).count()
    }
}

impl FromIterator<FieldName> for FieldNames {
    fn from_iter<I: IntoIterator<Item = FieldName>>(names: I) -> FieldNames {
        let mut list = JoinedNames::with_capacity(256);
        for name in names {
            list.push(name.as_str());
        }
        list.finish()
    }
}

/// Makes [`FieldNames`] of one name after another.
pub(crate) struct JoinedNames {
    joined: String,
    len: usize,
}

impl JoinedNames {
    /// No names, with memory for `bytes` bytes of them.
    pub(crate) fn with_capacity(bytes: usize) -> JoinedNames {
        JoinedNames {
            joined: String::with_capacity(bytes),
            len: 0,
        }
    }

    /// Adds a name that [`FieldName::new`] would take.
    pub(crate) fn push(&mut self, name: &str) {
        if self.len > 0 {
            self.joined.push(':');
        }
        self.joined.push_str(name);
        self.len += 1;
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn finish(self) -> FieldNames {
        FieldNames {
            joined: self.joined.into(),
            len: self.len,
        }
    }
}

impl PartialEq for FieldNames {
    fn eq(&self, other: &Self) -> bool {
        self.joined.eq_ignore_ascii_case(&other.joined)
    }
}

impl Eq for FieldNames {}

impl fmt::Debug for FieldNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.joined, f)
    }
}

/// The fields of a header ordered by name, built once and asked once for each signature.
#[derive(Debug)]
pub struct FieldIndex {
    /// The beginnings of the names, in order, with the positions of the fields; equal names from the top down.
    order: Vec<(u128, u32)>,
}

impl FieldIndex {
    /// Orders the fields of `header`.
    pub fn new(header: &Header) -> FieldIndex {
        let mut order: Vec<(u128, u32)> = (0u32..)
            .zip(header.fields())
            .map(|(position, field)| (start(field.name_bytes()), position))
            .collect();
        order.sort_unstable_by(|a, b| {
            let rest = |position: u32| rest(header.field(position as usize).name_bytes());
            let names = a.0.cmp(&b.0);
            let names = names.then_with(|| compare(rest(a.1), rest(b.1)));
            names.then(a.1.cmp(&b.1))
        });
        FieldIndex { order }
    }

    /// The positions of all fields named `name`, from the top down.
    pub fn positions(
        &self,
        header: &Header,
        name: &str,
    ) -> impl ExactSizeIterator<Item = usize> + '_ {
        let found = &self.order[self.range(header, name)];
        found.iter().map(|(_, position)| *position as usize)
    }

    /// How many fields have this name.
    pub(crate) fn count(&self, header: &Header, name: &FieldName) -> usize {
        self.range_of(header, name.start, name.as_str()).len()
    }

    /// How many fields have each of these names, for which [`start`] gives the numbers.
    pub(crate) fn counts<const N: usize>(
        &self,
        header: &Header,
        names: &[(&str, u128); N],
    ) -> [usize; N] {
        names.map(|(name, start)| self.range_of(header, start, name).len())
    }

    /// Picks a field for each of `names`, in their order; `None` where no instance is left.
    ///
    /// `own` is the position of the signature that is created or verified, which its own h= cannot mean
    /// (RFC 6376 §5.4).
    ///
    /// ```
    /// use dkimkit::header::{FieldIndex, FieldName, FieldNames};
    /// use dkimkit::message::{Header, HeaderLimits};
    /// let header = Header::parse(b"To: 1\r\nFrom: 2\r\nTo: 3\r\n", HeaderLimits::default())?;
    /// let names = ["to", "From", "TO", "to"].into_iter().filter_map(FieldName::new);
    /// let names: FieldNames = names.collect();
    /// let picked = FieldIndex::new(&header).pick(&header, &names, None);
    /// let positions: Vec<_> = picked.iter().map(|f| f.map(|f| f.position())).collect();
    /// assert_eq!(positions, [Some(2), Some(1), Some(0), None]);
    /// # Ok::<(), dkimkit::message::SplitError>(())
    /// ```
    pub fn pick<'h>(
        &self,
        header: &'h Header,
        names: &FieldNames,
        own: Option<usize>,
    ) -> Vec<Option<Field<'h>>> {
        let mut picked = Vec::with_capacity(names.len());
        self.pick_each(header, names, own, |field| picked.push(field));
        picked
    }

    /// [`pick`](Self::pick), one field after the other.
    pub(crate) fn pick_each<'h>(
        &self,
        header: &'h Header,
        names: &FieldNames,
        own: Option<usize>,
        mut each: impl FnMut(Option<Field<'h>>),
    ) {
        // The number of instances already taken stands at the first place of each name.
        let mut taken = vec![0u32; self.order.len()];
        for name in names.iter() {
            let range = self.range(header, name);
            let instances = &self.order[range.clone()];
            let mut next = || {
                loop {
                    let used = taken.get_mut(range.start)?;
                    let left = instances.len().checked_sub(*used as usize + 1)?;
                    *used += 1;
                    let position = instances[left].1 as usize;
                    if Some(position) != own {
                        return Some(header.field(position));
                    }
                }
            };
            each(next());
        }
    }

    fn range(&self, header: &Header, name: &str) -> Range<usize> {
        self.range_of(header, start(name.as_bytes()), name)
    }

    fn range_of(&self, header: &Header, wanted: u128, name: &str) -> Range<usize> {
        let from = self.order.partition_point(|(start, _)| *start < wanted);
        let here = &self.order[from..];
        let len = match here {
            [first, second, ..] if first.0 == wanted && second.0 == wanted => {
                here.partition_point(|(start, _)| *start == wanted)
            }
            [first, ..] if first.0 == wanted => 1,
            _ => return from..from,
        };
        // Names that are shorter are told apart by their beginnings alone.
        if name.len() < 16 {
            return from..from + len;
        }
        let alike = &self.order[from..from + len];
        let wanted = rest(name.as_bytes());
        let order = |(_, position): &(u128, u32)| {
            let name = header.field(*position as usize).name_bytes();
            compare(rest(name), wanted)
        };
        let low = alike.partition_point(|p| order(p).is_lt());
        let high = alike[low..].partition_point(|p| order(p).is_eq());
        from + low..from + low + high
    }
}

/// The first sixteen bytes of a name in small letters, as a number that is in the order of the bytes.
pub(crate) const fn start(name: &[u8]) -> u128 {
    let mut bytes = [0; 16];
    let mut at = 0;
    while at < bytes.len() && at < name.len() {
        bytes[at] = name[at];
        at += 1;
    }
    bytes.make_ascii_lowercase();
    u128::from_be_bytes(bytes)
}

fn rest(name: &[u8]) -> &[u8] {
    name.get(16..).unwrap_or_default()
}

/// A total order under which bytes that differ in letter case alone are equal.
fn compare(a: &[u8], b: &[u8]) -> Ordering {
    let lower = u8::to_ascii_lowercase;
    a.iter().map(lower).cmp(b.iter().map(lower))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::HeaderLimits;

    #[test]
    fn names_with_the_same_beginning_are_told_apart() {
        let long = "X-0123456789abcdef";
        let header =
            format!("{long}-b: 0\r\n{long}: 1\r\n{long}-A: 2\r\n{long}-a: 3\r\nX-0: 4\r\n");
        let upper = long.to_uppercase();
        let names = [
            upper.as_str(),
            &format!("{long}-B"),
            &format!("{upper}-a"),
            "x-0",
            &long[..16],
        ];
        assert_eq!(
            picked(&header, &names, None),
            [Some(1), Some(0), Some(3), Some(4), None]
        );
    }

    fn picked(header: &str, names: &[&str], own: Option<usize>) -> Vec<Option<usize>> {
        let header = Header::parse(header.as_bytes(), HeaderLimits::default()).unwrap();
        let names: FieldNames = names.iter().map(|n| FieldName::new(n).unwrap()).collect();
        FieldIndex::new(&header)
            .pick(&header, &names, own)
            .iter()
            .map(|f| f.map(|f| f.position()))
            .collect()
    }

    #[test]
    fn instances_are_taken_from_the_bottom_up_whatever_the_case() {
        let header = "Received: 0\r\nreceived: 1\r\nFrom: 2\r\nRECEIVED: 3\r\n";
        assert_eq!(
            picked(
                header,
                &[
                    "Received", "from", "rECEIVED", "received", "received", "from"
                ],
                None
            ),
            [Some(3), Some(2), Some(1), Some(0), None, None]
        );
    }

    #[test]
    fn a_signature_does_not_pick_itself() {
        let header = "DKIM-Signature: 0\r\nDKIM-Signature: 1\r\nDKIM-Signature: 2\r\nFrom: 3\r\n";
        let names = ["dkim-signature", "dkim-signature", "dkim-signature"];
        assert_eq!(picked(header, &names, Some(1)), [Some(2), Some(0), None]);
        assert_eq!(picked(header, &names, Some(2)), [Some(1), Some(0), None]);
        assert_eq!(picked(header, &names, Some(0)), [Some(2), Some(1), None]);
    }
}
