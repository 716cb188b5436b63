//! A server in a process of its own: a contestant that is started here, or another running server.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::port;
use super::system_calls::{self, Counter};
use crate::contestants::Contestant;
use crate::error::Error;
use crate::idle::IdleMode;
use crate::load::{Target, Wire};
use crate::machine::ThreadCpu;
use crate::service::Service;

/// How long a server may take to start listening, and to end after the signal.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a program may take until it takes connections.
const START_MAX: Duration = Duration::from_secs(15);
/// The text before the URL in the line that a server prints when it is ready.
const READY: &str = "listening on ";

/// The arguments with which a contestant is started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub(crate) contestant: Contestant,
    pub(crate) service: Service,
    pub(crate) idle: IdleMode,
    pub(crate) cpu: Option<usize>,
    pub(crate) tls: bool,
}

impl Order {
    fn words(self) -> Vec<String> {
        let service = match self.service {
            Service::Echo => "echo",
            Service::Broadcast => "broadcast",
        };
        let name = self.contestant.name();
        let idle = self.idle.name();
        let mut words = ["serve", service, "--as", name, "--listen", "127.0.0.1:0", "--idle", idle]
            .map(str::to_owned)
            .to_vec();
        // However the comparison ends, no server keeps running.
        words.push("--end-with-parent".to_owned());
        if self.tls {
            words.push("--tls".to_owned());
        }
        if let Some(cpu) = self.cpu {
            words.extend(["--cpu".to_owned(), cpu.to_string()]);
        }
        words
    }
}

/// A listening server. If it was started here, dropping it ends it.
#[derive(Debug)]
pub(crate) struct Server {
    target: Target,
    /// Its process, if it is on this machine.
    process: Option<u32>,
    child: Option<Child>,
}

impl Server {
    /// Starts a contestant, through `counter` if given, and waits until it listens.
    pub(crate) fn start(order: Order, counter: Option<&Counter>) -> Result<Self, Error> {
        Self::spawn(order.contestant.name(), order.words(), counter)
    }

    /// Starts this program with such arguments, through `counter` if given, and waits until it
    /// listens.
    pub(crate) fn spawn(
        name: &str,
        words: Vec<String>,
        counter: Option<&Counter>,
    ) -> Result<Self, Error> {
        let by = if counter.is_some() { " by perf" } else { "" };
        let cannot_start = || format!("cannot start {name}{by}");
        let program = std::env::current_exe().map_err(Error::system(cannot_start()))?;
        let command = |counter: &Counter| counter.command(&program);
        let mut child = counter
            .map_or_else(|| Command::new(&program), command)
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(Error::system(cannot_start()))?;
        let line = first_line(&mut child);
        let url = line.as_deref().and_then(|line| line.trim_end().strip_prefix(READY));
        // The load connects by TCP, and the TLS client needs the address.
        let url = url.map(|url| url.replacen("wss:", "ws:", 1));
        match url.and_then(|url| url.parse().ok()) {
            Some(target) => {
                let own = child.id();
                let process = counter.map_or(Some(own), |_| system_calls::child_of(own));
                Ok(Self { target, process, child: Some(child) })
            }
            None => {
                let complaint = complaint(child);
                Err(Error::Settings(format!("{}: {complaint}", cannot_start())))
            }
        }
    }

