//! Programs that are tested if they are installed.

use std::env;
use std::ffi::OsString;
use std::io::{Write, stderr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::program::Running;

type Words = &'static [&'static str];

/// A program that `prepare` installs.
pub(super) struct Client {
    name: &'static str,
    words: Words,
    /// Further words, with which it succeeds if all that a test needs is installed.
    probe: Words,
}

pub(super) const AIOHTTP: Client =
    Client::new("Python's aiohttp", &["python3"], &["-c", "import aiohttp"]);
pub(super) const CURL: Client = Client::new("curl", &["bash"], &["-c", "curl --version"]);
pub(super) const NODE: Client = Client::new("Node's fetch", &["node"], &["-e", "fetch"]);
pub(super) const WS: Client = Client::new("Node's ws", &["node"], &["-e", "require('ws')"]);

impl Client {
    pub(super) const fn new(name: &'static str, words: Words, probe: Words) -> Self {
        Self { name, words, probe }
    }

    /// The client, if it is installed. Reports it if not.
    pub(super) fn find(self) -> Option<Self> {
        let mut probe = self.command();
        probe.args(self.probe).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if probe.status().is_ok_and(|status| status.success()) {
            return Some(self);
        }
        let name = self.name;
        assert!(env::var_os("CI").is_none(), "{name} is missing, and CI has to have every client");
        // Bypasses the test harness, which captures the output of passing tests.
        stderr().write_all(format!("skipped: {name} is missing\n").as_bytes()).unwrap();
        None
    }

    /// Its command, from the folder of `prepare` or else from `PATH`.
    pub(super) fn command(&self) -> Command {
        command(self.words)
    }

    /// The command that runs a script, which checks what it receives and fails if it is wrong.
    pub(super) fn script(&self, name: &str, arguments: &[&str]) -> Command {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/clients");
        let mut command = self.command();
        command.arg(scripts.join(name)).args(arguments);
        command
    }

    /// Runs such a script.
    pub(super) fn run(&self, script: &str, arguments: &[&str]) {
        Running::spawn(&mut self.script(script, arguments)).finish().assert_success();
    }
}

/// A command from the folder of `prepare`, or else from `PATH`.
pub(super) fn command(words: &[&str]) -> Command {
    let certificate = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/it/tls/one.pem");
    let programs = [prepared("python/bin"), prepared("rust_socketio/debug")];
    let mut command = Command::new(words[0]);
    command
        .args(&words[1..])
        .env("PATH", first(&programs, "PATH"))
        .env("NODE_PATH", first(&[prepared("node_modules")], "NODE_PATH"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        // The certificate of `serve --tls` is a trusted root: in addition to the system's for Node,
        // instead of them for Python.
        .env("SSL_CERT_FILE", &certificate)
        .env("NODE_EXTRA_CA_CERTS", certificate);
    command
}

/// A path in the folder of what `prepare` has installed.
pub(super) fn prepared(path: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("interop").join(path)
}

/// A list of folders from the environment, with others in front.
fn first(folders: &[PathBuf], variable: &str) -> OsString {
    let others = env::var_os(variable).unwrap_or_default();
    env::join_paths(folders.iter().cloned().chain(env::split_paths(&others))).unwrap()
}
