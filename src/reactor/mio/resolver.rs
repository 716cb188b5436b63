//! Lookups of host names on a few threads, because the system's resolver blocks.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::super::ResolveDone;
use super::super::lookup::{Interest, Lookup};

/// The most threads, each of which looks up one name at a time. If its servers are down, the
/// system's resolver blocks a thread for some tens of seconds.
const THREADS_MAX: usize = 4;

/// The most names that wait for a thread.
const WAITING_NAMES_MAX: usize = 1024;

/// A host and a port.
type Name = (String, u16);

type LookUp = Box<dyn Fn(&Name) -> io::Result<Vec<SocketAddr>> + Send + Sync>;
type Spawn = Box<dyn Fn(Box<dyn FnOnce() + Send>) -> io::Result<()> + Send + Sync>;

/// Looks up names. Concurrent requests for one name share one lookup. Threads are created on
/// demand. When the resolver is dropped, idle threads end at once, and the others after the system
/// has answered.
pub(super) struct Resolver {
    shared: Arc<Shared>,
    spawn: Spawn,
}

struct Shared {
    names: Mutex<Names>,
    /// Signalled when a name waits and when the resolver was dropped.
    changed: Condvar,
    look_up: LookUp,
}

#[derive(Default)]
struct Names {
    /// Names that no thread has taken.
    waiting: VecDeque<Name>,
    /// The requests for each name that waits or is being looked up.
    requests: BTreeMap<Name, Requests>,
    threads: usize,
    /// Threads that wait for a name.
    idle: usize,
    ended: bool,
}

/// The requests for one name.
#[derive(Default)]
struct Requests {
    all: Vec<(Interest, ResolveDone)>,
    /// How many there were after cancelled ones were last removed.
    counted: usize,
}

impl Resolver {
    pub(super) fn new() -> Self {
        let spawn = |serve| {
            thread::Builder::new().name("eventwire-resolver".to_owned()).spawn(serve).map(drop)
        };
        let look_up =
            |(host, port): &Name| (host.as_str(), *port).to_socket_addrs().map(Iterator::collect);
        Self::with(Box::new(look_up), Box::new(spawn))
    }

    fn with(look_up: LookUp, spawn: Spawn) -> Self {
        let (names, changed) = (Mutex::default(), Condvar::new());
        Self { shared: Arc::new(Shared { names, changed, look_up }), spawn }
    }

    /// Looks up a name and passes the outcome to `done`, unless the lookup is cancelled before.
    ///
    /// # Errors
    ///
    /// If too many names wait, or no thread can be created.
    pub(super) fn look_up(&self, host: &str, port: u16, done: ResolveDone) -> io::Result<Lookup> {
        let (name, lookup) = ((host.to_owned(), port), Lookup::new());
        let mut names = self.shared.lock();
        if !names.requests.contains_key(&name) {
            names.make_room()?;
            self.provide_thread(&mut names)?;
            names.waiting.push_back(name.clone());
            self.shared.changed.notify_one();
        }
        names.requests.entry(name).or_default().push(lookup.interest(), done);
        Ok(lookup)
    }