    /// Starts this program with such arguments, behind which a free port and `last` are appended.
    /// Waits until it takes connections.
    pub(crate) fn spawn_on_free_port(
        name: &str,
        mut words: Vec<String>,
        last: &str,
    ) -> Result<Self, Error> {
        let cannot_start = || format!("cannot start {name}");
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr());
        let address = free.map_err(Error::system(cannot_start()))?;
        words.extend([address.port().to_string(), last.to_owned()]);
        let program = std::env::current_exe().map_err(Error::system(cannot_start()))?;
        let child = Command::new(program)
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(Error::system(cannot_start()))?;
        let process = Some(child.id());
        let target = Target::embedded(Wire::WebSocket, address);
        let mut server = Self { target, process, child: Some(child) };
        if server.takes_connections(address) {
            return Ok(server);
        }
        let complaint = server.child.take().map(complaint).unwrap_or_default();
        Err(Error::Settings(format!("{}: {complaint}", cannot_start())))
    }

    /// Waits until it does, and returns whether that was in time.
    fn takes_connections(&mut self, address: SocketAddr) -> bool {
        const STEP: Duration = Duration::from_millis(5);
        let start = Instant::now();
        while start.elapsed() < START_MAX {
            if TcpStream::connect(address).is_ok() {
                return true;
            }
            let status = self.child.as_mut().map(Child::try_wait);
            if !matches!(status, Some(Ok(None))) {
                return false;
            }
            thread::sleep(STEP);
        }
        false
    }

    /// A server that is already running.
    pub(crate) fn elsewhere(target: &Target) -> Self {
        let local =
            matches!(target.host.as_str(), "localhost" | "::1") || target.host.starts_with("127.");
        let process = local.then(|| port::listener(target.port)).flatten();
        Self { target: target.clone(), process, child: None }
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// The CPU time of its process.
    pub(crate) fn cpu(&self) -> Option<ThreadCpu> {
        self.process.map(ThreadCpu::of_process)
    }

    /// Bytes of memory that it uses, without mapped files.
    pub(crate) fn memory(&self) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process?)).ok()?;
        anonymous_bytes(&status)
    }

    /// The CPUs that it may run on, as the system writes them.
    pub(crate) fn allowed_cpus(&self) -> Option<String> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process?)).ok()?;
        field(&status, "Cpus_allowed_list:").map(str::to_owned)
    }

    /// Ends it. Returns an error if it had failed.
    pub(crate) fn stop(mut self) -> Result<(), Error> {
        let Some(mut child) = self.child.take() else {
            return Ok(());
        };
        self.terminate();
        if ends(&mut child).is_some_and(|success| success) {
            return Ok(());
        }
        Err(Error::Settings(format!("the server failed: {}", complaint(child))))
    }

    fn terminate(&self) {
        let process = self.process.and_then(|process| i32::try_from(process).ok());
        if let Some(process) = process.and_then(Pid::from_raw) {
            // If this fails, it has already ended.
            let _ = kill_process(process, Signal::TERM);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            self.terminate();
            if ends(&mut child).is_none() {
                // It ends in any case; reap it.
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}

/// Waits for its end, and returns whether it succeeded. `None` if it did not end in time.
fn ends(child: &mut Child) -> Option<bool> {
    const STEP: Duration = Duration::from_millis(1);
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Ok(Some(status)) = child.try_wait() {
            // Other programs than this one end by the signal.
            let by_signal = status.signal() == Some(Signal::TERM.as_raw());
            return Some(status.success() || by_signal);
        }
        thread::sleep(STEP);
    }
    None
}

/// The first line that it prints, if it prints one in time.
fn first_line(child: &mut Child) -> Option<String> {
    let stdout = child.stdout.take()?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut line = String::new();
        if BufReader::new(stdout).read_line(&mut line).is_ok() {
            // Nobody is waiting any more if it took too long.
            let _ = sender.send(line);
        }
    });
    receiver.recv_timeout(PATIENCE).ok()
}

/// The error message of a server that failed. Ends the process.
fn complaint(mut child: Child) -> String {
    let _ = child.kill();
    let mut text = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        // Without readable output there is no message.
        let _ = stderr.read_to_string(&mut text);
    }
    let _ = child.wait();
    let line = text.lines().next().unwrap_or("it printed no error");
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// A process's resident memory without mapped files, from `/proc/PID/status`.
fn anonymous_bytes(status: &str) -> Option<u64> {
    let kibibytes: u64 = field(status, "RssAnon:")?.strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024)
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_the_status_are_found() {
        let status = "Name:\tx\nRssAnon:\t     640 kB\nRssFile:\t 2 kB\nCpus_allowed_list:\t0-1\n";
        assert_eq!(anonymous_bytes(status), Some(640 * 1024));
        assert_eq!(field(status, "Cpus_allowed_list:"), Some("0-1"));
        assert_eq!(anonymous_bytes("Name:\tx\n"), None);
    }

    #[test]
    fn an_order_becomes_the_arguments_of_serve() {
        let order = Order {
            contestant: Contestant::Eventwire,
            service: Service::Echo,
            idle: IdleMode::Block,
            cpu: Some(1),
            tls: false,
        };
        let line = "serve echo --as eventwire --listen 127.0.0.1:0 --idle block \
                    --end-with-parent --cpu 1";
        assert_eq!(order.words().join(" "), line);
        let order = Order { tls: true, cpu: None, ..order };
        assert!(order.words().join(" ").ends_with("--end-with-parent --tls"));
    }

    #[test]
    fn a_server_of_another_machine_has_no_process() {
        let target = "ws://192.0.2.1:9001".parse().unwrap();
        let server = Server::elsewhere(&target);
        assert!(server.cpu().is_none() && server.memory().is_none());
    }
}
