use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use crate::error::Error;
use crate::machine;

/// A thread that reports when it is ready, and then works.
#[derive(Debug)]
pub(crate) struct Worker<T> {
    thread: JoinHandle<Result<T, Error>>,
    name: &'static str,
}

impl<T: Send + 'static> Worker<T> {
    /// Runs `body` on a new thread, bound to `cpu` if given, and waits for the value that it sends
    /// once it is ready.
    pub(crate) fn start<H, B>(
        name: &'static str,
        cpu: Option<usize>,
        body: B,
    ) -> Result<(H, Self), Error>
    where
        H: Send + 'static,
        B: FnOnce(mpsc::Sender<H>) -> Result<T, Error> + Send + 'static,
    {
        let (sender, receiver) = mpsc::channel();
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                cpu.map_or(Ok(()), machine::pin)?;
                body(sender)
            })
            .map_err(Error::system(format!("cannot start the {name} thread")))?;
        let worker = Self { thread, name };
        match receiver.recv() {
            Ok(handed) => Ok((handed, worker)),
            Err(_) => Err(worker.join().err().unwrap_or(Error::Thread(name))),
        }
    }

    /// Waits for its end, and returns its result.
    pub(crate) fn join(self) -> Result<T, Error> {
        self.thread.join().unwrap_or(Err(Error::Thread(self.name)))
    }
}
