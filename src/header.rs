//! Which instance of a header field does an entry of h= stand for?
//!
//! The instances of a name are taken from the bottom of the header up, one for each time that the name
//! stands in h=; an entry for which none is left stands for nothing (RFC 6376 §5.4.2).

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use crate::message::{Field, Header, is_field_name_byte};

/// A checked header field name (RFC 5322 §3.6.8); compared without regard to letter case.
#[derive(Clone)]
pub struct FieldName(Arc<str>);

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
        let legal = |b: u8| is_field_name_byte(b) && b != b';';
        (!name.is_empty() && name.bytes().all(legal)).then(|| FieldName(name.into()))
    }

    /// The name as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for FieldName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for FieldName {}

impl PartialEq<str> for FieldName {
    fn eq(&self, other: &str) -> bool {
        self.0.eq_ignore_ascii_case(other)
    }
}

impl fmt::Debug for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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
        self.joined.split(':').take(self.len)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How often `name` stands among them; letter case does not count.
    pub fn count(&self, name: &str) -> usize {
        self.iter().filter(|n| n.eq_ignore_ascii_case(name)).count()
    }
}

impl FromIterator<FieldName> for FieldNames {
    fn from_iter<I: IntoIterator<Item = FieldName>>(names: I) -> FieldNames {
        let mut joined = String::new();
        let mut len = 0;
        for name in names {
            if len > 0 {
                joined.push(':');
            }
            joined.push_str(name.as_str());
            len += 1;
        }
        FieldNames {
            joined: joined.into(),
            len,
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
    /// Positions, ordered by name and then from the top down.
    order: Vec<u32>,
}

impl FieldIndex {
    /// Orders the fields of `header`.
    pub fn new(header: &Header) -> FieldIndex {
        let mut order: Vec<u32> = (0u32..).take(header.len()).collect();
        order.sort_by(|a, b| {
            let name = |position: &u32| header.field(*position as usize).name();
            compare_names(name(a), name(b)).then(a.cmp(b))
        });
        FieldIndex { order }
    }

    /// The positions of all fields named `name`, from the top down.
    pub fn positions(&self, header: &Header, name: &str) -> &[u32] {
        &self.order[self.range(header, name)]
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
        // The number of instances already taken stands at the first place of each name.
        let mut taken = vec![0u32; self.order.len()];
        names
            .iter()
            .map(|name| {
                let range = self.range(header, name);
                let instances = &self.order[range.clone()];
                loop {
                    let used = taken.get_mut(range.start)?;
                    let left = instances.len().checked_sub(*used as usize + 1)?;
                    *used += 1;
                    let position = instances[left] as usize;
                    if Some(position) != own {
                        return Some(header.field(position));
                    }
                }
            })
            .collect()
    }

    fn range(&self, header: &Header, name: &str) -> std::ops::Range<usize> {
        let order_at =
            |position: &u32| compare_names(header.field(*position as usize).name(), name);
        let start = self.order.partition_point(|p| order_at(p).is_lt());
        let len = self.order[start..].partition_point(|p| order_at(p).is_eq());
        start..start + len
    }
}

/// A total order under which names that differ in letter case alone are equal.
fn compare_names(a: &str, b: &str) -> Ordering {
    a.len()
        .cmp(&b.len())
        .then_with(|| a.bytes().map(lower).cmp(b.bytes().map(lower)))
}

fn lower(byte: u8) -> u8 {
    byte.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::HeaderLimits;

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
