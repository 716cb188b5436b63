//! A loop that broadcasts updates to a topic, at a given rate.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use eventwire::{
    Config, Connection, Context, EventLoop, Idle, LoopHandle, OverflowPolicy, ServerConfig,
    TopicId, WebSocketHandler,
};

use super::Case;
use super::update::Update;
use crate::error::Error;
use crate::load::pattern;
use crate::worker::Worker;

/// How often due updates are broadcast.
const TICK: Duration = Duration::from_millis(1);

/// The loop on its thread.
#[derive(Debug)]
pub(super) struct Server {
    worker: Worker<()>,
    handle: LoopHandle,
    pub(super) address: SocketAddr,
}

#[derive(Clone)]
struct Tick;

struct Feed {
    topic: TopicId,
    policy: OverflowPolicy,
}

impl WebSocketHandler<u64> for Feed {
    fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut u64) {
        // If the connection is already gone, the reader reports it.
        let _ = conn.subscribe_with(self.topic, self.policy);
    }
}

impl Server {
    pub(super) fn start(case: Case, rate: f64, size: usize, start: Instant) -> Result<Self, Error> {
        let ((address, handle), worker) = Worker::start("server", None, move |ready| {
            let mut event_loop = EventLoop::new(Config::default().idle(Idle::Block))?;
            let topic = event_loop.topic("updates")?;
            let feed = Feed { topic, policy: case.policy };
            let listener = event_loop.listen("127.0.0.1:0", ServerConfig::default(), feed)?;
            let address = event_loop.local_addr(listener).expect("the listener is open");
            let mut payload = pattern(size);
            event_loop.on(move |cx: &mut Context<'_>, _: &Tick, number: &mut u64| {
                let due = (start.elapsed().as_secs_f64() * rate) as u64;
                while *number < due {
                    let made = start.elapsed().as_nanos() as u64;
                    Update { made, number: *number }.write(&mut payload);
                    cx.broadcast(topic, payload.as_slice());
                    *number += 1;
                }
            });
            event_loop
                .set_interval(TICK, Tick)
                .map_err(|_| Error::Events("the timer was refused".to_owned()))?;
            // The receiver is waiting, so this cannot fail.
            let _ = ready.send((address, event_loop.handle()));
            event_loop.run(&mut 0)?;
            Ok(())
        })?;
        Ok(Self { worker, handle, address })
    }

    /// Ends the loop and returns its result.
    pub(super) fn stop(self) -> Result<(), Error> {
        self.handle.stop();
        self.worker.join()
    }
}
