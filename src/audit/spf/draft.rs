//! An SPF record that is being mended: a list of words behind v=spf1.

use std::fmt;
use std::net::IpAddr;

use super::slips;
use crate::spf::record::{BadTerm, Record, RecordError, TermFault};

/// What some write at the end of a term.
const AT_END: [char; 3] = [',', ';', '.'];

/// The words of a record behind v=spf1, in their order.
#[derive(Clone)]
pub(super) struct Draft {
    terms: Vec<String>,
}

impl Draft {
    /// The words of a text, whether they can be read or not.
    pub(super) fn of(text: &str) -> Draft {
        let mut words = text.split_ascii_whitespace();
        words.next();
        Draft {
            terms: words.map(str::to_owned).collect(),
        }
    }

    /// The same, without what some write at the end of a term.
    pub(super) fn bare(text: &str) -> Draft {
        let mut draft = Draft::of(text);
        for term in &mut draft.terms {
            if let Some(bare) = bare(term) {
                *term = bare.to_owned();
            }
        }
        draft
    }

    /// The words, in their order.
    pub(super) fn terms(&self) -> &[String] {
        &self.terms
    }

    /// One record for several: all that they let send, the first explanation, and the milder of their ends.
    pub(super) fn merged(records: &[&str]) -> Draft {
        let mut terms: Vec<String> = Vec::new();
        let mut explanation = None;
        let mut strict = true;
        for record in records {
            let draft = Draft::of(record);
            strict &= draft
                .terms
                .iter()
                .any(|term| term.eq_ignore_ascii_case("-all"));
            let mut counting: Vec<&String> = draft.counting().collect();
            // It counts where nothing else matches, wherever it stands (RFC 7208 §6.1).
            counting.sort_by_key(|term| is_redirect(term));
            for term in counting {
                let term = match term.split_once('=') {
                    // Only one redirect may stand there, and it would hide the others.
                    Some((_, target)) if is_redirect(term) => format!("include:{target}"),
                    // Nor may two explanations (RFC 7208 §6).
                    Some((name, _)) if name.eq_ignore_ascii_case("exp") => {
                        explanation.get_or_insert_with(|| term.clone());
                        continue;
                    }
                    _ => term.clone(),
                };
                if !terms.iter().any(|known| known.eq_ignore_ascii_case(&term)) {
                    terms.push(term);
                }
            }
        }
        terms.push(if strict { "-all" } else { "~all" }.to_owned());
        terms.extend(explanation);
        Draft { terms }
    }

    /// The terms that count, without `all`: what stands before it, and modifiers; a redirect only where there is no
    /// `all` (RFC 7208 §5.1, §6.1).
    fn counting(&self) -> impl Iterator<Item = &String> {
        let all = self.terms.iter().position(|term| is_all(term));
        let terms = self.terms.iter().enumerate();
        let counting = terms.filter(move |(at, term)| match all {
            Some(all) => {
                *at < all && !is_redirect(term)
                    || *at > all && is_modifier(term) && !is_redirect(term)
            }
            None => true,
        });
        counting.map(|(_, term)| term)
    }

    /// The terms before `all`.
    pub(super) fn before_all(&self) -> Vec<String> {
        let terms = self.terms.iter();
        terms.take_while(|term| !is_all(term)).cloned().collect()
    }

    /// Whether a term lets somebody send, or does not say.
    fn lets_somebody(&self) -> bool {
        let open = self.terms.iter().find(|term| is_all(term));
        let open = open.is_some_and(|all| !all.starts_with(['-', '~']));
        open || self
            .counting()
            .any(|term| is_redirect(term) || !is_modifier(term) && !term.starts_with(['-', '~']))
    }

    /// Whether it says that nobody sends.
    pub(super) fn refuses_all(&self) -> bool {
        let mut ends = self.terms.iter();
        ends.any(|term| is_all(term)) && !self.lets_somebody()
    }

    /// Whether somebody may send now, or is not refused, and nobody may by the other record.
    pub(super) fn is_stopped_by(&self, next: &Draft) -> bool {
        self.lets_somebody() && !next.lets_somebody() || !self.refuses_all() && next.refuses_all()
    }

    /// The record with the terms mended that are wrong; none where what is meant by one is not sure.
    pub(super) fn repaired(text: &str) -> Option<Draft> {
        let mut text = text.to_owned();
        let separated = text.replace(['\t', '\r', '\n'], " ");
        text = slips::mended(&separated).0;
        // A term may have two faults.
        for _ in 0..3 {
            let error = match Record::parse(text.as_bytes()) {
                Ok(_) => return Some(Draft::of(&text)),
                Err(RecordError::NotSpf) => return None,
                Err(error) => error,
            };
            for bad in error.terms().iter().rev() {
                let term = repaired(bad)?;
                text.replace_range(bad.span.clone(), &term);
            }
        }
        None
    }

