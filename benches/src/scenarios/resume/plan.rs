//! What `resume` measures, and under which conditions.

use std::time::Duration;

use super::args::ResumeArgs;
use super::measures::{self, OF_BYSTANDER, OF_CLIENTS, OF_DROPS, OF_REPLAY, OF_SERVER, OF_STORM};
use crate::contestants::{Contestant as _, Own};
use crate::error::Error;
use crate::machine::{self, CpuPair};
use crate::process::{Launch, Server};
use crate::results::{Bound, Figure, Role, To};
use crate::scenario::{ENGINE, Plan, Sample, Scenario, Timing};
use crate::servers::Implementation;
use crate::service::Service;

/// Open files that the program needs besides its connections.
const OTHER_FILES: u64 = 64;
/// What 100 replayed messages may cost the server, in nanoseconds.
const REPLAY_MAX: f64 = 20_000.0;
/// How often the cost of replays is measured.
const REPLAY_ROUNDS: usize = 9;

impl ResumeArgs {
    pub(crate) fn plan(&self) -> Result<Plan<'_>, Error> {
        let args = self.effective();
        let files = u64::from(args.clients) + OTHER_FILES;
        if machine::raise_file_limit(files) < files {
            let reason = format!("{files} open files are needed, and not so many are allowed");
            return Err(Error::Settings(reason));
        }
        let scenarios = match (args.storm, &args.socket_io) {
            (true, _) => vec![args.storm()],
            (false, None) => vec![args.drops(), args.replay()],
            (false, Some(_)) => vec![args.drops()],
        };
        let rounds = if args.quick { 1 } else { REPLAY_ROUNDS };
        Ok(Plan {
            title: "resuming",
            conditions: vec![args.setting()],
            timing: Timing { rounds, warm_up: Duration::ZERO, duration: args.time },
            repetition_max: Duration::ZERO,
            scenarios,
            notes: Vec::new(),
        })
    }

    fn setting(&self) -> String {
        let Self { clients, rate, size, topics, time, .. } = self;
        if self.storm {
            return format!(
                "{clients} clients resume 1 MiB of one history at once, over loopback; all output \
                 together may take 256 MiB"
            );
        }
        let (dropping, (round, away_max)) = (self.dropping(), self.round_and_away_max());
        format!(
            "{clients} clients, {rate} messages/s of {size} B to {topics} topics, for {time:?} \
             over loopback: in each round of {round:?}, about as many drops as clients within \
             {dropping:?}; each is away for up to {away_max:?}"
        )
    }

    fn drops(&self) -> Scenario<'static> {
        let figures = [&OF_CLIENTS[..], &OF_DROPS, &OF_SERVER].concat();
        self.scenario("drops", "dropped clients come back", figures, measures::drops).rounds(1)
    }

    fn replay(&self) -> Scenario<'static> {
        let (title, figures) = ("one client resumes", OF_REPLAY.to_vec());
        let replay = self.scenario("replay", title, figures, measures::replay);
        replay.target(&OF_REPLAY[0], To::Itself, Bound::AtMost(REPLAY_MAX))
    }

    fn storm(&self) -> Scenario<'static> {
        let figures = [&OF_STORM[..], &OF_CLIENTS, &OF_BYSTANDER].concat();
        self.scenario("storm", "all resume at once", figures, measures::storm).rounds(1)
    }

    /// A scenario with a server of its own in each round, or with the given one. The server and the
    /// clients have a CPU each, if there are two.
    fn scenario(
        &self,
        id: &'static str,
        title: &'static str,
        figures: Vec<Figure>,
        measure: fn(&Self, &Server) -> Result<Sample, Error>,
    ) -> Scenario<'static> {
        let (args, cpus) = (self.clone(), CpuPair::pick());
        let (name, role) = match &self.socket_io {
            Some(url) => (url.to_string(), Role::Peer),
            None => (ENGINE.to_owned(), Role::Engine),
        };
        Scenario::new(id, title, figures).entrant(name, role, move |_| {
            let server = match &args.socket_io {
                Some(url) => Launch::running(url).start()?,
                None => Own::new(Implementation::Eventwire)
                    .start(Service::Resume, cpus.map(|cpus| cpus.server))?,
            };
            let sample = machine::run_on(cpus.map(|cpus| cpus.load), || measure(&args, &server))?;
            let cpu = server.process().and_then(|process| process.cpu().time());
            server.stop()?;
            Ok(Sample { servers_cpu: cpu.unwrap_or_default(), ..sample })
        })
    }
}
