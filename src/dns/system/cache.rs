//! What a resolver remembers.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::dns::Answer;
use crate::name::KeyName;

/// Answers by name.
#[derive(Default)]
pub(super) struct Cache {
    answers: HashMap<KeyName, Kept>,
}

struct Kept {
    answer: Answer,
    since: Instant,
    until: Instant,
}

pub(super) const RECORDS_KEPT: Duration = Duration::from_secs(24 * 3600);
/// RFC 2308 §5: one to three hours are sensible.
pub(super) const NOTHING_KEPT: Duration = Duration::from_secs(3600);
/// RFC 9520 §3.2: at least a second, at most five minutes.
pub(super) const FAILURE_KEPT: Duration = Duration::from_secs(30);
/// Together these bound the memory to 16 MiB.
const MAX_KEPT: usize = 1024;
const MAX_KEPT_OCTETS: usize = 16 * 1024;

impl Cache {
    pub(super) fn get(&self, name: &KeyName, now: Instant) -> Option<Answer> {
        let kept = self.answers.get(name).filter(|kept| now < kept.until)?;
        let mut answer = kept.answer.clone();
        if let Answer::Records { ttl, .. } = &mut answer {
            *ttl = ttl.saturating_sub(now - kept.since);
        }
        Some(answer)
    }

    pub(super) fn put(&mut self, name: KeyName, answer: &Answer, keep: Duration, now: Instant) {
        let octets = match answer {
            Answer::Records { txt, .. } => txt.iter().map(Vec::len).sum(),
            _ => 0,
        };
        if keep.is_zero() || octets > MAX_KEPT_OCTETS {
            return;
        }
        if self.answers.len() >= MAX_KEPT {
            self.answers.retain(|_, kept| now < kept.until);
        }
        if self.answers.len() >= MAX_KEPT {
            self.answers.clear();
        }
        let kept = Kept {
            answer: answer.clone(),
            since: now,
            until: now + keep,
        };
        self.answers.insert(name, kept);
    }
}
