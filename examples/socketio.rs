//! Serves Socket.IO clients with a handler that shows all that a handler can do, and that suites of
//! conformance can test: `socketio PORT PROFILE`, where the profile is `protocol`, `client` or
//! `load`.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::process::ExitCode;
use std::time::Duration;

use eventwire::socketio::{
    Ack, Arguments, ArgumentsError, AskId, Audience, Binary, DisconnectReason, Event, Handshake,
    IntoArguments, JoinRefused, JoinRequest, NoAnswer, Recovery, Socket, SocketId, SocketIo,
    SocketIoConfig, SocketIoHandler, Transport, Written,
};
use eventwire::{Config, Context, Cors, EventLoop, Routes, ServerConfig};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The last sockets that ended.
const ENDED_MAX: usize = 100;

/// Any argument, with attachments anywhere in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Any {
    Bytes(Binary),
    Array(Vec<Self>),
    Object(BTreeMap<String, Self>),
    Plain(Value),
}

/// What the handler keeps.
#[derive(Debug, Default)]
struct App {
    collected: HashMap<SocketId, Vec<Any>>,
    /// The acknowledgements that wait for the answers of clients.
    asked: HashMap<(SocketId, AskId), Ack>,
    ended: VecDeque<(SocketId, DisconnectReason)>,
}

/// An event that is to be sent later.
struct Later {
    socket: SocketId,
    value: Any,
    is_volatile: bool,
}

/// The arguments of a client's answer behind a word.
struct Answered<'a>(Arguments<'a>);

impl IntoArguments for Answered<'_> {
    fn write(&self, out: &mut Written) -> Result<(), ArgumentsError> {
        out.push("answer")?;
        self.0.write(out)
    }
}

struct Handler;

impl SocketIoHandler<App> for Handler {
    fn on_join(
        &mut self,
        _: &mut Context<'_>,
        request: &JoinRequest<'_>,
        _: &mut App,
    ) -> Result<(), JoinRefused> {
        if request.namespace != "/refuse" {
            return Ok(());
        }
        let auth: Value = request.auth().unwrap_or_default();
        match auth["token"].as_str() {
            Some("let-me-in") => Ok(()),
            _ => {
                let data = json!({"code": "E401", "details": ["no token", 1]});
                Err(JoinRefused::new("Not authorized").data(&data))
            }
        }
    }

    fn on_connect(&mut self, socket: &mut Socket<'_>, _: &mut App) {
        if matches!(&*socket.namespace(), "/" | "/custom") && !socket.recovered() {
            let auth: Value = socket.auth().unwrap_or_else(|| json!({}));
            socket.emit("auth", (auth,));
        }
    }

    fn on_event(&mut self, socket: &mut Socket<'_>, event: Event<'_>, app: &mut App) {
        let Event { name, arguments, ack, .. } = event;
        match name {
            "message" => drop(socket.emit("message-back", arguments)),
            "message-with-ack" => acknowledge(socket, ack, arguments),
            "to-room" => {
                if let Ok(room) = arguments.get::<String>(0) {
                    socket.to(room).emit("room-event", arguments, socket);
                }
            }
            "to-rooms" => {
                // Without rooms, an audience is all of the namespace.
                if let Ok(rooms) = arguments.get::<Vec<String>>(0) {
                    let audience = rooms.into_iter().fold(socket.others(), Audience::to);
                    audience.emit("rooms-event", arguments.skip(1), socket);
                }
            }
            "broadcast" => drop(socket.others().emit("broadcast-event", arguments, socket)),
            "all" => drop(socket.everyone().emit("all-event", arguments, socket)),
            "join" | "leave" => {
                if let Ok(room) = arguments.get::<String>(0) {
                    match name {
                        "join" => socket.join(&room),
                        _ => socket.leave(&room),
                    };
                    acknowledge(socket, ack, (room,));
                }
            }
            "flood" => {
                let count: u64 = arguments.get(0).unwrap_or_default();
                for number in 0..count {
                    socket.emit("flood-event", (number,));
                }
                acknowledge(socket, ack, (count,));
            }
            "disconnect-me" => match arguments.get(0).unwrap_or_default() {
                true => socket.close(),
                false => socket.disconnect(),
            },
            "ask" => ask(socket, arguments, ack, app),
            "volatile-later" | "emit-later" => {
                send_later(socket, arguments, ack, name == "volatile-later");
            }
            _ => report(socket, event_of(name, arguments, ack), app),
        }
    }

    fn on_answer(
        &mut self,
        socket: &mut Socket<'_>,
        ask: AskId,
        answer: Result<Arguments<'_>, NoAnswer>,
        app: &mut App,
    ) {
        let ack = app.asked.remove(&(socket.id(), ask));
        match answer {
            Ok(answer) => acknowledge(socket, ack, Answered(answer)),
            Err(_) => acknowledge(socket, ack, ("timeout",)),
        }
    }

    fn on_disconnect(&mut self, socket: &mut Socket<'_>, reason: DisconnectReason, app: &mut App) {
        app.collected.remove(&socket.id());
        if app.ended.len() == ENDED_MAX {
            app.ended.pop_front();
        }
        app.ended.push_back((socket.id(), reason));
    }
}

/// An event with its parts.
struct Parts<'a> {
    name: &'a str,
    arguments: Arguments<'a>,
    ack: Option<Ack>,
}

