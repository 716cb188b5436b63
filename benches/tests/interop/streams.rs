//! Responses in pieces, read by Node and curl, directly and behind nginx.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use eventwire::{
    Answer, CloseCode, Config, Connection, EventLoop, HttpHandler, HttpRequest, HttpResponse,
    Routes, SendStatus, ServerConfig, StreamedResponse,
};

use super::client::{clients, command, skip, succeeds};
use super::looping::Looping;
use super::nginx::{self, Nginx};
use super::program::{Output, Running};

const PIECE: usize = 50_000;
const PIECES: usize = 400;

/// Room for one piece in the outbox, with its spare capacity.
const QUEUED_MAX: u64 = 4 * PIECE as u64;

/// How the application ends a body.
#[derive(Clone, Copy)]
enum End {
    Whole,
    Broken,
}

/// Sends a body to one client at a time, as fast as that reads.
struct Pieces {
    end: End,
    /// Pieces that are still to be sent.
    left: usize,
    /// The most bytes that were ever queued.
    peak: Arc<AtomicU64>,
}

impl HttpHandler<()> for Pieces {
    fn on_request(&mut self, _: &mut Connection<'_>, _: &HttpRequest<'_>, (): &mut ()) -> Answer {
        self.left = PIECES;
        StreamedResponse::new(HttpResponse::text("")).into()
    }

    fn on_open(&mut self, conn: &mut Connection<'_>, (): &mut ()) {
        while self.left > 0 {
            self.left -= 1;
            let number = b'a' + (self.left % 26) as u8;
            let status = conn.send([number; PIECE].as_slice());
            let queued = conn.stats().outbound_bytes.max(conn.buffered_bytes() as u64);
            self.peak.fetch_max(queued, Ordering::Relaxed);
            match status {
                SendStatus::Sent => {}
                // `on_drained` goes on.
                SendStatus::Queued => return,
                SendStatus::Dropped | SendStatus::Gone => panic!("{status:?}"),
            }
        }
        let code = match self.end {
            End::Whole => CloseCode::NORMAL,
            End::Broken => CloseCode::INTERNAL,
        };
        conn.close(code, "");
    }

    fn on_drained(&mut self, conn: &mut Connection<'_>, state: &mut ()) {
        self.on_open(conn, state);
    }
}

/// Serves a body that is whole, one that is not, and how much is queued now.
fn serve() -> (Looping, Arc<AtomicU64>) {
    let peak = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&peak);
    let server = Looping::start(Config::default(), move |event_loop: &mut EventLoop<()>| {
        let [whole, broken] =
            [End::Whole, End::Broken].map(|end| Pieces { end, left: 0, peak: Arc::clone(&seen) });
        let routes = Routes::new()
            .get_handler("/whole", whole)
            .get_handler("/broken", broken)
            .get("/queued", |conn, _, ()| {
                HttpResponse::text(conn.stats().outbound_bytes.to_string())
            });
        event_loop.listen("127.0.0.1:0", ServerConfig::default(), routes).unwrap()
    });
    (server, peak)
}

/// Calls `read` with the server's address, and then with that of nginx before it.
fn read_by(read: impl Fn(&str)) {
    let (server, peak) = serve();
    let address = server.address.to_string();
    read(&address);
    if nginx::is_installed() {
        read(&Nginx::start(&address).address.to_string());
    } else {
        skip("nginx");
    }
    let peak = peak.load(Ordering::Relaxed);
    assert!((1..=QUEUED_MAX).contains(&peak), "{peak} bytes were queued");
}

#[test]
fn nodes_fetch_reads_a_long_body_after_a_pause() {
    if !succeeds(command(&["node"]).args(["-e", "fetch"])) {
        return skip("Node's fetch");
    }
    read_by(|address| {
        let mut reader = command(&["node"]);
        reader.arg(clients().join("read_with_node.js")).arg(address);
        reader.args([PIECE.to_string(), PIECES.to_string()]);
        Running::spawn(&mut reader).finish().assert_success();
    });
}

#[test]
fn curl_knows_whether_a_body_is_whole() {
    if !succeeds(Command::new("curl").arg("--version")) {
        return skip("curl");
    }
    read_by(|address| {
        let ways: [&[&str]; 3] = [&[], &["--http1.0"], &["--limit-rate", "20M"]];
        for way in ways {
            let output = curl(address, "/whole", way);
            output.assert_success();
            assert_eq!(output.stdout.len(), PIECE * PIECES, "{way:?}");
        }
        // A transfer that ended early.
        assert_eq!(curl(address, "/broken", &[]).code, Some(18));
    });
}

fn curl(address: &str, path: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "60", "--noproxy", "*"]);
    Running::spawn(command.args(arguments).arg(format!("http://{address}{path}"))).finish()
}
