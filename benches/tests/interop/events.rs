//! Server-sent events in Chromium: the example `live`, and a page that shows all it receives.

use std::sync::mpsc::channel;
use std::time::Duration;

use eventwire::{
    Answer, CloseCode, Config, Connection, ConnectionId, EventLoop, EventStream, History,
    HttpHandler, HttpRequest, HttpResponse, Later, Message, OverflowPolicy, Position, Publisher,
    RequestId, Routes, SendStatus, ServerConfig, TopicConfig,
};

use super::chromium;
use super::client::skip;
use super::devtools::{Browser, Window};
use super::example::serve;
use super::looping::Looping;
use super::nginx::{self, Nginx};

/// Longer than the 3 s that Chromium waits by itself.
const RETRY: Duration = Duration::from_secs(4);

#[test]
fn a_live_page_goes_on_after_a_restart() {
    let Some(name) = chromium::name() else {
        return skip("Chromium");
    };
    let (server, address) = serve("live", &["127.0.0.1:0"]);
    goes_on_after_a_restart(&mut Browser::start(name), &address.clone(), server, &address);
}

#[test]
fn a_live_page_behind_nginx_goes_on_after_a_restart() {
    let Some(name) = chromium::name() else {
        return skip("Chromium");
    };
    if !nginx::is_installed() {
        return skip("nginx");
    }
    let (server, upstream) = serve("live", &["127.0.0.1:0"]);
    let nginx = Nginx::start(&upstream);
    let address = nginx.address.to_string();
    goes_on_after_a_restart(&mut Browser::start(name), &address, server, &upstream);
}

/// Opens the page at `address`, and starts the server at `upstream` again.
fn goes_on_after_a_restart(
    browser: &mut Browser,
    address: &str,
    server: impl Sized,
    upstream: &str,
) {
    let window = browser.open(&format!("http://{address}/"));
    browser.wait_for(&window, "#state", |text| text == "online");
    let mut last = tick_after(browser, &window, 0);
    for _ in 0..3 {
        last = tick_after(browser, &window, last);
    }
    drop(server);
    browser.wait_for(&window, "#state", |text| text.starts_with("offline"));
    let _server = serve("live", &[upstream]);
    browser.wait_for(&window, "#state", |text| text == "online");
    tick_after(browser, &window, last);
    browser.wait_for(&window, "#log", |text| text.contains("missed "));
}

/// Waits until the page shows a later tick than the one with this number.
fn tick_after(browser: &mut Browser, window: &Window, last: u64) -> u64 {
    let is_later = |text: &str| text.parse().is_ok_and(|number: u64| number > last);
    browser.wait_for(window, "#tick", is_later).parse().unwrap()
}

