//! Server-sent events in Chromium: the example `live`, and a page that shows all it receives.

use std::time::Duration;

use eventwire::{
    Answer, CloseCode, Config, Connection, ConnectionId, EventLoop, EventStream, History,
    HttpHandler, HttpRequest, HttpResponse, Later, OverflowPolicy, Position, RequestId, Routes,
    SendStatus, ServerConfig, TopicConfig,
};
use serde_json::json;

use super::browser::{Browser, Window};
use super::nginx::nginx;
use super::server::{Daemon, Looping};

/// Longer than the 3 s that Chromium waits by itself.
const RETRY: Duration = Duration::from_secs(4);

#[test]
fn a_live_page_goes_on_after_a_restart() {
    let server = Daemon::example("live", &[]);
    let address = server.address.clone();
    goes_on_after_a_restart(server, &address);
}

#[test]
fn a_live_page_behind_nginx_goes_on_after_a_restart() {
    let server = Daemon::example("live", &[]);
    let Some(nginx) = nginx(&server.address, &[]) else { return };
    goes_on_after_a_restart(server, &nginx.address);
}

/// Opens the page at `address`, and starts the server again.
fn goes_on_after_a_restart(mut server: Daemon, address: &str) {
    let Some(mut browser) = Browser::start() else { return };
    let window = browser.open(&format!("http://{address}/"));
    browser.wait_for_text(&window, "#state", "online");
    let mut last = 0;
    for _ in 0..4 {
        last = tick_after(&mut browser, &window, last);
    }
    server.kill();
    browser.wait_for(&window, "#state", |text| text.starts_with("offline"));
    server.restart();
    browser.wait_for_text(&window, "#state", "online");
    tick_after(&mut browser, &window, last);
    browser.wait_for(&window, "#log", |text| text.contains("missed "));
}

/// Waits until the page shows a later tick than the one with this number.
fn tick_after(browser: &mut Browser, window: &Window, last: u64) -> u64 {
    let is_later = |text: &str| text.parse().is_ok_and(|number: u64| number > last);
    browser.wait_for(window, "#tick", is_later).parse().unwrap()
}

/// What the loop knows of the page.
#[derive(Default)]
struct Page {
    last_offset: Option<u64>,
    stream: Option<ConnectionId>,
}

/// Sends the events of two topics, after one that says which event the page had last.
struct Events;

impl HttpHandler<Page> for Events {
    fn on_request(
        &mut self,
        _: &mut Connection<'_>,
        request: &HttpRequest<'_>,
        page: &mut Page,
    ) -> Answer {
        let position = request.header("Last-Event-ID").map(|id| id.parse::<Position>().unwrap());
        page.last_offset = position.map(Position::offset);
        EventStream::new().topic("news").topic("sport").named().retry(RETRY).into()
    }

    fn on_open(&mut self, conn: &mut Connection<'_>, page: &mut Page) {
        page.stream = Some(conn.id());
        conn.send(format!("after {:?}", page.last_offset));
    }
}

fn page<S>() -> Routes<S> {
    Routes::new().page("/", HttpResponse::html(include_str!("clients/events.html")))
}

/// Serves the events, and does what the page posts: broadcasts a message, or ends the stream.
fn serve_events() -> Looping {
    let config = Config::default().topics("news", TopicConfig::default().history(History::of(10)));
    Looping::serve(config, ServerConfig::default(), |_| {
        page().get_handler("/events", Events).post("/end", end).post("/{kind}/{topic}", broadcast)
    })
}

fn broadcast(conn: &mut Connection<'_>, post: &HttpRequest<'_>, _: &mut Page) -> HttpResponse {
    let topic = conn.topic(&post.param("topic").unwrap()).unwrap();
    match &*post.param("kind").unwrap() {
        "text" => conn.broadcast(topic, str::from_utf8(post.body()).unwrap()),
        _ => conn.broadcast(topic, post.body()),
    };
    HttpResponse::new(204)
}

fn end(conn: &mut Connection<'_>, _: &HttpRequest<'_>, page: &mut Page) -> HttpResponse {
    conn.connection(page.stream.unwrap()).close(CloseCode::NORMAL, "");
    HttpResponse::new(204)
}

#[test]
fn a_page_gets_each_event_at_once_and_says_which_was_the_last() {
    gets_events(&serve_events().address.to_string());
}