    /// Ensures that there is a thread for one more name.
    fn provide_thread(&self, names: &mut Names) -> io::Result<()> {
        if names.waiting.len() < names.idle || names.threads == THREADS_MAX {
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        match (self.spawn)(Box::new(move || shared.serve())) {
            Ok(()) => names.threads += 1,
            // The existing threads take the name when they are free.
            Err(_) if names.threads > 0 => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        let mut names = self.shared.lock();
        names.ended = true;
        let requests = std::mem::take(&mut names.requests);
        self.shared.changed.notify_all();
        drop(names);
        // The closures may own anything: they are dropped without the lock.
        drop(requests);
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.shared.lock();
        f.debug_struct("Resolver")
            .field("threads", &names.threads)
            .field("waiting", &names.waiting.len())
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Names> {
        // Each change is complete before anything can panic.
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The work of a thread: looks up names until the end.
    fn serve(&self) {
        while let Some(name) = self.next() {
            let found = (self.look_up)(&name);
            let requests = self.lock().requests.remove(&name).unwrap_or_default();
            for (_, done) in requests.all.into_iter().filter(|(interest, _)| interest.is_there()) {
                done(copy(&found));
            }
        }
    }

    /// Waits for a name. Returns `None` when the resolver was dropped.
    fn next(&self) -> Option<Name> {
        let mut names = self.lock();
        loop {
            if names.ended {
                return None;
            }
            if let Some(name) = names.pop() {
                return Some(name);
            }
            names.idle += 1;
            names = self.changed.wait(names).unwrap_or_else(PoisonError::into_inner);
            names.idle -= 1;
        }
    }
}

impl Names {
    /// The next name with a request that was not cancelled.
    fn pop(&mut self) -> Option<Name> {
        loop {
            let name = self.waiting.pop_front()?;
            if self.requests.get(&name).is_some_and(Requests::is_any_live) {
                return Some(name);
            }
            self.requests.remove(&name);
        }
    }

    /// # Errors
    ///
    /// If the most names wait, and each has a request that was not cancelled.
    fn make_room(&mut self) -> io::Result<()> {
        if self.waiting.len() >= WAITING_NAMES_MAX {
            let Self { waiting, requests, .. } = self;
            waiting.retain(|name| {
                let is_wanted = requests.get(name).is_some_and(Requests::is_any_live);
                if !is_wanted {
                    requests.remove(name);
                }
                is_wanted
            });
        }
        if self.waiting.len() >= WAITING_NAMES_MAX {
            return Err(io::Error::other("too many host names wait to be looked up"));
        }
        Ok(())
    }
}

impl Requests {
    fn push(&mut self, interest: Interest, done: ResolveDone) {
        if self.all.len() > 2 * self.counted {
            self.all.retain(|(interest, _)| interest.is_there());
            self.counted = self.all.len() + 1;
        }
        self.all.push((interest, done));
    }

    fn is_any_live(&self) -> bool {
        self.all.iter().any(|(interest, _)| interest.is_there())
    }
}

/// A copy of the outcome: errors are not `Clone`.
fn copy(found: &io::Result<Vec<SocketAddr>>) -> io::Result<Vec<SocketAddr>> {
    match found {
        Ok(addresses) => Ok(addresses.clone()),
        Err(error) => Err(match error.raw_os_error() {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::new(error.kind(), error.to_string()),
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::thread::JoinHandle;

    use super::*;

    /// A resolver whose lookups say that they have begun, and end once the gate is open.
    struct Bench {
        resolver: Resolver,
        began: Receiver<Name>,
        gate: Sender<()>,
        threads: Arc<Mutex<Vec<JoinHandle<()>>>>,
        tell: Sender<String>,
        outcomes: Receiver<String>,
    }

    impl Bench {
        /// A bench whose resolver gets up to `most` threads.
        fn new(most: usize) -> Self {
            let (begin, began) = channel();
            let (gate, opened) = channel::<()>();
            let opened = Mutex::new(opened);
            let look_up = move |name: &Name| {
                // The test may have ended.
                let _ = begin.send(name.clone());
                // Fails once the gate is gone, which opens it for all.
                let _ = opened.lock().expect("nothing panics").recv();
                Err(io::ErrorKind::NotFound.into())
            };
            let threads: Arc<Mutex<Vec<_>>> = Arc::default();
            let spawned = Arc::clone(&threads);
            let spawn = move |serve| {
                let mut spawned = spawned.lock().expect("nothing panics");
                if spawned.len() == most {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                spawned.push(thread::spawn(serve));
                Ok(())
            };
            let resolver = Resolver::with(Box::new(look_up), Box::new(spawn));
            let (tell, outcomes) = channel();
            Self { resolver, began, gate, threads, tell, outcomes }
        }

        fn ask(&self, host: &str) -> io::Result<Lookup> {
            let (tell, asked) = (self.tell.clone(), host.to_owned());
            let done = Box::new(move |found: io::Result<_>| {
                assert_eq!(found.expect_err("none is found").kind(), io::ErrorKind::NotFound);
                tell.send(asked).expect("the test waits for it");
            });
            self.resolver.look_up(host, 80, done)
        }

        /// Requests all of these.
        fn ask_all(&self, hosts: impl Iterator<Item = String>) -> Vec<Lookup> {
            hosts.map(|host| self.ask(&host).expect("there is room")).collect()
        }

        /// Gives each thread a name.
        fn keep_busy(&self, threads: usize) -> Vec<Lookup> {
            let lookups = self.ask_all((0..threads).map(|name| format!("busy {name}")));
            (0..threads).for_each(|_| drop(self.began.recv().expect("it begins")));
            lookups
        }

        /// Opens the gate and ends after `count` requests were answered. Returns which they were,
        /// which names were looked up, and the number of threads.
        fn end(self, count: usize) -> (Vec<String>, Vec<String>, usize) {
            drop(self.gate);
            let outcomes = (0..count).map(|_| self.outcomes.recv().expect("an outcome"));
            let mut outcomes: Vec<_> = outcomes.collect();
            drop(self.resolver);
            let threads = std::mem::take(&mut *self.threads.lock().expect("nothing panics"));
            let threads = threads.into_iter().map(|thread| thread.join().expect("no panic"));
            let threads = threads.count();
            outcomes.extend(self.outcomes.try_iter());
            outcomes.sort();
            let mut names: Vec<_> = self.began.try_iter().map(|(host, _)| host).collect();
            names.sort();
            (outcomes, names, threads)
        }
    }

    #[test]
    fn many_names_are_looked_up_by_few_threads() {
        let bench = Bench::new(usize::MAX);
        let lookups = bench.ask_all((0..300).map(|name| format!("{name:03}")));
        let (outcomes, names, threads) = bench.end(lookups.len());
        assert_eq!((outcomes.len(), names, threads), (300, outcomes, THREADS_MAX));
    }

    #[test]
    fn one_name_is_looked_up_once_for_all_who_ask() {
        let bench = Bench::new(usize::MAX);
        let _busy = bench.keep_busy(THREADS_MAX);
        let lookups = bench.ask_all((0..100).map(|_| "same".to_owned()));
        let (outcomes, names, _) = bench.end(THREADS_MAX + lookups.len());
        assert_eq!((outcomes.len(), names), (THREADS_MAX + 100, vec!["same".to_owned()]));
    }

    #[test]
    fn too_many_names_are_an_error_and_those_that_nobody_waits_for_make_room() {
        let bench = Bench::new(usize::MAX);
        let _busy = bench.keep_busy(THREADS_MAX);
        let mut lookups = bench.ask_all((0..WAITING_NAMES_MAX).map(|name| format!("{name:04}")));
        let error = bench.ask("late").expect_err("too many wait");
        assert_eq!(error.to_string(), "too many host names wait to be looked up");
        lookups.push(bench.ask("0000").expect("it waits already"));
        lookups.drain(1..=WAITING_NAMES_MAX);
        let _late = bench.ask("late").expect("there is room");
        let (outcomes, names, _) = bench.end(THREADS_MAX + 2);
        assert_eq!(names, ["0000", "late"]);
        assert_eq!(outcomes[..2], ["0000", "busy 0"]);
        assert_eq!(outcomes.len(), THREADS_MAX + 2);
    }

    #[test]
    fn those_who_ask_for_a_name_that_hangs_and_give_up_leave_nothing() {
        let bench = Bench::new(usize::MAX);
        let _busy = bench.keep_busy(1);
        for _ in 0..10_000 {
            drop(bench.ask("busy 0").expect("it is looked up already"));
        }
        let requests = bench.resolver.shared.lock().requests.values().map(|it| it.all.len()).sum();
        assert!((1..10_usize).contains(&requests), "{requests}");
        assert_eq!(bench.end(1).0, ["busy 0"]);
    }

    #[test]
    fn without_a_thread_there_is_an_error_and_with_one_names_wait_for_it() {
        let bench = Bench::new(0);
        assert!(bench.ask("name").is_err());
        assert!(bench.resolver.shared.lock().requests.is_empty());
        assert_eq!(bench.end(0), (vec![], vec![], 0));
        let bench = Bench::new(1);
        let lookups = bench.ask_all((0..10).map(|name| name.to_string()));
        let (outcomes, names, threads) = bench.end(lookups.len());
        assert_eq!((outcomes.len(), names, threads), (10, outcomes, 1));
    }

    #[test]
    fn threads_end_with_the_resolver_and_tell_nobody_then() {
        let bench = Bench::new(usize::MAX);
        let _lookups = (bench.keep_busy(2), bench.ask_all((0..9).map(|name| name.to_string())));
        let Bench { resolver, gate, threads, outcomes, .. } = bench;
        drop((resolver, gate));
        let threads = std::mem::take(&mut *threads.lock().expect("nothing panics"));
        threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
        assert_eq!(outcomes.try_iter().count(), 0);
    }
}
