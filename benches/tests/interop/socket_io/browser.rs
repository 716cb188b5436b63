//! The stock client for browsers, in Chromium.

use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;

use super::super::chromium;
use super::super::client::{clients, skip};
use super::super::devtools::Browser;
use super::server::{Profile, Server};

/// The client, as `prepare` installs it.
fn bundle() -> PathBuf {
    let prepared = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("interop");
    prepared.join("node_modules/socket.io-client/dist/socket.io.min.js")
}

/// Serves the page and its script, each connection on a thread, as browsers open some in advance.
fn serve_page() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    // It ends with the test.
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || answer(stream));
        }
    });
    format!("http://{address}")
}

fn answer(stream: TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        line.clear();
    }
    let (kind, body) = if request.starts_with("GET /?") {
        ("text/html", fs::read(clients().join("socket_io.html"))?)
    } else if request.starts_with("GET /socket.io.min.js ") {
        ("text/javascript", fs::read(bundle())?)
    } else {
        ("text/plain", Vec::new())
    };
    let mut stream = reader.into_inner();
    write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n")?;
    write!(stream, "Content-Type: {kind}; charset=utf-8\r\n")?;
    write!(stream, "Content-Length: {}\r\n\r\n", body.len())?;
    stream.write_all(&body)
}

#[test]
fn a_page_of_another_origin_upgrades_and_exchanges_events() {
    let Some(name) = chromium::name() else {
        return skip("Chromium");
    };
    if !bundle().exists() {
        return skip("socket.io-client");
    }
    let server = Server::start(Profile::Load);
    let mut browser = Browser::start(name);
    let window = browser.open(&format!("{}/?url={}", serve_page(), server.url()));
    let shown = browser.wait_for(&window, "#log", |text| !matches!(text, "" | "loading"));
    assert_eq!(shown, "ok, polling,websocket");
}
