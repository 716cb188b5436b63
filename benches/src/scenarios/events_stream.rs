//! Broadcasts to streams of server-sent events beside WebSockets.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use clap::Args;
use eventwire::{
    Config, Connection, Context, EventLoop, EventStream, Idle, LoopHandle, Message, Publisher,
    Routes, ServerConfig, WebSocketHandler,
};

use super::figures::{rate, server_cpu};
use crate::arguments::parse_connections;
use crate::error::Error;
use crate::machine::{self, CpuClock, CpuPair};
use crate::output::FileArgs;
use crate::results::{Bound, Figure, Role, To};
use crate::scenario::{ENGINE, Plan, Sample, Scenario, Timing};
use crate::servers::connections_max;
use crate::worker::Worker;

/// Measure broadcasts to streams of server-sent events beside WebSockets
///
/// A loop broadcasts messages of 128 B to the connections of one kind, and another one to those of
/// the other kind, in turns. Checks that every connection gets every byte. It takes a quarter of a
/// minute.
#[derive(Args, Debug)]
pub(crate) struct EventsStreamArgs {
    /// Connections of each kind
    #[arg(short = 'c', long, default_value = "500", value_name = "N")]
    #[arg(value_parser = parse_connections)]
    connections: usize,
    #[command(flatten)]
    pub(crate) files: FileArgs,
    /// Measure very briefly: a check that everything works, without meaningful figures
    #[arg(long, hide = true)]
    quick: bool,
}

/// Bytes of a message.
const MESSAGE_BYTES: usize = 128;
/// The topic of all connections.
const TOPIC: &str = "all";
/// A loop that is silent for so long has failed.
const PATIENCE: Duration = Duration::from_secs(5);
/// Open files that the program needs besides both ends of its connections.
const OTHER_FILES: usize = 64;
/// The row of WebSockets.
const WEB_SOCKETS: &str = "WebSockets";
const CPU: Figure = server_cpu("CPU/delivery");

impl EventsStreamArgs {
    pub(crate) fn plan(&self) -> Result<Plan<'_>, Error> {
        let (rounds, duration) = if self.quick { (1, 100) } else { (9, 600) };
        let duration = Duration::from_millis(duration);
        let files = (2 * self.connections + OTHER_FILES) as u64;
        if machine::raise_file_limit(files) < files {
            let reason = format!("{files} open files are needed, and not so many are allowed");
            return Err(Error::Settings(reason));
        }
        let cpus = CpuPair::pick();
        let measure =
            move |kind: Kind| move |timing: Timing| kind.measure(self.connections, timing, cpus);
        let scenario = Scenario::new("events", "broadcasts", [CPU, rate("deliveries/s")])
            .base(WEB_SOCKETS)
            .entrant(ENGINE, Role::Engine, measure(Kind::EventStream))
            .entrant(WEB_SOCKETS, Role::Floor, measure(Kind::WebSocket))
            .target(&CPU, To::Entrant(WEB_SOCKETS.to_owned()), Bound::AtMost(1.1));
        Ok(Plan {
            title: "Streams of events beside WebSockets",
            conditions: vec![format!(
                "broadcasts of {MESSAGE_BYTES} B to {} connections of each kind in turns; {ENGINE}: \
                 streams of events",
                self.connections
            )],
            timing: Timing { rounds, warm_up: duration / 10, duration },
            repetition_max: Duration::ZERO,
            scenarios: vec![scenario],
            notes: Vec::new(),
        })
    }
}

/// What receives broadcasts.
#[derive(Clone, Copy, Debug)]
enum Kind {
    WebSocket,
    EventStream,
}

impl Kind {
    fn measure(
        self,
        connections: usize,
        timing: Timing,
        cpus: Option<CpuPair>,
    ) -> Result<Sample, Error> {
        let (server, worker) = Server::start(cpus.map(|cpus| cpus.server))?;
        let measured = machine::run_on(cpus.map(|cpus| cpus.load), move || {
            let measured = self.load(connections, timing, &server);
            server.handle.stop();
            measured
        });
        worker.join()?;
        measured
    }

    fn load(self, connections: usize, timing: Timing, server: &Server) -> Result<Sample, Error> {
        let mut receivers = Receivers::connect(self, connections, server.address)
            .map_err(Error::system("cannot connect"))?;
        receivers.broadcast_for(&server.broadcasts, timing.warm_up)?;
        let (start, before) = (Instant::now(), server.cpu.time());
        let count = receivers.broadcast_for(&server.broadcasts, timing.duration)? as f64;
        let used = server.cpu.time().zip(before).map(|(after, before)| after - before);
        Ok(Sample::default()
            .with(&rate(""), count / start.elapsed().as_secs_f64())
            .maybe(&CPU, used.map(|used| used.as_nanos() as f64 / count)))
    }

