//! Clients behind proxies and before redirects, of which some are bad: every connection has one
//! outcome, the right one where the network loses nothing, and leaves nothing behind.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use eventwire::proto::handshake::{Acceptance, UpgradeRequest};
use eventwire::proto::http::HeadLimits;
use eventwire::reactor::SimReactor;
use eventwire::reactor::sim::{Choices, Fault, PeerId, SimConfig};
use eventwire::{
    BodyEnd, ClientConfig, Config, ConnectError, Connection, HttpProxy, RedirectError, Refused,
    UpgradeResponse, WebSocketHandler,
};

use super::rig::{Notes, Rig};
use super::script::SERVERS;
use crate::shared::Random;

const SEEDS: u64 = 400;

/// What one end on the way of a connection does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Manner {
    /// A proxy opens the tunnel, a server the WebSocket.
    Good,
    Refuses,
    /// Refuses with a body that never ends.
    Pours,
    /// Refuses with a body that stops half-way.
    Stalls,
    Silent,
    HangsUp,
    Babbles,
    /// A server redirects this many times, to itself.
    Redirects(u8),
}

/// One connection: what is on its way, and how many redirects it follows.
#[derive(Clone, Copy, Debug)]
struct Plan {
    proxy: Option<Manner>,
    server: Manner,
    redirects: u8,
}

impl Plan {
    fn random(random: &mut Random) -> Self {
        use Manner::{Babbles, Good, HangsUp, Pours, Redirects, Refuses, Silent, Stalls};
        let bad = [Refuses, Pours, Stalls, Silent, HangsUp, Babbles];
        let proxy = random.percent(50).then(|| match random.percent(60) {
            true => Good,
            false => random.pick(&bad),
        });
        let server = match random.below(3) {
            0 => Good,
            1 => Redirects(random.pick(&[1, 2, 3, u8::MAX])),
            _ => random.pick(&bad),
        };
        Self { proxy, server, redirects: random.pick(&[0, 1, 3]) }
    }

    /// The outcome where the network loses nothing.
    fn outcome(self) -> &'static str {
        match (self.proxy, self.server) {
            (Some(Manner::Refuses), _) => "proxy 403 Complete",
            (Some(Manner::Pours), _) => "proxy 403 Truncated",
            (Some(Manner::Stalls), _) => "proxy 403 CutShort",
            (Some(Manner::HangsUp | Manner::Babbles), _) => "handshake",
            (Some(Manner::Silent), _) | (_, Manner::Silent) => "timed out",
            (_, Manner::HangsUp | Manner::Babbles) => "handshake",
            (_, Manner::Good) => "open",
            (_, Manner::Refuses) => "server 403 Complete",
            (_, Manner::Pours) => "server 403 Truncated",
            (_, Manner::Stalls) => "server 403 CutShort",
            (_, Manner::Redirects(_)) if self.redirects == 0 => "server 302 Complete",
            (_, Manner::Redirects(count)) if count <= self.redirects => "open",
            (_, Manner::Redirects(_)) => "too many redirects",
        }
    }
}

/// Notes what becomes of a connection.
struct Outcomes(Notes<(usize, String)>, usize);

impl Outcomes {
    fn note(&self, what: impl Into<String>) {
        self.0.borrow_mut().push((self.1, what.into()));
    }
}

impl WebSocketHandler<()> for Outcomes {
    fn on_response(&mut self, conn: &mut Connection<'_>, _: &UpgradeResponse<'_>, _: &mut ()) {
        assert!(!conn.is_open());
        self.note("response");
    }

    fn on_open(&mut self, _: &mut Connection<'_>, _: &mut ()) {
        self.note("open");
    }

