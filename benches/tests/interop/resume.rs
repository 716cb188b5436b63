//! The example `resume` in Chromium, whose connections a proxy ends again and again.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use super::chromium;
use super::client::skip;
use super::devtools::Browser;
use super::example::serve;

/// Passes connections on until it ends them.
struct Proxy {
    address: SocketAddr,
    ends: Arc<Mutex<Vec<TcpStream>>>,
}

impl Proxy {
    fn start(upstream: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let ends = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&ends);
        // It ends with the test.
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = TcpStream::connect(&upstream).unwrap();
                all.lock().unwrap().extend([clone(&client), clone(&server)]);
                pass_on(clone(&client), clone(&server));
                pass_on(server, client);
            }
        });
        Self { address, ends }
    }

    /// Ends all connections in their midst. Returns how many there were.
    fn end_all(&self) -> usize {
        let ends = std::mem::take(&mut *self.ends.lock().unwrap());
        // One that has ended already cannot be shut down.
        ends.iter().for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
        ends.len() / 2
    }
}

fn clone(stream: &TcpStream) -> TcpStream {
    stream.try_clone().unwrap()
}

fn pass_on(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        // An error is the end, too.
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
}

#[test]
fn a_page_misses_nothing_over_web_sockets() {
    misses_nothing("", "connected, websocket");
}

#[test]
fn a_page_misses_nothing_over_events_where_web_sockets_do_not_pass() {
    misses_nothing("?blocked", "connected, events");
}

fn misses_nothing(query: &str, connected: &str) {
    let Some(name) = chromium::name() else {
        return skip("Chromium");
    };
    let (_server, upstream) = serve("resume", &["127.0.0.1:0"]);
    let proxy = Proxy::start(upstream);
    let mut browser = Browser::start(name);
    let window = browser.open(&format!("http://{}/{query}", proxy.address));
    let mut shown = 0;
    for _ in 0..5 {
        // More than can be under way when the connections end: some come on the next one.
        let wanted = shown + 20;
        for topic in ["#news", "#sport"] {
            let text = browser.wait_for(&window, topic, |text| last(text) > wanted);
            let numbers = numbers(&text);
            let expected: Vec<u64> = (numbers[0]..).take(numbers.len()).collect();
            assert_eq!(numbers, expected, "{topic}");
            shown = last(&text);
        }
        browser.wait_for(&window, "#state", |text| text == connected);
        assert!(proxy.end_all() > 0);
    }
    browser.wait_for(&window, "#lost", |text| text == "nothing");
}

fn numbers(text: &str) -> Vec<u64> {
    text.split_whitespace().map(|number| number.parse().unwrap()).collect()
}

fn last(text: &str) -> u64 {
    numbers(text).last().copied().unwrap_or_default()
}
