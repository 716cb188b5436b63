//! From publishers to a handler on the loop.

use eventwire::{Config, Context, EventLoop};

use super::Setting;
use super::publishers::Route;
use super::tally::Tally;
use crate::error::Error;
use crate::load::Stamp;
use crate::machine::ThreadCpu;
use crate::worker::Worker;

/// Starts a loop whose event handler counts the events.
pub(crate) fn start(
    mut tally: Tally,
    setting: Setting,
) -> Result<Route<eventwire::Publisher<Stamp>>, Error> {
    let ((sinks, handle, consumer), worker) =
        Worker::start("loop", setting.consumer_cpu(), move |ready| {
            let mut event_loop = EventLoop::new(Config::default().idle(setting.idle.engine()))?;
            event_loop.on(|_: &mut Context<'_>, stamp: &Stamp, tally: &mut Tally| {
                tally.arrived(*stamp);
            });
            let sinks: Vec<_> = (0..setting.publishers).map(|_| event_loop.publisher()).collect();
            // The receiver is waiting, so this cannot fail.
            let _ = ready.send((sinks, event_loop.handle(), ThreadCpu::current()));
            event_loop.run(&mut tally)?;
            Ok(tally)
        })?;
    let finish = move || {
        handle.stop();
        worker.join()
    };
    Ok(Route { sinks, finish: Box::new(finish), window: None, consumer })
}
