//! How old a topic's updates are at readers that read less than is broadcast. The server and the
//! readers have a thread each, in this program.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use eventwire::{
    Config, Connection, Context, EventLoop, Idle, Limits, LoopHandle, OverflowPolicy, ServerConfig,
    TopicId, WebSocketHandler,
};
use socket2::{Domain, Socket, Type};

use crate::arguments::{parse_integer, parse_time};
use crate::error::Error;
use crate::load::{Latencies, bytes_on_wire, no_latencies, pattern};
use crate::machine::{self, CpuClock};
use crate::results::{Better, Figure, Unit};
use crate::scenario::{Sample, Timing};
use crate::target::Wire;
use crate::unsent::would_block;

pub(super) const AGE_P50: Figure = Figure::time("p50_ns", "age, p50");
pub(super) const AGE_P99: Figure = Figure::time("p99_ns", "age, p99");
pub(super) const AGE_MAX: Figure = Figure::time("max_ns", "age, max");
pub(super) const UNREAD: Figure = Figure::time("unread_ns", "of it, unread at the reader");
pub(super) const UPDATES: Figure = rate("updates_per_second", "updates");
pub(super) const RECEIVED: Figure = rate("received_per_second", "received");
pub(super) const SKIPPED: Figure = rate("skipped_per_second", "skipped");
pub(super) const KEYS_MIN: Figure = Figure::count("keys_min", "keys at each reader, at least");
pub(super) const TURN_P99: Figure = Figure::time("turn_p99_ns", "turns of the server, p99");
pub(super) const TURN_MAX: Figure = Figure::time("turn_max_ns", "longest turn");
pub(super) const CPU: Figure =
    Figure::new("server_cpu", "CPU of the server", Unit::Share, Better::Less);

/// A rate that describes the run.
const fn rate(id: &'static str, title: &'static str) -> Figure {
    Figure::new(id, title, Unit::PerSecond, Better::Neither)
}

/// A small receive buffer, in bytes. The system doubles it.
pub(super) const SMALL: usize = 8 * 1024;
/// The bytes at the beginning of an update: when it was made, in nanoseconds since the start, and
/// its number.
const STAMP_BYTES: usize = size_of::<u128>();
/// How often due updates are broadcast.
const TICK: Duration = Duration::from_millis(1);
/// The most updates that one tick broadcasts.
const TICK_UPDATES_MAX: u64 = 1_000;
/// The pause between two rounds of reads.
const PAUSE: Duration = Duration::from_millis(5);
/// A server that has not answered a handshake by then has failed.
const PATIENCE: Duration = Duration::from_secs(5);
/// With the key of RFC 6455 §1.3.
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

// The options of both commands.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct AgeingArgs {
    /// Bytes that each reader reads per second
    #[arg(long, default_value = "100000", value_name = "BYTES")]
    #[arg(value_parser = |text: &str| parse_integer(text, 1_000..=1_000_000_000))]
    pub(super) reader: usize,
    /// Payload bytes of each update
    #[arg(short, long, default_value = "64", value_name = "BYTES")]
    #[arg(value_parser = |text: &str| parse_integer(text, STAMP_BYTES..=65_535))]
    pub(super) size: usize,
    /// Seconds to run; during the first third, the buffers fill
    #[arg(short, long, default_value = "12", value_name = "SECONDS", value_parser = parse_time)]
    time: Duration,
    /// Measure very briefly: a check that everything works, without meaningful figures
    #[arg(long, hide = true)]
    pub(super) quick: bool,
}

impl AgeingArgs {
    pub(super) fn time(self) -> Duration {
        if self.quick { Duration::from_millis(600) } else { self.time }
    }

    pub(super) fn timing(self) -> Timing {
        Timing { rounds: 1, warm_up: self.time() / 3, duration: self.time() * 2 / 3 }
    }
}

/// What is broadcast, and how it is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    pub(super) args: AgeingArgs,
    pub(super) policy: OverflowPolicy,
    /// The interval with which readers subscribe, instead of the policy.
    pub(super) interval: Option<Duration>,
    /// `None`: the updates have no keys.
    pub(super) keys: Option<Keys>,
    pub(super) updates_per_second: f64,
    pub(super) readers: usize,
    /// Each reader's receive buffer in bytes. `None`: the system's default.
    pub(super) receive_buffer: Option<usize>,
}

/// The keys of the updates.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keys {
    pub(super) count: usize,
    /// The key that an update changes, by the update's number and the number of keys.
    pub(super) choose: fn(u64, usize) -> usize,
}

