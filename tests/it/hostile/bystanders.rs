//! A hundred clients that do nothing wrong.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use eventwire::CloseCode;
use eventwire::proto::OpCode;

use crate::util::{PATIENCE, Peer, Target};

/// How many there are.
pub(super) const COUNT: usize = 100;

/// Between two rounds: they are there, and leave the processor to others.
const PACE: Duration = Duration::from_millis(4);

/// Between two looks whether they are still there.
const LOOK: Duration = Duration::from_millis(100);

/// How often each of them has received its echo.
#[derive(Debug, Default)]
struct Rounds {
    done: Mutex<u64>,
    more: Condvar,
}

/// Clients on a thread of their own. In each round each of them sends a message and then receives
/// its echo: if one is lost, out of order or late beyond all patience, or a connection ends, the
/// thread panics.
#[derive(Debug)]
pub(super) struct Bystanders {
    rounds: Arc<Rounds>,
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Bystanders {
    pub(super) fn start(target: Target) -> Self {
        let rounds = Arc::new(Rounds::default());
        let (stop, stopped) = channel();
        let done = Arc::clone(&rounds);
        let thread = thread::spawn(move || {
            let mut peers: Vec<_> = (0..COUNT).map(|_| Peer::connect(target)).collect();
            run(&mut peers, &done, &stopped);
            for peer in &mut peers {
                peer.send_close(CloseCode::NORMAL.get(), "");
            }
            for peer in &mut peers {
                assert_eq!(next(peer).0, OpCode::Close);
                peer.expect_end();
            }
        });
        let bystanders = Self { rounds, stop, thread };
        bystanders.progress(2);
        bystanders
    }

    /// Waits until every bystander has made `rounds` more round trips.
    #[track_caller]
    pub(super) fn progress(&self, rounds: u64) {
        let start = Instant::now();
        let mut done = self.rounds.done.lock().expect("the number of rounds");
        // The present round may have begun before this call.
        let goal = *done + rounds + 1;
        while *done < goal {
            assert!(!self.thread.is_finished(), "bystanders were harmed");
            assert!(start.elapsed() < PATIENCE, "bystanders make no progress");
            done = self.rounds.more.wait_timeout(done, LOOK).expect("the number of rounds").0;
        }
    }

    /// Ends them in order.
    pub(super) fn finish(self) {
        drop(self.stop);
        if let Err(panic) = self.thread.join() {
            std::panic::resume_unwind(panic);
        }
    }
}

fn run(peers: &mut [Peer], rounds: &Rounds, stopped: &Receiver<()>) {
    for round in 0.. {
        if stopped.recv_timeout(PACE) != Err(RecvTimeoutError::Timeout) {
            return;
        }
        for (number, peer) in peers.iter_mut().enumerate() {
            peer.send(&message(number, round));
        }
        for (number, peer) in peers.iter_mut().enumerate() {
            assert_eq!(next(peer), (OpCode::Text, message(number, round).into_bytes()));
        }
        *rounds.done.lock().expect("the number of rounds") = round + 1;
        rounds.more.notify_all();
    }
}

fn message(number: usize, round: u64) -> String {
    format!("round {round} of bystander {number}")
}

/// The next frame that is no ping; those are answered.
fn next(peer: &mut Peer) -> (OpCode, Vec<u8>) {
    loop {
        let frame = peer.frame();
        if frame.opcode != OpCode::Ping {
            return (frame.opcode, frame.payload);
        }
        peer.send_frame(true, OpCode::Pong, &frame.payload);
    }
}
