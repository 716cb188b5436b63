//! CPU time of threads and processes.

use std::fs;
use std::time::Duration;

use rustix::thread::gettid;

/// The CPU time of one thread of this process, or of all threads of a process. Any thread can read
/// it.
#[derive(Clone, Debug)]
pub(crate) enum CpuClock {
    /// The file of one thread.
    Thread(String),
    /// The folder of all threads.
    Process(String),
}

impl CpuClock {
    /// The calling thread.
    pub(crate) fn of_thread() -> Self {
        Self::Thread(format!("/proc/self/task/{}/schedstat", gettid().as_raw_nonzero()))
    }

    /// All threads that the process has when the time is read. Threads that have ended are not
    /// counted.
    pub(crate) fn of_process(process: u32) -> Self {
        Self::Process(format!("/proc/{process}/task"))
    }

    /// The CPU time so far, up to one scheduler tick late while the thread runs.
    pub(crate) fn time(&self) -> Option<Duration> {
        match self {
            Self::Thread(file) => cpu_time(&fs::read_to_string(file).ok()?),
            Self::Process(folder) => {
                let files = fs::read_dir(folder).ok()?.flatten();
                // A thread may end before its file is read.
                let texts = files
                    .filter_map(|thread| fs::read_to_string(thread.path().join("schedstat")).ok());
                let times: Vec<Duration> = texts.filter_map(|text| cpu_time(&text)).collect();
                (!times.is_empty()).then(|| times.iter().sum())
            }
        }
    }
}

/// The first field of a `schedstat` file: nanoseconds.
fn cpu_time(schedstat: &str) -> Option<Duration> {
    Some(Duration::from_nanos(schedstat.split(' ').next()?.parse().ok()?))
}

/// How often the calling thread has called `write` or a similar call so far. Reading this number
/// makes no such call. `None` if the system does not count them.
pub(crate) fn writes_of_thread() -> Option<u64> {
    let text = fs::read_to_string("/proc/thread-self/io").ok()?;
    text.lines().find_map(|line| line.strip_prefix("syscw: "))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_used_at_least_what_its_thread_has() {
        let Some(thread) = CpuClock::of_thread().time() else {
            return;
        };
        assert!(CpuClock::of_process(std::process::id()).time().unwrap() >= thread);
        assert_eq!(CpuClock::of_process(0).time(), None);
    }

    #[test]
    fn every_write_of_the_thread_is_counted() {
        use std::io::Write;

        let mut file = fs::OpenOptions::new().write(true).open("/dev/null").unwrap();
        let Some(before) = writes_of_thread() else {
            return;
        };
        for _ in 0..3 {
            file.write_all(b"12345678").unwrap();
        }
        assert_eq!(writes_of_thread(), Some(before + 3));
    }
}