    /// Takes a term out; where a redirect goes that was the end of the record, it gets another.
    pub(super) fn without(&mut self, term: &str) {
        self.replace(term, "");
        let has_end = self.terms.iter().any(|known| is_all(known));
        if is_redirect(term) && !has_end {
            self.terms.push("~all".to_owned());
        }
    }

    /// Writes another term in the place of this one, or none.
    pub(super) fn replace(&mut self, term: &str, right: &str) {
        for known in self.terms.iter_mut().filter(|known| *known == term) {
            right.clone_into(known);
        }
        self.terms.retain(|term| !term.is_empty());
    }

    /// Writes several terms in the place of this one.
    pub(super) fn part(&mut self, term: &str, terms: &[String]) {
        let old = std::mem::take(&mut self.terms);
        for known in old {
            match known == term {
                true => self.terms.extend_from_slice(terms),
                false => self.terms.push(known),
            }
        }
    }

    /// What is meant by a modifier with the name of a mechanism.
    pub(super) fn colon(term: &str) -> Option<String> {
        let right = term.replacen('=', ":", 1);
        let bare = right.trim_end_matches(AT_END).to_owned();
        let is_right = |right: &String| Record::parse(format!("v=spf1 {right}").as_bytes()).is_ok();
        [right, bare].into_iter().find(is_right)
    }

    /// Ends the record so, in the place of how it ends.
    pub(super) fn end(&mut self, all: &str) {
        self.terms.retain(|term| !is_all(term));
        self.terms.push(all.to_owned());
    }

    /// Brings these terms, which stand behind `all`, before it, and takes out what else would count there.
    pub(super) fn all_last(&mut self, forgotten: &[String]) {
        let Some(first) = self.terms.iter().position(|term| is_all(term)) else {
            return;
        };
        let behind = self.terms.split_off(first + 1);
        let (modifiers, behind): (Vec<_>, Vec<_>) =
            behind.into_iter().partition(|term| is_modifier(term));
        let is_new = |term: &String| forgotten.contains(term) && !self.terms.contains(term);
        let behind: Vec<String> = behind.into_iter().filter(is_new).collect();
        self.terms.splice(first..first, behind);
        self.terms.extend(modifiers);
    }

    /// Lets an address send.
    pub(super) fn allow(&mut self, address: IpAddr) {
        let term = named(address);
        // Before what may refuse it.
        let at = self
            .terms
            .iter()
            .take_while(|term| !is_refusal(term))
            .count();
        if !self.terms[..at].contains(&term) {
            self.terms.insert(at, term);
        }
    }

    /// Lets addresses send before anything is asked for.
    pub(super) fn allow_first(&mut self, addresses: &[IpAddr]) {
        let first: Vec<String> = addresses.iter().map(|address| named(*address)).collect();
        self.terms.retain(|term| !first.contains(term));
        self.terms.splice(..0, first);
    }
}

impl fmt::Display for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("v=spf1")?;
        for term in &self.terms {
            write!(f, " {term}")?;
        }
        Ok(())
    }
}

/// What is left of a term that is wrong, where only what some write at its end is wrong with it.
pub(super) fn bare(term: &str) -> Option<&str> {
    let bare = term.trim_end_matches(AT_END);
    let is_right = bare.len() < term.len() && !slips::is_term(term) && slips::is_term(bare);
    is_right.then_some(bare)
}

/// The term for an address.
fn named(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("ip4:{address}"),
        IpAddr::V6(address) => format!("ip6:{address}"),
    }
}

/// Whether a term is `all`, with whatever before it.
pub(super) fn is_all(term: &str) -> bool {
    let name = term.trim_start_matches(['+', '-', '~', '?']);
    name.eq_ignore_ascii_case("all")
}

/// Whether a term leads to another record in the place of this one.
pub(super) fn is_redirect(term: &str) -> bool {
    let name = term.split('=').next().unwrap_or_default();
    name.len() < term.len() && name.eq_ignore_ascii_case("redirect")
}

/// Whether a term asks for the names of an address.
pub(super) fn is_ptr(term: &str) -> bool {
    let name = term.trim_start_matches(['+', '-', '~', '?']);
    let name = name.split([':', '/']).next().unwrap_or_default();
    name.eq_ignore_ascii_case("ptr")
}

fn is_refusal(term: &str) -> bool {
    is_refusal_by_sign(term) || is_all(term) || is_modifier(term)
}

fn is_refusal_by_sign(term: &str) -> bool {
    term.starts_with(['-', '~', '?'])
}

fn is_modifier(term: &str) -> bool {
    let name = term.split(['=', ':', '/']).next().unwrap_or_default();
    term[name.len()..].starts_with('=')
}

