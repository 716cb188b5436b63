//! Rooms to talk in: `cargo run --example chat -- 127.0.0.1:9001`, and a browser at
//! <http://127.0.0.1:9001/#lobby>, whose page is served from here.
//!
//! The page connects to `/chat` and sends commands, as any other client may: `/name ada` sets a
//! name, `/join lobby` enters a room and leaves the last one, `/who` lists the people in the room,
//! `/ping 1` is answered at once, `/leave` leaves. Everything else is said to the room, which gets
//! a new list whenever somebody comes or goes.

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
    fn obey(&mut self, conn: &mut Connection<'_>, line: &str) -> Result<(), String> {
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
                let (room, said) = (self.room_of(conn.id())?, &self.person(conn.id())?.name);
                conn.broadcast(room, format!("{said}: {line}"));
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
        // Refused while somebody is subscribed: a room lasts as long as its people.
        conn.remove_topic(room);
    }

    fn person(&mut self, conn: ConnectionId) -> Result<&mut Person, String> {
        self.people.get_mut(conn).ok_or_else(|| "who are you?".to_owned())
    }

    fn room_of(&mut self, conn: ConnectionId) -> Result<TopicId, String> {
        self.person(conn)?.room.ok_or_else(|| "join a room first: /join lobby".to_owned())
    }
}

impl WebSocketHandler<()> for Chat {
    fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut ()) {
        self.people.insert(conn.id(), Person { name: "somebody".to_owned(), room: None });
    }

    fn on_message(&mut self, conn: &mut Connection<'_>, said: Message<'_>, _: &mut ()) {
        let done = match said.as_text() {
            Some(line) => self.obey(conn, line),
            None => Err("say it in text".to_owned()),
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

    /// Joins, says all words, and leaves when they are back.
    struct Visitor {
        name: &'static str,
        heard: Rc<RefCell<Vec<String>>>,
    }

    impl WebSocketHandler<()> for Visitor {
        fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut ()) {
            for line in [&format!("/name {}", self.name), "/join lobby"].into_iter().chain(WORDS) {
                conn.send(line);
            }
        }

        fn on_message(&mut self, conn: &mut Connection<'_>, heard: Message<'_>, _: &mut ()) {
            let line = heard.as_text().expect("all is said in text").to_owned();
            if line == format!("{}: three", self.name) {
                conn.close(CloseCode::NORMAL, "");
            }
            self.heard.borrow_mut().push(line);
        }
    }

    /// What the words are that `heard` has of somebody.
    fn words<'a>(heard: &'a [String], name: &str) -> Vec<&'a str> {
        let of = |line: &'a String| line.strip_prefix(&format!("{name}: "));
        heard.iter().filter_map(of).collect()
    }

    #[test]
    fn words_come_in_order_and_who_is_gone_is_not_there_whatever_the_network_does() {
        let mut lines = 0;
        for seed in 0..120 {
            let reactor = SimReactor::new(seed, SimConfig::default());
            let mut event_loop =
                EventLoop::with_reactor(reactor, Config::default()).expect("a loop");
            event_loop
                .listen("127.0.0.1:9001", ServerConfig::default(), Chat::default())
                .expect("listen");
            let mut visit = |names: &[&'static str]| {
                let ears: Vec<_> = names.iter().map(|&name| (name, Rc::default())).collect();
                for (name, heard) in &ears {
                    let visitor = Visitor { name, heard: Rc::clone(heard) };
                    event_loop.connect(URL, ClientConfig::default(), visitor).expect("connect");
                }
                // Who is lost is missed after a while.
                let mut turns = 0;
                while event_loop.connections() > 0 {
                    event_loop.turn(Some(Duration::from_secs(1)), &mut ()).expect("a turn");
                    turns += 1;
                    assert!(turns < 100_000, "seed {seed}: somebody stays for ever");
                }
                ears
            };
            let ears = visit(&["ada", "ben", "cyd"]);
            for (name, heard) in &ears {
                lines += heard.borrow().len();
                for (other, _) in &ears {
                    let (heard, last) = (heard.borrow(), WORDS.len());
                    let words = words(&heard, other);
                    // Who comes later, or is lost, misses some at that end.
                    let mut some = (0..=last).flat_map(|to| (0..=to).map(move |from| (from, to)));
                    assert!(
                        some.any(|(from, to)| WORDS[from..to] == words),
                        "seed {seed}: {name} hears of {other}: {words:?}"
                    );
                }
            }
            let ears = visit(&["zoe"]);
            let heard = ears[0].1.borrow();
            for line in heard.iter().filter(|line| line.starts_with("here: ")) {
                assert_eq!(line, "here: zoe", "seed {seed}");
            }
        }
        // Most of it is heard.
        assert!(lines > 1000, "{lines}");
    }
}
