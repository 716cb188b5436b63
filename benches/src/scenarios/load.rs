//! One load on any server: `echo` and `broadcast`.

use clap::Args;

use crate::error::Error;
use crate::output::FileArgs;
use crate::scenario::Plan;

#[derive(Args, Debug)]
pub(crate) struct EchoArgs {
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

#[derive(Args, Debug)]
pub(crate) struct BroadcastArgs {
    #[command(flatten)]
    pub(crate) load: LoadArgs,
}

#[derive(Args, Debug)]
pub(crate) struct LoadArgs {
    #[command(flatten)]
    pub(crate) files: FileArgs,
}

impl EchoArgs {
    pub(crate) fn plan(&self) -> Result<Plan<'_>, Error> {
        Err(Error::Settings("not there".to_owned()))
    }
}

impl BroadcastArgs {
    pub(crate) fn plan(&self) -> Result<Plan<'_>, Error> {
        Err(Error::Settings("not there".to_owned()))
    }
}
