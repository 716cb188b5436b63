//! Finds clients, and runs them against a server of their own.

use std::env;
use std::ffi::OsString;
use std::io::{Write, stderr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::Signal;

use super::program::Running;

/// What server and client have to negotiate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    /// The server's further arguments.
    server: &'static [&'static str],
    /// The extension that the client must have accepted. Empty if none.
    pub(crate) extension: &'static str,
}

/// Without compression, whatever clients offer.
pub(crate) const PLAIN: Setup = Setup { server: &[], extension: "" };

/// With compression, which all clients offer by default.
const COMPRESSED: Setup = Setup { server: &["--deflate"], extension: "permessage-deflate" };

/// With TLS. Clients trust the server's certificate.
#[cfg(feature = "tls")]
const SECURE: Setup = Setup { server: &["--tls"], extension: "" };

/// The settings that every client is tested with.
pub(crate) const SETUPS: &[Setup] = &[
    PLAIN,
    COMPRESSED,
    #[cfg(feature = "tls")]
    SECURE,
];

/// Runs `exchange` with the URL of a server, which must then end in order.
pub(crate) fn serve(setup: Setup, exchange: impl FnOnce(&str)) {
    let arguments = [&["serve", "echo", "--listen", "127.0.0.1:0"], setup.server].concat();
    let (server, url) = Running::serve(&arguments);
    // The certificate's name.
    let url = if url.starts_with("wss:") { url.replace("127.0.0.1", "localhost") } else { url };
    exchange(&url);
    server.signal(Signal::TERM);
    server.finish().assert_success();
}

/// Runs a script with an interpreter, if `probe` succeeds, which checks the script's requirements.
/// The script checks what it receives, and fails if anything is wrong.
pub(crate) fn run(client: &str, interpreter: &[&str], probe: [&str; 2], script: &str) {
    if !succeeds(command(interpreter).args(probe)) {
        return skip(client);
    }
    for &setup in SETUPS {
        serve(setup, |url| {
            let mut client = command(interpreter);
            client.arg(clients().join(script)).args([url, setup.extension]);
            Running::spawn(&mut client).finish().assert_success();
        });
    }
}

/// Reports that a client is not installed.
pub(crate) fn skip(client: &str) {
    assert!(env::var_os("CI").is_none(), "{client} is missing, and CI has to have every client");
    // Bypasses the test harness, which captures the output of passing tests.
    stderr().write_all(format!("skipped: {client} is missing\n").as_bytes()).unwrap();
}

/// Whether the program exists. Reports it if not.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// An interpreter that `prepare` has installed, or else one from `PATH`.
pub(crate) fn command(words: &[&str]) -> Command {
    let prepared = prepared();
    let mut command = Command::new(words[0]);
    command
        .args(&words[1..])
        .env("PATH", first(prepared.join("python/bin"), "PATH"))
        .env("NODE_PATH", first(prepared.join("node_modules"), "NODE_PATH"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        // Trusted roots: in addition for Node, instead of the system's for Python.
        .env("SSL_CERT_FILE", certificate())
        .env("NODE_EXTRA_CA_CERTS", certificate());
    command
}

/// The folder of the clients that `prepare` has installed.
pub(crate) fn prepared() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("interop")
}

/// A list of folders from the environment, with another one in front.
fn first(folder: PathBuf, variable: &str) -> OsString {
    let others = env::var_os(variable).unwrap_or_default();
    env::join_paths([folder].into_iter().chain(env::split_paths(&others))).unwrap()
}

/// The certificate of `serve --tls`.
fn certificate() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/it/tls/one.pem")
}

/// The folder of the clients' scripts.
pub(crate) fn clients() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop/clients")
}
