//! Sends "hello", prints the reply and closes: `cargo run --example client -- ws://127.0.0.1:9001`

use eventwire::{
    ClientConfig, CloseCode, Config, ConnectError, Connection, Disconnect, EventLoop, Message,
    WebSocketHandler,
};

struct Client;

impl WebSocketHandler<()> for Client {
    fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut ()) {
        conn.send("hello");
    }

    fn on_message(&mut self, conn: &mut Connection<'_>, reply: Message<'_>, _: &mut ()) {
        println!("{}", reply.as_text().unwrap_or("(binary)"));
        conn.close(CloseCode::NORMAL, "");
    }

    fn on_close(&mut self, conn: &mut Connection<'_>, end: &Disconnect, _: &mut ()) {
        eprintln!("{end}");
        conn.stop();
    }

    fn on_connect_error(&mut self, conn: &mut Connection<'_>, error: &ConnectError, _: &mut ()) {
        eprintln!("{error}");
        conn.stop();
    }
}

fn main() -> Result<(), eventwire::Error> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "ws://127.0.0.1:9001".to_owned());
    let mut event_loop = EventLoop::new(Config::default())?;
    event_loop.connect(&url, ClientConfig::default(), Client)?;
    event_loop.run(&mut ())?;
    Ok(())
}
