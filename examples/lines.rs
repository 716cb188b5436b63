//! A line service over TCP, without WebSockets: `cargo run --example lines -- 127.0.0.1:9001`
//!
//! Each line goes to everybody else; `who` and `quit` are commands. Try it with several `nc`s.

use eventwire::{
    CloseCode, Config, Connection, Disconnect, EventLoop, Gap, OverflowPolicy, StreamConfig,
    StreamHandler, TopicId,
};

struct Lines {
    everybody: TopicId,
}

impl Lines {
    fn handle(&self, conn: &mut Connection<'_>, line: &[u8]) {
        match line.trim_ascii() {
            b"who" => {
                let count = conn.subscriber_count(self.everybody);
                conn.send(format!("* {count} are here\n"));
            }
            b"quit" => {
                conn.send("* goodbye\n");
                conn.close(CloseCode::NORMAL, "");
            }
            _ => {
                conn.broadcast_others(self.everybody, line);
            }
        }
    }
}

impl StreamHandler<()> for Lines {
    fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut ()) {
        // Lines that a slow reader cannot take are dropped, the oldest first.
        if let Err(error) = conn.subscribe_with(self.everybody, OverflowPolicy::DropOldest) {
            conn.send(format!("* no room: {error}\n"));
            conn.close(CloseCode::TRY_AGAIN_LATER, "");
        }
    }

    fn on_data(&mut self, conn: &mut Connection<'_>, data: &[u8], _: &mut ()) -> usize {
        // What follows the last line break is lent again, with more of the line.
        let whole = data.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        for line in data[..whole].split_inclusive(|&byte| byte == b'\n') {
            self.handle(conn, line);
        }
        whole
    }

    fn on_gap(&mut self, conn: &mut Connection<'_>, gap: Gap, _: &mut ()) {
        conn.send(format!("* you missed {} lines\n", gap.missed()));
    }

    fn on_close(&mut self, conn: &mut Connection<'_>, disconnect: &Disconnect, _: &mut ()) {
        println!("{}: {disconnect}", conn.id());
        conn.broadcast(self.everybody, "* somebody has left\n");
    }
}

fn main() -> Result<(), eventwire::Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let mut event_loop = EventLoop::new(Config::default())?;
    let lines = Lines { everybody: event_loop.topic("everybody")? };
    // The longest line.
    let config = StreamConfig::default().max_kept(4 * 1024);
    let listener = event_loop.listen_stream(address, config, lines)?;
    println!("listening on tcp://{}", event_loop.local_addrs(listener)[0]);
    event_loop.run(&mut ()).map(drop)
}
