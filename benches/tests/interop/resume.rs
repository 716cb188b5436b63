//! The example `resume` in Chromium, whose connections a proxy ends again and again.

use super::chromium;
use super::client::skip;
use super::cutting::Proxy;
use super::devtools::Browser;
use super::example::serve;

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
