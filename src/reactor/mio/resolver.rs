//! Names are looked up by a few threads, which wait for the system's resolver instead of the loop.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::super::ResolveDone;
use super::super::lookup::{Interest, Lookup};

/// Names that are looked up at once, each by a thread. A resolver whose servers are down holds a
/// thread for some tens of seconds.
const THREADS: usize = 4;

/// Names that wait for a thread.
const WAITING: usize = 1024;

/// A host and a port.
type Name = (String, u16);

type LookUp = Box<dyn Fn(&Name) -> io::Result<Vec<SocketAddr>> + Send + Sync>;
type Spawn = Box<dyn Fn(Box<dyn FnOnce() + Send>) -> io::Result<()> + Send + Sync>;

/// Looks names up, one that several ask for once for all of them. Its threads are made when they
/// are needed, and end once this is dropped: an idle one at once, and one that waits for the system
/// as soon as that answers.
pub(super) struct Resolver {
    shared: Arc<Shared>,
    spawn: Spawn,
}

struct Shared {
    names: Mutex<Names>,
    /// Names wait, or the end has come.
    changed: Condvar,
    look_up: LookUp,
}

#[derive(Default)]
struct Names {
    /// Names that no thread has taken yet.
    waiting: VecDeque<Name>,
    /// Who asked, for every name that waits or is being looked up.
    asked: BTreeMap<Name, Askers>,
    threads: usize,
    /// Threads that wait for a name.
    idle: usize,
    ended: bool,
}

/// Those who asked for one name.
#[derive(Default)]
struct Askers {
    all: Vec<(Interest, ResolveDone)>,
    /// How many there were that wait yet when it was last looked.
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

    /// Looks a name up, and hands what came of it to `done` if anybody waits for it then.
    ///
    /// # Errors
    ///
    /// When too many names wait, or there can be no thread.
    pub(super) fn look_up(&self, host: &str, port: u16, done: ResolveDone) -> io::Result<Lookup> {
        let (name, lookup) = ((host.to_owned(), port), Lookup::new());
        let mut names = self.shared.lock();
        if !names.asked.contains_key(&name) {
            names.make_room()?;
            self.provide_thread(&mut names)?;
            names.waiting.push_back(name.clone());
            self.shared.changed.notify_one();
        }
        names.asked.entry(name).or_default().push(lookup.interest(), done);
        Ok(lookup)
    }

    /// Sees to it that there is a thread for one name more.
    fn provide_thread(&self, names: &mut Names) -> io::Result<()> {
        if names.waiting.len() < names.idle || names.threads == THREADS {
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        match (self.spawn)(Box::new(move || shared.serve())) {
            Ok(()) => names.threads += 1,
            // Those that are there take the name once they have time.
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
        let asked = std::mem::take(&mut names.asked);
        self.shared.changed.notify_all();
        drop(names);
        // What is done with addresses may hold anything, and is dropped without the lock.
        drop(asked);
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
        // Each change of it is whole before anything could panic.
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a thread does.
    fn serve(&self) {
        while let Some(name) = self.next() {
            let found = (self.look_up)(&name);
            let askers = self.lock().asked.remove(&name).unwrap_or_default();
            for (_, done) in askers.all.into_iter().filter(|(interest, _)| interest.is_there()) {
                done(copy(&found));
            }
        }
    }

    /// Waits for a name; `None` at the end.
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
    /// The next name that anybody waits for.
    fn pop(&mut self) -> Option<Name> {
        loop {
            let name = self.waiting.pop_front()?;
            if self.asked.get(&name).is_some_and(Askers::is_any_there) {
                return Some(name);
            }
            self.asked.remove(&name);
        }
    }

    /// # Errors
    ///
    /// When as many names wait as may, for each of which somebody waits.
    fn make_room(&mut self) -> io::Result<()> {
        if self.waiting.len() >= WAITING {
            let Self { waiting, asked, .. } = self;
            waiting.retain(|name| {
                let is_wanted = asked.get(name).is_some_and(Askers::is_any_there);
                if !is_wanted {
                    asked.remove(name);
                }
                is_wanted
            });
        }
        if self.waiting.len() >= WAITING {
            return Err(io::Error::other("too many names wait to be looked up"));
        }
        Ok(())
    }
}

impl Askers {
    fn push(&mut self, interest: Interest, done: ResolveDone) {
        if self.all.len() > 2 * self.counted {
            self.all.retain(|(interest, _)| interest.is_there());
            self.counted = self.all.len() + 1;
        }
        self.all.push((interest, done));
    }

    fn is_any_there(&self) -> bool {
        self.all.iter().any(|(interest, _)| interest.is_there())
    }
}

/// The same for each of several.
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
        told: Receiver<String>,
    }

    impl Bench {
        /// With up to so many threads.
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
            let (tell, told) = channel();
            Self { resolver, began, gate, threads, tell, told }
        }

        fn ask(&self, host: &str) -> io::Result<Lookup> {
            let (tell, asked) = (self.tell.clone(), host.to_owned());
            let done = Box::new(move |found: io::Result<_>| {
                assert_eq!(found.expect_err("none is found").kind(), io::ErrorKind::NotFound);
                tell.send(asked).expect("the test waits for it");
            });
            self.resolver.look_up(host, 80, done)
        }

        /// Asks for these, which all wait.
        fn ask_all(&self, hosts: impl Iterator<Item = String>) -> Vec<Lookup> {
            hosts.map(|host| self.ask(&host).expect("there is room")).collect()
        }

        /// Gives every thread a name.
        fn keep_busy(&self, threads: usize) -> Vec<Lookup> {
            let lookups = self.ask_all((0..threads).map(|name| format!("busy {name}")));
            (0..threads).for_each(|_| drop(self.began.recv().expect("it begins")));
            lookups
        }

        /// Opens the gate, ends after so many were told, and says which, and what was looked up.
        fn end(self, count: usize) -> (Vec<String>, Vec<String>, usize) {
            drop(self.gate);
            let told = (0..count).map(|_| self.told.recv().expect("somebody is told"));
            let mut told: Vec<_> = told.collect();
            drop(self.resolver);
            let threads = std::mem::take(&mut *self.threads.lock().expect("nothing panics"));
            let threads = threads.into_iter().map(|thread| thread.join().expect("no panic"));
            let threads = threads.count();
            told.extend(self.told.try_iter());
            told.sort();
            let mut names: Vec<_> = self.began.try_iter().map(|(host, _)| host).collect();
            names.sort();
            (told, names, threads)
        }
    }

