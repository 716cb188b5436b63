//! Orders that survive a crash:
//! `cargo run --features sqlite --example orders -- orders.db 127.0.0.1:9001`
//!
//! A message from a client is an item that it orders. Only `orders`, alone or with a space and a
//! position, subscribes it to the news of all orders: in JSON, as in the example `resume`.
//!
//! An order, which is a row of the table `orders`, and its news are stored in one transaction. Then
//! the news are delivered, and [`OrderPlaced`] goes to the warehouse, a thread. What it has shipped
//! is stored in the same way: after a crash it goes on with the orders that are left.

use std::error::Error;
use std::time::Duration;
use std::{env, thread};

use eventwire::journal::Sqlite;
use eventwire::{
    CloseCode, CommitError, Config, Connection, ConnectionId, Context, Durability, DurableMessage,
    Envelope, EventLoop, History, JournalConfig, JournalFailed, Message, NotStored, OverflowPolicy,
    Position, Publisher, Resumption, ServerConfig, Subscriber, TopicConfig, TopicId,
    WebSocketHandler,
};

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS orders (number INTEGER PRIMARY KEY, item TEXT NOT NULL);
    CREATE TABLE IF NOT EXISTS shipped (number INTEGER PRIMARY KEY REFERENCES orders);";
const LAST_NUMBER: &str = "SELECT coalesce(max(number), 0) FROM orders";
const UNSHIPPED: &str = "SELECT number, item FROM orders
    WHERE number NOT IN (SELECT number FROM shipped) ORDER BY number";

/// A customer enters the shop.
#[derive(Clone)]
struct Customer;

#[derive(Clone)]
struct Order {
    number: i64,
    item: String,
}

/// The journal has stored an order, or has not.
#[derive(Clone)]
struct OrderPlaced {
    order: Order,
    client: Option<ConnectionId>,
    stored: Result<Position, NotStored>,
}

/// The warehouse has shipped the order with this number.
struct OrderShipped(i64);

struct Shop {
    orders: TopicId,
    last_number: i64,
}

impl Shop {
    fn place(
        &mut self,
        cx: &mut Context<'_>,
        item: &str,
        client: Option<ConnectionId>,
    ) -> Result<(), CommitError> {
        let order = Order { number: self.last_number + 1, item: item.to_owned() };
        let news = format!("placed {}: {item}", order.number);
        let row = (order.number, order.item.clone());
        let insert = Sqlite::tables(|database| {
            database.execute("INSERT INTO orders VALUES (?1, ?2)", row).map(drop)
        });
        let message = DurableMessage::new(&news).with(insert);
        cx.commit(self.orders, message.then(move |stored| OrderPlaced { order, client, stored }))?;
        self.last_number += 1;
        Ok(())
    }

    fn note_shipment(&self, cx: &mut Context<'_>, number: i64) -> Result<(), CommitError> {
        let news = format!("shipped {number}");
        let insert = Sqlite::tables(move |database| {
            database.execute("INSERT INTO shipped VALUES (?1)", [number]).map(drop)
        });
        cx.commit(self.orders, DurableMessage::new(&news).with(insert))
    }
}

struct Clients;

