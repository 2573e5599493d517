//! The budget of a search, and how its work is shared among the cores.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rayon::prelude::*;

/// The clock and the count of a search.
pub(super) struct Search {
    begun: Instant,
    budget: Duration,
    tried: AtomicU64,
}

impl Search {
    pub(super) fn new(budget: Duration) -> Search {
        Search {
            begun: Instant::now(),
            // A clock cannot count for ever.
            budget: budget.min(Duration::from_secs(86_400)),
            tried: AtomicU64::new(0),
        }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// The time until which `part` of what is left of the budget may be used.
    pub(super) fn share(&self, part: f64) -> Share<'_> {
        let left = self.budget.saturating_sub(self.elapsed());
        Share {
            search: self,
            until: Instant::now() + left.mul_f64(part),
            before: self.tried.load(Ordering::Relaxed),
        }
    }
}

/// A part of the budget.
#[derive(Clone, Copy)]
pub(super) struct Share<'s> {
    search: &'s Search,
    until: Instant,
    before: u64,
}

impl Share<'_> {
    /// Counts texts that were tried.
    pub(super) fn count(&self, tried: u64) {
        self.search.tried.fetch_add(tried, Ordering::Relaxed);
    }

    /// How many texts were tried in this share.
    pub(super) fn tried(&self) -> u64 {
        self.search.tried.load(Ordering::Relaxed) - self.before
    }

    /// Whether the time is over.
    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    /// The first hit among `jobs`, which are done on all cores, some of them at a time, in their order: so the cheap
    /// ones come before the dear ones, and the same message gives the same answer.
    pub(super) fn first<J: Sync, R: Send>(
        &self,
        jobs: &[J],
        work: impl Fn(&J) -> Option<R> + Sync,
    ) -> Option<R> {
        const AT_A_TIME: usize = 64;
        let work = |job: &J| (!self.is_over()).then(|| work(job)).flatten();
        let mut some = jobs.chunks(AT_A_TIME);
        some.find_map(|some| some.par_iter().with_max_len(1).find_map_first(work))
    }
}
