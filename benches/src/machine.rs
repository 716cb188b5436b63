//! The machine of the run: its model, its CPUs, and the CPU time of other programs.

use std::fs;
use std::thread;
use std::time::Duration;

use rustix::param::clock_ticks_per_second;
use rustix::process::{
    Resource, Rlimit, Signal, getrlimit, set_parent_process_death_signal, setpriority_process,
    setrlimit,
};
use rustix::thread::{CpuSet, gettid, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

use crate::error::Error;

/// The properties of the machine that matter for the figures.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    /// Model name of the processor.
    pub(crate) cpu: String,
    /// How many CPUs this process may use.
    pub(crate) cpus: usize,
    /// Name and release of the kernel.
    pub(crate) kernel: String,
    /// Whether the processor reports a hypervisor.
    pub(crate) virtual_machine: bool,
    /// Load average of the last minute before the run.
    pub(crate) load_average: Option<f64>,
}

impl Machine {
    /// Reads the properties from the system. Missing ones are "unknown".
    pub(crate) fn describe() -> Self {
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let field = |name: &str| {
            let line = info.lines().find(|line| line.starts_with(name))?;
            Some(line.split_once(':')?.1.trim())
        };
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Self {
            cpu: field("model name").unwrap_or(std::env::consts::ARCH).to_owned(),
            cpus: allowed_cpus().len(),
            kernel: format!("{} {}", std::env::consts::OS, release.trim()).trim().to_owned(),
            virtual_machine: field("flags")
                .is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor")),
            load_average: load.split(' ').next().and_then(|first| first.parse().ok()),
        }
    }

    /// The properties in one line.
    pub(crate) fn summary(&self) -> String {
        let kind = if self.virtual_machine { ", virtual machine" } else { "" };
        format!("{}, {} CPUs{kind}, {}", self.cpu, self.cpus, self.kernel)
    }
}

/// The CPUs for a server and its load: separate cores if possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
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

/// Reads the CPU time of one thread of this process, or of all threads of another one, from any
/// thread.
#[derive(Clone, Debug)]
pub(crate) struct ThreadCpu {
    threads: Threads,
}

#[derive(Clone, Debug)]
enum Threads {
    /// The file of one thread.
    One(String),
    /// The folder of all threads.
    AllIn(String),
}

impl ThreadCpu {
    /// The calling thread.
    pub(crate) fn current() -> Self {
        let thread = gettid().as_raw_nonzero();
        Self { threads: Threads::One(format!("/proc/self/task/{thread}/schedstat")) }
    }

    /// All threads that the process has when the time is read. Threads that have ended are not
    /// counted.
    pub(crate) fn of_process(process: u32) -> Self {
        Self { threads: Threads::AllIn(format!("/proc/{process}/task")) }
    }

    /// The CPU time so far, up to one scheduler tick late while the thread runs.
    pub(crate) fn time(&self) -> Option<Duration> {
        match &self.threads {
            Threads::One(file) => cpu_time(&fs::read_to_string(file).ok()?),
            Threads::AllIn(folder) => {
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

/// CPU time at a point in time: of all CPUs since boot, and of this program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CpuUse {
    system: SystemTicks,
    own: Duration,
}

/// The shares of all CPU time that this program did not get, in percent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Interference {
    /// Taken away by the hypervisor.
    pub(crate) stolen: f64,
    /// Used by other programs.
    pub(crate) others: f64,
}

/// The CPU time of all threads of this program so far.
#[cfg(feature = "sqlite")]
pub(crate) fn process_cpu() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime).try_into().unwrap_or_default()
}

impl CpuUse {
    /// `None` if the system does not report it.
    pub(crate) fn now() -> Option<Self> {
        let system = SystemTicks::parse(&fs::read_to_string("/proc/stat").ok()?)?;
        let own = clock_gettime(ClockId::ProcessCPUTime).try_into().ok()?;
        Some(Self { system, own })
    }