/// What a term that is wrong is surely meant to be; nothing for one that is to go.
fn repaired(bad: &BadTerm) -> Option<String> {
    let text = bad.text.as_str();
    let signs = text.len() - text.trim_start_matches(['+', '-', '~', '?']).len();
    let (sign, name) = text.split_at(signs);
    // A comma or a semicolon at the end, or a sign too many.
    let bare = text.trim_end_matches(AT_END);
    let sign_once = sign.get(..1).unwrap_or_default();
    // Of two that contradict each other nobody knows which is meant.
    if sign.chars().any(|one| !sign.starts_with(one)) {
        return name.eq_ignore_ascii_case("all").then(|| "~all".to_owned());
    }
    let mut meant = vec![bare.to_owned(), format!("{sign_once}{name}")];
    match &bad.fault {
        TermFault::ModifierName => return Some(String::new()),
        TermFault::ModifierWithColon => meant.push(name.replacen(':', "=", 1)),
        TermFault::Qualifier => meant.push(name.to_owned()),
        TermFault::EqualsForColon { .. } => meant.push(text.replacen('=', ":", 1)),
        TermFault::Argument => meant.push(format!("{sign_once}all")),
        TermFault::NoDomain { name } => meant.push(format!("{sign}{name}")),
        TermFault::Address { found, .. } => match found.parse::<IpAddr>() {
            Ok(IpAddr::V4(_)) => meant.push(text.replacen("ip6:", "ip4:", 1)),
            Ok(IpAddr::V6(_)) => meant.push(text.replacen("ip4:", "ip6:", 1)),
            Err(_) => {}
        },
        TermFault::Prefix { .. } => {
            if let Some((before, digits)) = text.rsplit_once('/') {
                meant.push(format!("{before}/{}", digits.trim_start_matches('0')));
            }
        }
        TermFault::PrefixUnexpected { .. } => {
            meant.extend(text.rsplit_once('/').map(|(before, _)| before.to_owned()));
        }
        TermFault::AddressForDomain { address } => {
            let kind = if address.is_ipv4() { "ip4" } else { "ip6" };
            let behind = name.split_once(':').map(|(_, behind)| behind);
            meant.extend(behind.map(|behind| format!("{sign}{kind}:{behind}")));
        }
        TermFault::Mechanism { name: wrong } => {
            let behind = name.get(wrong.len()..).unwrap_or_default();
            if wrong.parse::<IpAddr>().is_ok() {
                meant.push(format!("{sign}ip4:{name}"));
            }
            if name.parse::<std::net::Ipv6Addr>().is_ok() {
                meant.push(format!("{sign}ip6:{name}"));
            }
            meant.extend(mechanism(wrong).map(|right| format!("{sign}{right}{behind}")));
        }
        TermFault::Octet { .. }
        | TermFault::Twice
        | TermFault::NoAddress { .. }
        | TermFault::Macro(_)
        | TermFault::SingleLabel { .. }
        | TermFault::TopLabel { .. } => {}
    }
    let right = |term: String| match Record::parse(format!("v=spf1 {term}").as_bytes()) {
        _ if term.is_empty() || term == text => None,
        // Nobody is let in by what is only likely to be meant.
        Ok(_) if is_all(&term) && !is_refusal_by_sign(&term) => Some("~all".to_owned()),
        Ok(_) => Some(term),
        // Behind a comma there may be another fault.
        Err(error) if term == bare => repaired(error.terms().first()?),
        Err(_) => None,
    };
    meant.into_iter().find_map(right)
}

/// The mechanism that a word is meant to be: a common slip, or one from which it differs by a letter.
fn mechanism(word: &str) -> Option<&'static str> {
    let slips = [
        ("ipv4", "ip4"),
        ("ipv6", "ip6"),
        ("ip", "ip4"),
        ("includes", "include"),
        ("aaaa", "a"),
    ];
    let known = ["include", "exists", "ip4", "ip6", "all"];
    let slip = slips.iter().find(|slip| slip.0 == word).map(|slip| slip.1);
    slip.or_else(|| known.into_iter().find(|known| is_near(word, known)))
}

/// Whether a letter was left out, put in, or two were swapped. Another letter may be another mechanism.
fn is_near(word: &str, known: &str) -> bool {
    let (short, long) = match word.len() < known.len() {
        true => (word, known),
        false => (known, word),
    };
    let (short, long) = (short.as_bytes(), long.as_bytes());
    let head = short.iter().zip(long).take_while(|(a, b)| a == b).count();
    match long.len() - short.len() {
        1 => short[head..] == long[head + 1..],
        0 if head + 2 <= long.len() => {
            short[head] == long[head + 1]
                && short[head + 1] == long[head]
                && short[head + 2..] == long[head + 2..]
        }
        _ => false,
    }
}
