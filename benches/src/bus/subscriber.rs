//! From publishers through the loop to a subscriber on a thread of its own.

use eventwire::{Config, EventLoop, OverflowPolicy, Publisher};

use super::Setting;
use super::publishers::{Route, WINDOW};
use super::tally::Tally;
use crate::error::Error;
use crate::load::Stamp;
use crate::machine::ThreadCpu;
use crate::worker::Worker;

/// The subscriber's capacity in events: more than are ever in flight.
const CAPACITY: usize = 2 * WINDOW as usize;

/// Starts a loop, and a thread that waits for each event from it and counts it.
pub(crate) fn start(mut tally: Tally, setting: Setting) -> Result<Route<Publisher<Stamp>>, Error> {
    let ((mut subscriber, sinks, handle, consumer), event_loop) =
        Worker::start("loop", setting.consumer_cpu(), move |ready| {
            let mut event_loop = EventLoop::new(Config::default().idle(setting.idle.engine()))?;
            let subscriber = event_loop.subscriber::<Stamp>(CAPACITY, OverflowPolicy::Close);
            let sinks: Vec<_> = (0..setting.publishers).map(|_| event_loop.publisher()).collect();
            // The receiver is waiting, so this cannot fail.
            let _ = ready.send((subscriber, sinks, event_loop.handle(), ThreadCpu::current()));
            event_loop.run(&mut ())?;
            Ok(())
        })?;
    let ((), receiving) = Worker::start("subscriber", setting.publisher_cpu(), move |ready| {
        // The receiver is waiting, so this cannot fail.
        let _ = ready.send(());
        while let Ok(stamp) = subscriber.recv() {
            tally.arrived(stamp);
        }
        Ok(tally)
    })?;
    let finish = move || {
        handle.stop();
        event_loop.join()?;
        receiving.join()
    };
    let window = WINDOW / setting.publishers as u32;
    Ok(Route { sinks, finish: Box::new(finish), window: Some(window), consumer })
}