const fn event_of<'a>(name: &'a str, arguments: Arguments<'a>, ack: Option<Ack>) -> Parts<'a> {
    Parts { name, arguments, ack }
}

fn acknowledge(socket: &mut Socket<'_>, ack: Option<Ack>, arguments: impl IntoArguments) {
    if let Some(ack) = ack {
        socket.acknowledge(ack, arguments);
    }
}

/// Asks the client, whose answer becomes the acknowledgement.
fn ask(socket: &mut Socket<'_>, arguments: Arguments<'_>, ack: Option<Ack>, app: &mut App) {
    let timeout = Duration::from_millis(arguments.get(0).unwrap_or_default());
    match socket.ask("question", arguments.skip(1), timeout) {
        Ok(ask) => {
            if let Some(ack) = ack {
                app.asked.insert((socket.id(), ask), ack);
            }
        }
        Err(_) => acknowledge(socket, ack, ("timeout",)),
    }
}

fn send_later(
    socket: &mut Socket<'_>,
    arguments: Arguments<'_>,
    ack: Option<Ack>,
    is_volatile: bool,
) {
    let Ok((wait, value)) = arguments.read::<(u64, Any)>() else {
        return;
    };
    let later = Later { socket: socket.id(), value, is_volatile };
    if socket.set_timer(Duration::from_millis(wait), later).is_ok() {
        acknowledge(socket, ack, ("ok",));
    }
}

/// Acknowledges with something that the server knows.
fn report(socket: &mut Socket<'_>, event: Parts<'_>, app: &mut App) {
    let Parts { name, arguments, ack } = event;
    match name {
        "collect" => {
            if let Ok(value) = arguments.get(0) {
                app.collected.entry(socket.id()).or_default().push(value);
            }
        }
        "collected" => {
            let collected = app.collected.remove(&socket.id()).unwrap_or_default();
            acknowledge(socket, ack, (collected,));
        }
        "rooms" => {
            let mut rooms: Vec<String> = socket.rooms().iter().map(ToString::to_string).collect();
            rooms.sort_unstable();
            acknowledge(socket, ack, (rooms,));
        }
        "disconnects" => {
            let ended: Vec<Value> = app.ended.iter().map(entry_of).collect();
            acknowledge(socket, ack, (ended,));
        }
        "request-info" => {
            let info = request_info(socket);
            acknowledge(socket, ack, (info,));
        }
        _ => {}
    }
}

fn entry_of((id, reason): &(SocketId, DisconnectReason)) -> Value {
    json!({"sid": id, "reason": reason.as_str()})
}

/// What the server knows of a client.
fn request_info(socket: &Socket<'_>) -> Value {
    let handshake = socket.handshake();
    let handshake = handshake.as_ref();
    let headers: BTreeMap<_, _> = handshake.into_iter().flat_map(Handshake::headers).collect();
    let query: BTreeMap<_, _> = handshake.into_iter().flat_map(Handshake::query).collect();
    let address = handshake.and_then(Handshake::address).map(|address| address.ip().to_string());
    json!({
        "sid": socket.id(),
        "headers": headers,
        "query": query,
        "address": address,
        "auth": socket.auth::<Value>().unwrap_or_else(|| json!({})),
        "recovered": socket.recovered(),
        "transport": socket.transport().map(Transport::name),
    })
}

/// The most bytes that wait for one client: several of the longest messages.
const WAITING_MAX: usize = 32 * 1024 * 1024;

/// The settings of a profile. `None` if there is no such profile.
fn config(profile: &str) -> Option<SocketIoConfig> {
    let config = SocketIoConfig::default()
        .namespaces(["/", "/custom", "/quiet", "/refuse"])
        .max_queued(WAITING_MAX)
        .cors(Cors::any().allow_headers(["Content-Type"]).ok()?);
    let client = config.clone().max_payload(3_000_000);
    match profile {
        "protocol" => Some(
            config
                .ping_interval(Duration::from_millis(300))
                .ping_timeout(Duration::from_millis(200))
                .connect_timeout(Duration::from_secs(1)),
        ),
        "client" => Some(client.recovery(Recovery::within(Duration::from_secs(120)))),
        "load" => Some(client),
        _ => None,
    }
}

/// Lets as many connections be open as the system allows, because thousands of clients may come.
fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    // Where that is refused, fewer clients are served.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

fn serve(port: u16, config: SocketIoConfig) -> Result<(), eventwire::Error> {
    raise_file_limit();
    let io = SocketIo::new(config);
    let routes = Routes::new().socket_io("/socket.io/", io.clone(), Handler).on(
        move |cx: &mut Context<'_>, later: &Later, _| {
            if let Some(mut socket) = io.socket(later.socket, cx) {
                match later.is_volatile {
                    true => socket.emit_volatile("volatile-event", (&later.value,)),
                    false => socket.emit("later-event", (&later.value,)),
                };
            }
        },
    );
    let mut event_loop =
        EventLoop::new(Config::default().outbox(64 * 1024, WAITING_MAX).max_kept_alive(65_536))?;
    event_loop.listen(("127.0.0.1", port), ServerConfig::default(), routes)?;
    event_loop.run(&mut App::default())?;
    Ok(())
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().and_then(|port| port.parse().ok());
    let config = arguments.next().and_then(|profile| config(&profile));
    let (Some(port), Some(config)) = (port, config) else {
        eprintln!("usage: socketio PORT protocol|client|load");
        return ExitCode::from(2);
    };
    match serve(port, config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