    /// Adds the CPU time of processes that this program started to its own.
    pub(crate) fn with(self, children: Duration) -> Self {
        Self { own: self.own + children, ..self }
    }

    /// The interference since `earlier`.
    pub(crate) fn interference_since(self, earlier: Self) -> Interference {
        let since = |ticks: fn(SystemTicks) -> u64| {
            ticks(self.system).saturating_sub(ticks(earlier.system)) as f64
        };
        let total = since(|ticks| ticks.total).max(1.0);
        let own = self.own.saturating_sub(earlier.own).as_secs_f64();
        let own = own * clock_ticks_per_second() as f64;
        Interference {
            stolen: since(|ticks| ticks.stolen) * 100.0 / total,
            others: (since(|ticks| ticks.busy) - own).max(0.0) * 100.0 / total,
        }
    }
}

/// Interference above these shares of CPU time, in percent, makes figures doubtful.
const STOLEN_MAX: f64 = 1.0;
const OTHERS_MAX: f64 = 5.0;

impl Interference {
    /// A note if the interference was high.
    pub(crate) fn doubts(self) -> Option<String> {
        let Self { stolen, others } = self;
        (stolen > STOLEN_MAX || others > OTHERS_MAX).then(|| {
            format!(
                "the machine was not quiet: other programs used {others:.1} % of the CPU time, \
                 the hypervisor took {stolen:.1} % away; the figures are doubtful"
            )
        })
    }
}

/// The sums of the first line of `/proc/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SystemTicks {
    total: u64,
    /// Neither idle nor stolen.
    busy: u64,
    stolen: u64,
}

impl SystemTicks {
    fn parse(stat: &str) -> Option<Self> {
        let line = stat.lines().next()?.strip_prefix("cpu ")?;
        let mut ticks = line.split_whitespace().map_while(|tick| tick.parse::<u64>().ok());
        let mut next = || ticks.next();
        let (user, nice, system) = (next()?, next()?, next()?);
        let (idle, waiting) = (next()?, next()?);
        let (hard_interrupts, soft_interrupts, stolen) = (next()?, next()?, next()?);
        let busy = user + nice + system + hard_interrupts + soft_interrupts;
        Some(Self { total: busy + idle + waiting + stolen, busy, stolen })
    }
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
    fn what_others_had_is_a_percentage_of_all_time() {
        let at = |stat: &str, own| CpuUse {
            system: SystemTicks::parse(stat).unwrap(),
            own: Duration::from_secs_f64(own / clock_ticks_per_second() as f64),
        };
        let before = at("cpu  10 0 10 80 0 0 0 0 0 0\ncpu0 1\n", 10.0);
        let after = at("cpu  30 5 20 105 5 2 3 20 0 0\n", 35.0);
        let Interference { stolen, others } = after.interference_since(before);
        // Of 90 ticks 20 were stolen; of 40 busy ones 25 were ours.
        assert!((stolen - 100.0 * 20.0 / 90.0).abs() < 1e-6, "{stolen}");
        assert!((others - 100.0 * 15.0 / 90.0).abs() < 1e-6, "{others}");
        assert_eq!(SystemTicks::parse("nothing"), None);
        assert_eq!(SystemTicks::parse("cpu 1 2 3"), None);
    }

    #[test]
    fn cpu_time_is_the_first_field() {
        assert_eq!(cpu_time("1500 20 3\n"), Some(Duration::from_nanos(1500)));
        assert_eq!(cpu_time("none"), None);
    }

    #[test]
    fn a_process_has_used_at_least_what_its_thread_has() {
        let Some(thread) = ThreadCpu::current().time() else {
            return;
        };
        assert!(ThreadCpu::of_process(std::process::id()).time().unwrap() >= thread);
        assert_eq!(ThreadCpu::of_process(0).time(), None);
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

    #[test]
    fn a_cpu_that_does_not_exist_is_refused() {
        assert!(pin(usize::MAX).is_err());
    }
}
