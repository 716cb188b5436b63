//! Who is here: `cargo run --example presence -- 127.0.0.1:9001`. Clients connect to
//! `ws://127.0.0.1:9001/` and send their name first.
//!
//! A client gets the list of the people who are here, `here ada,ben`, and from then on what changes
//! it: `join cyd` and `leave ben`. Somebody with several connections (a laptop, a phone) is one
//! person, who joins with the first of them and leaves with the last. Other messages go to
//! everybody, as `ada: hello`. `/quit` signs out everywhere.
//!
//! A real service takes the name from a session that it has checked, for instance in `on_upgrade`.

use std::collections::BTreeSet;

use eventwire::{
    CloseCode, Config, Connection, Disconnect, EventLoop, Message, ServerConfig, TopicId,
    WebSocketHandler,
};

/// Attached to a connection that has said who it is.
#[derive(Clone)]
struct Name(String);

struct Presence {
    /// Every connection with a name subscribes to it.
    everybody: TopicId,
    /// Everybody who has a connection, once.
    here: BTreeSet<String>,
}

impl Presence {
    fn join(&mut self, conn: &mut Connection<'_>, name: &str) -> Result<(), String> {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if name.is_empty() || name.len() > 24 || !name.bytes().all(is_letter) {
            return Err("a name is up to 24 letters, digits and dashes".to_owned());
        }
        conn.subscribe(self.everybody).map_err(|error| error.to_string())?;
        // The person is here as long as one connection has this tag.
        conn.tag(name).map_err(|error| error.to_string())?;
        conn.attach(Name(name.to_owned()));
        if self.here.insert(name.to_owned()) {
            conn.broadcast_others(self.everybody, format!("join {name}"));
        }
        let names: Vec<&str> = self.here.iter().map(String::as_str).collect();
        conn.send(format!("here {}", names.join(",")));
        Ok(())
    }
}

impl WebSocketHandler<()> for Presence {
    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, _: &mut ()) {
        let text = message.as_text().unwrap_or_default();
        match conn.data().cloned() {
            None => {
                if let Err(why) = self.join(conn, text) {
                    conn.close(CloseCode::POLICY, &why);
                }
            }
            Some(Name(name)) if text == "/quit" => {
                conn.close_tagged(&name, CloseCode::NORMAL, "signed out");
            }
            Some(Name(name)) => {
                conn.broadcast(self.everybody, format!("{name}: {text}"));
            }
        }
    }

    /// The connection has lost its tags and subscriptions before this is called.
    fn on_close(&mut self, conn: &mut Connection<'_>, _: &Disconnect, _: &mut ()) {
        let Some(Name(name)) = conn.detach() else { return };
        let is_last = conn.tagged(&name).len() == 0;
        if is_last && self.here.remove(&name) {
            conn.broadcast(self.everybody, format!("leave {name}"));
        }
    }
}

fn main() -> Result<(), eventwire::Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let mut event_loop = EventLoop::new(Config::default())?;
    let presence = Presence { everybody: event_loop.topic("everybody")?, here: BTreeSet::new() };
    let config = ServerConfig::default().max_message(4096);
    let listener = event_loop.listen(&*address, config, presence)?;
    if let Some(address) = event_loop.local_addr(listener) {
        println!("listening on ws://{address}");
    }
    event_loop.run(&mut ())?;
    Ok(())
}
