//! Chromium: a page that the test serves.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use super::client::{SETUPS, Setup, clients, serve, skip, succeeds};
use super::program::Running;

/// A wait takes this long only if something is broken. A browser is slow to start.
const PATIENCE: Duration = Duration::from_secs(120);

/// Chromium without a sandbox, which does not work for root and in many containers and which this
/// page does not need, and without traffic of its own.
pub(super) const ARGUMENTS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
];

/// An empty folder of one run, removed at its end.
pub(super) struct Profile(pub(super) PathBuf);

impl Profile {
    pub(super) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("chromium-{}-{number}", std::process::id());
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        // A process of the browser may still be writing.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The browser's command, if it is installed.
pub(super) fn name() -> Option<&'static str> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    names.into_iter().find(|name| succeeds(Command::new(name).arg("--version")))
}

#[test]
fn chromium_gets_back_what_it_sends() {
    let Some(name) = name() else {
        return skip("Chromium");
    };
    SETUPS.iter().for_each(|&setup| browse(name, setup));
}

/// Opens the page in the browser with this command.
fn browse(name: &str, setup: Setup) {
    serve(setup, |url| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let extension = setup.extension;
        let page = format!("http://{}", listener.local_addr().unwrap());
        let (results, result) = mpsc::channel();
        thread::spawn(move || serve_page(&listener, &results));
        let profile = Profile::new();
        let mut browser = Command::new(name);
        browser.args(ARGUMENTS).arg(format!("--user-data-dir={}", profile.0.display()));
        if url.starts_with("wss:") {
            // The browser uses the system's trusted roots, which a test must not change.
            browser.arg("--ignore-certificate-errors");
        }
        browser.arg(format!("{page}/?url={url}&extension={extension}"));
        let browser = Running::spawn(&mut browser);
        let result = result.recv_timeout(PATIENCE);
        browser.signal(Signal::TERM);
        let output = browser.finish();
        assert_eq!(result.as_deref(), Ok("ok"), "{}", output.stderr);
    });
}

/// Answers every request for the page, and passes its result on. A browser may open connections in
/// advance, so each connection has a thread.
fn serve_page(listener: &TcpListener, results: &mpsc::Sender<String>) {
    for stream in listener.incoming().flatten() {
        let results = results.clone();
        thread::spawn(move || answer(stream, &results));
    }
}

fn answer(stream: TcpStream, results: &mpsc::Sender<String>) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let target = request.split(' ').nth(1).unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let (kind, body) = match path {
        "/" => ("text/html; charset=utf-8", fs::read(clients().join("chromium.html"))?),
        "/exchange.js" => {
            ("text/javascript; charset=utf-8", fs::read(clients().join("exchange.js"))?)
        }
        _ => ("text/plain", Vec::new()),
    };
    let length = body.len();
    let mut stream = reader.into_inner();
    write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: {kind}\r\n")?;
    write!(stream, "Content-Length: {length}\r\n\r\n")?;
    stream.write_all(&body)?;
    if path == "/result" {
        // Without a receiver, the test has ended.
        let _ = results.send(query.to_owned());
    }
    Ok(())
}
