//! A server on a thread of its own, and its configuration.

use std::fmt;
use std::net::SocketAddr;
use std::sync::mpsc;

use clap::ValueEnum;

use crate::error::Error;
use crate::idle::IdleMode;
use crate::machine::CpuClock;
use crate::worker::Worker;

/// What the server does with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Service {
    /// Send every message back to its sender
    Echo,
    /// Send every message to all connections, its sender included
    ///
    /// A message whose eighth byte is `E` is echoed to its sender only, which gets no broadcasts
    /// after that. So a connection can measure round trips during broadcasts.
    Broadcast,
    /// Answer every request with a page of 13 bytes
    Page,
    /// Socket.IO, with the events of the command `socketio`
    SocketIo,
    /// Topics with histories, for the command `resume`
    Resume,
}

impl Service {
    /// The word on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Echo => "echo",
            Self::Broadcast => "broadcast",
            Self::Page => "page",
            Self::SocketIo => "socket-io",
            Self::Resume => "resume",
        }
    }
}

/// The eighth byte of a message that a broadcast server echoes to its sender only.
///
/// Payloads begin with their stamp, and this is its last byte: the highest byte of the sender's
/// number, which no publisher reaches.
pub(crate) const ECHO_MARK: u8 = b'E';

/// Whether a broadcast server echoes the message to its sender only.
pub(crate) fn asks_for_echo(payload: &[u8]) -> bool {
    payload.get(7) == Some(&ECHO_MARK)
}

/// The configuration of a server.
#[derive(Clone, Debug)]
pub(crate) struct ServiceConfig {
    pub(crate) service: Service,
    /// Host and port to listen on. Port 0 chooses a free one.
    pub(crate) address: String,
    pub(crate) idle: IdleMode,
    /// The CPU that the server's thread is bound to.
    pub(crate) cpu: Option<usize>,
    /// The longest message that is accepted, in bytes. `None`: the engine's default.
    pub(crate) max_message: Option<usize>,
    /// Whether messages are compressed for clients that offer it.
    pub(crate) deflate: bool,
    /// Whether it uses TLS.
    pub(crate) tls: bool,
}

/// Ends a server's loop from another thread.
pub(crate) type Stop = Box<dyn Fn() + Send>;

/// A listening server. Dropping it stops it and waits for its thread.
pub(crate) struct Server {
    address: SocketAddr,
    cpu: CpuClock,
    stop: Stop,
    /// `None` once joined.
    worker: Option<Worker<()>>,
}

/// The message of the server's thread once it listens.
struct Ready {
    address: SocketAddr,
    cpu: CpuClock,
    stop: Stop,
}

/// Lets a server's thread report that it listens.
#[derive(Debug)]
pub(crate) struct ReadyLine {
    sender: mpsc::Sender<Ready>,
}

impl ReadyLine {
    /// Reports that connections to `address` succeed from now on, until `stop` is called.
    pub(crate) fn listening(self, address: SocketAddr, stop: Stop) {
        // The receiver waits for exactly this: it is gone only if its thread is.
        let _ = self.sender.send(Ready { address, cpu: CpuClock::of_thread(), stop });
    }
}

impl Server {
    /// Runs `body` on a new thread, bound to the CPU that `config` names, and waits until it
    /// listens. `ended` is dropped when the thread ends, for any reason.
    pub(crate) fn start<B>(
        config: ServiceConfig,
        ended: Option<mpsc::Sender<()>>,
        body: B,
    ) -> Result<Self, Error>
    where
        B: FnOnce(&ServiceConfig, ReadyLine) -> Result<(), Error> + Send + 'static,
    {
        let (Ready { address, cpu, stop }, worker) =
            Worker::start("server", config.cpu, move |sender| {
                let _notice = EndNotice(ended);
                body(&config, ReadyLine { sender })
            })?;
        Ok(Self { address, cpu, stop, worker: Some(worker) })
    }

    /// The address that it listens on.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The CPU time of its thread.
    pub(crate) fn cpu(&self) -> &CpuClock {
        &self.cpu
    }

    /// Stops it, waits for its thread and returns its result.
    pub(crate) fn stop(mut self) -> Result<(), Error> {
        (self.stop)();
        self.worker.take().map_or(Ok(()), Worker::join)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        (self.stop)();
        if let Some(worker) = self.worker.take() {
            let _ = worker.join();
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Notifies the waiting thread of the end of the server's thread.
struct EndNotice(Option<mpsc::Sender<()>>);

impl Drop for EndNotice {
    fn drop(&mut self) {
        if let Some(sender) = &self.0 {
            // Nobody is waiting if the program is already stopping the server.
            let _ = sender.send(());
        }
    }
}
