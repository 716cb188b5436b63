//! The machine of the run: its model, its CPUs and limits, and the CPU time of its programs.

mod cpu_clock;
mod interference;
mod process;

use std::fs;
use std::thread;

use rustix::process::{
    Resource, Rlimit, Signal, getrlimit, set_parent_process_death_signal, setpriority_process,
    setrlimit,
};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::error::Error;
use crate::results::Machine;

pub(crate) use cpu_clock::{CpuClock, writes_of_thread};
pub(crate) use interference::{CpuUse, Interference};
pub(crate) use process::Process;

/// Reads the properties of the machine from the system. Missing ones are "unknown".
pub(crate) fn describe() -> Machine {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = info.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim())
    };
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    Machine {
        cpu: field("model name").unwrap_or(std::env::consts::ARCH).to_owned(),
        cpus: allowed_cpus().len(),
        kernel: format!("{} {}", std::env::consts::OS, release.trim()).trim().to_owned(),
        virtual_machine: field("flags")
            .is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor")),
        load_average: load.split(' ').next().and_then(|first| first.parse().ok()),
    }
}

/// A command line, quoted for a shell.
pub(crate) fn command_line(words: impl Iterator<Item = String>) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:,=@%+".contains(c);
    let quoted = words.map(|word| {
        if !word.is_empty() && word.chars().all(plain) {
            word
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// The CPUs for a server and its load: separate cores if possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CpuPair {
    pub(crate) server: usize,
    pub(crate) load: usize,
}

impl CpuPair {
    /// The first CPU that this process may use, and the first one on another core, or else on the
    /// same core. `None` with a single CPU.
    pub(crate) fn pick() -> Option<Self> {
        Self::pick_from(&allowed_cpus(), |cpu| {
            let path = format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list");
            fs::read_to_string(path).ok()
        })
    }

    fn pick_from(cpus: &[usize], siblings: impl Fn(usize) -> Option<String>) -> Option<Self> {
        let (&server, others) = cpus.split_first()?;
        let own = siblings(server);
        let apart = others.iter().find(|&&cpu| own.is_none() || siblings(cpu) != own);
        let load = *apart.or_else(|| others.first())?;
        Some(Self { server, load })
    }
}

/// Binds the calling thread to one CPU.
pub(crate) fn pin(cpu: usize) -> Result<(), Error> {
    let what = format!("cannot run on CPU {cpu}");
    if cpu >= CpuSet::MAX_CPU {
        return Err(Error::Settings(format!("{what}: there is no such CPU")));
    }
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set).map_err(|errno| Error::system(what)(errno.into()))
}

/// Runs `act` on a thread of its own, bound to `cpu` if given, and waits for its result.
pub(crate) fn run_on<T: Send>(
    cpu: Option<usize>,
    act: impl FnOnce() -> Result<T, Error> + Send,
) -> Result<T, Error> {
    thread::scope(|scope| {
        let thread = scope.spawn(|| cpu.map_or(Ok(()), pin).and_then(|()| act()));
        thread.join().unwrap_or(Err(Error::Thread("load")))
    })
}

/// Requests SIGTERM for this process when the thread that started it ends.
pub(crate) fn end_with_parent() -> Result<(), Error> {
    set_parent_process_death_signal(Some(Signal::TERM))
        .map_err(|errno| Error::system("cannot end with the parent process")(errno.into()))
}

/// Lowers the priority of the calling thread below other threads of its CPU.
pub(crate) fn yield_to_others() -> Result<(), Error> {
    const NICE: i32 = 10;
    // Linux has a priority for each thread. `None` is the calling thread.
    setpriority_process(None, NICE)
        .map_err(|errno| Error::system("cannot lower a thread's priority")(errno.into()))
}

/// Raises the limit on open files to `wanted` if the system permits it, and returns the limit.
pub(crate) fn raise_file_limit(wanted: u64) -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let current = limit.current.unwrap_or(u64::MAX);
    if current >= wanted {
        return current;
    }
    let raised = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let asked = Rlimit { current: Some(raised), maximum: limit.maximum };
    match setrlimit(Resource::Nofile, asked) {
        Ok(()) => raised,
        Err(_) => current,
    }
}

fn allowed_cpus() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(None) else {
        return vec![0];
    };
    (0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pair_prefers_two_cores_over_two_threads_of_one() {
        let siblings = |cpu: usize| Some(if cpu < 2 { "0-1" } else { "2-3" }.to_owned());
        let pair = |cpus: &[usize]| CpuPair::pick_from(cpus, siblings);
        assert_eq!(pair(&[0, 1, 2, 3]), Some(CpuPair { server: 0, load: 2 }));
        assert_eq!(pair(&[0, 1]), Some(CpuPair { server: 0, load: 1 }));
        assert_eq!(pair(&[3]), None);
        assert_eq!(pair(&[]), None);
    }

    #[test]
    fn the_pair_takes_the_next_cpu_when_the_topology_is_unknown() {
        let pair = CpuPair::pick_from(&[4, 5, 6], |_| None);
        assert_eq!(pair, Some(CpuPair { server: 4, load: 5 }));
    }

    #[test]
    fn a_cpu_that_does_not_exist_is_refused() {
        assert!(pin(usize::MAX).is_err());
    }

    #[test]
    fn a_command_can_be_repeated_in_a_shell() {
        let words = ["a", "-b=1", "it's", ""].map(str::to_owned);
        assert_eq!(command_line(words.into_iter()), r"a -b=1 'it'\''s' ''");
    }
}
