//! From a broadcast to a durable topic, at a moderate rate, to a subscriber's connection.

use std::thread;
use std::time::{Duration, Instant};

use eventwire::{
    Connection, Durability, Idle, SendStatus, ServerConfig, TopicId, WebSocketHandler,
};
use mio::Events;

use super::durable::{Durable, PATIENCE};
use super::setting::Setting;
use crate::error::Error;
use crate::load::{Fault, Latencies, Links, ReadOutcome, Stamp, no_latencies, pattern};
use crate::scenario::Timing;
use crate::target::{Target, Wire};

/// How often due messages are broadcast.
const TICK: Duration = Duration::from_millis(1);
/// The stamp of the last message. The others have the time of their broadcast.
const LAST: u64 = u64::MAX;

struct Subscribe(TopicId);

impl WebSocketHandler<()> for Subscribe {
    fn on_open(&mut self, conn: &mut Connection<'_>, (): &mut ()) {
        // If the connection is already gone, the subscriber reports it.
        let _ = conn.subscribe(self.0);
    }
}

/// Broadcasts for the time of a round. Returns the latencies, and the messages of a commit.
pub(super) fn deliver(
    setting: &Setting,
    durability: Durability,
    timing: Timing,
) -> Result<(Latencies, f64), Error> {
    let mut durable = Durable::open(setting, durability, Idle::default())?;
    let subscribe = Subscribe(durable.topics[0]);
    let listener = durable.event_loop.listen("127.0.0.1:0", ServerConfig::default(), subscribe)?;
    let address = durable.event_loop.local_addr(listener).expect("the listener is open");
    let target = Target::embedded(Wire::WebSocket, address);
    let start = Instant::now();
    thread::scope(|scope| {
        let receiving = scope.spawn(|| receive(&target, setting.size, start));
        await_subscriber(&mut durable)?;
        let warm = start.elapsed() + timing.warm_up;
        let sent = broadcast(&mut durable, setting, start, warm + timing.duration)?;
        let stats = durable.close()?;
        let arrivals = receiving.join().unwrap_or(Err(Error::Thread("subscriber")))?;
        if arrivals.len() as u64 != sent {
            let reason = format!("{} of {sent} messages arrived", arrivals.len());
            return Err(Error::Events(reason));
        }
        let mut latencies = no_latencies();
        for [made, arrived] in arrivals {
            if Duration::from_nanos(made) >= warm {
                latencies.saturating_record(arrived - made);
            }
        }
        let commits = stats.journal_commits.max(1) as f64;
        Ok((latencies, stats.journal_messages as f64 / commits))
    })
}

fn await_subscriber(durable: &mut Durable) -> Result<(), Error> {
    let patience = Instant::now() + PATIENCE;
    while durable.event_loop.context().subscriber_count(durable.topics[0]) == 0 {
        if Instant::now() >= patience {
            return Err(Error::Events("the subscriber does not come".to_owned()));
        }
        durable.event_loop.turn(Some(TICK), &mut ())?;
    }
    Ok(())
}

/// Broadcasts at the rate until that time since `start`. Returns the number of messages.
fn broadcast(
    durable: &mut Durable,
    setting: &Setting,
    start: Instant,
    end: Duration,
) -> Result<u64, Error> {
    let (begun, mut number) = (start.elapsed(), 0);
    let mut payload = pattern(setting.size);
    let mut send = |durable: &mut Durable, stamp: u64| {
        payload[..Stamp::LEN].copy_from_slice(&stamp.to_le_bytes());
        let mut cx = durable.event_loop.context();
        match cx.broadcast(durable.topics[0], payload.as_slice()) {
            SendStatus::Dropped => {
                let rate = setting.rate;
                Err(Error::Events(format!("the journal does not keep up with {rate} messages/s")))
            }
            _ => Ok(()),
        }
    };
    while start.elapsed() < end {
        let due = ((start.elapsed() - begun).as_secs_f64() * setting.rate) as u64;
        while number < due {
            send(durable, start.elapsed().as_nanos() as u64)?;
            number += 1;
        }
        durable.event_loop.turn(Some(TICK), &mut ())?;
    }
    send(durable, LAST)?;
    while durable.event_loop.stats().journal_waiting > 0 {
        durable.event_loop.turn(Some(TICK), &mut ())?;
    }
    Ok(number)
}

/// Receives messages up to the last one. Returns when each of the others was broadcast, and when it
/// arrived, in nanoseconds since `start`.
fn receive(target: &Target, size: usize, start: Instant) -> Result<Vec<[u64; 2]>, Error> {
    let mut links = Links::open(target, 1, size, 1)?;
    let mut events = Events::with_capacity(8);
    let mut arrivals = Vec::new();
    links.read_early(0, arrive(&mut arrivals, start))?;
    while arrivals.last().is_none_or(|[made, _]| *made != LAST) {
        links.wait(&mut events, PATIENCE)?;
        if events.is_empty() {
            return Err(Error::Events("the subscriber receives nothing".to_owned()));
        }
        while links.read(0, arrive(&mut arrivals, start))? == ReadOutcome::Full {}
    }
    arrivals.pop();
    Ok(arrivals)
}

fn arrive(
    arrivals: &mut Vec<[u64; 2]>,
    start: Instant,
) -> impl FnMut(Stamp) -> Result<(), Fault> + '_ {
    move |stamp| {
        arrivals.push([stamp.to_bits(), start.elapsed().as_nanos() as u64]);
        Ok(())
    }
}
