//! The structure of a chain: which sets there are, and whether they can be one (RFC 8617 §5.2, steps 1 to 3).

use std::ops::Range;

use super::fields::{
    ArcField, ChainStatus, FieldError, MessageSignature, Seal, claims, read_instance, read_results,
    read_status, results_text,
};
use super::report::{ArcFailure, FieldFailure};
use crate::header::FieldIndex;
use crate::key::Algorithm;
use crate::message::Header;
use crate::name::{Domain, KeyName, Selector};
use crate::policy::Policy;
use crate::report::Failure;
use crate::signature::{Claims, SignatureError};
use crate::tag::TagList;
use crate::time::UnixTime;

/// The sets of a header, 1 to N, and why they are no chain that can be tried.
#[derive(Debug, Default)]
pub(super) struct Chain {
    pub(super) sets: Vec<Set>,
    /// Decided by the header alone.
    pub(super) failure: Option<ArcFailure>,
    /// cv= of the highest ARC-Seal.
    pub(super) newest_status: Option<ChainStatus>,
}

/// What stands under one number; of several fields alike the topmost.
#[derive(Debug, Default)]
pub(super) struct Set {
    /// i=
    pub(super) instance: u8,
    /// The position of the field, and its results as text.
    pub(super) results: Option<(usize, String)>,
    pub(super) message_signature: Option<Item<MessageSignature>>,
    pub(super) seal: Option<Item<Seal>>,
    pub(super) status: Option<ChainStatus>,
}

/// A field that is a signature.
#[derive(Debug)]
pub(super) struct Item<T> {
    pub(super) claims: Claims,
    pub(super) read: Result<Open<T>, FieldFailure>,
    pub(super) position: usize,
}

/// A signature that can be tried.
#[derive(Debug)]
pub(super) struct Open<T> {
    pub(super) value: T,
    /// Where in the value of the field that of b= stands.
    pub(super) b_value: Range<usize>,
    pub(super) key_name: KeyName,
}

/// What both signatures of a set have.
pub(super) trait Signed {
    fn algorithm(&self) -> Algorithm;
    fn key(&self) -> (&Selector, &Domain);
    fn expiration(&self) -> Option<UnixTime>;
}

impl Signed for MessageSignature {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn key(&self) -> (&Selector, &Domain) {
        (&self.selector, &self.domain)
    }

    fn expiration(&self) -> Option<UnixTime> {
        self.expiration
    }
}

impl Signed for Seal {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn key(&self) -> (&Selector, &Domain) {
        (&self.selector, &self.domain)
    }

    fn expiration(&self) -> Option<UnixTime> {
        None
    }
}

impl Chain {
    /// Reads the sets of `header`.
    pub(super) fn read(
        header: &Header,
        index: &FieldIndex,
        policy: &Policy,
        now: UnixTime,
    ) -> Chain {
        let mut chain = Chain::default();
        let mut unassigned = None;
        let mut doubled = None;
        for field in ArcField::ALL {
            for position in index.positions(header, field.name()) {
                match chain.add(header, field, position, policy, now) {
                    Ok(None) => {}
                    Ok(Some(instance)) => {
                        doubled.get_or_insert(ArcFailure::Doubled { instance, field });
                    }
                    Err(error @ FieldError::BeyondLimit { .. }) => {
                        chain.failure = Some(ArcFailure::TooManySets { field, error });
                    }
                    Err(error) => {
                        unassigned.get_or_insert(ArcFailure::Unassigned { field, error });
                    }
                }
            }
        }
        chain.newest_status = chain.sets.iter().rev().find_map(|set| set.status);
        if chain.failure.is_none() {
            // §5.2, step 2, comes before all that is wrong with the structure.
            chain.failure = chain
                .marked_as_failed()
                .or(unassigned)
                .or(doubled)
                .or_else(|| chain.structure())
                .or_else(|| chain.unusable());
        }
        chain
    }

    /// The number of the highest set.
    pub(super) fn len(&self) -> u8 {
        u8::try_from(self.sets.len()).expect("no more than 50 sets are kept")
    }

    /// Adds a field to its set; gives the number of the set where that has one already.
    fn add(
        &mut self,
        header: &Header,
        field: ArcField,
        position: usize,
        policy: &Policy,
        now: UnixTime,
    ) -> Result<Option<u8>, FieldError> {
        let value = header.field(position).value();
        if field == ArcField::AuthenticationResults {
            let (instance, results) = read_results(value)?;
            let text = results_text(&value[results]);
            let free = put(&mut self.set(instance).results, (position, text));
            return Ok((!free).then_some(instance));
        }
        let limits = policy.limits.signature;
        let list = TagList::parse(value, limits.tags).map_err(SignatureError::Tags)?;
        let instance = read_instance(&list)?;
        let set = self.set(instance);
        let free = if field == ArcField::Seal {
            let read = |list: &TagList<'_>| Seal::read(list, instance, limits);
            set.status = set.status.or_else(|| read_status(&list).ok());
            put(&mut set.seal, Item::new(&list, position, policy, now, read))
        } else {
            let read = |list: &TagList<'_>| MessageSignature::read(list, instance, limits);
            put(
                &mut set.message_signature,
                Item::new(&list, position, policy, now, read),
            )
        };
        Ok((!free).then_some(instance))
    }

