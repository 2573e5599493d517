//! Tells the service manager that the milter is alive, for as long as it is.

use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

/// When something that runs for ever comes round again at the latest.
#[derive(Debug, Default)]
pub(super) struct Heartbeat(Mutex<Option<Instant>>);

impl Heartbeat {
    /// It comes round within this time; without one it may take as long as it likes.
    pub(super) fn expect(&self, within: Option<Duration>) {
        let due = within.and_then(|within| Instant::now().checked_add(within));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = due;
    }

    fn is_late(&self) -> bool {
        let due = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        due.is_some_and(|due| due < Instant::now())
    }
}

/// Calls `tell` more often than every so often, from a thread of its own, for as long as the runtime answers and
/// what `heart` stands for is not late.
///
/// # Panics
/// Outside a tokio runtime with time enabled.
pub(super) fn start(every: Duration, heart: Arc<Heartbeat>, tell: impl Fn() + Send + 'static) {
    let runtime = Handle::current();
    let watch = move || {
        loop {
            std::thread::sleep(every / 3);
            // Who is told nothing ends the program and starts it again.
            if answers(&runtime, every / 3) && !heart.is_late() {
                tell();
            }
        }
    };
    // Without it the program is started anew, as it should be where no thread can be had.
    let _ = std::thread::Builder::new()
        .name("watchdog".to_owned())
        .spawn(watch);
}

/// Whether the runtime takes a task from outside, and its clock runs.
fn answers(runtime: &Handle, patience: Duration) -> bool {
    let (sender, done) = sync_channel(1);
    runtime.spawn(async move {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let _ = sender.try_send(());
    });
    done.recv_timeout(patience).is_ok()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const EVERY: Duration = Duration::from_millis(300);

    #[test]
    fn what_stands_still_is_not_alive() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_time()
            .build()
            .unwrap();
        let _inside = runtime.enter();
        let heart = Arc::new(Heartbeat::default());
        let told = Arc::new(AtomicUsize::new(0));
        let count = told.clone();
        start(EVERY, heart.clone(), move || {
            count.fetch_add(1, Ordering::SeqCst);
        });
        let told_in = |time| {
            told.store(0, Ordering::SeqCst);
            std::thread::sleep(time);
            told.load(Ordering::SeqCst)
        };
        assert!(told_in(EVERY * 4) >= 3);
        heart.expect(Some(Duration::ZERO));
        std::thread::sleep(EVERY);
        assert_eq!(told_in(EVERY * 2), 0);
        heart.expect(Some(Duration::from_secs(100)));
        assert!(told_in(EVERY * 4) >= 3);
        heart.expect(None);
        let (free, held) = sync_channel::<()>(0);
        runtime.spawn(async move { held.recv() });
        std::thread::sleep(EVERY);
        assert_eq!(told_in(EVERY * 2), 0);
        drop(free);
        std::thread::sleep(EVERY);
        assert!(told_in(EVERY * 4) >= 3);
    }
}