    fn on_connect_error(&mut self, _: &mut Connection<'_>, error: &ConnectError, _: &mut ()) {
        let refusal = |refused: &Refused| {
            let end = match refused.body_end() {
                BodyEnd::Malformed(error) => panic!("{error}"),
                end => format!("{end:?}"),
            };
            assert!(refused.body().len() <= Refused::BODY_BYTES_MAX);
            format!("{} {end}", refused.status())
        };
        self.note(match error {
            ConnectError::Refused(refused) => format!("server {}", refusal(refused)),
            ConnectError::Proxy(refused) => format!("proxy {}", refusal(refused)),
            ConnectError::Redirect(RedirectError::TooMany { .. }) => "too many redirects".into(),
            ConnectError::Handshake(_) => "handshake".into(),
            ConnectError::TimedOut => "timed out".into(),
            ConnectError::Io(error) => format!("lost: {error}"),
            other => panic!("{other}"),
        });
    }
}

/// The far end of one stream.
struct Far {
    id: PeerId,
    input: Vec<u8>,
    /// Nothing more is said.
    is_done: bool,
}

impl Far {
    /// Acts on what has come.
    fn act(&mut self, plans: &[Plan], sim: &mut SimReactor) {
        self.input.extend(sim.peer_received(self.id));
        while let Some(end) = self.input.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let head: Vec<u8> = self.input.drain(..end + 4).collect();
            if !self.is_done {
                self.answer(&String::from_utf8(head).expect("text"), plans, sim);
            }
        }
    }

    fn answer(&mut self, head: &str, plans: &[Plan], sim: &mut SimReactor) {
        if let Some(host) = head.strip_prefix("CONNECT h") {
            let number = host.split('.').next().expect("a number");
            let plan = plans[number.parse::<usize>().expect("a number")];
            let manner = plan.proxy.expect("nobody else asks a proxy");
            return self.say(manner, "HTTP/1.1 200 OK\r\n\r\n", sim);
        }
        // The path: which connection, and which redirect.
        let path = head.split(' ').nth(1).expect("a target");
        let mut numbers = path.split('/').skip(1).map(|it| it.parse::<u8>().expect("a number"));
        let (conn, step) = (numbers.next().expect("a number"), numbers.next().unwrap_or(0));
        match plans[usize::from(conn)].server {
            Manner::Redirects(count) if step < count => {
                let head = format!(
                    "HTTP/1.1 302 \r\nLocation: /{conn}/./{}\r\nContent-Length: 0\r\n\r\n",
                    step + 1
                );
                self.say(Manner::Good, &head, sim);
            }
            Manner::Good | Manner::Redirects(_) => {
                let limits = HeadLimits::default();
                let request = UpgradeRequest::parse(head.as_bytes(), &limits).expect("a request");
                let mut out = Vec::new();
                Acceptance::new().write(&request.key(), &mut out);
                sim.peer_send(self.id, &out);
            }
            manner => self.say(manner, "", sim),
        }
    }

    fn say(&mut self, manner: Manner, good: &str, sim: &mut SimReactor) {
        self.is_done = manner != Manner::Good;
        match manner {
            Manner::Good | Manner::Redirects(_) => sim.peer_send(self.id, good.as_bytes()),
            Manner::Refuses => {
                let answer = b"HTTP/1.1 403 \r\nTransfer-Encoding: chunked\r\n\r\n\
                    2;a\r\nno\r\n0\r\n\r\n";
                sim.peer_send(self.id, answer);
            }
            Manner::Pours => {
                sim.peer_send(self.id, b"HTTP/1.1 403 \r\n\r\n");
                sim.peer_send(self.id, &[b'x'; 3 * Refused::BODY_BYTES_MAX]);
            }
            Manner::Stalls => {
                sim.peer_send(self.id, b"HTTP/1.1 403 \r\nContent-Length: 5\r\n\r\nno");
            }
            Manner::Silent => {}
            Manner::HangsUp => sim.peer_close(self.id),
            Manner::Babbles => sim.peer_send(self.id, b"220 mail.example ESMTP\r\n\r\n"),
        }
    }
}

