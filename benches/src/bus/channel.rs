//! The floor: the standard library's bounded channel to a plain thread, and from there through
//! another to a second thread, or through a plain TCP connection.

use std::hint;
use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};

use super::Setting;
use super::publishers::{Route, WINDOW};
use super::socket::{self, Client};
use super::tally::Tally;
use crate::error::Error;
use crate::idle::IdleMode;
use crate::load::{Stamp, Target, Wire, pattern};
use crate::machine::ThreadCpu;
use crate::worker::Worker;

/// The channel's capacity in events: the same as that of an inbox of the engine.
const CAPACITY: usize = 65_536;
/// A server's WebSocket message is this much longer than its payload. The floor sends as many
/// bytes.
const HEADER: usize = 2;
/// How many events leave in one write: as many as the engine handles in one turn.
const WRITE_MAX: usize = 1024;

/// Starts a thread that receives and counts the channel's events.
pub(crate) fn to_thread(
    mut tally: Tally,
    setting: Setting,
) -> Result<Route<SyncSender<Stamp>>, Error> {
    let (sinks, receiver) = channel(setting.publishers);
    let (consumer, worker) = Worker::start("channel", setting.consumer_cpu(), move |ready| {
        // The receiver is waiting, so this cannot fail.
        let _ = ready.send(ThreadCpu::current());
        while let Some(stamp) = take(&receiver, setting.idle) {
            tally.arrived(stamp);
        }
        Ok(tally)
    })?;
    Ok(Route { sinks, finish: Box::new(move || worker.join()), window: None, consumer })
}

/// Starts a thread that passes the channel's events on to a second thread, which waits for each
/// event and counts it.
pub(crate) fn to_second_thread(
    mut tally: Tally,
    setting: Setting,
) -> Result<Route<SyncSender<Stamp>>, Error> {
    let (sinks, receiver) = channel(setting.publishers);
    let (onward, last) = sync_channel(CAPACITY);
    let ((), second) = Worker::start("subscriber", setting.publisher_cpu(), move |ready| {
        // The receiver is waiting, so this cannot fail.
        let _ = ready.send(());
        last.into_iter().for_each(|stamp| tally.arrived(stamp));
        Ok(tally)
    })?;
    let (consumer, first) = Worker::start("channel", setting.consumer_cpu(), move |ready| {
        // The receiver is waiting, so this cannot fail.
        let _ = ready.send(ThreadCpu::current());
        while let Some(stamp) = take(&receiver, setting.idle) {
            if onward.send(stamp).is_err() {
                break;
            }
        }
        Ok(())
    })?;
    let finish = move || {
        first.join()?;
        second.join()
    };
    let window = WINDOW / setting.publishers as u32;
    Ok(Route { sinks, finish: Box::new(finish), window: Some(window), consumer })
}

/// Starts a thread that writes the channel's events to a TCP connection, whose other end counts
/// them.
pub(crate) fn to_socket(tally: Tally, setting: Setting) -> Result<Route<SyncSender<Stamp>>, Error> {
    let cannot = || Error::system("cannot listen on 127.0.0.1:0");
    let listener = TcpListener::bind("127.0.0.1:0").map_err(cannot())?;
    let address = listener.local_addr().map_err(cannot())?;
    let target = Target::embedded(Wire::Tcp, address);
    let (sinks, receiver) = channel(setting.publishers);
    let client = Client::start(target, socket::SIZE + HEADER, tally, setting.publisher_cpu())?;
    let (stream, _) = listener.accept().map_err(Error::system("cannot accept a connection"))?;
    let (consumer, worker) = Worker::start("channel", setting.consumer_cpu(), move |ready| {
        // The receiver is waiting, so this cannot fail.
        let _ = ready.send(ThreadCpu::current());
        forward(&receiver, setting.idle, stream).map_err(Error::system("cannot send to a client"))
    })?;
    let finish = move || {
        let stream = worker.join()?;
        let tally = client.finish();
        drop(stream);
        tally
    };
    let window = WINDOW / setting.publishers as u32;
    Ok(Route { sinks, finish: Box::new(finish), window: Some(window), consumer })
}

fn channel(publishers: usize) -> (Vec<SyncSender<Stamp>>, Receiver<Stamp>) {
    let (sender, receiver) = sync_channel(CAPACITY);
    (vec![sender; publishers], receiver)
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

/// Writes one message for each event, all queued ones in one call. Returns the connection, because
/// the client closes it.
fn forward(
    receiver: &Receiver<Stamp>,
    idle: IdleMode,
    mut stream: TcpStream,
) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    let mut message = pattern(socket::SIZE + HEADER);
    let mut bytes = Vec::with_capacity(WRITE_MAX * message.len());
    while let Some(first) = take(receiver, idle) {
        bytes.clear();
        let waiting = receiver.try_iter().take(WRITE_MAX - 1);
        for stamp in std::iter::once(first).chain(waiting) {
            message[..Stamp::LEN].copy_from_slice(&stamp.to_bits().to_le_bytes());
            bytes.extend_from_slice(&message);
        }
        stream.write_all(&bytes)?;
    }
    Ok(stream)
}