/// Broadcasts and reads for the time of a round. Buffers fill during the warm-up.
pub(super) fn measure(setting: Setting, timing: Timing) -> Result<Sample, Error> {
    const OTHER_FILES: usize = 64;
    machine::raise_file_limit((2 * setting.readers + OTHER_FILES) as u64);
    let mut event_loop = EventLoop::new(Config::default().idle(Idle::Block))?;
    let mut feed = Feed::new(setting, event_loop.topic("updates")?);
    // Every frame is an update: the readers would not answer pings.
    let server = ServerConfig::default().limits(Limits::default().ping_interval(None));
    let listener = event_loop.listen("127.0.0.1:0", server, Subscriber)?;
    let address = event_loop.local_addr(listener).expect("the listener is open");
    event_loop.on(|cx: &mut Context<'_>, _: &Tick, feed: &mut Feed| feed.broadcast_due(cx));
    let refused = |_| Error::Events("the timer was refused".to_owned());
    event_loop.set_interval(TICK, Tick).map_err(refused)?;
    let (handle, cpu, start) = (event_loop.handle(), CpuClock::of_thread(), feed.start);
    thread::scope(|scope| {
        let reading = scope.spawn(move || {
            let readers = Readers::connect(setting, address, start);
            let sample = readers.and_then(|readers| readers.observe(timing, &handle, &cpu));
            handle.stop();
            sample
        });
        // If both failed, the server's error is the cause.
        event_loop.run(&mut feed)?;
        reading.join().unwrap_or(Err(Error::Thread("readers")))
    })
}

#[derive(Clone)]
struct Tick;

struct Subscriber;

/// What the server broadcasts.
struct Feed {
    setting: Setting,
    topic: TopicId,
    start: Instant,
    keys: Vec<String>,
    number: u64,
    payload: Vec<u8>,
}

impl WebSocketHandler<Feed> for Subscriber {
    fn on_open(&mut self, conn: &mut Connection<'_>, feed: &mut Feed) {
        // If the connection is already gone, its reader reports it.
        let _ = match feed.setting.interval {
            Some(interval) => conn.subscribe_every(feed.topic, interval),
            None => conn.subscribe_with(feed.topic, feed.setting.policy),
        };
    }
}

impl Feed {
    fn new(setting: Setting, topic: TopicId) -> Self {
        let keys = (0..setting.keys.map_or(0, |keys| keys.count)).map(|key| key.to_string());
        let (keys, payload) = (keys.collect(), pattern(setting.args.size));
        Self { setting, topic, start: Instant::now(), keys, number: 0, payload }
    }

    fn broadcast_due(&mut self, cx: &mut Context<'_>) {
        let made = self.start.elapsed();
        let due = (made.as_secs_f64() * self.setting.updates_per_second) as u64;
        let end = due.min(self.number + TICK_UPDATES_MAX);
        while self.number < end {
            let stamp = u128::from(self.number) << 64 | made.as_nanos();
            self.payload[..STAMP_BYTES].copy_from_slice(&stamp.to_le_bytes());
            let payload = self.payload.as_slice();
            match self.setting.keys {
                None => cx.broadcast(self.topic, payload),
                Some(Keys { count, choose }) => {
                    let key = &self.keys[choose(self.number, count)];
                    cx.broadcast_keyed(self.topic, key, payload)
                }
            };
            self.number += 1;
        }
    }
}

/// All readers.
struct Readers {
    setting: Setting,
    /// The start of the server.
    start: Instant,
    begun: Instant,
    readers: Vec<Reader>,
    pattern: Vec<u8>,
}

struct Reader {
    stream: TcpStream,
    /// Input that is not a whole frame.
    input: Vec<u8>,
    /// Bytes that it has read, or could have read in time.
    used: u64,
}

/// What the readers received in some time.
struct Tally {
    age: Latencies,
    /// Bytes in the receive buffer of the first reader.
    unread: Latencies,
    /// The number of the newest update.
    newest: u64,
    /// The keys that each reader has got, as bits.
    keys: Vec<Vec<u64>>,
}

impl Readers {
    fn connect(setting: Setting, address: SocketAddr, start: Instant) -> Result<Self, Error> {
        let connect = |_| Reader::connect(address, setting.receive_buffer);
        let readers = (0..setting.readers).map(connect).collect::<io::Result<_>>();
        let readers = readers.map_err(Error::system("cannot connect"))?;
        let (begun, pattern) = (Instant::now(), pattern(setting.args.size));
        Ok(Self { setting, start, begun, readers, pattern })
    }

    fn observe(
        mut self,
        timing: Timing,
        handle: &LoopHandle,
        cpu: &CpuClock,
    ) -> Result<Sample, Error> {
        let warm_up = self.read_until(Instant::now() + timing.warm_up)?;
        let (since, turns, cpu_before) = (Instant::now(), handle.stats().turn_time, cpu.time());
        let Tally { age, unread, newest, keys } = self.read_until(since + timing.duration)?;
        if age.is_empty() {
            return Err(Error::Events("the readers received nothing".to_owned()));
        }
        let seconds = since.elapsed().as_secs_f64();
        let turns = handle.stats().turn_time.since(&turns);
        let cpu = cpu.time().zip(cpu_before).map(|(now, before)| now.saturating_sub(before));
        let updates = newest.saturating_sub(warm_up.newest);
        let missed = (updates * keys.len() as u64).saturating_sub(age.len());
        let keys = keys.iter().map(|keys| keys.iter().map(|word| word.count_ones()).sum::<u32>());
        let keys_min = self.setting.keys.and(keys.min());
        let unread = unread.value_at_quantile(0.5) as f64 / self.setting.args.reader as f64;
        let sample = Sample::default()
            .percentiles(&age, &[(&AGE_P50, 0.5), (&AGE_P99, 0.99), (&AGE_MAX, 1.0)])
            .with(&UNREAD, unread * 1e9)
            .with(&UPDATES, updates as f64 / seconds)
            .with(&RECEIVED, age.len() as f64 / seconds)
            .with(&SKIPPED, missed as f64 / seconds)
            .maybe(&KEYS_MIN, keys_min.map(f64::from))
            .with(&TURN_P99, turns.percentile(99.0).as_nanos() as f64)
            .with(&TURN_MAX, turns.percentile(100.0).as_nanos() as f64)
            .maybe(&CPU, cpu.map(|cpu| cpu.as_secs_f64() / seconds));
        Ok(sample.plot(age))
    }

    /// Reads as fast as the setting allows.
    fn read_until(&mut self, end: Instant) -> Result<Tally, Error> {
        let words = self.setting.keys.map_or(0, |keys| keys.count.div_ceil(64));
        let keys = vec![vec![0; words]; self.readers.len()];
        let mut tally = Tally { age: no_latencies(), unread: no_latencies(), newest: 0, keys };
        let rate = self.setting.args.reader as u64;
        let mut buffer = vec![0; 64 * 1024];
        while Instant::now() < end {
            let now = Instant::now();
            let due = ((now - self.begun).as_secs_f64() * rate as f64) as u64;
            // The socket is open, so this cannot fail.
            let unread = rustix::io::ioctl_fionread(&self.readers[0].stream).unwrap_or_default();
            tally.unread.saturating_record(unread);
            for index in 0..self.readers.len() {
                let reader = &mut self.readers[index];
                // A reader that finds nothing does not catch up later.
                reader.used = reader.used.max(due.saturating_sub(rate / 10));
                reader.read(due, &mut buffer)?;
                self.take_updates(index, &mut tally)?;
            }
            thread::sleep(PAUSE.saturating_sub(now.elapsed()));
        }
        Ok(tally)
    }

    /// Takes the whole updates out of a reader's input.
    fn take_updates(&mut self, index: usize, tally: &mut Tally) -> Result<(), Error> {
        let now = self.start.elapsed().as_nanos() as u64;
        let size = self.setting.args.size;
        let header = bytes_on_wire(Wire::Tcp, size, false) - size;
        let input = &mut self.readers[index].input;
        let frames = input.chunks_exact(header + self.setting.args.size);
        let rest = frames.remainder().len();
        for frame in frames {
            let stamp = frame[header..].split_first_chunk();
            let (stamp, content) = stamp.expect("updates have a stamp");
            if *content != self.pattern[STAMP_BYTES..] {
                return Err(Error::Events("an update has wrong bytes".to_owned()));
            }
            let stamp = u128::from_le_bytes(*stamp);
            let (made, number) = (stamp as u64, (stamp >> 64) as u64);
            tally.age.saturating_record(now.saturating_sub(made));
            tally.newest = tally.newest.max(number);
            if let Some(Keys { count, choose }) = self.setting.keys {
                let key = choose(number, count);
                tally.keys[index][key / 64] |= 1 << (key % 64);
            }
        }
        input.drain(..input.len() - rest);
        Ok(())
    }
}

impl Reader {
    /// Opens a WebSocket.
    fn connect(address: SocketAddr, receive_buffer: Option<usize>) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        receive_buffer.map_or(Ok(()), |bytes| socket.set_recv_buffer_size(bytes))?;
        socket.connect(&address.into())?;
        let mut stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(REQUEST)?;
        // A larger buffer would take updates.
        for line in BufReader::with_capacity(1, &stream).lines() {
            if line?.is_empty() {
                break;
            }
        }
        stream.set_nonblocking(true)?;
        Ok(Self { stream, input: Vec::new(), used: 0 })
    }

    /// Reads what it may have read by now.
    fn read(&mut self, due: u64, buffer: &mut [u8]) -> Result<(), Error> {
        while self.used < due {
            let room = buffer.len().min((due - self.used) as usize);
            match self.stream.read(&mut buffer[..room]) {
                Ok(0) => return Err(Error::Events("the server has closed".to_owned())),
                Ok(count) => {
                    self.used += count as u64;
                    self.input.extend_from_slice(&buffer[..count]);
                }
                Err(error) if would_block(&error) => break,
                Err(error) => return Err(Error::system("cannot read")(error)),
            }
        }
        Ok(())
    }
}
