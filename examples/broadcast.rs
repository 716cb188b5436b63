//! Broadcasts every message to all clients: `cargo run --example broadcast -- 127.0.0.1:9001`

use eventwire::{Config, Connection, EventLoop, Message, ServerConfig, TopicId, WebSocketHandler};

struct Broadcast {
    everybody: TopicId,
}

impl WebSocketHandler<()> for Broadcast {
    fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut ()) {
        if let Err(error) = conn.subscribe(self.everybody) {
            eprintln!("cannot subscribe {conn:?}: {error}");
        }
    }

    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, _: &mut ()) {
        conn.broadcast(self.everybody, message);
    }
}

fn main() -> Result<(), eventwire::Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let mut event_loop = EventLoop::new(Config::default())?;
    let handler = Broadcast { everybody: event_loop.topic("everybody")? };
    let listener = event_loop.listen(address.as_str(), ServerConfig::default(), handler)?;
    if let Some(address) = event_loop.local_addr(listener) {
        println!("listening on ws://{address}");
    }
    event_loop.run(&mut ())?;
    Ok(())
}
