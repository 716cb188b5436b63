//! From publishers through a handler, which broadcasts, to a client on the same machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use eventwire::{
    CloseCode, Config, Connection, Context, EventLoop, Publisher, ServerConfig, TopicId,
    WebSocketHandler,
};
use mio::Events;

use super::Setting;
use super::publishers::{Route, WINDOW};
use super::tally::Tally;
use crate::error::Error;
use crate::load::{Links, ReadOutcome, Stamp, Target, Wire, pattern};
use crate::machine::ThreadCpu;
use crate::worker::Worker;

/// Payload bytes of each message.
pub(crate) const SIZE: usize = 64;

/// Starts a loop that broadcasts every event, and a client that counts what it receives.
pub(crate) fn start(tally: Tally, setting: Setting) -> Result<Route<Publisher<Stamp>>, Error> {
    let ((address, sinks, handle, consumer), worker) =
        Worker::start("loop", setting.consumer_cpu(), move |ready| {
            let mut event_loop = EventLoop::new(Config::default().idle(setting.idle.engine()))?;
            let topic = event_loop.topic("events")?;
            let config = ServerConfig::default();
            let listener = event_loop.listen("127.0.0.1:0", config, Receiver { topic })?;
            let address = event_loop.local_addr(listener);
            let mut payload = pattern(SIZE);
            event_loop.on(move |cx: &mut Context<'_>, stamp: &Stamp, (): &mut ()| {
                payload[..Stamp::LEN].copy_from_slice(&stamp.to_bits().to_le_bytes());
                // A dropped broadcast is noticed at the end.
                cx.broadcast(topic, payload.as_slice());
            });
            let sinks: Vec<_> = (0..setting.publishers).map(|_| event_loop.publisher()).collect();
            // The receiver is waiting, so this cannot fail.
            let _ = ready.send((address, sinks, event_loop.handle(), ThreadCpu::current()));
            event_loop.run(&mut ())?;
            Ok(())
        })?;
    let address = address.expect("the listener is open");
    let target = Target::embedded(Wire::WebSocket, address);
    let client = Client::start(target, SIZE, tally, setting.publisher_cpu())?;
    let finish = move || {
        let tally = client.finish();
        handle.stop();
        worker.join().and(tally)
    };
    let window = WINDOW / setting.publishers as u32;
    Ok(Route { sinks, finish: Box::new(finish), window: Some(window), consumer })
}

/// Subscribes every connection.
struct Receiver {
    topic: TopicId,
}

impl<S> WebSocketHandler<S> for Receiver {
    fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut S) {
        if conn.subscribe(self.topic).is_err() {
            conn.close(CloseCode::INTERNAL, "cannot subscribe");
        }
    }
}

/// A receiving connection on a thread of its own.
#[derive(Debug)]
pub(crate) struct Client {
    worker: Worker<Tally>,
    over: Arc<AtomicBool>,
}

/// How long the client waits between two checks for the end.
const LOOK: Duration = Duration::from_millis(2);

impl Client {
    /// Connects, and counts the messages of `size` bytes.
    pub(crate) fn start(
        target: Target,
        size: usize,
        mut tally: Tally,
        cpu: Option<usize>,
    ) -> Result<Self, Error> {
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&over);
        let ((), worker) = Worker::start("client", cpu, move |ready| {
            let mut links = Links::open(&target, 1, size, 1)?;
            // The receiver is waiting, so this cannot fail.
            let _ = ready.send(());
            let mut events = Events::with_capacity(8);
            while !seen.load(Ordering::Relaxed) {
                links.wait(&mut events, LOOK)?;
                if !events.is_empty() {
                    read_all(&mut links, &mut tally)?;
                }
            }
            links.close();
            Ok(tally)
        })?;
        Ok(Self { worker, over })
    }

    /// Ends the client and returns its tally.
    pub(crate) fn finish(self) -> Result<Tally, Error> {
        self.over.store(true, Ordering::Relaxed);
        self.worker.join()
    }
}

fn read_all(links: &mut Links, tally: &mut Tally) -> Result<(), Error> {
    let mut outcome = ReadOutcome::Full;
    while outcome == ReadOutcome::Full {
        outcome = links.read(0, |stamp| {
            tally.arrived(stamp);
            Ok(())
        })?;
    }
    Ok(())
}