    fn request(self) -> &'static str {
        match self {
            Self::WebSocket => {
                "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
                 Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            }
            Self::EventStream => {
                "GET /events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"
            }
        }
    }

    /// How many bytes come before what the receiver knows of a message.
    const fn unknown_bytes(self) -> usize {
        match self {
            Self::WebSocket => 0,
            // The epoch of the topic.
            Self::EventStream => "id: 0123456789abcdef".len(),
        }
    }

    /// What the receiver knows of the message with this number.
    fn known(self, number: u64) -> Vec<u8> {
        let message = message();
        match self {
            // A text frame with an extended length.
            Self::WebSocket => [&[0x81, 126, 0, message.len() as u8], message.as_bytes()].concat(),
            Self::EventStream => format!(":{number}\ndata: {message}\n\n").into_bytes(),
        }
    }
}

fn message() -> String {
    "x".repeat(MESSAGE_BYTES)
}

/// The connections of one kind.
struct Receivers {
    kind: Kind,
    streams: Vec<TcpStream>,
    /// How many messages were received.
    number: u64,
    buffer: Vec<u8>,
}

impl Receivers {
    fn connect(kind: Kind, count: usize, to: SocketAddr) -> io::Result<Self> {
        let streams = (0..count).map(|_| open(kind, to)).collect::<io::Result<_>>()?;
        Ok(Self { kind, streams, number: 0, buffer: Vec::new() })
    }

    /// Returns the number of deliveries.
    fn broadcast_for(
        &mut self,
        broadcasts: &Publisher<Broadcast>,
        time: Duration,
    ) -> Result<usize, Error> {
        let (start, mut count) = (Instant::now(), 0);
        while start.elapsed() < time {
            let refused = |_| Error::Events("an event was refused".to_owned());
            broadcasts.publish(Broadcast).map_err(refused)?;
            self.receive().map_err(Error::system("a broadcast was not received"))?;
            count += self.streams.len();
        }
        Ok(count)
    }

    fn receive(&mut self) -> io::Result<()> {
        self.number += 1;
        let known = self.kind.known(self.number);
        self.buffer.resize(self.kind.unknown_bytes() + known.len(), 0);
        for stream in &mut self.streams {
            stream.read_exact(&mut self.buffer)?;
            if !self.buffer.ends_with(&known) {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        Ok(())
    }
}

/// Opens a connection and reads the head of the response.
fn open(kind: Kind, to: SocketAddr) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(to)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(kind.request().as_bytes())?;
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    Ok(stream)
}

/// The loop on its thread.
struct Server {
    address: SocketAddr,
    handle: LoopHandle,
    broadcasts: Publisher<Broadcast>,
    cpu: CpuClock,
}

/// Asks for a broadcast.
#[derive(Debug)]
struct Broadcast;

/// Subscribes every WebSocket.
struct Subscribe;

impl WebSocketHandler<()> for Subscribe {
    fn on_open(&mut self, conn: &mut Connection<'_>, (): &mut ()) {
        // If the connection is already gone, the load reports it.
        let _ = conn.topic(TOPIC).map(|topic| conn.subscribe(topic));
    }

    fn on_message(&mut self, _: &mut Connection<'_>, _: Message<'_>, (): &mut ()) {}
}

impl Server {
    fn start(cpu: Option<usize>) -> Result<(Self, Worker<()>), Error> {
        Worker::start("server", cpu, move |ready| {
            let config = Config::default().idle(Idle::Block).max_connections(connections_max());
            let mut event_loop = EventLoop::new(config)?;
            let routes = Routes::new()
                .websocket("/ws", ServerConfig::default(), Subscribe)
                .events("/events", EventStream::of(TOPIC));
            let listener = event_loop.listen("127.0.0.1:0", ServerConfig::default(), routes)?;
            let (topic, message) = (event_loop.topic(TOPIC)?, message());
            event_loop.on(move |cx: &mut Context<'_>, _: &Broadcast, (): &mut ()| {
                cx.broadcast(topic, message.as_str());
            });
            // The receiver is waiting, so this cannot fail.
            let _ = ready.send(Self {
                address: event_loop.local_addr(listener).expect("the listener is open"),
                handle: event_loop.handle(),
                broadcasts: event_loop.publisher(),
                cpu: CpuClock::of_thread(),
            });
            event_loop.run(&mut ())?;
            Ok(())
        })
    }
}