/// What a test wants the loop to do.
enum Act {
    Broadcast(&'static str, Message<'static>),
    EndStream,
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

fn routes<S>() -> Routes<S> {
    Routes::new().page("/", HttpResponse::html(include_str!("clients/events.html")))
}

fn serve_events() -> (Looping, Publisher<Act>) {
    let (tell, told) = channel();
    let kept = TopicConfig::default().history(History::of(10));
    let server = Looping::start(Config::default().topics("news", kept), move |event_loop| {
        tell.send(event_loop.publisher()).unwrap();
        event_loop.on(|cx, act: &Act, page: &mut Page| match act {
            Act::Broadcast(topic, message) => {
                let topic = cx.topic(topic).unwrap();
                cx.broadcast(topic, *message);
            }
            Act::EndStream => {
                cx.connection(page.stream.unwrap()).close(CloseCode::NORMAL, "");
            }
        });
        let routes = routes().get_handler("/events", Events);
        event_loop.listen("127.0.0.1:0", ServerConfig::default(), routes).unwrap()
    });
    (server, told.recv().unwrap())
}

#[test]
fn a_page_gets_each_event_at_once_and_says_which_was_the_last() {
    let Some(name) = chromium::name() else {
        return skip("Chromium");
    };
    let (server, acts) = serve_events();
    gets_events(&mut Browser::start(name), &server.address.to_string(), &acts);
}

#[test]
fn a_page_behind_nginx_with_its_buffers_gets_each_event_at_once() {
    let Some(name) = chromium::name() else {
        return skip("Chromium");
    };
    if !nginx::is_installed() {
        return skip("nginx");
    }
    let (server, acts) = serve_events();
    let nginx = Nginx::start_with(&server.address.to_string(), |block| {
        assert!(block.contains("proxy_buffering off;"));
        block.replace("proxy_buffering off;", "proxy_buffering on;")
    });
    gets_events(&mut Browser::start(name), &nginx.address.to_string(), &acts);
}

fn gets_events(browser: &mut Browser, address: &str, acts: &Publisher<Act>) {
    let window = browser.open(&format!("http://{address}/"));
    let mut log = String::from("open\nmessage  \"after None\"");
    browser.wait_for(&window, "#log", |text| text == log);
    // A proxy that held an event back would wait for the next, which comes after it was shown.
    for (topic, message, shown) in [
        ("news", Message::Text("one"), r#"news 1 "one""#),
        ("sport", Message::Text("two\nlines"), r#"sport 1 "two\nlines""#),
        ("news", Message::Text("\n: caf\u{e9}\r\n\r"), r#"news 2 "\n: café\n\n""#),
        ("news", Message::Binary(&[1, 2]), r#"binary 3 "AQI=""#),
    ] {
        acts.publish(Act::Broadcast(topic, message)).unwrap_or_else(|_| panic!("{shown}"));
        log = format!("{log}\n{shown}");
        browser.wait_for(&window, "#log", |text| text == log);
    }

    // What comes while the page is away is in the history of one topic alone. The browser says the
    // position in this one.
    acts.publish(Act::EndStream).unwrap_or_else(|_| panic!("the end"));
    browser.wait_for(&window, "#log", |text| text.ends_with("\noffline"));
    for (topic, text) in [("news", "four"), ("sport", "three")] {
        acts.publish(Act::Broadcast(topic, Message::Text(text)))
            .unwrap_or_else(|_| panic!("{text}"));
    }
    let back = "message 3 \"after Some(3)\"\nnews 4 \"four\"\nlost sport up to 2";
    let text = browser.wait_for(&window, "#log", |text| text.ends_with(back));
    let again = text.strip_prefix(&format!("{log}\noffline\nopen again after ")).unwrap();
    let (waited, rest) = again.split_once(" ms\n").unwrap();
    assert!(waited.parse::<u128>().unwrap() >= RETRY.as_millis(), "{waited}");
    assert_eq!(rest, back);
    acts.publish(Act::Broadcast("news", Message::Text("five"))).unwrap_or_else(|_| panic!("five"));
    let all = format!("{text}\nnews 5 \"five\"");
    browser.wait_for(&window, "#log", |text| text == all);
}

/// How many broadcasts of [`LONG`] bytes a page misses some of: more than the system, the browser
/// and the topic keep.
const FLOOD: u64 = 1_000;
const LONG: usize = 100_000;

/// The next of these broadcasts, and the request that is answered after the last.
struct Flood(u64, RequestId);

fn serve_flood() -> Looping {
    Looping::start(Config::default(), |event_loop: &mut EventLoop<()>| {
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
        let routes = routes().events("/events", events).post("/flood", |conn, _, ()| {
            assert!(conn.publish(Flood(1, conn.request_id())).is_ok());
            Later::default()
        });
        event_loop.listen("127.0.0.1:0", ServerConfig::default(), routes).unwrap()
    })
}

#[test]
fn a_page_that_reads_too_slowly_knows_what_it_missed() {
    let Some(name) = chromium::name() else {
        return skip("Chromium");
    };
    let server = serve_flood();
    let mut browser = Browser::start(name);
    let window = browser.open(&format!("http://{}/", server.address));
    browser.wait_for(&window, "#log", |text| text == "open");
    browser.evaluate(&window, "block()");
    let log = browser
        .wait_for(&window, "#log", |text| text.contains("\"the end\"") && text.contains("\ngap "));
    assert!(log.contains("\nflood 204\n"), "{log}");

    // Each broadcast was received, or is in a gap. A gap is reported after what follows it.
    let mut ranges: Vec<_> = log.lines().filter_map(range).collect();
    ranges.sort_unstable();
    let mut next = 1;
    for (first, last) in ranges {
        assert_eq!(first, next, "{log}");
        next = last + 1;
    }
    assert_eq!(next, FLOOD + 2, "{log}");
}

/// The broadcasts that a line of the page is about.
fn range(line: &str) -> Option<(u64, u64)> {
    let (event, data) = line.split_once(' ')?;
    let (id, data) = data.split_once(' ')?;
    if event == "gap" {
        let data: String = serde_json::from_str(data).unwrap();
        let gap: serde_json::Value = serde_json::from_str(&data).unwrap();
        assert_eq!(gap["topic"], "news");
        return gap["first"].as_u64().zip(gap["last"].as_u64());
    }
    let id = id.parse().unwrap();
    (event == "message").then_some((id, id))
}
