//! The engine: a loop that handles the events, or passes them on.

use std::net::SocketAddr;
use std::sync::mpsc::TrySendError;

use eventwire::{
    CloseCode, Config, Connection, Context, EventLoop, LoopHandle, OverflowPolicy, PublishError,
    ServerConfig, TopicId, WebSocketHandler,
};

use super::route::{Client, Route, SIZE, Setting, Sink, Way, counting};
use super::tally::Tally;
use crate::error::Error;
use crate::idle::IdleMode;
use crate::load::{Stamp, pattern};
use crate::machine::CpuClock;
use crate::target::{Target, Wire};
use crate::worker::Worker;

/// The subscriber's capacity in events: more than are ever in flight.
const CAPACITY: usize = 16_384;

/// Starts a loop that carries events to the tally.
pub(super) fn start(setting: Setting, idle: IdleMode, tally: Tally) -> Result<Route, Error> {
    let cpu = setting.publisher_cpu();
    match setting.way {
        Way::Handler => {
            let (running, ()) = Running::start(setting, idle, tally, |event_loop| {
                event_loop.on(|_: &mut Context<'_>, stamp: &Stamp, tally: &mut Tally| {
                    tally.arrived(*stamp);
                });
                Ok(())
            })?;
            Ok(running.route(Running::stop))
        }
        Way::Subscriber => {
            let (running, mut subscriber) = Running::start(setting, idle, (), |event_loop| {
                Ok(event_loop.subscriber::<Stamp>(CAPACITY, OverflowPolicy::Close))
            })?;
            let (_, counting) = counting("subscriber", cpu, tally, move || subscriber.recv().ok())?;
            Ok(running.route(|running| {
                running.stop()?;
                counting.join()
            }))
        }
        Way::Wire => {
            let (running, address) = Running::start(setting, idle, (), serve)?;
            let target = Target::embedded(Wire::WebSocket, address);
            let client = Client::start(target, SIZE, cpu, tally)?;
            Ok(running.route(|running| {
                let tally = client.finish();
                running.stop().and(tally)
            }))
        }
    }
}

/// Broadcasts every event to all connections.
fn serve(event_loop: &mut EventLoop<()>) -> Result<SocketAddr, Error> {
    let topic = event_loop.topic("events")?;
    let listener = event_loop.listen("127.0.0.1:0", ServerConfig::default(), Receiver { topic })?;
    let mut payload = pattern(SIZE);
    event_loop.on(move |cx: &mut Context<'_>, stamp: &Stamp, (): &mut ()| {
        payload[..Stamp::LEN].copy_from_slice(&stamp.to_bits().to_le_bytes());
        // A dropped broadcast is noticed at the end.
        cx.broadcast(topic, payload.as_slice());
    });
    Ok(event_loop.local_addr(listener).expect("the listener is open"))
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

/// A loop on a thread of its own, with the state `S`.
struct Running<S> {
    sinks: Vec<Sink>,
    consumer: CpuClock,
    handle: LoopHandle,
    worker: Worker<S>,
}

impl<S: Send + 'static> Running<S> {
    /// Starts a loop. `prepare` registers its handlers, and returns what is needed of it.
    fn start<P: Send + 'static>(
        setting: Setting,
        idle: IdleMode,
        mut state: S,
        prepare: impl FnOnce(&mut EventLoop<S>) -> Result<P, Error> + Send + 'static,
    ) -> Result<(Self, P), Error> {
        let (started, worker) = Worker::start("loop", setting.consumer_cpu(), move |ready| {
            let mut event_loop = EventLoop::new(Config::default().idle(idle.engine()))?;
            let prepared = prepare(&mut event_loop)?;
            let sinks: Vec<Sink> = (0..setting.threads).map(|_| sink(&mut event_loop)).collect();
            // The receiver is waiting, so this cannot fail.
            let _ = ready.send((sinks, CpuClock::of_thread(), event_loop.handle(), prepared));
            event_loop.run(&mut state)?;
            Ok(state)
        })?;
        let (sinks, consumer, handle, prepared) = started;
        Ok((Self { sinks, consumer, handle, worker }, prepared))
    }

    fn route(mut self, finish: impl FnOnce(Self) -> Result<Tally, Error> + 'static) -> Route {
        let sinks = std::mem::take(&mut self.sinks);
        Route { sinks, consumer: self.consumer.clone(), finish: Box::new(move || finish(self)) }
    }

    fn stop(self) -> Result<S, Error> {
        self.handle.stop();
        self.worker.join()
    }
}

fn sink<S: 'static>(event_loop: &mut EventLoop<S>) -> Sink {
    let publisher = event_loop.publisher();
    Box::new(move |stamp| {
        publisher.publish(stamp).map_err(|error| match error {
            PublishError::Full(stamp) => TrySendError::Full(stamp),
            PublishError::Closed(stamp) | PublishError::NoHandler(stamp) => {
                TrySendError::Disconnected(stamp)
            }
        })
    })
}
