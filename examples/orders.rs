//! Orders as typed events: `cargo run --example orders -- 127.0.0.1:9001`
//!
//! A shop and its warehouse, each a thread, publish events. Two handlers on the loop process them:
//! one keeps the set of open orders, the other broadcasts to the connected clients. A third thread
//! archives shipped orders.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use eventwire::{
    Config, Connection, Context, EventHandler, EventLoop, OverflowPolicy, PublishError, Publisher,
    ServerConfig, Subscriber, TopicId, WebSocketHandler,
};

/// A customer enters the shop.
#[derive(Clone)]
struct Customer;

#[derive(Clone, Debug)]
struct OrderPlaced {
    number: u32,
    item: &'static str,
}

#[derive(Clone, Debug)]
struct OrderShipped {
    number: u32,
}

/// Orders that were placed and not shipped.
type Open = BTreeSet<u32>;

/// Keeps the set of open orders.
struct Books;

impl EventHandler<OrderPlaced, Open> for Books {
    fn on_event(&mut self, _: &mut Context<'_>, order: &OrderPlaced, open: &mut Open) {
        open.insert(order.number);
    }
}

impl EventHandler<OrderShipped, Open> for Books {
    fn on_event(&mut self, _: &mut Context<'_>, order: &OrderShipped, open: &mut Open) {
        open.remove(&order.number);
    }
}

/// Broadcasts orders to every client.
struct News {
    orders: TopicId,
}

impl EventHandler<OrderPlaced, Open> for News {
    fn on_event(&mut self, cx: &mut Context<'_>, order: &OrderPlaced, open: &mut Open) {
        let news = format!("placed {} ({}), {} open", order.number, order.item, open.len());
        cx.broadcast(self.orders, news);
    }
}

impl EventHandler<OrderShipped, Open> for News {
    fn on_event(&mut self, cx: &mut Context<'_>, order: &OrderShipped, open: &mut Open) {
        let news = format!("shipped {}, {} open", order.number, open.len());
        cx.broadcast(self.orders, news);
    }
}

impl WebSocketHandler<Open> for News {
    fn on_open(&mut self, conn: &mut Connection<'_>, open: &mut Open) {
        conn.send(format!("{} open", open.len()));
        if let Err(error) = conn.subscribe(self.orders) {
            eprintln!("cannot subscribe {conn:?}: {error}");
        }
    }
}

/// Every customer places an order.
fn shop(customers: Subscriber<Customer>, placed: &Publisher<OrderPlaced>) {
    let items = ["tea", "jam", "ink"].into_iter().cycle();
    for ((number, item), Customer) in (1..).zip(items).zip(customers) {
        match placed.publish(OrderPlaced { number, item }) {
            Ok(()) => {}
            // The loop is too slow. The error returns the order.
            Err(PublishError::Full(order)) => eprintln!("lost {order:?}"),
            Err(PublishError::Closed(_) | PublishError::NoHandler(_)) => return,
        }
    }
}

/// Ships every order. A subscriber gets an event after the handlers, so the handlers see an order
/// before its shipment.
fn warehouse(placed: Subscriber<OrderPlaced>, shipped: &Publisher<OrderShipped>) {
    for order in placed {
        if let Err(error) = shipped.publish(OrderShipped { number: order.number }) {
            eprintln!("{order:?} was not shipped: {error}");
        }
    }
}

fn archive(shipped: Subscriber<OrderShipped>) {
    for order in shipped {
        println!("archived {}", order.number);
    }
}

fn main() -> Result<(), eventwire::Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let mut event_loop = EventLoop::<Open>::new(Config::default())?;
    let orders = event_loop.topic("orders")?;
    event_loop.on_handler::<OrderPlaced>(Books);
    event_loop.on_handler::<OrderPlaced>(News { orders });
    event_loop.on_handler::<OrderShipped>(Books);
    event_loop.on_handler::<OrderShipped>(News { orders });

    let (placed, shipped) = (event_loop.publisher(), event_loop.publisher());
    let customers = event_loop.subscriber(16, OverflowPolicy::DropNewest);
    thread::spawn(move || shop(customers, &placed));
    let to_ship = event_loop.subscriber(1024, OverflowPolicy::Close);
    thread::spawn(move || warehouse(to_ship, &shipped));
    let to_archive = event_loop.subscriber(1024, OverflowPolicy::Close);
    thread::spawn(move || archive(to_archive));

    let listener = event_loop.listen(&*address, ServerConfig::default(), News { orders })?;
    if let Some(address) = event_loop.local_addr(listener) {
        println!("listening on ws://{address}");
    }
    if event_loop.set_interval(Duration::from_millis(20), Customer).is_err() {
        eprintln!("cannot set the customers' timer");
    }
    event_loop.run(&mut Open::new())?;
    Ok(())
}
