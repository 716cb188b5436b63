//! Echoes every message: `cargo run --release --example echo -- 127.0.0.1:9001`

use eventwire::{Config, EventLoop, ServerConfig};

fn main() -> Result<(), eventwire::Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let (mut event_loop, config) = (EventLoop::new(Config::default())?, ServerConfig::default());
    let listener = event_loop.listen_fn(address, config, |conn, message, _: &mut ()| {
        conn.send(message);
    })?;
    println!("listening on ws://{}", event_loop.local_addrs(listener)[0]);
    event_loop.run(&mut ()).map(drop)
}
