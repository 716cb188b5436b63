//! Slow readers, all on one thread, that record the age of the values they get.

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use eventwire::Stats;

use super::server::Server;
use super::{KEY_LEN, KeyedArgs, Observed, Update, frame};
use crate::error::Error;
use crate::freshness::{SMALL, dial};
use crate::load::{Latencies, no_latencies};

/// The pause between two rounds of reads.
const PAUSE: Duration = Duration::from_millis(10);

/// If the server sends a reader nothing for this long, it has failed.
const PATIENCE: Duration = Duration::from_secs(5);

/// All readers.
pub(super) struct Readers<'a> {
    args: &'a KeyedArgs,
    server: &'a Server,
    start: Instant,
    readers: Vec<Reader>,
    age: Latencies,
    received: u64,
    bytes: u64,
    /// The numbers of the first recorded update and of the newest one.
    first: Option<u64>,
    newest: u64,
}

struct Reader {
    stream: TcpStream,
    /// Input that is not a whole frame.
    input: Vec<u8>,
    taken: u64,
    /// When something was read last.
    last: Instant,
    /// The keys that it has got, as bits.
    keys: Vec<u64>,
}

impl<'a> Readers<'a> {
    pub(super) fn connect(
        args: &'a KeyedArgs,
        server: &'a Server,
        start: Instant,
    ) -> Result<Self, Error> {
        let words = args.keys.div_ceil(64) as usize;
        let reader = |_| {
            let stream = dial(server.address, Some(SMALL))?;
            stream.set_nonblocking(true)?;
            let (input, last) = (Vec::new(), Instant::now());
            Ok(Reader { stream, input, taken: 0, last, keys: vec![0; words] })
        };
        let readers = (0..args.readers).map(reader).collect::<std::io::Result<Vec<_>>>();
        let readers = readers.map_err(Error::system("cannot connect"))?;
        let age = no_latencies();
        Ok(Self {
            args,
            server,
            start,
            readers,
            age,
            received: 0,
            bytes: 0,
            first: None,
            newest: 0,
        })
    }

    /// Reads as fast as the rate allows. What comes in the first third of the time is not recorded.
    pub(super) fn run(mut self) -> Result<Observed, Error> {
        let (begin, time) = (Instant::now(), self.args.time);
        let (warm, end) = (begin + time / 3, begin + time);
        let mut before: Option<(Instant, Stats, Option<Duration>)> = None;
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let now = Instant::now();
            if now >= end {
                break;
            }
            let due = ((now - begin).as_secs_f64() * self.args.reader as f64) as u64;
            for index in 0..self.readers.len() {
                self.read(index, due, &mut buffer, before.is_some())?;
            }
            if before.is_none() && now >= warm {
                before = Some((Instant::now(), self.server.handle.stats(), self.server.cpu.time()));
            }
            thread::sleep(PAUSE.saturating_sub(now.elapsed()));
        }
        let Some((since, stats, cpu)) = before else {
            return Err(Error::Events("the time was too short".to_owned()));
        };
        let after = self.server.handle.stats();
        let turns = after.turn_time.since(&stats.turn_time);
        let keys = |reader: &Reader| reader.keys.iter().map(|it| u64::from(it.count_ones())).sum();
        Ok(Observed {
            keys_min: self.readers.iter().map(keys).min().unwrap_or(0),
            cpu: self.server.cpu.time().zip(cpu).map(|(after, before)| after - before),
            age: self.age,
            received: self.received,
            bytes: self.bytes,
            time: since.elapsed(),
            updates: self.newest.saturating_sub(self.first.unwrap_or(self.newest)),
            longest_turn: turns.percentile(100.0),
            turn_p99: turns.percentile(99.0),
        })
    }

    /// Reads what one reader may have read by now.
    fn read(
        &mut self,
        index: usize,
        due: u64,
        buffer: &mut [u8],
        is_warm: bool,
    ) -> Result<(), Error> {
        let reader = &mut self.readers[index];
        // One that finds nothing does not catch up later.
        reader.taken = reader.taken.max(due.saturating_sub(self.args.reader / 10));
        while reader.taken < due {
            let room = ((due - reader.taken) as usize).min(buffer.len());
            match reader.stream.read(&mut buffer[..room]) {
                Ok(0) => return Err(Error::Events("the server has closed".to_owned())),
                Ok(count) => {
                    reader.taken += count as u64;
                    reader.last = Instant::now();
                    reader.input.extend_from_slice(&buffer[..count]);
                    self.bytes += if is_warm { count as u64 } else { 0 };
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::system("cannot read")(error)),
            }
        }
        if reader.last.elapsed() > PATIENCE {
            let seconds = PATIENCE.as_secs();
            return Err(Error::Events(format!("a reader got nothing for {seconds} s")));
        }
        self.note(index, is_warm);
        Ok(())
    }

    /// Takes the whole frames out of a reader's input.
    fn note(&mut self, index: usize, is_warm: bool) {
        let age = self.start.elapsed().as_nanos() as u64;
        let reader = &mut self.readers[index];
        let mut at = 0;
        while let Some((payload, len)) = frame(&reader.input[at..]) {
            at += len;
            let key = payload.get(Update::LEN..Update::LEN + KEY_LEN);
            let key = key.and_then(|key| std::str::from_utf8(key).ok()?.parse::<usize>().ok());
            let (Some(update), Some(key)) = (Update::read(payload), key) else {
                continue;
            };
            if is_warm {
                self.age.saturating_record(age.saturating_sub(update.made));
                self.received += 1;
                self.first.get_or_insert(update.number);
                self.newest = self.newest.max(update.number);
                if let Some(word) = reader.keys.get_mut(key / 64) {
                    *word |= 1 << (key % 64);
                }
            }
        }
        reader.input.drain(..at);
    }
}