    fn set(&mut self, instance: u8) -> &mut Set {
        while self.len() < instance {
            let instance = self.len() + 1;
            self.sets.push(Set {
                instance,
                ..Set::default()
            });
        }
        &mut self.sets[usize::from(instance) - 1]
    }

    /// §5.2, step 2.
    fn marked_as_failed(&self) -> Option<ArcFailure> {
        let newest = self.sets.last()?.status? == ChainStatus::Fail;
        newest.then_some(ArcFailure::MarkedAsFailed {
            instance: self.len(),
        })
    }

    /// §5.2, step 3: each set is whole, there is no gap, and cv= is what it must be.
    fn structure(&self) -> Option<ArcFailure> {
        for set in &self.sets {
            let instance = set.instance;
            let missing = set.missing();
            match missing.as_slice() {
                [] => {}
                [_, _, _] => return Some(ArcFailure::SetMissing { instance }),
                [field, ..] => {
                    let field = *field;
                    return Some(ArcFailure::FieldMissing { instance, field });
                }
            }
        }
        let wanted = |instance| match instance {
            1 => ChainStatus::None,
            _ => ChainStatus::Pass,
        };
        self.sets.iter().find_map(|set| {
            let (instance, status) = (set.instance, set.status?);
            (status != wanted(instance)).then_some(ArcFailure::Status { instance, status })
        })
    }

    /// Steps 4 and 6, as far as they need no key: the newest message signature, and the seals from N to 1.
    fn unusable(&self) -> Option<ArcFailure> {
        let newest = self.sets.last()?;
        let signature = newest.message_signature.as_ref()?.refusal();
        let signature = signature.map(|f| (newest.instance, ArcField::MessageSignature, f));
        let mut seals = self.sets.iter().rev().filter_map(|set| {
            let failure = set.seal.as_ref()?.refusal()?;
            Some((set.instance, ArcField::Seal, failure))
        });
        let (instance, field, failure) = signature.or_else(|| seals.next())?;
        Some(ArcFailure::Field {
            instance,
            field,
            failure: failure.clone(),
        })
    }

    /// The names of the keys that decide, and then those that only say how far back the message is unchanged;
    /// what is beyond the cap is left out.
    pub(super) fn choose_keys(&mut self, lookups: usize) -> Vec<KeyName> {
        let mut wanted = Vec::new();
        if self.failure.is_some() {
            return wanted;
        }
        let newest = self.sets.len().saturating_sub(1);
        if let Some(set) = self.sets.last_mut() {
            choose(&mut set.message_signature, &mut wanted, lookups);
        }
        for set in self.sets.iter_mut().rev() {
            choose(&mut set.seal, &mut wanted, lookups);
        }
        for set in self.sets[..newest].iter_mut().rev() {
            choose(&mut set.message_signature, &mut wanted, lookups);
        }
        // A seal that is beyond the cap decides as well.
        self.failure = self.unusable();
        if self.failure.is_some() {
            wanted.clear();
        }
        wanted
    }
}

fn choose<T>(item: &mut Option<Item<T>>, wanted: &mut Vec<KeyName>, lookups: usize) {
    let Some(Item {
        read: read @ Ok(_), ..
    }) = item
    else {
        return;
    };
    let Ok(open) = &*read else { return };
    if wanted.contains(&open.key_name) {
        return;
    }
    if wanted.len() == lookups {
        *read = Err(FieldFailure::Refused(Failure::NotEvaluated));
        return;
    }
    wanted.push(open.key_name.clone());
}

fn put<T>(place: &mut Option<T>, value: T) -> bool {
    let free = place.is_none();
    if free {
        *place = Some(value);
    }
    free
}

impl Set {
    fn missing(&self) -> Vec<ArcField> {
        let there = |field: &ArcField| match field {
            ArcField::AuthenticationResults => self.results.is_some(),
            ArcField::MessageSignature => self.message_signature.is_some(),
            ArcField::Seal => self.seal.is_some(),
        };
        ArcField::ALL.into_iter().filter(|f| !there(f)).collect()
    }
}

impl<T: Signed> Item<T> {
    fn new(
        list: &TagList<'_>,
        position: usize,
        policy: &Policy,
        now: UnixTime,
        read: impl FnOnce(&TagList<'_>) -> Result<T, FieldError>,
    ) -> Item<T> {
        let read = read(list)
            .map_err(FieldFailure::Malformed)
            .and_then(|value| {
                // RFC 8301 §3.1, and no policy lets it through: ARC is younger than that.
                if value.algorithm() == Algorithm::RsaSha1 {
                    return Err(FieldFailure::Refused(Failure::Sha1));
                }
                if let Some(expired) = policy.expired(value.expiration(), now) {
                    return Err(FieldFailure::Refused(expired));
                }
                let b_value = list.get("b").expect("b= was read").span.clone();
                let (selector, domain) = value.key();
                let key_name = KeyName::new(selector, domain).expect("a name that was checked");
                Ok(Open {
                    value,
                    b_value,
                    key_name,
                })
            });
        Item {
            claims: claims(list, policy.limits.signature),
            read,
            position,
        }
    }
}

impl<T> Item<T> {
    fn refusal(&self) -> Option<&FieldFailure> {
        self.read.as_ref().err()
    }
}
