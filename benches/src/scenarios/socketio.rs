use clap::Args;

use crate::error::Error;
use crate::output::FileArgs;
use crate::scenario::Plan;

#[derive(Args, Debug)]
pub(crate) struct SocketIoArgs {
    #[command(flatten)]
    pub(crate) files: FileArgs,
}

impl SocketIoArgs {
    pub(crate) fn plan(&self) -> Result<Plan<'_>, Error> {
        Err(Error::Settings("not there".to_owned()))
    }
}
