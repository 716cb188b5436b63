//! A loop that broadcasts updates with keys to a topic, at a given rate.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use eventwire::{
    Config, Connection, Context, EventLoop, Idle, LoopHandle, OverflowPolicy, ServerConfig,
    TopicId, WebSocketHandler,
};

use super::{KEY_LEN, KeyedArgs, Order, Update};
use crate::error::Error;
use crate::load::pattern;
use crate::machine::ThreadCpu;
use crate::worker::Worker;

/// How often due updates are broadcast.
const TICK: Duration = Duration::from_millis(1);

/// The most updates that one tick broadcasts.
const TICK_UPDATES_MAX: u64 = 1_000;

/// Coprime to every number of keys that has no such factor: neighbours in time are no neighbours
/// in the key's order.
const STRIDE: u64 = 7_919;

/// The loop on its thread.
#[derive(Debug)]
pub(super) struct Server {
    worker: Worker<()>,
    pub(super) handle: LoopHandle,
    pub(super) address: SocketAddr,
    pub(super) cpu: ThreadCpu,
}

#[derive(Clone)]
struct Tick;

struct Feed {
    topic: TopicId,
    every: Option<Duration>,
}

impl WebSocketHandler<u64> for Feed {
    fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut u64) {
        // If the connection is already gone, the reader reports it.
        let _ = match self.every {
            Some(every) => conn.subscribe_every(self.topic, every),
            None => conn.subscribe_with(self.topic, OverflowPolicy::KeepLatest),
        };
    }
}

impl Order {
    /// The key that an update changes.
    fn key(self, number: u64, keys: u64) -> u64 {
        match self {
            Self::RoundRobin => number * STRIDE % keys,
            Self::Random => mix(number) % keys,
        }
    }
}

/// A number that looks random: the output of `SplitMix64` for this state.
const fn mix(state: u64) -> u64 {
    let mut mixed = state.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

impl Server {
    pub(super) fn start(args: &KeyedArgs, start: Instant) -> Result<Self, Error> {
        let KeyedArgs { keys, order, rate, size, .. } = *args;
        let every = args.every.map(Duration::from_millis);
        let ((address, handle, cpu), worker) = Worker::start("server", None, move |ready| {
            let mut event_loop = EventLoop::new(Config::default().idle(Idle::Block))?;
            let topic = event_loop.topic("updates")?;
            let feed = Feed { topic, every };
            let listener = event_loop.listen("127.0.0.1:0", ServerConfig::default(), feed)?;
            let address = event_loop.local_addr(listener).expect("the listener is open");
            let names: Vec<String> = (0..keys).map(|key| format!("{key:0KEY_LEN$}")).collect();
            let mut payload = pattern(size as usize);
            event_loop.on(move |cx: &mut Context<'_>, _: &Tick, number: &mut u64| {
                let due = (start.elapsed().as_secs_f64() * rate) as u64;
                let due = due.min(*number + TICK_UPDATES_MAX);
                let made = start.elapsed().as_nanos() as u64;
                while *number < due {
                    let key = &names[order.key(*number, keys) as usize];
                    Update { made, number: *number }.write(&mut payload);
                    payload[Update::LEN..][..KEY_LEN].copy_from_slice(key.as_bytes());
                    cx.broadcast_keyed(topic, key, payload.as_slice());
                    *number += 1;
                }
            });
            event_loop
                .set_interval(TICK, Tick)
                .map_err(|_| Error::Events("the timer was refused".to_owned()))?;
            // The receiver is waiting, so this cannot fail.
            let _ = ready.send((address, event_loop.handle(), ThreadCpu::current()));
            event_loop.run(&mut 0)?;
            Ok(())
        })?;
        Ok(Self { worker, handle, address, cpu })
    }

    /// Ends the loop and returns its result.
    pub(super) fn stop(self) -> Result<(), Error> {
        self.handle.stop();
        self.worker.join()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_turns_all_keys_change_and_at_random_some_change_again_first() {
        let changed = |order: Order| {
            let mut keys: Vec<_> = (0..1_000).map(|number| order.key(number, 1_000)).collect();
            keys.sort_unstable();
            keys.dedup();
            keys.len()
        };
        assert_eq!(changed(Order::RoundRobin), 1_000);
        // 1 - 1/e of them are expected.
        assert!((600..660).contains(&changed(Order::Random)));
    }
}
