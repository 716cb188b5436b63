//! The command line of jobs.

use std::path::PathBuf;

use clap::Args;

use crate::cli::FileArgs;

#[derive(Args, Debug)]
pub(crate) struct JobsArgs {
    /// Write the figures to FILE as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Measure very briefly: a check that everything works, without meaningful figures
    #[arg(long, hide = true)]
    pub(crate) quick: bool,
}

impl JobsArgs {
    pub(crate) fn files(&self) -> FileArgs {
        FileArgs { json: self.json.clone(), html: None }
    }
}
