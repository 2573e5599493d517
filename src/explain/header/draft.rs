//! A header as it may have been: the fields that came, some of them replaced or left out, and others put in.

use std::collections::HashMap;
use std::sync::Arc;

use crate::message::Header;

/// A header that is worked on. What came is shared by all drafts of it: a header may have very many fields.
#[derive(Debug, Clone)]
pub(in crate::explain) struct Draft {
    /// Each field that came, without its CRLF.
    came: Arc<Vec<Arc<[u8]>>>,
    /// Where the fields of each name stand, by its small letters.
    places: Arc<HashMap<String, Vec<usize>>>,
    /// What became of some of them; the last word counts.
    changed: Vec<(usize, Option<Arc<[u8]>>)>,
    /// Fields that are put in, each before a field that came or at the end.
    put: Vec<(usize, Arc<[u8]>)>,
}

/// Something done to a header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::explain) enum Edit {
    /// This field was another one.
    Replace(usize, Arc<[u8]>),
    /// This field was not there.
    Remove(usize),
    /// Before this field there was another one.
    Insert(usize, Arc<[u8]>),
}

impl Draft {
    pub(in crate::explain) fn of(header: &Header) -> Draft {
        let mut places: HashMap<String, Vec<usize>> = HashMap::new();
        for field in header.fields() {
            let name = field.name().to_ascii_lowercase();
            places.entry(name).or_default().push(field.position());
        }
        Draft {
            came: Arc::new(header.fields().map(|field| field.raw().into()).collect()),
            places: Arc::new(places),
            changed: Vec::new(),
            put: Vec::new(),
        }
    }

    /// The number of fields that came.
    pub(in crate::explain) fn len(&self) -> usize {
        self.came.len()
    }

    /// A field that came, if it is still there.
    pub(super) fn field(&self, position: usize) -> Option<&Arc<[u8]>> {
        let changed = self.changed.iter().rev().find(|(at, _)| *at == position);
        match changed {
            Some((_, field)) => field.as_ref(),
            None => self.came.get(position),
        }
    }

    /// The fields that came and are there, with their positions.
    pub(super) fn present(&self) -> impl Iterator<Item = (usize, &Arc<[u8]>)> {
        (0..self.came.len()).filter_map(|at| Some((at, self.field(at)?)))
    }

    /// All fields of this name, from the top down, with the positions of those that came.
    pub(in crate::explain) fn named(&self, wanted: &str) -> Vec<(Option<usize>, &Arc<[u8]>)> {
        let places = self.places.get(&wanted.to_ascii_lowercase());
        let came = places
            .into_iter()
            .flatten()
            .filter_map(|at| Some((*at, true, self.field(*at)?)));
        let put = self.put.iter().filter(|(_, raw)| is(raw, wanted));
        let put = put.map(|(before, raw)| (*before, false, raw));
        let mut out: Vec<_> = put.chain(came).collect();
        // What is put in stands before the field at its place.
        out.sort_by_key(|(at, came, _)| (*at, *came));
        out.into_iter()
            .map(|(at, came, raw)| (came.then_some(at), raw))
            .collect()
    }

    /// The header after these edits.
    pub(in crate::explain) fn with(&self, edits: &[Edit]) -> Draft {
        let mut draft = self.clone();
        for edit in edits {
            match edit {
                Edit::Replace(at, raw) => draft.changed.push((*at, Some(raw.clone()))),
                Edit::Remove(at) => draft.changed.push((*at, None)),
                Edit::Insert(before, raw) => draft.put.push((*before, raw.clone())),
            }
        }
        draft
    }

    /// Where an edit takes place, what stands there, and what stood there.
    pub(super) fn sides(&self, edit: &Edit) -> (usize, Vec<u8>, Vec<u8>) {
        let came = |at: usize| self.field(at).map(|raw| raw.to_vec()).unwrap_or_default();
        match edit {
            Edit::Replace(at, raw) => (*at, came(*at), raw.to_vec()),
            Edit::Remove(at) => (*at, came(*at), Vec::new()),
            Edit::Insert(before, raw) => (*before, Vec::new(), raw.to_vec()),
        }
    }

    /// The header, each field with CRLF.
    pub(in crate::explain) fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for at in 0..=self.came.len() {
            let put = self
                .put
                .iter()
                .filter(|(before, _)| *before == at)
                .map(|(_, raw)| raw);
            for raw in put.chain(self.field(at)) {
                out.extend_from_slice(raw);
                out.extend_from_slice(b"\r\n");
            }
        }
        out
    }
}

/// Whether a field has this name.
pub(in crate::explain) fn is(raw: &[u8], wanted: &str) -> bool {
    let named = raw
        .get(..wanted.len())
        .is_some_and(|n| n.eq_ignore_ascii_case(wanted.as_bytes()));
    named && raw[wanted.len()..].trim_ascii_start().first() == Some(&b':')
}

/// The name of a field, as it is written.
pub(super) fn name(raw: &[u8]) -> String {
    let colon = raw.iter().position(|b| *b == b':').unwrap_or(raw.len());
    String::from_utf8_lossy(raw[..colon].trim_ascii_end()).into_owned()
}

/// What follows the colon.
pub(in crate::explain) fn value(raw: &[u8]) -> &[u8] {
    let colon = raw.iter().position(|b| *b == b':');
    colon.map_or(&[], |colon| &raw[colon + 1..])
}

/// The value without its folds and the white space around it.
pub(super) fn unfolded(raw: &[u8]) -> Vec<u8> {
    let value = value(raw);
    let mut out = Vec::with_capacity(value.len());
    for (at, byte) in value.iter().enumerate() {
        let fold = match byte {
            b'\r' => value.get(at + 1) == Some(&b'\n'),
            b'\n' => at > 0 && value[at - 1] == b'\r',
            _ => false,
        };
        if !fold {
            out.push(*byte);
        }
    }
    out.trim_ascii().to_vec()
}

/// The field with another value, behind the name, the colon and the blanks that it has.
pub(super) fn revalued(raw: &[u8], value: &[u8]) -> Arc<[u8]> {
    let colon = raw
        .iter()
        .position(|b| *b == b':')
        .map_or(raw.len(), |at| at + 1);
    let blanks = raw[colon..]
        .iter()
        .take_while(|b| matches!(b, b' ' | b'\t'))
        .count();
    [&raw[..colon + blanks], value].concat().into()
}
