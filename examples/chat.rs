//! Chat rooms: run `cargo run --example chat -- 127.0.0.1:9001`, and open
//! <http://127.0.0.1:9001/#lobby> in a browser. This program serves the page.
//!
//! The page connects to `/chat` and sends commands, as any other client can: `/name ada` sets a
//! name, `/join lobby` joins a room and leaves the previous one, `/who` lists the people in the
//! room, `/ping 1` gets a pong at once, `/leave` leaves the room. Other text is broadcast to the
//! room. When somebody joins or leaves, the room gets a new list.

use eventwire::{
    Config, Connection, ConnectionId, ConnectionMap, Disconnect, EventLoop, HttpResponse, Message,
    Routes, ServerConfig, TopicId, WebSocketHandler,
};

#[derive(Default)]
struct Person {
    name: String,
    room: Option<TopicId>,
}

#[derive(Default)]
struct Chat {
    people: ConnectionMap<Person>,
}

impl Chat {
    fn execute(&mut self, conn: &mut Connection<'_>, line: &str) -> Result<(), String> {
        let (command, argument) = line.split_once(' ').unwrap_or((line, ""));
        match (command, argument.trim()) {
            ("/name", name) => return self.rename(conn, name),
            ("/join", room) if !room.is_empty() => return self.join(conn, room),
            ("/leave", _) => self.leave(conn),
            ("/ping", token) => drop(conn.send(format!("pong {token}"))),
            ("/who", _) => {
                let room = self.room_of(conn.id())?;
                conn.send(self.who(room));
            }
            _ if line.starts_with('/') => return Err(format!("no such command: {command}")),
            _ => {
                let (room, name) = (self.room_of(conn.id())?, &self.person(conn.id())?.name);
                conn.broadcast(room, format!("{name}: {line}"));
            }
        }
        Ok(())
    }

    fn rename(&mut self, conn: &mut Connection<'_>, name: &str) -> Result<(), String> {
        // A user called "here" could impersonate the room.
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if name.is_empty() || name.len() > 24 || name == "here" || !name.bytes().all(is_letter) {
            return Err("a name is up to 24 letters, digits and dashes".to_owned());
        }
        let person = self.person(conn.id())?;
        person.name = name.to_owned();
        if let Some(room) = person.room {
            conn.broadcast(room, self.who(room));
        }
        Ok(())
    }

    fn who(&self, room: TopicId) -> String {
        let there = self.people.iter().filter(|(_, person)| person.room == Some(room));
        let names: Vec<&str> = there.map(|(_, person)| person.name.as_str()).collect();
        format!("here: {}", names.join(", "))
    }

    fn join(&mut self, conn: &mut Connection<'_>, room: &str) -> Result<(), String> {
        self.leave(conn);
        let topic = conn.topic(room).map_err(|error| error.to_string())?;
        conn.subscribe(topic).map_err(|error| error.to_string())?;
        let person = self.person(conn.id())?;
        person.room = Some(topic);
        conn.broadcast(topic, format!("* {} joins {room}", person.name));
        conn.broadcast(topic, self.who(topic));
        Ok(())
    }

    fn leave(&mut self, conn: &mut Connection<'_>) {
        let Some(person) = self.people.get_mut(conn.id()) else { return };
        let Some(room) = person.room.take() else { return };
        conn.unsubscribe(room);
        conn.broadcast(room, format!("* {} leaves", person.name));
        conn.broadcast(room, self.who(room));
        // Refused while the topic has subscribers, so the last person to leave removes it.
        conn.remove_topic(room);
    }

    fn person(&mut self, conn: ConnectionId) -> Result<&mut Person, String> {
        self.people.get_mut(conn).ok_or_else(|| "unknown connection".to_owned())
    }

    fn room_of(&mut self, conn: ConnectionId) -> Result<TopicId, String> {
        self.person(conn)?.room.ok_or_else(|| "join a room first: /join lobby".to_owned())
    }
}

impl WebSocketHandler<()> for Chat {
    fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut ()) {
        self.people.insert(conn.id(), Person { name: "somebody".to_owned(), room: None });
    }

    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, _: &mut ()) {
        let done = match message.as_text() {
            Some(line) => self.execute(conn, line),
            None => Err("only text is accepted".to_owned()),
        };
        if let Err(why) = done {
            conn.send(format!("! {why}"));
        }
    }

    fn on_close(&mut self, conn: &mut Connection<'_>, _: &Disconnect, _: &mut ()) {
        self.leave(conn);
        self.people.remove(conn.id());
    }
}

