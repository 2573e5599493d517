//! What a process has needed so far, as Linux tells it.

use std::fs;
use std::time::Duration;

/// Memory in KiB, time, threads and open files of a process; zero where there is none to be asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Usage {
    pub(crate) rss: u64,
    pub(crate) peak: u64,
    pub(crate) threads: u64,
    pub(crate) files: usize,
    cpu: Duration,
}

/// `getconf CLK_TCK`, on every Linux there is.
const TICK: Duration = Duration::from_millis(10);

impl Usage {
    pub(crate) fn of(pid: Option<u32>) -> Usage {
        let Some(pid) = pid else {
            return Usage::default();
        };
        let read = |file: &str| {
            let path = format!("/proc/{pid}/{file}");
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
        };
        let status = read("status");
        let number = |name: &str| -> u64 { number_of(&status, name) };
        let stat = read("stat");
        // The name in parentheses may have blanks; the 14th and 15th word are the time in user and system mode.
        let words = stat.rsplit_once(") ").map_or("", |(_, words)| words);
        let ticks = words.split(' ').skip(11).take(2);
        let ticks: u32 = ticks.filter_map(|t| t.parse::<u32>().ok()).sum();
        Usage {
            rss: number("VmRSS"),
            peak: number("VmHWM"),
            threads: number("Threads"),
            files: fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count),
            cpu: TICK * ticks,
        }
    }

    pub(crate) fn cpu_since(&self, before: &Usage) -> Duration {
        self.cpu.saturating_sub(before.cpu)
    }
}

fn number_of(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let value = line.and_then(|line| line.trim_start_matches(':').split_whitespace().next());
    value.and_then(|value| value.parse().ok()).unwrap_or(0)
}
