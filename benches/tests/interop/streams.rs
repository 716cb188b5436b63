//! Responses in pieces, read by Node and curl, directly and behind nginx.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use eventwire::{
    Answer, CloseCode, Config, Connection, EventLoop, HttpHandler, HttpRequest, HttpResponse,
    Routes, SendStatus, ServerConfig, StreamedResponse,
};

use super::client::{CURL, Client, NODE};
use super::nginx::directly_and_behind_nginx;
use super::server::Looping;

const PIECE: usize = 50_000;
const PIECES: usize = 400;

/// Room for one piece in the outbox, with its spare capacity.
const QUEUED_MAX: u64 = 4 * PIECE as u64;

/// Sends a body to one client at a time, as fast as that reads.
struct Pieces {
    /// How the application ends the body.
    end: CloseCode,
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
        conn.close(self.end, "");
    }

    fn on_drained(&mut self, conn: &mut Connection<'_>, state: &mut ()) {
        self.on_open(conn, state);
    }
}

/// Runs a script that reads a body that is whole, one that is not, and how much is queued now.
fn read_by(client: Client, script: &str) {
    let Some(client) = client.find() else { return };
    let [piece, pieces] = [PIECE, PIECES].map(|number| number.to_string());
    let peak = Arc::new(AtomicU64::new(0));
    let [whole, broken] = [CloseCode::NORMAL, CloseCode::INTERNAL].map(|end| Pieces {
        end,
        left: 0,
        peak: Arc::clone(&peak),
    });
    let server =
        Looping::serve(Config::default(), ServerConfig::default(), move |_: &mut EventLoop<()>| {
            let routes = Routes::new().get_handler("/whole", whole).get_handler("/broken", broken);
            routes.get("/queued", |conn, _, ()| {
                HttpResponse::text(conn.stats().outbound_bytes.to_string())
            })
        });
    directly_and_behind_nginx(&server.address.to_string(), |address| {
        client.run(script, &[address, &piece, &pieces]);
    });
    let peak = peak.load(Ordering::Relaxed);
    assert!((1..=QUEUED_MAX).contains(&peak), "{peak} bytes were queued");
}

#[test]
fn nodes_fetch_reads_a_long_body_after_a_pause() {
    read_by(NODE, "read_with_node.js");
}

#[test]
fn curl_knows_whether_a_body_is_whole() {
    read_by(CURL, "read_with_curl.sh");
}
