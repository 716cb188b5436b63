//! Durable topics in a file, of a server that is killed under load.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::env;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{self, Sender};
use std::thread;

use eventwire::journal::Sqlite;
use eventwire::journal::rusqlite::Connection as Database;
use eventwire::{
    Config, Connection, ConnectionId, Durability, DurableMessage, Envelope, EventLoop, History,
    JournalConfig, Message, NotStored, OverflowPolicy, Position, Resumption, ServerConfig,
    TopicConfig, TopicId, WebSocketHandler,
};

use crate::examples::Example;
use crate::shared::Random;
use crate::util::{Folder, Follower, PATIENCE, Peer, send_ahead};

/// The server's file. Where it is set, this program is the server.
const FILE_VARIABLE: &str = "EVENTWIRE_KILLS_FILE";

/// The number of kills, if there are to be more.
const KILLS_VARIABLE: &str = "EVENTWIRE_KILLS";
const KILLS: usize = 5;

/// One server in so many is killed before it listens.
const EARLY_KILLS: usize = 4;

const TOPICS: [&str; 2] = ["committed", "delivered"];

/// What became of a client's message.
struct Settled {
    client: ConnectionId,
    text: String,
    stored: Result<Position, NotStored>,
}

/// A line that begins with `+` is a message for both topics. Others subscribe as clients of the
/// example `resume` do.
struct Clients([TopicId; 2]);

impl Clients {
    fn store(&self, conn: &mut Connection<'_>, text: &str) {
        let client = conn.id();
        for (topic, name) in self.0.into_iter().zip(TOPICS) {
            let text = format!("{name} {text}");
            let message = DurableMessage::new(&text);
            let settled = text.clone();
            let message = message.then(move |stored| Settled { client, text: settled, stored });
            conn.commit(topic, message).expect("there is room");
        }
    }
}