    #[test]
    fn many_names_are_looked_up_by_few_threads() {
        let bench = Bench::new(usize::MAX);
        let lookups = bench.ask_all((0..300).map(|name| format!("{name:03}")));
        let (told, names, threads) = bench.end(lookups.len());
        assert_eq!((told.len(), names, threads), (300, told, THREADS));
    }

    #[test]
    fn one_name_is_looked_up_once_for_all_who_ask() {
        let bench = Bench::new(usize::MAX);
        let _busy = bench.keep_busy(THREADS);
        let lookups = bench.ask_all((0..100).map(|_| "same".to_owned()));
        let (told, names, _) = bench.end(THREADS + lookups.len());
        assert_eq!((told.len(), names), (THREADS + 100, vec!["same".to_owned()]));
    }

    #[test]
    fn too_many_names_are_an_error_and_those_that_nobody_waits_for_make_room() {
        let bench = Bench::new(usize::MAX);
        let _busy = bench.keep_busy(THREADS);
        let mut lookups = bench.ask_all((0..WAITING).map(|name| format!("{name:04}")));
        let error = bench.ask("late").expect_err("too many wait");
        assert_eq!(error.to_string(), "too many names wait to be looked up");
        lookups.push(bench.ask("0000").expect("it waits already"));
        lookups.drain(1..=WAITING);
        let _late = bench.ask("late").expect("there is room");
        let (told, names, _) = bench.end(THREADS + 2);
        assert_eq!(names, ["0000", "late"]);
        assert_eq!(told[..2], ["0000", "busy 0"]);
        assert_eq!(told.len(), THREADS + 2);
    }

    #[test]
    fn those_who_ask_for_a_name_that_hangs_and_give_up_leave_nothing() {
        let bench = Bench::new(usize::MAX);
        let _busy = bench.keep_busy(1);
        for _ in 0..10_000 {
            drop(bench.ask("busy 0").expect("it is looked up already"));
        }
        let askers = bench.resolver.shared.lock().asked.values().map(|it| it.all.len()).sum();
        assert!((1..10_usize).contains(&askers), "{askers}");
        assert_eq!(bench.end(1).0, ["busy 0"]);
    }

    #[test]
    fn without_a_thread_there_is_an_error_and_with_one_names_wait_for_it() {
        let bench = Bench::new(0);
        assert!(bench.ask("name").is_err());
        assert!(bench.resolver.shared.lock().asked.is_empty());
        assert_eq!(bench.end(0), (vec![], vec![], 0));
        let bench = Bench::new(1);
        let lookups = bench.ask_all((0..10).map(|name| name.to_string()));
        let (told, names, threads) = bench.end(lookups.len());
        assert_eq!((told.len(), names, threads), (10, told, 1));
    }

    #[test]
    fn threads_end_with_the_resolver_and_tell_nobody_then() {
        let bench = Bench::new(usize::MAX);
        let _lookups = (bench.keep_busy(2), bench.ask_all((0..9).map(|name| name.to_string())));
        let Bench { resolver, gate, threads, told, .. } = bench;
        drop((resolver, gate));
        let threads = std::mem::take(&mut *threads.lock().expect("nothing panics"));
        threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
        assert_eq!(told.try_iter().count(), 0);
    }
}
