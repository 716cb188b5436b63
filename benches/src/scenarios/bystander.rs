//! How broadcasts delay a connection that takes no part in them.

use std::time::Duration;

use clap::Args;

use super::figures::{BYSTANDER_P50, BYSTANDER_P99, BYSTANDER_P999, rate, sample, server_cpu};
use super::loaded::load_and_stop;
use crate::arguments::{parse_broadcast_size, parse_connections};
use crate::contestants::{Contestant as _, Own};
use crate::error::Error;
use crate::idle::IdleMode;
use crate::load::{Latencies, Pace, Traffic};
use crate::machine::CpuPair;
use crate::output::FileArgs;
use crate::results::Role;
use crate::scenario::{ENGINE, Plan, Sample, Scenario, Timing};
use crate::servers::Implementation;
use crate::service::Service;

/// Payload bytes of the bystander's messages.
const ECHO_SIZE: usize = 128;
/// The entrant without broadcasts, to which the other one is put in relation.
const ALONE: &str = "without broadcasts";

/// Measure how broadcasts to many connections delay another connection
///
/// One connection measures round trips, alternately during broadcasts to all other connections and
/// without them. Checks that every subscriber gets every broadcast in order.
#[derive(Args, Debug)]
pub(crate) struct BystanderArgs {
    /// Subscribers
    #[arg(short = 'c', long = "connections", default_value = "10000", value_name = "N")]
    #[arg(value_parser = parse_connections)]
    subscribers: usize,
    /// Payload bytes of each broadcast
    #[arg(short, long, default_value = "128", value_name = "BYTES")]
    #[arg(value_parser = parse_broadcast_size)]
    size: usize,
    /// How the server waits while nothing is ready
    #[arg(long, value_enum, default_value = "adaptive", value_name = "MODE")]
    idle: IdleMode,
    #[command(flatten)]
    pub(crate) files: FileArgs,
    /// Measure very briefly: a check that everything works, without meaningful figures
    #[arg(long, hide = true)]
    quick: bool,
}

impl BystanderArgs {
    pub(crate) fn plan(&self) -> Result<Plan<'_>, Error> {
        let (rounds, warm_up, duration) = if self.quick { (1, 10, 50) } else { (5, 150, 1_000) };
        let cpus = CpuPair::pick();
        let (receivers, slow, publishers) = (self.subscribers, 0, 1);
        let pace = Pace::Closed { depth: 1 };
        let broadcasts = Traffic::Broadcast {
            receivers,
            slow,
            publishers,
            size: self.size,
            pace,
            bystander: true,
        };
        let alone = Traffic::Echo { connections: 1, size: ECHO_SIZE, pace };
        let figures = [
            BYSTANDER_P99,
            BYSTANDER_P50,
            BYSTANDER_P999,
            rate("deliveries/s"),
            server_cpu("CPU/delivery"),
        ];
        let scenario = Scenario::new("bystander", "bystander of broadcasts", figures)
            .base(ALONE)
            .entrant(ENGINE, Role::Engine, move |timing| {
                let server = self.launch(Service::Broadcast, cpus)?;
                load_and_stop(server, broadcasts, timing, cpus, false).map(|it| sample(&it))
            })
            .entrant(ALONE, Role::Mode, move |timing| {
                let server = self.launch(Service::Echo, cpus)?;
                let measured = load_and_stop(server, alone, timing, cpus, false)?;
                Ok(of_bystander(measured.latency))
            });
        Ok(Plan {
            title: "A bystander of broadcasts",
            conditions: vec![format!(
                "{receivers} subscribers, broadcasts of {} B one after the other; round trips of \
                 {ECHO_SIZE} B on another connection, between which the subscribers read",
                self.size
            )],
            timing: Timing {
                rounds,
                warm_up: Duration::from_millis(warm_up),
                duration: Duration::from_millis(duration),
            },
            repetition_max: Duration::ZERO,
            scenarios: vec![scenario],
            notes: Vec::new(),
        })
    }

    fn launch(
        &self,
        service: Service,
        cpus: Option<CpuPair>,
    ) -> Result<crate::process::Server, Error> {
        let engine = Own::new(Implementation::Eventwire).idle(self.idle);
        engine.start(service, cpus.map(|cpus| cpus.server))
    }
}

fn of_bystander(latency: Latencies) -> Sample {
    let figures = [(&BYSTANDER_P50, 0.5), (&BYSTANDER_P99, 0.99), (&BYSTANDER_P999, 0.999)];
    Sample::default().percentiles(&latency, &figures).plot(latency)
}
