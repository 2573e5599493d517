//! How large the answer is that holds the record: all TXT records of a name come together.

use super::super::finding::Finding;
use super::super::text::Texts;

/// What fits into a datagram without EDNS (RFC 1035 §4.2.1, RFC 7208 §3.4).
const PLAIN: usize = 512;
/// What is sent in a datagram with EDNS: more may be lost on the way, and comes by TCP.
const EDNS: usize = 1232;

/// The octets of the answer.
pub(super) fn octets(texts: &Texts) -> usize {
    // The header, the question, and the record of EDNS.
    let start = 12 + texts.name.as_bytes().len() + 2 + 4 + 11;
    let records = texts.list.iter().map(|text| of_record(text.len()));
    records.fold(start, usize::saturating_add)
}

/// A TXT record: a pointer to its name, its head, and strings of 255 octets with their lengths.
fn of_record(length: usize) -> usize {
    2 + 10 + length + length.div_ceil(255).max(1)
}

/// What is to be said where the answer is more than a datagram held once.
pub(super) fn remark(texts: &Texts) -> Option<String> {
    let octets = octets(texts);
    (octets > PLAIN).then(|| {
        format!("; it comes in an answer of {octets} octets, more than the {PLAIN} that every datagram holds (RFC 7208 section 3.4)")
    })
}

/// The answer comes by TCP alone.
pub(super) fn too_long(texts: &Texts) -> Option<Finding> {
    let octets = octets(texts);
    (octets > EDNS).then(|| {
        Finding::new(
            "spf-long",
            &texts.name,
            format!("the TXT records at {} come in an answer of {octets} octets: with more than {EDNS} it comes by TCP alone, and whoever cannot ask so sees no SPF record", texts.name),
            "take TXT records away that nobody needs any more (many only proved once whose the domain is), or name networks in the place of single addresses",
        )
    })
}

/// The octets of the answer once a record of `before` octets, where there is one, is one of `after`.
pub(super) fn then(texts: &Texts, before: Option<usize>, after: usize) -> usize {
    octets(texts)
        .saturating_sub(before.map_or(0, of_record))
        .saturating_add(of_record(after))
}

/// Whether a new record makes the answer come by TCP alone.
pub(super) fn is_too_long_with(texts: &Texts, record: usize) -> bool {
    octets(texts) <= EDNS && then(texts, None, record) > EDNS
}

/// What is to be said of such a mend where the answer outgrows a datagram by it.
pub(super) fn outgrown(texts: &Texts, before: Option<usize>, after: usize) -> Option<String> {
    let now = octets(texts);
    let then = then(texts, before, after);
    let outgrows = |limit: usize| now <= limit && then > limit;
    (outgrows(PLAIN) || outgrows(EDNS)).then(|| {
        format!("; the answer with the record then has {then} octets (RFC 7208 section 3.4 advises no more than {PLAIN}): name networks in the place of single addresses where you can")
    })
}