fn main() -> Result<(), eventwire::Error> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let mut event_loop = EventLoop::new(Config::default())?;
    let routes = Routes::new()
        .page("/", HttpResponse::html(include_str!("chat.html")))
        .metrics("/metrics")
        .websocket("/chat", ServerConfig::default().max_message(4096), Chat::default());
    let listener = event_loop.listen(&*address, ServerConfig::default(), routes)?;
    if let Some(address) = event_loop.local_addr(listener) {
        println!("listening on ws://{address}");
    }
    event_loop.run(&mut ())?;
    Ok(())
}

/// The handler in a simulated network: `cargo test --example chat`.
#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;
    use std::time::Duration;

    use eventwire::reactor::SimReactor;
    use eventwire::reactor::sim::SimConfig;
    use eventwire::{ClientConfig, CloseCode};

    use super::*;

    const URL: &str = "ws://127.0.0.1:9001/";
    const WORDS: [&str; 3] = ["one", "two", "three"];

    /// Joins, sends all words, and leaves when its last word has come back.
    struct Visitor {
        name: &'static str,
        received: Rc<RefCell<Vec<String>>>,
    }

    impl WebSocketHandler<()> for Visitor {
        fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut ()) {
            for line in [&format!("/name {}", self.name), "/join lobby"].into_iter().chain(WORDS) {
                conn.send(line);
            }
        }

        fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, _: &mut ()) {
            let line = message.as_text().expect("a text message").to_owned();
            if line == format!("{}: three", self.name) {
                conn.close(CloseCode::NORMAL, "");
            }
            self.received.borrow_mut().push(line);
        }
    }

    /// The words from `name` among the received lines.
    fn words<'a>(received: &'a [String], name: &str) -> Vec<&'a str> {
        let of = |line: &'a String| line.strip_prefix(&format!("{name}: "));
        received.iter().filter_map(of).collect()
    }

    #[test]
    fn words_arrive_in_order_and_people_who_left_are_not_listed_on_any_network() {
        let mut lines = 0;
        for seed in 0..120 {
            let reactor = SimReactor::new(seed, SimConfig::default());
            let mut event_loop =
                EventLoop::with_reactor(reactor, Config::default()).expect("a loop");
            event_loop
                .listen("127.0.0.1:9001", ServerConfig::default(), Chat::default())
                .expect("listen");
            let mut visit = |names: &[&'static str]| {
                let visitors: Vec<_> = names.iter().map(|&name| (name, Rc::default())).collect();
                for (name, received) in &visitors {
                    let visitor = Visitor { name, received: Rc::clone(received) };
                    event_loop.connect(URL, ClientConfig::default(), visitor).expect("connect");
                }
                // A connection that was lost ends by a deadline.
                let mut turns = 0;
                while event_loop.connections() > 0 {
                    event_loop.turn(Some(Duration::from_secs(1)), &mut ()).expect("a turn");
                    turns += 1;
                    assert!(turns < 100_000, "seed {seed}: a connection does not end");
                }
                visitors
            };
            let visitors = visit(&["ada", "ben", "cyd"]);
            for (name, received) in &visitors {
                lines += received.borrow().len();
                for (other, _) in &visitors {
                    let (received, last) = (received.borrow(), WORDS.len());
                    let words = words(&received, other);
                    // A visitor who comes late misses the first words; one who is lost misses the
                    // last ones.
                    let mut some = (0..=last).flat_map(|to| (0..=to).map(move |from| (from, to)));
                    assert!(
                        some.any(|(from, to)| WORDS[from..to] == words),
                        "seed {seed}: {name} received from {other}: {words:?}"
                    );
                }
            }
            let visitors = visit(&["zoe"]);
            let received = visitors[0].1.borrow();
            for line in received.iter().filter(|line| line.starts_with("here: ")) {
                assert_eq!(line, "here: zoe", "seed {seed}");
            }
        }
        // Most lines arrive.
        assert!(lines > 1000, "{lines}");
    }
}