fn subscribe(conn: &mut Connection<'_>, topic: TopicId, from: &str) -> Result<(), Box<dyn Error>> {
    let newest = conn.position(topic).ok_or("no such topic")?;
    let position = if from.is_empty() { newest } else { from.parse()? };
    conn.subscribe_from(topic, OverflowPolicy::Close, position)?;
    if from.is_empty() {
        conn.send(format!(r#"{{"topic":"orders","newest":"{newest}"}}"#));
    }
    Ok(())
}

impl WebSocketHandler<Shop> for Clients {
    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, shop: &mut Shop) {
        let (id, text) = (conn.id(), message.as_text().unwrap_or_default());
        if let ("orders", position) = text.split_once(' ').unwrap_or((text, "")) {
            if let Err(reason) = subscribe(conn, shop.orders, position) {
                conn.close(CloseCode::POLICY, &reason.to_string());
            }
        } else if let Err(reason) = shop.place(conn, text, Some(id)) {
            conn.send(format!("! {text}: {reason}"));
        }
    }

    fn on_resumed(
        &mut self,
        conn: &mut Connection<'_>,
        _: TopicId,
        found: Resumption,
        _: &mut Shop,
    ) {
        if let Resumption::Lost { oldest, newest } = found {
            conn.send(format!(r#"{{"topic":"orders","oldest":"{oldest}","newest":"{newest}"}}"#));
        }
    }
}

/// Ships orders. A crash before a shipment is noted ships that order again: its number tells.
fn warehouse(orders: impl Iterator<Item = Order>, shipped: &Publisher<OrderShipped>) {
    for Order { number, item } in orders {
        println!("ships {number}: {item}");
        if shipped.publish_timeout(OrderShipped(number), Duration::MAX).is_err() {
            return; // The loop has ended.
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let path = arguments.next().unwrap_or_else(|| "orders.db".to_owned());
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:9001".to_owned());

    let (mut last_number, mut unshipped) = (0, Vec::new());
    let storage = Sqlite::open(path)?.with_tables(|database| {
        database.execute_batch(TABLES)?;
        last_number = database.query_row(LAST_NUMBER, [], |row| row.get(0))?;
        let mut query = database.prepare(UNSHIPPED)?;
        let rows =
            query.query_map([], |row| Ok(Order { number: row.get(0)?, item: row.get(1)? }))?;
        unshipped = rows.collect::<Result<_, _>>()?;
        Ok(())
    })?;
    let durable = TopicConfig::default()
        .history(History::of(100_000))
        .durable(Durability::CommitFirst)
        .envelope(Envelope::json());
    let mut event_loop = EventLoop::new(Config::default().topics("orders", durable))?;
    let journal = event_loop.journal(storage, JournalConfig::default())?;
    let mut shop = Shop { orders: event_loop.topic("orders")?, last_number };

    let placed: Subscriber<OrderPlaced> = event_loop.subscriber(65_536, OverflowPolicy::Close);
    let placed = placed.filter(|placed| placed.stored.is_ok()).map(|placed| placed.order);
    let shipped = event_loop.publisher();
    event_loop.on(|cx, placed: &OrderPlaced, _: &mut Shop| {
        let OrderPlaced { order: Order { number, item }, client, stored } = placed;
        let Some(client) = *client else { return };
        match stored {
            Ok(_) => cx.send_to(client, format!("placed {number}: {item}")),
            Err(reason) => cx.send_to(client, format!("! {item}: {reason}")),
        };
    });
    event_loop.on(|cx, OrderShipped(number): &OrderShipped, shop| {
        if shop.note_shipment(cx, *number).is_err() {
            // The journal is full for now.
            drop(cx.set_timer(Duration::from_millis(100), OrderShipped(*number)));
        }
    });
    event_loop.on(|cx, failed: &JournalFailed, _| {
        // Which orders are stored is clear after a new start.
        eprintln!("{}", failed.error);
        cx.shutdown(Duration::from_secs(1));
    });
    let mut items = ["tea", "jam", "ink"].into_iter().cycle();
    event_loop.on(move |cx, _: &Customer, shop| {
        if let Some(Err(reason)) = items.next().map(|item| shop.place(cx, item, None)) {
            eprintln!("a customer leaves: {reason}");
        }
    });
    event_loop.set_interval(Duration::from_millis(20), Customer)?;
    let listener = event_loop.listen(&*address, ServerConfig::default(), Clients)?;
    if let Some(address) = event_loop.local_addr(listener) {
        println!("listening on ws://{address}");
    }
    thread::spawn(move || warehouse(unshipped.into_iter().chain(placed), &shipped));
    event_loop.run(&mut shop)?;
    journal.close(Duration::from_secs(10))?;
    Ok(())
}
