//! What is known of each socket: what it has to get, and what it has got.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use eventwire::socketio::{AskId, SocketId};

/// Something that was sent.
#[derive(Clone, Debug)]
pub(super) struct Emission {
    namespace: String,
    /// Rooms; none are all of the namespace.
    to: Vec<String>,
    except: Vec<String>,
    /// The life that does not get it.
    pub(super) skipped: Option<usize>,
    /// The only life that gets it.
    only: Option<usize>,
    pub(super) is_volatile: bool,
}

impl Emission {
    pub(super) fn to_many(
        namespace: &str,
        to: &[&str],
        except: &[&str],
        is_volatile: bool,
    ) -> Self {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let (to, except) = (owned(to), owned(except));
        let namespace = namespace.to_owned();
        Self { namespace, to, except, skipped: None, only: None, is_volatile }
    }

    pub(super) fn to_one(namespace: &str, life: usize, is_volatile: bool) -> Self {
        Self { only: Some(life), ..Self::to_many(namespace, &[], &[], is_volatile) }
    }
}

/// What becomes of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Live,
    /// It may be recovered until then.
    Away(Instant),
    Over,
}

/// A socket, from when it connects for the first time.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) id: SocketId,
    pub(super) client: usize,
    pub(super) visit: usize,
    namespace: String,
    pub(super) state: State,
    pub(super) rooms: BTreeSet<String>,
    /// The numbers of what it is to get, in order, and what of that its client has.
    pub(super) expected: Vec<u64>,
    pub(super) got: Vec<u64>,
    /// What it may get among these.
    pub(super) doubtful: Vec<u64>,
    /// What it may get besides, in order.
    pub(super) volatile: Vec<u64>,
    pub(super) last_volatile: Option<u64>,
    /// How many events its client has sent since it connected.
    pub(super) events: u64,
    pub(super) asks: BTreeSet<AskId>,
    /// It cannot be recovered any more.
    pub(super) is_void: bool,
}

impl Life {
    pub(super) fn new(id: SocketId, (client, visit): (usize, usize), namespace: &str) -> Self {
        Self {
            id,
            client,
            visit,
            namespace: namespace.to_owned(),
            state: State::Live,
            rooms: BTreeSet::new(),
            expected: Vec::new(),
            got: Vec::new(),
            doubtful: Vec::new(),
            volatile: Vec::new(),
            last_volatile: None,
            events: 0,
            asks: BTreeSet::new(),
            is_void: false,
        }
    }

    /// Whether it is to get something, as the life with this index.
    pub(super) fn is_meant(&self, index: usize, emission: &Emission) -> bool {
        let is_in = |room: &String| self.rooms.contains(room) || *room == self.id.to_string();
        let Emission { namespace, to, except, skipped, only, .. } = emission;
        *namespace == self.namespace
            && only.is_none_or(|only| only == index)
            && *skipped != Some(index)
            && (to.is_empty() || to.iter().any(is_in))
            && !except.iter().any(is_in)
    }

    /// Its client has got something.
    pub(super) fn get(&mut self, number: u64, is_volatile: bool) {
        if is_volatile {
            assert!(self.volatile.contains(&number), "{number} was not for it: {self:?}");
            assert!(self.last_volatile < Some(number), "{number} came twice or late: {self:?}");
            self.last_volatile = Some(number);
            return;
        }
        let next = self.got.len();
        if self.doubtful.contains(&number) && self.expected.get(next) != Some(&number) {
            assert!(self.got.last() < Some(&number), "{number} came twice or late: {self:?}");
            self.expected.insert(next, number);
        }
        let next = self.expected.get(next);
        assert_eq!(next, Some(&number), "something is missing, or came twice: {self:?}");
        self.got.push(number);
    }
}

/// How often something happened.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcomes(BTreeMap<&'static str, u64>);

/// What has to happen in some run.
const OUTCOMES: [&str; 19] = [
    "broadcasts",
    "asked",
    "answered",
    "attachments",
    "denied",
    "recovered",
    "replayed",
    "refused",
    "late",
    "forgotten",
    "disconnected",
    "silent",
    "overflowed",
    "upgraded",
    "abandoned before the probe",
    "abandoned before its answer",
    "abandoned after its answer",
    "acknowledged",
    "complete",
];

impl Outcomes {
    pub(super) const NONE: Self = Self(BTreeMap::new());

    pub(super) fn count(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    pub(super) fn add(&mut self, other: &Self) {
        other.0.iter().for_each(|(what, count)| *self.0.entry(what).or_default() += count);
    }

    pub(super) fn total(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or_default()
    }

    /// What never happened.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        OUTCOMES.into_iter().filter(|what| !self.0.contains_key(what)).collect()
    }
}