/// Connects by these plans, until every connection has an outcome. Returns what was noted.
fn run(rig: &mut Rig, plans: &[Plan]) -> Vec<(usize, String)> {
    let servers = rig.sim().peer_listen(SERVERS).expect("nobody else listens there");
    let notes = Notes::default();
    for (number, plan) in plans.iter().enumerate() {
        let config = config(plan, servers);
        let url = format!("ws://h{number}.example/{number}");
        let handler = Outcomes(Rc::clone(&notes), number);
        rig.event_loop.connect(&url, config, handler).expect("begin to connect");
    }
    let mut far: Vec<Far> = Vec::new();
    // Longer than any handshake may take.
    for _ in 0..3_000 {
        rig.run(5);
        while let Some(id) = rig.sim().peer_accept(servers) {
            far.push(Far { id, input: Vec::new(), is_done: false });
        }
        far.iter_mut().for_each(|far| far.act(plans, rig.sim()));
    }
    far.iter().for_each(|far| rig.sim().peer_drop(far.id));
    RefCell::take(&notes)
}

fn config(plan: &Plan, servers: SocketAddr) -> ClientConfig {
    let config = ClientConfig::default().address(servers).redirects(plan.redirects);
    match plan.proxy {
        Some(_) => config.proxy(HttpProxy::new("http://proxy.example").expect("a proxy")),
        None => config,
    }
}

fn network(random: &mut Random, is_lossless: bool) -> SimConfig {
    if !is_lossless {
        return SimConfig::default();
    }
    let calm = SimConfig::calm().window(random.pick(&[900, 65_536]));
    match random.below(4) {
        0 => calm.chance(Fault::Pieces, 600_000).chance(Fault::ShortRecv, 400_000),
        1 => calm.chance(Fault::WouldBlock, 300_000).chance(Fault::ShortSend, 300_000),
        2 => calm.chance(Fault::Spurious, 300_000).chance(Fault::Stale, 300_000),
        _ => calm.chance(Fault::Interrupted, 300_000).chance(Fault::Delayed, 300_000),
    }
}

fn check(seed: u64) {
    let mut random = Random::new(seed);
    let is_lossless = random.percent(70);
    let sim = network(&mut random, is_lossless);
    let plans: Vec<_> = (0..random.between(1, 6)).map(|_| Plan::random(&mut random)).collect();
    let choices = Choices::from_seed(seed);
    let mut rig = Rig::with_choices(choices, sim, Config::default(), |_, _| {});
    let descriptors = rig.sim().open_descriptors();
    let notes = run(&mut rig, &plans);
    for (number, plan) in plans.iter().enumerate() {
        let of_it = notes.iter().filter(|(conn, _)| *conn == number);
        let seen: Vec<_> = of_it.map(|(_, what)| what.as_str()).collect();
        let expected = plan.outcome();
        match (is_lossless, &seen[..]) {
            (_, ["response", "open"]) => assert_eq!("open", expected, "seed {seed}: {plan:?}"),
            (true, [outcome]) => assert_eq!(*outcome, expected, "seed {seed}: {plan:?}"),
            (false, [outcome]) => assert_ne!(*outcome, "open"),
            _ => panic!("seed {seed}: {plan:?} has the outcome {seen:?}"),
        }
    }
    rig.sim().set_config(SimConfig::calm());
    rig.run(300_000);
    // The listener of the scripted ends has come; all else is closed.
    assert_eq!(rig.event_loop.connections(), 0, "seed {seed}");
    assert_eq!(rig.sim().open_descriptors(), descriptors, "seed {seed}");
}

/// Invariant: a connection opens only where proxy and server are good, and every other one has the
/// error that says why.
#[test]
fn every_connection_has_the_outcome_that_its_proxy_and_its_server_give_it() {
    let only = std::env::var("EVENTWIRE_SEED").ok().map(|seed| seed.parse().expect("a number"));
    match only {
        Some(seed) => check(seed),
        None => (0..SEEDS).for_each(check),
    }
}