#[test]
fn a_page_behind_nginx_with_its_buffers_gets_each_event_at_once() {
    let server = serve_events();
    let buffered = [("proxy_buffering off;", "proxy_buffering on;")];
    let Some(nginx) = nginx(&server.address.to_string(), &buffered) else { return };
    gets_events(&nginx.address);
}

fn gets_events(address: &str) {
    let Some(mut browser) = Browser::start() else { return };
    let window = browser.open(&format!("http://{address}/"));
    let mut log = String::from("open\nmessage  \"after None\"");
    browser.wait_for_text(&window, "#log", &log);
    // A proxy that held an event back would wait for the next, which comes after it was shown.
    for (path, message, shown) in [
        ("/text/news", "one", r#"news 1 "one""#),
        ("/text/sport", "two\nlines", r#"sport 1 "two\nlines""#),
        ("/text/news", "\n: café\r\n\r", r#"news 2 "\n: café\n\n""#),
        ("/binary/news", "\u{1}\u{2}", r#"binary 3 "AQI=""#),
    ] {
        post(&mut browser, &window, path, message);
        log = format!("{log}\n{shown}");
        browser.wait_for_text(&window, "#log", &log);
    }

    // What comes while the page is away is in the history of one topic alone. The browser says the
    // position in this one.
    post(&mut browser, &window, "/end", "");
    browser.wait_for_end(&window, "#log", "\noffline");
    post(&mut browser, &window, "/text/news", "four");
    post(&mut browser, &window, "/text/sport", "three");
    let back = "message 3 \"after Some(3)\"\nnews 4 \"four\"\nlost sport up to 2";
    let text = browser.wait_for_end(&window, "#log", back);
    let again = text.strip_prefix(&format!("{log}\noffline\nopen again after ")).unwrap();
    let (waited, rest) = again.split_once(" ms\n").unwrap();
    assert!(waited.parse::<u128>().unwrap() >= RETRY.as_millis(), "{waited}");
    assert_eq!(rest, back);
    post(&mut browser, &window, "/text/news", "five");
    browser.wait_for_text(&window, "#log", &format!("{text}\nnews 5 \"five\""));
}

fn post(browser: &mut Browser, window: &Window, path: &str, body: &str) {
    browser.evaluate(window, &format!("post({}, {})", json!(path), json!(body)));
}

/// How many broadcasts of [`LONG`] bytes a page misses some of: more than the system, the browser
/// and the topic keep.
const FLOOD: u64 = 1_000;
const LONG: usize = 100_000;

/// The next of these broadcasts, and the request that is answered after the last.
struct Flood(u64, RequestId);

fn flood(event_loop: &mut EventLoop<()>) -> Routes<()> {
    let news = event_loop.topic("news").unwrap();
    let long = "x".repeat(LONG);
    event_loop.on(move |cx, &Flood(number, request): &Flood, ()| {
        if number <= FLOOD {
            // The topic takes so many in one turn, and the next in another.
            let is_taken = cx.broadcast(news, long.as_str()) == SendStatus::Sent;
            assert!(cx.publish(Flood(number + u64::from(is_taken), request)).is_ok());
        } else {
            assert!(cx.respond(request, HttpResponse::new(204)).is_ok());
            cx.broadcast(news, "the end");
        }
    });
    let events = EventStream::new().topic_with("news", OverflowPolicy::DropOldest);
    page().events("/events", events).post("/flood", |conn, _, ()| {
        assert!(conn.publish(Flood(1, conn.request_id())).is_ok());
        Later::default()
    })
}

#[test]
fn a_page_that_reads_too_slowly_knows_what_it_missed() {
    let Some(mut browser) = Browser::start() else { return };
    let server = Looping::serve(Config::default(), ServerConfig::default(), flood);
    let window = browser.open(&format!("http://{}/", server.address));
    browser.wait_for_text(&window, "#log", "open");
    browser.evaluate(&window, "block()");
    let is_over = |text: &str| text.contains("\"the end\"") && text.contains("\ngap ");
    let log = browser.wait_for(&window, "#log", is_over);
    assert!(log.contains("\nflood 204\n"), "{log}");

    // Each broadcast was received, or is in a gap. A gap is reported after what follows it.
    let is_whole = browser.evaluate(&window, &format!("isWhole({})", FLOOD + 1));
    assert_eq!(is_whole, true, "{log}");
}
