//! Says hello, prints the answer and goes: `cargo run --example client -- ws://127.0.0.1:9001`

use eventwire::{
    ClientConfig, CloseCode, Config, ConnectError, ConnectionId as Id, Context, Disconnect,
    EventLoop, Message, WebSocketHandler,
};

struct Client;

impl WebSocketHandler<()> for Client {
    fn on_open(&mut self, conn: Id, cx: &mut Context<'_>, _: &mut ()) {
        cx.send(conn, "hello");
    }

    fn on_message(&mut self, conn: Id, reply: Message<'_>, cx: &mut Context<'_>, _: &mut ()) {
        println!("{}", reply.as_text().unwrap_or("(binary)"));
        cx.close(conn, CloseCode::NORMAL, "");
    }

    fn on_close(&mut self, _: Id, end: &Disconnect, cx: &mut Context<'_>, _: &mut ()) {
        eprintln!("{end}");
        cx.stop();
    }

    fn on_connect_error(&mut self, _: Id, error: &ConnectError, cx: &mut Context<'_>, _: &mut ()) {
        eprintln!("{error}");
        cx.stop();
    }
}

fn main() -> Result<(), eventwire::Error> {
    let url = std::env::args().nth(1).unwrap_or_else(|| "ws://127.0.0.1:9001".to_owned());
    let mut event_loop = EventLoop::new(Config::default())?;
    event_loop.connect(&url, ClientConfig::default(), Client)?;
    event_loop.run(&mut ())?;
    Ok(())
}