impl WebSocketHandler<()> for Clients {
    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, _: &mut ()) {
        let line = message.as_text().expect("text");
        if let Some(text) = line.strip_prefix('+') {
            return self.store(conn, text);
        }
        let (name, position) = line.split_once(' ').unwrap_or((line, ""));
        let topic = conn.topic(name).expect("a topic");
        let newest = conn.position(topic).expect("a topic");
        let position = position.parse().unwrap_or(newest);
        conn.subscribe_from(topic, OverflowPolicy::Close, position).expect("it subscribes");
        if position == newest {
            conn.send(format!(r#"{{"topic":"{name}","newest":"{newest}"}}"#));
        }
    }

    fn on_resumed(
        &mut self,
        conn: &mut Connection<'_>,
        topic: TopicId,
        resumption: Resumption,
        _: &mut (),
    ) {
        if let Resumption::Lost { oldest, newest } = resumption {
            let name = conn.topic_name(topic).expect("a topic");
            let lost = format!(r#"{{"topic":"{name}","oldest":"{oldest}","newest":"{newest}"}}"#);
            conn.send(lost);
        }
    }
}

/// Not a test: the tests here start this program again, with this alone, and kill it.
#[test]
#[ignore = "the tests here start it"]
fn server() {
    let Some(file) = env::var_os(FILE_VARIABLE) else {
        return;
    };
    let kept = TopicConfig::default()
        .history(History::of(1_000_000).bytes(1 << 30))
        .envelope(Envelope::json());
    let config = Config::default()
        .topics(TOPICS[0], kept.clone().durable(Durability::CommitFirst))
        .topics(TOPICS[1], kept.durable(Durability::DeliverFirst))
        .max_topic_bytes(1 << 30);
    let mut event_loop = EventLoop::new(config).expect("a loop");
    let storage = Sqlite::open(file).expect("the file opens");
    let _journal = event_loop.journal(storage, JournalConfig::default()).expect("a journal");
    event_loop.on(|cx, settled: &Settled, _| {
        let Settled { client, text, stored } = settled;
        let position = stored.as_ref().expect("it is stored");
        cx.send_to(*client, format!("{position} {text}"));
    });
    let clients = Clients(TOPICS.map(|name| event_loop.topic(name).expect("a topic")));
    let listener = event_loop.listen("127.0.0.1:0", ServerConfig::default(), clients);
    let address = event_loop.local_addr(listener.expect("it listens")).expect("an address");
    // On a line of its own: the test's name may stand on this one.
    println!("\n{address}");
    event_loop.run(&mut ()).expect("it runs");
}

fn start(file: &Path) -> Example {
    let program = env::current_exe().expect("the path of this test");
    let mut command = Command::new(program);
    let arguments = ["kills::server", "--exact", "--ignored", "--nocapture"];
    Example::spawn(command.args(arguments).env(FILE_VARIABLE, file))
}

/// The address of a server that was started.
fn address(server: &mut Example) -> SocketAddr {
    loop {
        let line = server.line();
        assert!(!line.is_empty(), "the server has ended");
        if let Ok(address) = line.trim_end().parse() {
            return address;
        }
    }
}

/// What the clients of all servers have learnt.
#[derive(Default)]
struct Knowledge {
    /// The message at each position, of both topics.
    messages: HashMap<Position, String>,
    /// Those that the server said are stored.
    acknowledged: HashSet<Position>,
}

impl Knowledge {
    fn note(&mut self, position: Position, text: &str) {
        let known = self.messages.entry(position).or_insert_with(|| text.to_owned());
        assert_eq!(known, text, "two messages at {position}");
    }

    fn note_answer(&mut self, answer: &str) {
        let (position, text) = answer.split_once(' ').expect("a position and a text");
        let position = position.parse().expect("a position");
        self.note(position, text);
        self.acknowledged.insert(position);
    }
}

/// A server of which this many messages are acknowledged before it is killed.
struct Round {
    server: Example,
    number: usize,
    answers: usize,
}

/// Sends messages to both topics, as several clients, until the server is killed.
fn send(address: SocketAddr, round: usize, answers: &Sender<String>) {
    thread::scope(|scope| {
        for client in 0..2 {
            let lines = (0..).map(move |number| format!("+{round} {client} {number}"));
            scope.spawn(move || send_ahead(Peer::connect(address), lines, answers));
        }
    });
}

impl Round {
    fn run(mut self, followers: &mut [Follower], knowledge: &mut Knowledge) {
        let address = address(&mut self.server);
        let (sender, answers) = mpsc::channel();
        let number = self.number;
        thread::scope(|scope| {
            scope.spawn(move || send(address, number, &sender));
            for follower in followers {
                scope.spawn(|| follower.follow(Peer::connect(address), |_| false));
            }
            for _ in 0..self.answers {
                let answer: String = answers.recv_timeout(PATIENCE).expect("an answer");
                knowledge.note_answer(&answer);
            }
            // SIGKILL.
            drop(self.server);
            answers.iter().for_each(|answer| knowledge.note_answer(&answer));
        });
    }
}

/// The messages of a topic that the file has.
fn stored(file: &Path, topic: &str) -> BTreeMap<u64, String> {
    let database = Database::open(file).expect("the file opens");
    let sql = "SELECT offset, body FROM eventwire_messages WHERE topic = \
               (SELECT id FROM eventwire_topics WHERE name = ?1)";
    let mut query = database.prepare(sql).expect("a table");
    let rows = query.query_map([topic], |row| {
        let offset: i64 = row.get(0)?;
        Ok((offset.unsigned_abs(), row.get(1)?))
    });
    rows.expect("rows").map(|row| row.expect("a message")).collect()
}

#[test]
fn what_is_committed_survives_kills_and_what_is_delivered_first_has_another_epoch() {
    let kills = env::var(KILLS_VARIABLE).map_or(KILLS, |kills| kills.parse().expect("a number"));
    let folder = Folder::new("kills");
    let file = folder.file("journal.db");
    let mut random = Random::new(kills as u64);
    let mut followers = TOPICS.map(Follower::new);
    let (mut knowledge, mut early) = (Knowledge::default(), 0);
    let mut epochs = HashSet::new();
    for number in 0..kills {
        let mut server = start(&file);
        if random.below(EARLY_KILLS) == 0 {
            // A line comes just before it opens the file.
            if random.percent(75) {
                server.line();
            }
            // SIGKILL.
            drop(server);
            early += 1;
            continue;
        }
        let answers = random.between(1, 1_000);
        let seen = followers[1].messages.len();
        Round { server, number, answers }.run(&mut followers, &mut knowledge);
        if let Some((position, _)) = followers[1].messages.get(seen) {
            assert!(epochs.insert(position.epoch()), "an epoch has survived a kill");
        }
    }
    for follower in &followers {
        for (position, text) in &follower.messages {
            knowledge.note(*position, text);
        }
    }
    assert_eq!(followers[0].losses, 0, "nothing that was committed is lost");
    assert!(followers[1].losses + 1 >= epochs.len(), "each new epoch is a loss");

    let committed = stored(&file, TOPICS[0]);
    let of_committed = knowledge.messages.iter().filter(|(_, text)| text.starts_with(TOPICS[0]));
    for (position, text) in of_committed {
        assert_eq!(committed.get(&position.offset()), Some(text), "{position}");
    }
    let offsets = committed.keys().zip(1..).all(|(offset, expected)| *offset == expected);
    assert!(offsets, "the offsets are consecutive");
    eprintln!(
        "{kills} kills, {early} of them early; {} messages acknowledged, {} positions known, \
        {} messages followed, {} epochs",
        knowledge.acknowledged.len(),
        knowledge.messages.len(),
        followers.iter().map(|follower| follower.messages.len()).sum::<usize>(),
        epochs.len(),
    );
}
