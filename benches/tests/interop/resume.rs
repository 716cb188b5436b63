//! The example `resume` in Chromium, behind nginx, which is killed again and again.

use super::browser::Browser;
use super::nginx::nginx;
use super::server::Daemon;

#[test]
fn a_page_misses_nothing_over_web_sockets() {
    misses_nothing("", "connected, websocket");
}

#[test]
fn a_page_misses_nothing_over_events_where_web_sockets_do_not_pass() {
    misses_nothing("?blocked", "connected, events");
}

fn misses_nothing(query: &str, connected: &str) {
    let Some(mut browser) = Browser::start() else { return };
    let server = Daemon::example("resume", &[]);
    let Some(mut nginx) = nginx(&server.address, &[]) else { return };
    let window = browser.open(&format!("http://{}/{query}", nginx.address));
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
        browser.wait_for_text(&window, "#state", connected);
        nginx.restart();
    }
    browser.wait_for_text(&window, "#lost", "nothing");
}

fn numbers(text: &str) -> Vec<u64> {
    text.split_whitespace().map(|number| number.parse().unwrap()).collect()
}

fn last(text: &str) -> u64 {
    numbers(text).last().copied().unwrap_or_default()
}
