//! The site that the peer visits.

use std::time::Duration;

use eventwire::proto::Limits;
use eventwire::proto::handshake::UpgradeRequest;
use eventwire::proto::http::{HeadLimits, HttpRequest, HttpResponse};
use eventwire::reactor::SimReactor;
use eventwire::{
    Answer, CloseCode, Connection, ConnectionId, Context, Disconnect, EventLoop, HttpHandler,
    Later, ListenerId, Message, Network, RequestId, Routes, SendStatus, ServerConfig,
    StreamedResponse, TrustedProxies, Upgrade, WebSocketHandler,
};

/// A page that is longer than a small window and much more than may wait.
pub(super) const LONG: usize = 9_000;

/// The longest answer with the statistics of a loop.
pub(super) const METRICS: usize = 24 * 1024;

pub(super) const HOME: &str = "<!doctype html><title>Home</title>";

/// The longest message to `/ws`, and to all else.
pub(super) const SHORT_MESSAGE: usize = 10;
pub(super) const LONG_MESSAGE: usize = 1024 * 1024;

/// The longest body that is taken.
pub(super) const BODY: usize = 40;

/// A streamed response says what was asked, and then this piece, so many times.
pub(super) const PIECE: &str = "a piece of thirty-two characters";
pub(super) const PIECES: usize = 100;

/// What was asked for, as the handlers saw it, in order.
#[derive(Debug, Default)]
pub(super) struct App {
    pub(super) asked: Vec<String>,
    pub(super) opened: usize,
    /// How many pieces the streamed response has still to say.
    pub(super) left: usize,
    pub(super) calls: usize,
    /// Some answers come later. A client that ends its half of the stream does not wait for them.
    pub(super) puts_off: bool,
    /// The peer has closed its WebSocket in order.
    pub(super) is_closed: bool,
}

#[derive(Clone, Copy)]
pub(super) struct Site {
    /// 0: no proxy is trusted; 1: `X-Forwarded-For`, 2: `Forwarded`, 3: the PROXY protocol.
    pub(super) proxy_kind: u8,
    /// Whether the peer is a trusted proxy.
    pub(super) trusts: bool,
    /// Limits that heads reach.
    pub(super) is_strict: bool,
}

impl Site {
    pub(super) fn head_limits(self) -> HeadLimits {
        match self.is_strict {
            true => HeadLimits { bytes: 400, line: 60, headers: 6 },
            false => HeadLimits::default(),
        }
    }

    /// The trusted proxies, if there are any. The peer is at this machine's own address.
    fn proxies(self) -> Option<TrustedProxies> {
        let mut networks: Vec<Network> = vec!["10.0.0.0/8".parse().expect("a network")];
        if self.trusts {
            networks.push("127.0.0.0/8".parse().expect("a network"));
        }
        match self.proxy_kind {
            0 => None,
            1 => Some(TrustedProxies::x_forwarded_for(networks)),
            2 => Some(TrustedProxies::forwarded(networks)),
            _ => Some(TrustedProxies::proxy_protocol(networks)),
        }
    }

    pub(super) fn listen(self, event_loop: &mut EventLoop<App, SimReactor>) -> ListenerId {
        let limits = Limits::default().head(self.head_limits());
        let mut config = ServerConfig::default().limits(limits).max_body(BODY);
        if let Some(proxies) = self.proxies() {
            config = config.proxies(proxies);
        }
        let short = ServerConfig::default().max_message(SHORT_MESSAGE);
        let long = ServerConfig::default().max_message(LONG_MESSAGE);
        let routes = Routes::new()
            .page("/", HttpResponse::html(HOME))
            .page("/long", HttpResponse::html(vec![b'x'; LONG]))
            .page("/nothing", HttpResponse::new(204).body("never sent"))
            .get("/ask", ask)
            .get("/ask/*", ask)
            .get_handler("/stream", Streaming)
            .metrics("/metrics")
            .websocket("/ws", short, Echo)
            .websocket("/rooms/*", long, Echo);
        event_loop.on(|cx: &mut Context<'_>, due: &Due, app: &mut App| {
            app.calls += 1;
            // A client that was reset misses it.
            let _ = cx.respond(due.0, HttpResponse::text(due.1.clone()));
        });
        event_loop.listen("127.0.0.1:80", config, routes).expect("nobody else listens there")
    }
}

/// Where answers come later.
const LATER: &str = "/ask/later";

/// The client's address, as handlers see it.
fn who(conn: ConnectionId, cx: &mut Context<'_>) -> String {
    let peer = cx.connection(conn).peer_addr().expect("an address");
    if peer.ip().is_loopback() { "itself".to_owned() } else { peer.to_string() }
}

/// An event: answer the request with the text.
struct Due(RequestId, String);

/// Answers with what it was asked, at once or later.
fn ask(conn: &mut Connection<'_>, request: &HttpRequest<'_>, app: &mut App) -> Answer {
    let asked = note(conn, request, app);
    if app.puts_off && request.path() == LATER {
        let due = Due(conn.request_id(), asked);
        conn.set_timer(Duration::from_millis(1), due).expect("room for a timer");
        return Later::default().into();
    }
    HttpResponse::text(asked).into()
}

/// Notes what was asked.
fn note(conn: &mut Connection<'_>, request: &HttpRequest<'_>, app: &mut App) -> String {
    assert!(!conn.is_open());
    app.calls += 1;
    let (path, query) = (request.path(), request.query().unwrap_or("-"));
    let asked = format!("{} {path} {query} {}", request.method(), who(conn.id(), conn));
    let asked = asked + &request.body().escape_ascii().to_string();
    app.asked.push(asked.clone());
    asked
}

/// Answers with what it was asked and more, in pieces, as fast as the client reads.
struct Streaming;

impl HttpHandler<App> for Streaming {
    fn on_request(
        &mut self,
        conn: &mut Connection<'_>,
        request: &HttpRequest<'_>,
        app: &mut App,
    ) -> Answer {
        let asked = note(conn, request, app);
        StreamedResponse::new(HttpResponse::text(asked)).into()
    }

    fn on_open(&mut self, conn: &mut Connection<'_>, app: &mut App) {
        app.opened += 1;
        app.left = PIECES;
        self.on_drained(conn, app);
    }

    fn on_drained(&mut self, conn: &mut Connection<'_>, app: &mut App) {
        app.calls += 1;
        while app.left > 0 {
            app.left -= 1;
            if conn.send(PIECE) != SendStatus::Sent {
                return;
            }
        }
        conn.close(CloseCode::NORMAL, "");
    }
}

struct Echo;

impl WebSocketHandler<App> for Echo {
    fn on_upgrade(
        &mut self,
        conn: &mut Connection<'_>,
        request: &UpgradeRequest<'_>,
        app: &mut App,
    ) -> Upgrade {
        app.calls += 1;
        app.asked.push(format!("opens {} {}", request.path(), who(conn.id(), conn)));
        Upgrade::accept()
    }

    fn on_open(&mut self, _: &mut Connection<'_>, app: &mut App) {
        app.calls += 1;
        app.opened += 1;
    }

    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, app: &mut App) {
        app.calls += 1;
        conn.send(message);
    }

    fn on_close(&mut self, _: &mut Connection<'_>, reason: &Disconnect, app: &mut App) {
        app.is_closed = matches!(reason, Disconnect::ClosedByPeer { .. });
    }
}
