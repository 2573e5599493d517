//! Words of an SPF record of which each is half a term, or more than one.

use std::net::IpAddr;

use super::draft::is_all;
use crate::spf::record::Record;

/// What stands in a record, and what is meant by it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Slip {
    pub(super) found: String,
    pub(super) right: String,
}

/// A text with a blank taken out behind a colon, and put in where terms have a comma between; with each that was.
pub(super) fn mended(text: &str) -> (String, Vec<Slip>) {
    let mut right: Vec<String> = Vec::new();
    let mut slips = Vec::new();
    let mut words = text.split(' ').peekable();
    while let Some(word) = words.next() {
        let next = words.peek().copied();
        let (found, meant) = match next.and_then(|next| joined(word, next)) {
            Some(meant) => (
                format!("{word} {}", words.next().unwrap_or_default()),
                meant,
            ),
            None => (word.to_owned(), word.to_owned()),
        };
        let meant = parted(&meant).unwrap_or(meant);
        if meant != found {
            slips.push(Slip {
                found,
                right: meant.clone(),
            });
        }
        right.push(meant);
    }
    (right.join(" "), slips)
}

/// One term for two words: a mechanism that ends with its colon, and what belongs behind that. Neither is right alone.
fn joined(word: &str, next: &str) -> Option<String> {
    // A comma may follow, and more behind a blank.
    let next = next.trim_end_matches([',', ';']);
    let cut = word.ends_with(':') && !is_term(word) && !is_term(next);
    let meant = format!("{word}{next}");
    (cut && (is_term(&meant) || parted(&meant).is_some())).then_some(meant)
}

/// The terms that stand in one word with commas or semicolons between; an address may lack its mechanism, if the first
/// has one.
fn parted(word: &str) -> Option<String> {
    if is_term(word) {
        return None;
    }
    let pieces = word.split([',', ';']).filter(|piece| !piece.is_empty());
    let pieces: Vec<&str> = pieces.collect();
    let [first, _, ..] = pieces.as_slice() else {
        return None;
    };
    let sign = first.len() - first.trim_start_matches(['+', '-', '~', '?']).len();
    let sign = &first[..sign];
    let terms = pieces.iter().map(|piece| {
        let address = piece
            .split('/')
            .next()
            .unwrap_or_default()
            .parse::<IpAddr>();
        let term = match address {
            Ok(IpAddr::V4(_)) => format!("{sign}ip4:{piece}"),
            Ok(IpAddr::V6(_)) => format!("{sign}ip6:{piece}"),
            Err(_) => (*piece).to_owned(),
        };
        // Nobody is let in by what is only likely to be meant.
        let lets_in = is_all(&term) && !term.starts_with(['-', '~']);
        (is_term(&term) && !lets_in).then_some(term)
    });
    let terms: Option<Vec<String>> = terms.collect();
    Some(terms?.join(" "))
}

/// The terms that are meant by one that is legal by grammar, and names several domains with commas between.
pub(super) fn several(term: &str) -> Option<Vec<String>> {
    let (name, domains) = term
        .split_once(':')
        .filter(|(_, list)| list.contains(','))?;
    let domains = domains.split(',').filter(|domain| !domain.is_empty());
    let has_sign = |term: &str| term.starts_with(['+', '-', '~', '?']);
    let terms = domains.map(|domain| match domain.contains(':') {
        // Whether the sign of the first is meant for a mechanism of its own nobody knows.
        true => (has_sign(domain) || !has_sign(name)).then(|| domain.to_owned()),
        false => Some(format!("{name}:{domain}")),
    });
    let terms: Option<Vec<String>> = terms.collect();
    terms.filter(|terms| terms.iter().all(|term| is_term(term)))
}

