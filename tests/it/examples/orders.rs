//! The example `orders`, killed while customers order.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use eventwire::journal::rusqlite::Connection as Database;

use super::Example;
use crate::util::{Folder, Follower, PATIENCE, Peer, send_ahead};

const KILLS: usize = 4;
const ORDERS_UNTIL_KILL: usize = 150;

/// The numbers and items of orders.
type Orders = BTreeMap<i64, String>;

/// Runs the shop. What it prints is not needed.
fn run(file: &Path) -> (Example, SocketAddr) {
    let file = file.to_str().expect("a path of text");
    let mut example = Example::run_with("orders", &[file, "127.0.0.1:0"]);
    let address = example.address();
    let rest = example.output.get_ref().as_fd().try_clone_to_owned().expect("a descriptor");
    thread::spawn(move || io::copy(&mut File::from(rest), &mut io::sink()));
    (example, address)
}

/// The number and the item of `placed 7: tea`.
fn placed(text: &str) -> Option<(i64, String)> {
    let (number, item) = text.strip_prefix("placed ")?.split_once(": ")?;
    Some((number.parse().ok()?, item.to_owned()))
}

fn shipped(text: &str) -> Option<i64> {
    text.strip_prefix("shipped ")?.parse().ok()
}

/// Orders from several clients until the stream is cut.
fn order(address: SocketAddr, name: &str, answers: &Sender<String>) {
    thread::scope(|scope| {
        for client in 0..3 {
            let items = (0..).map(move |number| format!("item {name} {client} {number}"));
            scope.spawn(move || send_ahead(Peer::connect(address), items, answers));
        }
    });
}

/// Notes an order that was acknowledged. No number is given twice.
fn note(acknowledged: &mut Orders, answer: &str) {
    let (number, item) = placed(answer).unwrap_or_else(|| panic!("{answer}"));
    assert_eq!(acknowledged.insert(number, item), None, "{answer}");
}

fn kill_under_load(file: &Path, name: &str, follower: &mut Follower) -> Vec<String> {
    let (example, address) = run(file);
    let (sender, answers): (_, Receiver<String>) = mpsc::channel();
    let mut received = Vec::new();
    thread::scope(|scope| {
        scope.spawn(move || order(address, name, &sender));
        scope.spawn(|| follower.follow(Peer::connect(address), |_| false));
        let answer = || answers.recv_timeout(PATIENCE).expect("an answer");
        received.extend(std::iter::repeat_with(answer).take(ORDERS_UNTIL_KILL));
        // SIGKILL.
        drop(example);
        received.extend(&answers);
    });
    received
}

/// What is in the file: its orders, the numbers that were shipped, and the news of both.
fn stored(file: &Path) -> (Orders, Vec<i64>, Vec<(i64, String)>) {
    let database = Database::open(file).expect("the file opens");
    let mut query = database.prepare("SELECT number, item FROM orders").expect("a table");
    let orders = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
    let orders = orders.map(|row| row.expect("an order")).collect();
    let mut query = database.prepare("SELECT number FROM shipped").expect("a table");
    let shipped = query.query_map([], |row| row.get(0)).expect("rows");
    let shipped = shipped.map(|row| row.expect("a number")).collect();
    let sql = "SELECT offset, body FROM eventwire_messages ORDER BY offset";
    let mut query = database.prepare(sql).expect("a table");
    let news = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("rows");
    (orders, shipped, news.map(|row| row.expect("a message")).collect())
}

#[test]
fn orders_are_kept_announced_and_shipped_once_whenever_the_shop_is_killed() {
    let folder = Folder::new("orders");
    let file = folder.file("orders.db");
    let mut follower = Follower::new("orders");
    let mut acknowledged = Orders::new();
    for round in 0..KILLS {
        for answer in kill_under_load(&file, &round.to_string(), &mut follower) {
            note(&mut acknowledged, &answer);
        }
    }
    let (example, address) = run(&file);
    let mut customer = Peer::connect(address);
    customer.send("the last one");
    let answer = String::from_utf8(customer.frame().payload).expect("text");
    note(&mut acknowledged, &answer);
    let (last, _) = placed(&answer).expect("an order");
    // The warehouse ships in order, so that then all are shipped.
    follower.follow(Peer::connect(address), |news| shipped(news) == Some(last));
    drop(example);

    let (orders, shipments, news) = stored(&file);
    for (number, item) in &acknowledged {
        assert_eq!(orders.get(number), Some(item), "an order that was acknowledged");
    }
    let announced: Vec<_> = news.iter().filter_map(|(_, text)| placed(text)).collect();
    assert_eq!(announced.len(), orders.len(), "each order has one message");
    assert_eq!(Orders::from_iter(announced), orders);
    let noted: Vec<_> = news.iter().filter_map(|(_, text)| shipped(text)).collect();
    assert!(noted.iter().eq(&shipments), "each shipment has one message, in order");
    let until_last: BTreeSet<_> = shipments.into_iter().filter(|number| *number <= last).collect();
    assert!(orders.keys().filter(|number| **number <= last).eq(&until_last));
    assert_eq!(follower.losses, 0);
    // The follower itself fails if an offset is missing or comes twice.
    let news = Orders::from_iter(news);
    for (position, text) in &follower.messages {
        let offset = i64::try_from(position.offset()).expect("an offset");
        assert_eq!(news.get(&offset), Some(text), "{position}");
    }
}

#[test]
fn orders_says_where_a_client_begins_and_what_it_has_lost() {
    let folder = Folder::new("news");
    let (_example, address) = run(&folder.file("orders.db"));
    let mut client = Peer::connect(address);
    client.send("orders 0123456789abcdef:5");
    let lost = String::from_utf8(client.frame().payload).expect("text");
    assert!(lost.starts_with(r#"{"topic":"orders","oldest":""#), "{lost}");
    let mut client = Peer::connect(address);
    client.send("orders");
    let begins = String::from_utf8(client.frame().payload).expect("text");
    assert!(begins.starts_with(r#"{"topic":"orders","newest":""#), "{begins}");
    let mut client = Peer::connect(address);
    client.send("orders please");
    client.expect_close(eventwire::CloseCode::POLICY);
}
