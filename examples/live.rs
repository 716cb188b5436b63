//! A live page by server-sent events: run `cargo run --example live -- 127.0.0.1:9001`, open
//! <http://127.0.0.1:9001/> in a browser, and restart the program. This program serves the page.
//!
//! The page's `EventSource` connects again by itself. What it missed meanwhile it knows by the
//! numbers of the ticks, which go on after a restart. A page that reads too slowly gets the latest
//! tick, and an event `gap` with the number of those that it missed.

use std::time::{Duration, SystemTime};

use eventwire::{
    Config, EventLoop, EventStream, HttpResponse, OverflowPolicy, Routes, ServerConfig,
};

const PERIOD: Duration = Duration::from_millis(100);

#[derive(Clone)]
struct Tick;

/// The number of periods since 1970, so that numbers grow from one start to the next.
fn number() -> u128 {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since_1970.map_or(0, |time| time.as_millis() / PERIOD.as_millis())
}

fn main() -> Result<(), eventwire::Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let mut event_loop = EventLoop::new(Config::default())?;
    let ticks = event_loop.topic("ticks")?;
    let mut last = number();
    event_loop.on(move |cx, _: &Tick, _: &mut ()| {
        // A late tick catches up: no number is left out while the program runs.
        for number in last + 1..=number() {
            cx.broadcast(ticks, format!("{number}"));
            last = number;
        }
    });
    event_loop.set_interval(PERIOD, Tick)?;

    let events = EventStream::new()
        .topic_with("ticks", OverflowPolicy::KeepLatest)
        .retry(Duration::from_millis(500));
    let routes = Routes::new()
        .page("/", HttpResponse::html(include_str!("live.html")))
        .events("/events", events);
    let listener = event_loop.listen(&*address, ServerConfig::default(), routes)?;
    if let Some(address) = event_loop.local_addr(listener) {
        println!("listening on http://{address}");
    }
    event_loop.run(&mut ())?;
    Ok(())
}
