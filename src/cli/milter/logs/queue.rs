//! Entries between those who serve mail and the one who writes.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{
    Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel,
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dkimkit::milter::journal::{Entry, Journal, Severity};

use super::Output;

/// So many entries wait to be written, and so many octets of them.
const MAX_ENTRIES: usize = 10_000;
const MAX_OCTETS: usize = 16 << 20;
/// A log that does not catch up tells what is lost as often as this.
const EVERY: Duration = Duration::from_secs(1);

/// Entries that wait for an output, which may keep them waiting.
pub(super) struct Queue {
    items: SyncSender<Item>,
    room: Arc<Room>,
    /// Until the first entry comes: a thread that runs when the program changes its user would stay behind.
    idle: Mutex<Option<Writer>>,
}

enum Item {
    Entry(Entry),
    /// Whoever waits for all before it.
    Mark(SyncSender<()>),
}

#[derive(Default)]
struct Room {
    octets: AtomicUsize,
    lost: AtomicU64,
}

impl Queue {
    pub(super) fn new(output: Box<dyn Output>) -> Queue {
        Queue::of_size(output, MAX_ENTRIES)
    }

    fn of_size(output: Box<dyn Output>, entries: usize) -> Queue {
        let (sender, items) = sync_channel(entries);
        let room = Arc::new(Room::default());
        let writer = Writer {
            output,
            items,
            room: room.clone(),
            told: Instant::now(),
        };
        Queue {
            items: sender,
            room,
            idle: Mutex::new(Some(writer)),
        }
    }

    /// Waits until all is written, but no longer than this; whether it is.
    pub(super) fn flush(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        if self.idle().is_some() {
            return true;
        }
        let (sender, written) = sync_channel(1);
        let mut mark = Item::Mark(sender);
        loop {
            match self.items.try_send(mark) {
                Ok(()) => break,
                Err(TrySendError::Full(back)) if Instant::now() < deadline => mark = back,
                Err(_) => return false,
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let rest = deadline.saturating_duration_since(Instant::now());
        match written.recv_timeout(rest) {
            Ok(()) => true,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => false,
        }
    }

    fn idle(&self) -> MutexGuard<'_, Option<Writer>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self) {
        if let Some(writer) = self.idle().take() {
            let thread = std::thread::Builder::new().name("log".to_owned());
            // Without threads nothing works, which is told elsewhere.
            let _ = thread.spawn(|| writer.run());
        }
    }
}

impl Journal for Queue {
    fn write(&self, entry: &Entry) {
        self.start();
        let octets = octets(entry);
        let before = self.room.octets.fetch_add(octets, Ordering::Relaxed);
        let fits = before + octets <= MAX_OCTETS;
        if fits && self.items.try_send(Item::Entry(entry.clone())).is_ok() {
            return;
        }
        self.room.octets.fetch_sub(octets, Ordering::Relaxed);
        self.room.lost.fetch_add(1, Ordering::Relaxed);
    }
}

fn octets(entry: &Entry) -> usize {
    let values = entry.values().iter();
    values.map(|value| size_of_val(value) + value.1.len()).sum()
}

/// Who writes what waits.
struct Writer {
    output: Box<dyn Output>,
    items: Receiver<Item>,
    room: Arc<Room>,
    /// When losses were told last.
    told: Instant,
}

impl Writer {
    fn run(mut self) {
        let mut next = self.items.recv().ok();
        while let Some(item) = next {
            match item {
                Item::Entry(entry) => {
                    self.output.write(&entry);
                    let octets = octets(&entry);
                    self.room.octets.fetch_sub(octets, Ordering::Relaxed);
                }
                Item::Mark(written) => {
                    self.tell_of_losses();
                    let _ = written.try_send(());
                }
            }
            if self.told.elapsed() >= EVERY {
                self.tell_of_losses();
            }
            next = match self.items.try_recv() {
                Ok(item) => Some(item),
                Err(TryRecvError::Empty) => {
                    self.tell_of_losses();
                    self.items.recv().ok()
                }
                Err(TryRecvError::Disconnected) => None,
            };
        }
    }

