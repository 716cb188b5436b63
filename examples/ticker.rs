//! Market data for slow and fast readers: `cargo run --example ticker -- 127.0.0.1:9001`
//!
//! A thread publishes 100,000 quotes a second. A client sends a symbol, `ACME` or `INIT`, and gets
//! its quotes as fast as it reads them. While it is slow, only the latest quote is kept for it.
//!
//! A client that sends `ALL` gets the quotes of all symbols. While it is slow, the latest quote of
//! each symbol is kept for it. With `ALL 100` it gets them at most every 100 ms, which is enough
//! for a person to look at.

use std::thread;
use std::time::{Duration, Instant};

use eventwire::{
    Config, Connection, Context, EventHandler, EventLoop, Gap, Message, OverflowPolicy, Publisher,
    ServerConfig, SubscribeError, Subscriber, TopicId, WebSocketHandler,
};

const SYMBOLS: [&str; 2] = ["ACME", "INIT"];

const QUOTES_PER_SECOND: f64 = 100_000.0;

/// Lets the market publish the quotes that are due.
#[derive(Clone)]
struct Tick;

/// The price of a symbol, with the quote's number.
struct Quote {
    symbol: usize,
    number: u64,
    cents: u64,
}

#[derive(Clone, Copy)]
struct Ticker {
    /// One for each symbol.
    topics: [TopicId; SYMBOLS.len()],
    /// All symbols, by which its messages are keyed.
    board: TopicId,
}

impl Ticker {
    /// Subscribes a connection to what it asks for. `None`: there is no such thing.
    fn subscribe(self, conn: &mut Connection<'_>, asked: &str) -> Option<Subscribed> {
        if let Some(found) = SYMBOLS.iter().position(|known| asked == *known) {
            return Some(conn.subscribe_with(self.topics[found], OverflowPolicy::KeepLatest));
        }
        if asked == "ALL" {
            return Some(conn.subscribe_with(self.board, OverflowPolicy::KeepLatest));
        }
        let interval = asked.strip_prefix("ALL ")?.parse().ok()?;
        Some(conn.subscribe_every(self.board, Duration::from_millis(interval)))
    }
}

type Subscribed = Result<bool, SubscribeError>;

impl EventHandler<Quote, ()> for Ticker {
    fn on_event(&mut self, cx: &mut Context<'_>, quote: &Quote, _: &mut ()) {
        let (symbol, price) = (SYMBOLS[quote.symbol], quote.cents as f64 / 100.0);
        let number = quote.number;
        let line = format!(r#"{{"symbol":"{symbol}","price":{price:.2},"number":{number}}}"#);
        cx.broadcast(self.topics[quote.symbol], line.as_str());
        cx.broadcast_keyed(self.board, symbol, line.as_str());
    }
}

impl WebSocketHandler<()> for Ticker {
    fn on_message(&mut self, conn: &mut Connection<'_>, asked: Message<'_>, _: &mut ()) {
        match self.subscribe(conn, asked.as_text().unwrap_or_default()) {
            Some(Ok(_)) => {}
            Some(Err(error)) => drop(conn.send(format!("! {error}"))),
            None => drop(conn.send(format!("! known symbols: {SYMBOLS:?}"))),
        }
    }

    fn on_gap(&mut self, conn: &mut Connection<'_>, gap: Gap, _: &mut ()) {
        println!("{conn:?} is slow and missed {} quotes", gap.missed());
    }
}

/// Publishes quotes at a constant rate, even if ticks are late.
fn market(ticks: Subscriber<Tick>, quotes: &Publisher<Quote>) {
    let (start, mut number) = (Instant::now(), 0);
    for Tick in ticks {
        let due = (start.elapsed().as_secs_f64() * QUOTES_PER_SECOND) as u64;
        while number < due {
            let symbol = (number % SYMBOLS.len() as u64) as usize;
            let cents = 10_000 + number * 7919 % 1_000;
            number += 1;
            // The queue is full. The quote would be outdated at the next tick, so drop it.
            if quotes.publish(Quote { symbol, number, cents }).is_err() {
                break;
            }
        }
    }
}

fn main() -> Result<(), eventwire::Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let mut event_loop = EventLoop::new(Config::default())?;
    let topics = [event_loop.topic(SYMBOLS[0])?, event_loop.topic(SYMBOLS[1])?];
    let ticker = Ticker { topics, board: event_loop.topic("all")? };
    event_loop.on_handler::<Quote>(ticker);
    let quotes = event_loop.publisher();
    let ticks = event_loop.subscriber(1, OverflowPolicy::KeepLatest);
    thread::spawn(move || market(ticks, &quotes));

    let listener = event_loop.listen(&*address, ServerConfig::default(), ticker)?;
    if let Some(address) = event_loop.local_addr(listener) {
        println!("listening on ws://{address}");
    }
    if event_loop.set_interval(Duration::from_millis(1), Tick).is_err() {
        eprintln!("cannot set the market's timer");
    }
    event_loop.run(&mut ())?;
    Ok(())
}
