//! Wrong use of requests and streamed responses, by applications and by clients.

use std::sync::mpsc::{Receiver, Sender, channel};

use eventwire::proto::handshake::Acceptance;
use eventwire::{
    Answer, CloseCode, Config, Connection, Disconnect, EventLoop, EventStream, HttpHandler,
    HttpRequest, HttpResponse, Later, RespondError, Routes, ServerConfig, StreamedResponse,
};

use crate::util::{PATIENCE, Peer, Server};

/// Answers with what a closure returns, and reports what is called.
struct Reporting<F>(Sender<&'static str>, F);

impl<F: FnMut(&mut Connection<'_>, &HttpRequest<'_>) -> Answer> HttpHandler<()> for Reporting<F> {
    fn on_request(
        &mut self,
        conn: &mut Connection<'_>,
        request: &HttpRequest<'_>,
        (): &mut (),
    ) -> Answer {
        self.0.send("request").unwrap_or_default();
        (self.1)(conn, request)
    }

    fn on_open(&mut self, _: &mut Connection<'_>, (): &mut ()) {
        self.0.send("open").unwrap_or_default();
    }

    fn on_close(&mut self, _: &mut Connection<'_>, _: &Disconnect, (): &mut ()) {
        self.0.send("close").unwrap_or_default();
    }
}

fn serve<F>(config: ServerConfig, answer: F) -> (Server, Receiver<&'static str>)
where
    F: FnMut(&mut Connection<'_>, &HttpRequest<'_>) -> Answer + Send + 'static,
{
    let (report, calls) = channel();
    let server = Server::start(Config::default(), move |event_loop: &mut EventLoop<()>| {
        let handler = || {
            Reporting(report.clone(), |_: &mut Connection<'_>, _: &HttpRequest<'_>| {
                HttpResponse::text("post").into()
            })
        };
        let routes = Routes::new().route("POST", "/*", handler());
        let routes = routes.get_handler("/*", Reporting(report.clone(), answer));
        let listener = event_loop.listen("127.0.0.1:0", config, routes).expect("listen");
        event_loop.local_addr(listener).expect("an address")
    });
    (server, calls)
}

fn ask(server: &Server, path: &str) -> Peer {
    let mut peer = Peer::open(server.address());
    peer.write(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
    peer
}

/// What is called until a server ends.
fn all(server: Server, calls: &Receiver<&'static str>) -> Vec<&'static str> {
    drop(server);
    calls.iter().collect()
}

#[test]
fn a_handler_that_closes_its_connection_answers_nothing() {
    let (server, calls) = serve(ServerConfig::default(), |conn, request| {
        assert!(conn.close(CloseCode::NORMAL, ""));
        match request.path() {
            "/pieces" => StreamedResponse::new(HttpResponse::text("first")).into(),
            "/events" => EventStream::of("news").into(),
            "/later" => Later::default().into(),
            _ => HttpResponse::text("at once").into(),
        }
    });
    for path in ["/pieces", "/events", "/later", "/"] {
        ask(&server, path).expect_end();
    }
    assert_eq!(all(server, &calls), ["request"; 4], "nothing has opened");
}

#[test]
fn an_acceptance_is_refused_in_a_handler_whose_request_asks_for_no_websocket() {
    let (server, _calls) = serve(ServerConfig::default(), |conn, _| {
        let request = conn.request_id();
        assert_eq!(conn.respond(request, Acceptance::new()), Err(RespondError::NoUpgrade));
        HttpResponse::text("none").into()
    });
    let mut peer = ask(&server, "/");
    assert!(peer.head().starts_with("HTTP/1.1 200 "));
    assert_eq!(peer.bytes(4), b"none");
}

#[test]
fn more_time_does_not_replace_the_answer_that_a_handler_returns() {
    let (server, _calls) = serve(ServerConfig::default(), |conn, _| {
        let request = conn.request_id();
        assert_eq!(conn.respond(request, Later::within(PATIENCE)), Ok(()));
        HttpResponse::text("returned").into()
    });
    let mut peer = ask(&server, "/");
    assert!(peer.head().starts_with("HTTP/1.1 200 "));
    assert_eq!(peer.bytes(8), b"returned");
}