/// Whether a word can be read as a term.
pub(super) fn is_term(word: &str) -> bool {
    Record::parse(format!("v=spf1 {word}").as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domains_with_commas_between_are_terms_each() {
        for (term, expected) in [
            ("include:p.net,q.net", "include:p.net include:q.net"),
            ("?include:p.net,q.net,", "?include:p.net ?include:q.net"),
            ("include:p.net,include:q.net", "include:p.net include:q.net"),
            ("include:p.net", ""),
            ("a:p.net,mx:q.net", "a:p.net mx:q.net"),
            ("-mx:p.net,-mx:q.net/24", "-mx:p.net -mx:q.net/24"),
            ("-mx:p.net,mx:q.net", ""),
            ("exists:%{l1r,}.p.net", ""),
            ("include:p.net,q", ""),
            ("redirect=p.net,q.net", ""),
        ] {
            let terms = several(term).unwrap_or_default();
            assert_eq!(terms.join(" "), expected, "{term}");
        }
    }

    #[test]
    fn a_term_in_two_words_and_two_terms_in_one_are_told_apart() {
        for (text, right, count) in [
            ("v=spf1 mx -all", "v=spf1 mx -all", 0),
            (
                "v=spf1 ip4: 192.88.1.1 -all",
                "v=spf1 ip4:192.88.1.1 -all",
                1,
            ),
            ("v=spf1 ip6: 2a01::/32 -all", "v=spf1 ip6:2a01::/32 -all", 1),
            (
                "v=spf1 include: _spf.example.net -all",
                "v=spf1 include:_spf.example.net -all",
                1,
            ),
            ("v=spf1 -ip4: 192.88.1.1 mx", "v=spf1 -ip4:192.88.1.1 mx", 1),
            (
                "v=spf1 ip4:192.88.1.1,192.88.1.2 -all",
                "v=spf1 ip4:192.88.1.1 ip4:192.88.1.2 -all",
                1,
            ),
            (
                "v=spf1 ip4:192.88.1.1;ip4:192.88.1.2, -all",
                "v=spf1 ip4:192.88.1.1 ip4:192.88.1.2 -all",
                1,
            ),
            (
                "v=spf1 ip4: 192.88.1.1,2a01::1 -all",
                "v=spf1 ip4:192.88.1.1 ip6:2a01::1 -all",
                1,
            ),
            (
                "v=spf1 -ip4:192.88.1.1,192.88.1.2 mx",
                "v=spf1 -ip4:192.88.1.1 -ip4:192.88.1.2 mx",
                1,
            ),
            (
                "v=spf1 mx,a ip4: 192.88.1.1",
                "v=spf1 mx a ip4:192.88.1.1",
                2,
            ),
            (
                "v=spf1 ip4: 192.88.1.1, 192.88.1.2 -all",
                "v=spf1 ip4:192.88.1.1 192.88.1.2 -all",
                1,
            ),
            (
                "v=spf1 ip4:192.88.1.1;ip4:192.88.1.2;-all",
                "v=spf1 ip4:192.88.1.1 ip4:192.88.1.2 -all",
                1,
            ),
            ("v=spf1 mx,~all", "v=spf1 mx ~all", 1),
            ("v=spf1 mx,?all", "v=spf1 mx,?all", 0),
            ("v=spf1 ip4: mx, -all", "v=spf1 ip4: mx, -all", 0),
            // Each of these is right alone, or nobody knows what is meant.
            ("v=spf1 ip4: mx", "v=spf1 ip4: mx", 0),
            (
                "v=spf1 include: include:a.example.net",
                "v=spf1 include: include:a.example.net",
                0,
            ),
            ("v=spf1 ip4: 192.88.1", "v=spf1 ip4: 192.88.1", 0),
            (
                "v=spf1 ip4:192.88.1.1,192.88.1 -all",
                "v=spf1 ip4:192.88.1.1,192.88.1 -all",
                0,
            ),
            ("v=spf1 mx,all", "v=spf1 mx,all", 0),
            ("v=spf1 mx, -all", "v=spf1 mx, -all", 0),
            ("v=spf1 ip4:", "v=spf1 ip4:", 0),
            ("v=spf1  mx", "v=spf1  mx", 0),
        ] {
            let (mended, slips) = mended(text);
            assert_eq!((mended.as_str(), slips.len()), (right, count), "{text}");
        }
    }
}
