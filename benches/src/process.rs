//! Servers in processes of their own: started, awaited, measured, ended.

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::error::Error;
use crate::machine::Process;
use crate::target::{Target, Wire};

/// How long a server may take until it is ready, and to end after the signal.
const PATIENCE: Duration = Duration::from_secs(15);
/// The text before the URL in the line that this program's servers print when they are ready.
const READY: &str = "listening on ";

/// What starts a server.
#[derive(Debug)]
pub(crate) struct Launch {
    name: String,
    /// The arguments of this program.
    words: Vec<String>,
    ready: Ready,
}

/// How a server shows that it is ready.
#[derive(Debug)]
enum Ready {
    /// It prints a line with its URL.
    Line,
    /// It takes connections.
    Connection { wire: Wire, address: SocketAddr },
    /// It already runs.
    Already(Target),
}

impl Launch {
    /// A server of this program, with these arguments. It prints its URL when it is ready.
    pub(crate) fn own<const N: usize>(name: &str, words: [&str; N]) -> Self {
        let words = words.map(str::to_owned).to_vec();
        Self { name: name.to_owned(), words, ready: Ready::Line }
    }

    /// Any other program, which is ready when it takes connections. The word `{port}` in its
    /// arguments stands for a free port. On `cpu` only, if given.
    pub(crate) fn program(
        name: &str,
        wire: Wire,
        cpu: Option<usize>,
        command: &[String],
    ) -> Result<Self, Error> {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|free| free.local_addr());
        let address = free.map_err(Error::system(format!("cannot find a port for {name}")))?;
        let port = address.port().to_string();
        let mut words = vec!["exec".to_owned()];
        words.extend(cpu.iter().flat_map(|cpu| ["--cpu".to_owned(), cpu.to_string()]));
        words.push("--".to_owned());
        words.extend(command.iter().map(|word| word.replace("{port}", &port)));
        Ok(Self { name: name.to_owned(), words, ready: Ready::Connection { wire, address } })
    }

    /// A server that already runs.
    pub(crate) fn running(target: &Target) -> Self {
        let (name, words) = (target.to_string(), Vec::new());
        Self { name, words, ready: Ready::Already(target.clone()) }
    }

    /// Adds an argument.
    pub(crate) fn with(mut self, word: impl ToString) -> Self {
        self.words.push(word.to_string());
        self
    }

    /// Adds an option with its value, if there is one.
    pub(crate) fn option(self, option: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.with(option).with(value),
            None => self,
        }
    }

    /// Starts the server, and waits until it is ready.
    pub(crate) fn start(self) -> Result<Server, Error> {
        self.start_with(None)
    }

    /// Whether it starts a server of this program, which can be wrapped.
    pub(crate) fn is_own(&self) -> bool {
        matches!(self.ready, Ready::Line)
    }

    /// Starts the server through `wrapper`, a command that takes another one, if given.
    pub(crate) fn start_with(self, wrapper: Option<Command>) -> Result<Server, Error> {
        if let Ready::Already(target) = self.ready {
            return Ok(Server::elsewhere(target));
        }
        let cannot_start = format!("cannot start {}", self.name);
        let program = std::env::current_exe().map_err(Error::system(cannot_start.clone()))?;
        let is_wrapped = wrapper.is_some();
        let mut command = match wrapper {
            Some(mut wrapper) => {
                wrapper.arg(program);
                wrapper
            }
            None => Command::new(program),
        };
        command.args(&self.words).stdin(Stdio::null()).stderr(Stdio::piped()).stdout(
            match self.ready {
                Ready::Line => Stdio::piped(),
                _ => Stdio::null(),
            },
        );
        let mut child = command.spawn().map_err(Error::system(cannot_start.clone()))?;
        let target = match self.ready {
            Ready::Connection { wire, address } => {
                takes_connections(&mut child, address).then(|| Target::embedded(wire, address))
            }
            Ready::Line | Ready::Already(_) => announced(&mut child),
        };
        match target {
            Some(target) => {
                let own = Process(child.id());
                let process = if is_wrapped { own.child() } else { Some(own) };
                Ok(Server { target, process, child: Some(child) })
            }
            None => Err(Error::Settings(format!("{cannot_start}: {}", complaint(child)))),
        }
    }
}

/// A server that takes connections. If it was started here, dropping it ends it.
#[derive(Debug)]
pub(crate) struct Server {
    target: Target,
    /// Its process, if it is on this machine.
    process: Option<Process>,
    child: Option<Child>,
}

impl Server {
    fn elsewhere(target: Target) -> Self {
        let process = target.process();
        Self { target, process, child: None }
    }

    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// Its process, to read its CPU time and its memory.
    pub(crate) fn process(&self) -> Option<Process> {
        self.process
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

    /// Ends it at once, without a chance to end in order.
    pub(crate) fn kill(mut self) {
        if let Some(mut child) = self.child.take() {
            // If this fails, it has already ended.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn terminate(&self) {
        let process = self.process.and_then(|process| i32::try_from(process.0).ok());
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

/// The URL in the first line that it prints, if it prints one in time.
fn announced(child: &mut Child) -> Option<Target> {
    let stdout = child.stdout.take()?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut line = String::new();
        if BufReader::new(stdout).read_line(&mut line).is_ok() {
            // Nobody is waiting any more if it took too long.
            let _ = sender.send(line);
        }
    });
    let line = receiver.recv_timeout(PATIENCE).ok()?;
    // Loads connect by TCP, and a TLS client needs only the address.
    let url = line.trim_end().strip_prefix(READY)?.replacen("wss:", "ws:", 1);
    url.parse().ok()
}

/// Waits until it takes connections, and returns whether that was in time.
fn takes_connections(child: &mut Child, address: SocketAddr) -> bool {
    const STEP: Duration = Duration::from_millis(5);
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if TcpStream::connect(address).is_ok() {
            return true;
        }
        if !matches!(child.try_wait(), Ok(None)) {
            return false;
        }
        thread::sleep(STEP);
    }
    false
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_program_is_started_awaited_and_ended() {
        // The test's own executable cannot run `exec`, so the start fails with its complaint.
        let command = ["false".to_owned()];
        let launch = Launch::program("false", Wire::Tcp, None, &command).unwrap();
        let error = launch.start().unwrap_err().to_string();
        assert!(error.starts_with("cannot start false: "), "{error}");
    }
}