    /// Behind what was kept: it is what came then that is lost.
    fn tell_of_losses(&mut self) {
        let count = self.room.lost.swap(0, Ordering::Relaxed);
        self.told = Instant::now();
        if count > 0 {
            let entry = Entry::new(Severity::Warning, "log-lost").with("count", count);
            self.output.write(&entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes nothing before it is told to, then all, and keeps it.
    struct Slow {
        go: Receiver<()>,
        written: Arc<Mutex<Vec<String>>>,
    }

    impl Output for Slow {
        fn write(&mut self, entry: &Entry) {
            // An error says that it is told for ever.
            let _ = self.go.recv();
            self.written.lock().unwrap().push(entry.to_string());
        }
    }

    fn slow(entries: usize) -> (Queue, SyncSender<()>, Arc<Mutex<Vec<String>>>) {
        let (sender, go) = sync_channel(0);
        let written = Arc::new(Mutex::new(Vec::new()));
        let output = Slow {
            go,
            written: written.clone(),
        };
        (Queue::of_size(Box::new(output), entries), sender, written)
    }

    fn write(queue: &Queue, number: usize) {
        queue.write(&Entry::new(Severity::Info, &number.to_string()));
    }

    /// What was kept, and how much loss was told: more than once, if the writing took longer than [`EVERY`].
    fn told(written: &[String]) -> (Vec<String>, u64) {
        let (losses, kept): (Vec<_>, Vec<_>) = written
            .iter()
            .cloned()
            .partition(|line| line.starts_with("event=log-lost"));
        let count = |line: &String| line.rsplit_once('=').unwrap().1.parse::<u64>().unwrap();
        (kept, losses.iter().map(count).sum())
    }

    #[test]
    fn an_output_that_blocks_delays_nobody_and_what_is_lost_is_told() {
        let (queue, go, written) = slow(3);
        write(&queue, 0);
        for number in 1..=100 {
            write(&queue, number);
        }
        let lost = queue.room.lost.load(Ordering::Relaxed);
        // Three wait, and the thread may have one in hand.
        assert!((97..=98).contains(&lost), "{lost}");
        let began = Instant::now();
        assert!(!queue.flush(Duration::from_millis(50)));
        assert!(began.elapsed() < Duration::from_secs(5));
        assert!(written.lock().unwrap().is_empty());
        drop(go);
        assert!(queue.flush(Duration::from_secs(5)));
        let (kept, told) = told(&written.lock().unwrap());
        let expected: Vec<String> = (0..=100 - lost).map(|at| format!("event={at}")).collect();
        assert_eq!((kept, told), (expected, lost));
        assert_eq!(queue.room.octets.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn long_entries_have_room_for_so_many_octets() {
        let (queue, go, written) = slow(MAX_ENTRIES);
        let entry = Entry::new(Severity::Info, "x").with("why", "x".repeat(8000));
        for _ in 0..MAX_ENTRIES {
            queue.write(&entry);
        }
        assert!(queue.room.octets.load(Ordering::Relaxed) <= MAX_OCTETS);
        drop(go);
        assert!(queue.flush(Duration::from_secs(5)));
        let (kept, told) = told(&written.lock().unwrap());
        assert!(told > 0);
        assert_eq!(kept.len() as u64 + told, MAX_ENTRIES as u64);
    }

    #[test]
    fn the_end_waits_for_all_that_was_written() {
        let (queue, go, written) = slow(MAX_ENTRIES);
        assert!(queue.flush(Duration::ZERO), "there is nothing");
        drop(go);
        for number in 0..1000 {
            write(&queue, number);
        }
        assert!(queue.flush(Duration::from_secs(5)));
        assert_eq!(written.lock().unwrap().len(), 1000);
    }
}
