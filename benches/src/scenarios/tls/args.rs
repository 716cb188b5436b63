use clap::Args;

use crate::arguments::parse_connections;
use crate::error::Error;
use crate::idle::IdleMode;
use crate::output::FileArgs;
use crate::scenario::Plan;

/// Measure what TLS adds to round trips, to opening a connection, and to its memory
///
/// The engine is at both ends, alternately without TLS and with it. The server has a process of
/// its own. Needs a build with `--features tls`. It takes less than a minute.
#[derive(Args, Debug)]
pub(crate) struct TlsArgs {
    /// Connections that are held open, to measure the memory of each
    #[arg(short = 'c', long, default_value = "2000", value_name = "N")]
    #[arg(value_parser = parse_connections)]
    connections: usize,
    /// How the server waits while nothing is ready
    #[arg(long, value_enum, default_value = "adaptive", value_name = "MODE")]
    idle: IdleMode,
    /// Measure very briefly: a check that everything works, without meaningful figures
    #[arg(long, hide = true)]
    quick: bool,
    #[command(flatten)]
    pub(crate) files: FileArgs,
}

impl TlsArgs {
    #[cfg(not(feature = "tls"))]
    pub(crate) fn plan(&self) -> Result<Plan<'_>, Error> {
        Err(Error::without_tls())
    }

    #[cfg(feature = "tls")]
    pub(crate) fn plan(&self) -> Result<Plan<'_>, Error> {
        super::plan::plan(self.connections, self.idle, self.quick)
    }
}
