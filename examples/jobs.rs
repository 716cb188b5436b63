//! A journal: each message is appended to a file, and acknowledged once it is on disk.
//!
//! `cargo run --example jobs -- 127.0.0.1:9001 journal.txt`, then send lines of text. The answer
//! `saved <line>` is a promise: the line survives a crash. One `sync_data` serves all lines that
//! wait, so the more clients write, the less each line costs.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};

use eventwire::{
    Config, Connection, ConnectionId, EventLoop, JobPanicked, Message, ServerConfig,
    WebSocketHandler, Workers,
};

/// How many lines may wait for the disk.
const LINES_MAX: usize = 1024;

/// A job: a line to append, and who sent it.
struct Append {
    conn: ConnectionId,
    line: String,
}

/// Its result.
struct Appended {
    conn: ConnectionId,
    line: String,
    outcome: Result<(), io::ErrorKind>,
}

struct Journal {
    appends: Workers<Append>,
}

impl WebSocketHandler<()> for Journal {
    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, _: &mut ()) {
        let Some(line) = message.as_text().filter(|line| !line.contains('\n')) else {
            conn.send("! only lines of text are accepted");
            return;
        };
        let append = Append { conn: conn.id(), line: line.to_owned() };
        if let Err(error) = self.appends.submit(append) {
            conn.send(format!("! try again: {}", error.into_event().line));
        }
    }
}

/// Appends lines, and has the disk confirm all of them at once.
fn append(file: &mut File, batch: &[Append]) -> io::Result<()> {
    let mut lines = String::new();
    for append in batch {
        lines.push_str(&append.line);
        lines.push('\n');
    }
    file.write_all(lines.as_bytes())?;
    file.sync_data()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let path = arguments.next().unwrap_or_else(|| "journal.txt".to_owned());
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;

    let mut event_loop = EventLoop::new(Config::default())?;
    // One thread, which owns the file.
    let work = move |batch: Vec<Append>| {
        let outcome = append(&mut file, &batch).map_err(|error| error.kind());
        let appended = |Append { conn, line }| Appended { conn, line, outcome };
        batch.into_iter().map(appended).collect()
    };
    let appends = event_loop.batch_workers_each(LINES_MAX, [work])?;
    event_loop.on(|cx, appended: &Appended, _: &mut ()| {
        let Appended { conn, line, outcome } = appended;
        // If the client is gone, nobody gets this.
        match outcome {
            Ok(()) => cx.send_to(*conn, format!("saved {line}")),
            Err(kind) => cx.send_to(*conn, format!("! not saved: {line}: {kind}")),
        };
    });
    event_loop.on(|_, panicked: &JobPanicked, _| {
        eprintln!("{} lines were not saved: {}", panicked.jobs, panicked.message);
    });

    let listener = event_loop.listen(&*address, ServerConfig::default(), Journal { appends })?;
    if let Some(address) = event_loop.local_addr(listener) {
        println!("listening on ws://{address}");
    }
    event_loop.run(&mut ())?;
    Ok(())
}
