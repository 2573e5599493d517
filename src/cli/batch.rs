//! Many jobs on all cores, their results in the order of the jobs, and memory that does not grow with them.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

use indicatif::{ProgressBar, ProgressStyle};

use super::Exit;
use super::speech::Trouble;

/// So many jobs may be begun before the first of them is done.
const WINDOW: u64 = 64;

/// Does each of `jobs` on so many threads, and hands the results to `put` in the order of the jobs.
///
/// An interrupt, and an error of `put`, end it after the jobs that were begun.
pub(super) fn run<J: Send, R: Send>(
    threads: Option<NonZeroUsize>,
    jobs: impl Iterator<Item = J> + Send,
    work: impl Fn(J) -> R + Sync,
    mut put: impl FnMut(R) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    let threads = threads.or_else(|| thread::available_parallelism().ok());
    let threads = threads.map_or(1, NonZeroUsize::get);
    let interrupt = Interrupt::listen()?;
    if threads == 1 {
        for job in jobs {
            put(work(job))?;
            interrupt.check()?;
        }
        return Ok(());
    }
    let queue = Mutex::new(Queue {
        jobs,
        begun: 0,
        done: 0,
        stop: false,
    });
    let moved = Condvar::new();
    let (results, arrived) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..threads {
            let (queue, moved, work, results) = (&queue, &moved, &work, results.clone());
            let interrupt = &interrupt;
            scope.spawn(move || {
                while let Some((number, job)) = next(queue, moved, interrupt) {
                    if results.send((number, work(job))).is_err() {
                        break;
                    }
                }
            });
        }
        drop(results);
        // What came before its turn.
        let mut early = BTreeMap::new();
        let mut done = 0;
        let mut ended = Ok(());
        for (number, result) in arrived {
            early.insert(number, result);
            while let Some(result) = early.remove(&done) {
                done += 1;
                if ended.is_ok() {
                    ended = put(result);
                }
            }
            let mut queue = lock(&queue);
            queue.done = done;
            queue.stop |= ended.is_err();
            drop(queue);
            moved.notify_all();
        }
        ended
    })?;
    interrupt.check()
}

struct Queue<I> {
    jobs: I,
    begun: u64,
    done: u64,
    stop: bool,
}

fn lock<I>(queue: &Mutex<Queue<I>>) -> MutexGuard<'_, Queue<I>> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

fn next<I: Iterator>(
    queue: &Mutex<Queue<I>>,
    moved: &Condvar,
    interrupt: &Interrupt,
) -> Option<(u64, I::Item)> {
    let mut queue = lock(queue);
    while !queue.stop && queue.begun >= queue.done + WINDOW {
        queue = moved.wait(queue).unwrap_or_else(PoisonError::into_inner);
    }
    if queue.stop || interrupt.came() {
        return None;
    }
    let job = queue.jobs.next()?;
    queue.begun += 1;
    Some((queue.begun - 1, job))
}

/// SIGINT and SIGTERM during a batch: what was begun is finished and told; a second one ends at once.
struct Interrupt {
    signals: Vec<(Arc<AtomicBool>, Exit)>,
    ids: Vec<signal_hook::SigId>,
}

impl Interrupt {
    fn listen() -> Result<Interrupt, Trouble> {
        let mut signals = Vec::new();
        let mut ids = Vec::new();
        for (signal, exit) in [
            (signal_hook::consts::SIGINT, Exit::Interrupted),
            (signal_hook::consts::SIGTERM, Exit::Terminated),
        ] {
            let came = Arc::new(AtomicBool::new(false));
            // Registered first, it acts on the second signal alone.
            let second =
                signal_hook::flag::register_conditional_shutdown(signal, exit as i32, came.clone());
            let first = signal_hook::flag::register(signal, came.clone());
            for id in [second, first] {
                ids.push(id.map_err(|e| Trouble::new(Exit::TempFail, e))?);
            }
            signals.push((came, exit));
        }
        Ok(Interrupt { signals, ids })
    }

    fn came(&self) -> bool {
        let mut signals = self.signals.iter();
        signals.any(|(came, _)| came.load(Ordering::Relaxed))
    }

    fn check(&self) -> Result<(), Trouble> {
        let mut signals = self.signals.iter();
        match signals.find(|(came, _)| came.load(Ordering::Relaxed)) {
            Some((_, exit)) => Err(Trouble::new(
                *exit,
                "interrupted; what was done until then stands",
            )),
            None => Ok(()),
        }
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        for id in &self.ids {
            signal_hook::low_level::unregister(*id);
        }
    }
}

/// A count of messages on a terminal, while the results go elsewhere.
pub(super) struct Progress(Option<ProgressBar>);

impl Progress {
    pub(super) fn new(wanted: bool) -> Progress {
        use std::io::IsTerminal as _;
        let shown = wanted && std::io::stderr().is_terminal() && !std::io::stdout().is_terminal();
        Progress(shown.then(|| {
            let bar = ProgressBar::new_spinner();
            let style =
                ProgressStyle::with_template("{spinner} {human_pos} messages, {per_sec}, {msg}");
            bar.set_style(style.expect("a template that was tried"));
            bar
        }))
    }

    /// One message more.
    pub(super) fn count(&self, remark: impl FnOnce() -> String) {
        if let Some(bar) = &self.0 {
            bar.inc(1);
            if bar.position() % 64 == 1 {
                bar.set_message(remark());
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_jobs_on_any_number_of_threads() {
        for threads in [1, 2, 7] {
            let mut results = Vec::new();
            let work = |n: u64| {
                // The first ones are the slowest.
                thread::sleep(std::time::Duration::from_micros(200 - n.min(200)));
                n * 2
            };
            let put = |n| {
                results.push(n);
                Ok(())
            };
            run(NonZeroUsize::new(threads), 0..500, work, put).unwrap();
            assert!(results.into_iter().eq((0..500).map(|n| n * 2)));
        }
    }

    #[test]
    fn an_error_of_the_receiver_ends_the_work() {
        for threads in [1, 3] {
            let begun = std::sync::atomic::AtomicU64::new(0);
            let work = |n: u64| {
                begun.fetch_add(1, Ordering::Relaxed);
                n
            };
            let put = |n| match n {
                10 => Err(Trouble::usage("enough")),
                _ => Ok(()),
            };
            assert!(run(NonZeroUsize::new(threads), 0..1_000_000, work, put).is_err());
            assert!(begun.load(Ordering::Relaxed) < 10 + 2 * WINDOW);
        }
    }
}
