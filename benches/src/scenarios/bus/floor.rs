//! The floor: the standard library's bounded channel to a plain thread, and from there through
//! another to a second thread, or through a plain TCP connection.

use std::hint;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};

use super::route::{Client, Route, SIZE, Setting, Sink, Way, counting};
use super::tally::Tally;
use crate::error::Error;
use crate::idle::IdleMode;
use crate::load::{Stamp, pattern};
use crate::machine::CpuClock;
use crate::target::{Target, Wire};
use crate::worker::Worker;

/// The channel's capacity in events: the same as that of an inbox of the engine.
const CAPACITY: usize = 65_536;
/// The header of a server's WebSocket message. The floor sends as many bytes.
const HEADER: usize = 2;
/// How many events leave in one write: as many as the engine handles in one turn.
const WRITE_MAX: usize = 1024;

/// Starts a thread that carries the channel's events to the tally.
pub(super) fn start(setting: Setting, idle: IdleMode, tally: Tally) -> Result<Route, Error> {
    let (sender, receiver) = sync_channel(CAPACITY);
    let sink = || -> Sink {
        let sender = sender.clone();
        Box::new(move |stamp| sender.try_send(stamp))
    };
    let sinks = (0..setting.threads).map(|_| sink()).collect();
    let (own, other) = (setting.consumer_cpu(), setting.publisher_cpu());
    match setting.way {
        Way::Handler => {
            let (consumer, worker) =
                counting("channel", own, tally, move || take(&receiver, idle))?;
            Ok(Route { sinks, consumer, finish: Box::new(|| worker.join()) })
        }
        Way::Subscriber => {
            let (onward, last) = sync_channel(CAPACITY);
            let (_, second) = counting("subscriber", other, tally, move || last.recv().ok())?;
            let (consumer, first) = Worker::start("channel", own, move |ready| {
                // The receiver is waiting, so this cannot fail.
                let _ = ready.send(CpuClock::of_thread());
                while take(&receiver, idle).is_some_and(|stamp| onward.send(stamp).is_ok()) {}
                Ok(())
            })?;
            let finish = || first.join().and_then(|()| second.join());
            Ok(Route { sinks, consumer, finish: Box::new(finish) })
        }
        Way::Wire => {
            let cannot = || Error::system("cannot listen on 127.0.0.1:0");
            let listener = TcpListener::bind("127.0.0.1:0").map_err(cannot())?;
            let target = Target::embedded(Wire::Tcp, listener.local_addr().map_err(cannot())?);
            let client = Client::start(target, SIZE + HEADER, other, tally)?;
            let (stream, _) = listener.accept().map_err(cannot())?;
            let (consumer, worker) = Worker::start("channel", own, move |ready| {
                // The receiver is waiting, so this cannot fail.
                let _ = ready.send(CpuClock::of_thread());
                forward(&receiver, idle, stream)
            })?;
            // The connection stays open until the client has closed it.
            let finish = || worker.join().and_then(|_open| client.finish());
            Ok(Route { sinks, consumer, finish: Box::new(finish) })
        }
    }
}

/// Writes one message for each event, all queued ones in one call.
fn forward(
    receiver: &Receiver<Stamp>,
    idle: IdleMode,
    mut stream: TcpStream,
) -> Result<TcpStream, Error> {
    let cannot = || Error::system("cannot send to a client");
    stream.set_nodelay(true).map_err(cannot())?;
    let mut message = pattern(SIZE + HEADER);
    let mut bytes = Vec::with_capacity(WRITE_MAX * message.len());
    while let Some(first) = take(receiver, idle) {
        bytes.clear();
        let waiting = receiver.try_iter().take(WRITE_MAX - 1);
        for stamp in std::iter::once(first).chain(waiting) {
            message[..Stamp::LEN].copy_from_slice(&stamp.to_bits().to_le_bytes());
            bytes.extend_from_slice(&message);
        }
        stream.write_all(&bytes).map_err(cannot())?;
    }
    Ok(stream)
}

/// The next event; `None` when all publishers are gone.
fn take(receiver: &Receiver<Stamp>, idle: IdleMode) -> Option<Stamp> {
    if idle != IdleMode::Busy {
        return receiver.recv().ok();
    }
    loop {
        match receiver.try_recv() {
            Ok(stamp) => return Some(stamp),
            Err(TryRecvError::Empty) => hint::spin_loop(),
            Err(TryRecvError::Disconnected) => return None,
        }
    }
}
