//! Many jobs on all cores, their results in the order of the jobs, and memory that does not grow with them.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::Exit;
use super::speech::Trouble;

/// So many jobs may be begun before the first of them is done.
const WINDOW: u64 = 256;
/// So many bytes of results may wait for their turn.
const WAITING: usize = 8 << 20;

/// What a job came to.
pub(super) trait Outcome: Send {
    /// About how many bytes it holds.
    fn weight(&self) -> usize;
}

/// Does each of `jobs` on so many threads, and hands the results to `put` in the order of the jobs.
///
/// An interrupt, and an error of `put`, end it after the jobs that were begun.
pub(super) fn run<J: Send, R: Outcome>(
    threads: Option<NonZeroUsize>,
    jobs: impl Iterator<Item = J> + Send,
    work: impl Fn(J) -> R + Sync,
    mut put: impl FnMut(R) -> Result<(), Trouble> + Send,
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
    let desk = Desk {
        state: Mutex::new(State {
            jobs,
            put,
            begun: 0,
            done: 0,
            early: BTreeMap::new(),
            weight: 0,
            ended: Ok(()),
        }),
        moved: Condvar::new(),
        interrupt: &interrupt,
    };
    thread::scope(|scope| {
        for _ in 1..threads {
            // Where no more threads can be had, those that are there do it.
            let more = thread::Builder::new().spawn_scoped(scope, || desk.serve(&work));
            if more.is_err() {
                break;
            }
        }
        desk.serve(&work);
    });
    let state = desk.state.into_inner();
    state.unwrap_or_else(PoisonError::into_inner).ended?;
    interrupt.check()
}

/// Where jobs are fetched and results are brought; whoever brings the next one in order puts it out.
struct Desk<'a, I, R, P> {
    state: Mutex<State<I, R, P>>,
    moved: Condvar,
    interrupt: &'a Interrupt,
}

struct State<I, R, P> {
    jobs: I,
    put: P,
    begun: u64,
    done: u64,
    /// What came before its turn, and its weight.
    early: BTreeMap<u64, R>,
    weight: usize,
    ended: Result<(), Trouble>,
}

impl<I: Iterator, R: Outcome, P: FnMut(R) -> Result<(), Trouble>> Desk<'_, I, R, P> {
    fn serve(&self, work: &impl Fn(I::Item) -> R) {
        // A panic must not leave the others waiting.
        let _alarm = Alarm(|| {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.ended = Err(Trouble::new(Exit::TempFail, "a thread panicked"));
            self.moved.notify_all();
        });
        let mut results = Vec::new();
        loop {
            let (first, jobs) = self.trade(&mut results);
            if jobs.is_empty() {
                return;
            }
            results.extend((first..).zip(jobs.into_iter().map(work)));
        }
    }

    /// Takes results, and gives the next jobs and the number of the first; none at the end.
    fn trade(&self, results: &mut Vec<(u64, R)>) -> (u64, Vec<I::Item>) {
        let mut guard = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let state = &mut *guard;
        state.weight += results.iter().map(|(_, r)| r.weight()).sum::<usize>();
        state.early.extend(results.drain(..));
        let before = state.done;
        while let Some(result) = state.early.remove(&state.done) {
            state.done += 1;
            state.weight -= result.weight();
            if state.ended.is_ok() {
                state.ended = (state.put)(result);
            }
        }
        if state.done > before {
            self.moved.notify_all();
        }
        // Whoever waits has brought all its results; so at least one of the others works on the next one.
        while guard.ended.is_ok()
            && guard.done < guard.begun
            && (guard.begun >= guard.done + WINDOW || guard.weight > WAITING)
        {
            guard = self
                .moved
                .wait(guard)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let state = &mut *guard;
        let first = state.begun;
        if state.ended.is_err() || self.interrupt.came() {
            return (first, Vec::new());
        }
        // Few at first, so that a small number is shared out evenly; then more, so that nobody queues.
        let count = 1 + (first / 32).min(7);
        let jobs: Vec<I::Item> = state.jobs.by_ref().take(count as usize).collect();
        state.begun += jobs.len() as u64;
        (first, jobs)
    }
}

/// Does something if the thread panics.
struct Alarm<F: Fn()>(F);

impl<F: Fn()> Drop for Alarm<F> {
    fn drop(&mut self) {
        if thread::panicking() {
            (self.0)();
        }
    }
}

/// SIGINT and SIGTERM during a batch: what was begun is finished and told; a second one ends at once.
struct Interrupt {
    signals: Signals,
    ids: Vec<signal_hook::SigId>,
    /// Tells the watch that all is over.
    over: Arc<AtomicBool>,
}

/// Whether each came, and what it makes of the exit code.
type Signals = Vec<(Arc<AtomicBool>, Exit)>;

/// Where the work does not end so soon after a signal, it waits for input that may never come.
const PATIENCE: Duration = Duration::from_secs(2);

/// Ends the program where a signal alone does not.
fn watch(signals: Signals, over: Arc<AtomicBool>) {
    let step = Duration::from_millis(50);
    let mut since = Duration::ZERO;
    while !over.load(Ordering::Relaxed) {
        thread::sleep(step);
        for (came, exit) in &signals {
            if came.load(Ordering::Relaxed) {
                since += step;
                if since > PATIENCE && !over.load(Ordering::Relaxed) {
                    std::process::exit(*exit as i32);
                }
            }
        }
    }
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
        let over = Arc::new(AtomicBool::new(false));
        let (watched, end) = (signals.clone(), over.clone());
        // Without it, a second signal ends the program all the same.
        let _ = thread::Builder::new().spawn(move || watch(watched, end));
        Ok(Interrupt { signals, ids, over })
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
        self.over.store(true, Ordering::Relaxed);
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

    impl Outcome for u64 {
        fn weight(&self) -> usize {
            // Each as large as all that may wait.
            if self.is_multiple_of(10) { WAITING } else { 8 }
        }
    }

    #[test]
    fn results_come_in_the_order_of_the_jobs_on_any_number_of_threads() {
        for threads in [1, 2, 7] {
            let mut results = Vec::new();
            let work = |n: u64| {
                // The first ones are the slowest.
                thread::sleep(Duration::from_micros(200 - n.min(200)));
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
