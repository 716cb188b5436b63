//! Runs the program and waits for it, with a time limit.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_getaffinity};

/// Long enough for the slowest machine. A wait takes this long only if something is broken.
const PATIENCE: Duration = Duration::from_secs(120);

/// The result of a finished run.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Output {
    pub(crate) fn assert_success(&self) {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        // The progress bar is hidden, because this is not a terminal.
        assert_eq!(self.stderr, "");
    }

    /// The run failed with one line that contains `reason`, and printed nothing else.
    pub(crate) fn assert_failure(&self, reason: &str) {
        assert_eq!(self.code, Some(1), "{}{}", self.stdout, self.stderr);
        assert_eq!(self.stdout, "");
        assert!(self.stderr.starts_with("error: "), "{}", self.stderr);
        assert_eq!(self.stderr.lines().count(), 1, "{}", self.stderr);
        assert!(self.stderr.contains(reason), "{reason:?} is not in {:?}", self.stderr);
    }
}

/// Runs the program to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    Running::start(arguments).finish()
}

/// The program, still running. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    stdout: Option<BufReader<ChildStdout>>,
    stderr: mpsc::Receiver<String>,
}

impl Running {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::spawn(Command::new(env!("CARGO_BIN_EXE_eventwire-bench")).args(arguments))
    }

    /// Starts any program in the same way.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stdout = child.stdout.take().map(BufReader::new);
        let stderr = read_all(child.stderr.take().unwrap());
        Self { child, stdout, stderr }
    }

    /// Starts a server, waits for its ready line, and returns the URL in it.
    pub(crate) fn serve(line: &str) -> (Self, String) {
        Self::start(&line.split(' ').collect::<Vec<_>>()).until_it_listens()
    }

    /// Waits for the ready line of a server, and returns the URL in it.
    pub(crate) fn until_it_listens(self) -> (Self, String) {
        let mut server = self;
        let mut stdout = server.stdout.take().unwrap();
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            let _ = sender.send((line, stdout));
        });
        let (line, stdout) = receiver.recv_timeout(PATIENCE).unwrap();
        server.stdout = Some(stdout);
        let url = line.strip_prefix("listening on ").and_then(|rest| rest.strip_suffix('\n'));
        let Some(url) = url else {
            panic!("not a ready line: {line:?}, {:?}", server.finish());
        };
        (server, url.to_owned())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits for the end. The output excludes what [`Running::serve`] has read.
    pub(crate) fn finish(mut self) -> Output {
        let stdout = read_all(self.stdout.take().unwrap());
        // Its ends of the pipes close when it exits.
        let stdout = stdout.recv_timeout(PATIENCE).unwrap();
        let stderr = self.stderr.recv_timeout(PATIENCE).unwrap();
        let status: ExitStatus = self.child.wait().unwrap();
        Output { code: status.code(), stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The number of a CPU that this process may use.
pub(crate) fn some_cpu() -> String {
    let cpus = sched_getaffinity(None).unwrap();
    (0..CpuSet::MAX_CPU).find(|&cpu| cpus.is_set(cpu)).unwrap().to_string()
}

fn read_all(mut pipe: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        pipe.read_to_string(&mut text).unwrap();
        let _ = sender.send(text);
    });
    receiver
}
