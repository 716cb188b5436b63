//! Sends every message back to where it came from: `cargo run --example echo -- 127.0.0.1:9001`

use eventwire::{
    Config, ConnectionId, Context, EventLoop, Message, ServerConfig, WebSocketHandler,
};

struct Echo;

impl WebSocketHandler<()> for Echo {
    fn on_message(
        &mut self,
        conn: ConnectionId,
        message: Message<'_>,
        cx: &mut Context<'_>,
        _: &mut (),
    ) {
        cx.send(conn, message);
    }
}

fn main() -> Result<(), eventwire::Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let mut event_loop = EventLoop::new(Config::default())?;
    let listener = event_loop.listen(address.as_str(), ServerConfig::default(), Echo)?;
    if let Some(address) = event_loop.local_addr(listener) {
        println!("listening on ws://{address}");
    }
    event_loop.run(&mut ())?;
    Ok(())
}
