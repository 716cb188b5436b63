//! Chat rooms for stock Socket.IO clients. Run
//! `cargo run --features socketio --example chat_io -- 127.0.0.1:9001 --client socket.io.min.js`,
//! and open <http://127.0.0.1:9001/#lobby> in a browser. This program serves the page, and the
//! client that it loads: the file `dist/socket.io.min.js` of `npm install socket.io-client`.
//!
//! A client signs in with `auth: { name: "ada" }`, and sends these events, which are acknowledged
//! with an object. If something is wrong, it has the reason as `error`.
//!
//! - `join`, room: enters a room and leaves the former one. The acknowledgement has what was `said`
//!   there last.
//! - `say`, text: everybody in the room gets `said`, name, text.
//! - `typing`: the others in the room get `typing`, name, if it can leave at once.
//!
//! When somebody enters or leaves, the room gets `people`, names.

use std::collections::{BTreeMap, HashMap, VecDeque};

use eventwire::socketio::{
    DisconnectReason, Event, JoinRefused, JoinRequest, Recovery, Socket, SocketId, SocketIoConfig,
    SocketIoHandler,
};
use eventwire::{
    Config, ContentType, Context, EventLoop, HttpResponse, Routes, ServerConfig, StaticFile,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// How much of what was said a room keeps for those who come later.
const KEPT_MAX: usize = 50;

const TEXT_LEN_MAX: usize = 1000;

/// What a client signs in with.
#[derive(Deserialize)]
struct Auth {
    name: String,
}

#[derive(Serialize)]
struct Said {
    name: String,
    text: String,
}

#[derive(Default)]
struct Room {
    people: BTreeMap<SocketId, String>,
    said: VecDeque<Said>,
}

/// The rooms that somebody is in.
type Rooms = HashMap<String, Room>;

/// Why something was not done, and what its acknowledgement is if it was.
type Done = Result<Value, &'static str>;

struct Chat;

impl Chat {
    fn join(socket: &mut Socket<'_>, room: String, rooms: &mut Rooms) -> Done {
        if room.is_empty() || room.len() > 64 {
            return Err("a room's name has up to 64 bytes");
        }
        if room_of(socket).as_deref() != Some(&*room) {
            Self::leave(socket, rooms);
            if !socket.join(&room) {
                return Err("too many rooms");
            }
        }
        Self::enter(socket, rooms);
        Ok(json!({ "said": rooms.entry(room).or_default().said }))
    }

    /// Lists somebody among the people of the room that the socket is in.
    fn enter(socket: &mut Socket<'_>, rooms: &mut Rooms) {
        let (Some(name), Some(person)) = (room_of(socket), name_of(socket)) else { return };
        let room = rooms.entry(name.clone()).or_default();
        room.people.insert(socket.id(), person);
        room.announce(socket, &name);
    }

    fn leave(socket: &mut Socket<'_>, rooms: &mut Rooms) {
        let Some(name) = room_of(socket) else { return };
        // Without effect on a socket that has ended: it is to recover its room.
        socket.leave(&name);
        let Some(room) = rooms.get_mut(&name) else { return };
        room.people.remove(&socket.id());
        room.announce(socket, &name);
        if room.people.is_empty() {
            rooms.remove(&name);
        }
    }

    fn say(socket: &mut Socket<'_>, text: String, rooms: &mut Rooms) -> Done {
        let (room, name) = room_of(socket).zip(name_of(socket)).ok_or("join a room first")?;
        if text.is_empty() || text.len() > TEXT_LEN_MAX {
            return Err("a text has up to 1000 bytes");
        }
        // The sender gets it, too, so that everybody sees the same order.
        socket.everyone().to(&room).emit(socket, "said", (&name, &text));
        let said = &mut rooms.entry(room).or_default().said;
        said.push_back(Said { name, text });
        if said.len() > KEPT_MAX {
            said.pop_front();
        }
        Ok(json!({}))
    }

    fn typing(socket: &mut Socket<'_>) -> Done {
        let (room, name) = room_of(socket).zip(name_of(socket)).ok_or("join a room first")?;
        socket.to(room).volatile().emit(socket, "typing", (name,));
        Ok(json!({}))
    }
}

impl Room {
    /// Sends everybody in the room the names of those who are there.
    fn announce(&self, socket: &mut Socket<'_>, name: &str) {
        let names: Vec<&str> = self.people.values().map(String::as_str).collect();
        socket.everyone().to(name).emit(socket, "people", (names,));
    }
}

/// The room that a socket is in, if it is in one.
fn room_of(socket: &Socket<'_>) -> Option<String> {
    socket.rooms().first().map(ToString::to_string)
}

fn name_of(socket: &Socket<'_>) -> Option<String> {
    socket.auth::<Auth>().map(|auth| auth.name)
}

impl SocketIoHandler<Rooms> for Chat {
    fn on_join(
        &mut self,
        _: &mut Context<'_>,
        request: &JoinRequest<'_>,
        _: &mut Rooms,
    ) -> Result<(), JoinRefused> {
        let name = request.auth::<Auth>().map_or_else(String::new, |auth| auth.name);
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if name.is_empty() || name.len() > 24 || !name.bytes().all(is_letter) {
            return Err("a name is up to 24 letters, digits and dashes".into());
        }
        Ok(())
    }

    fn on_connect(&mut self, socket: &mut Socket<'_>, rooms: &mut Rooms) {
        // A client that has recovered is in its room again. A new one joins one later.
        Self::enter(socket, rooms);
    }

    fn on_event(&mut self, socket: &mut Socket<'_>, event: Event<'_>, rooms: &mut Rooms) {
        let text = event.arguments.get::<String>(0).unwrap_or_default();
        let done = match event.name {
            "join" => Self::join(socket, text, rooms),
            "say" => Self::say(socket, text, rooms),
            "typing" => Self::typing(socket),
            _ => Err("no such event"),
        };
        if let Some(ack) = event.ack {
            let answer = done.unwrap_or_else(|error| json!({ "error": error }));
            socket.acknowledge(ack, (answer,));
        }
    }

    fn on_disconnect(&mut self, socket: &mut Socket<'_>, _: DisconnectReason, rooms: &mut Rooms) {
        Self::leave(socket, rooms);
    }
}

fn serve(address: &str, client: Option<&str>) -> Result<(), Box<dyn std::error::Error>> {
    let config = SocketIoConfig::default().max_payload(16 * 1024).recovery(Recovery::default());
    let mut routes = Routes::new()
        .page("/", HttpResponse::html(include_str!("chat_io.html")))
        .socket_io("/socket.io/", config, Chat);
    if let Some(path) = client {
        let script = StaticFile::new(ContentType::JAVASCRIPT, std::fs::read(path)?);
        routes = routes.file("/socket.io.js", script);
    }
    let mut event_loop = EventLoop::new(Config::default())?;
    let listener = event_loop.listen(address, ServerConfig::default(), routes)?;
    if let Some(address) = event_loop.local_addr(listener) {
        println!("listening on http://{address}");
    }
    event_loop.run(&mut Rooms::new())?;
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => serve("127.0.0.1:9001", None),
        [address] => serve(address, None),
        [address, "--client", path] => serve(address, Some(path)),
        _ => Err("usage: chat_io [ADDRESS [--client PATH/TO/socket.io.min.js]]".into()),
    }
}
