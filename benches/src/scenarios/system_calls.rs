//! Counts a server's system calls with perf, which starts the server.

use std::path::PathBuf;
use std::process::Command;
use std::{env, fs, process};

use crate::error::Error;

/// Counts a server's system calls, from its start to its end.
#[derive(Debug)]
pub(crate) struct Counter {
    /// Where perf writes the sum.
    file: PathBuf,
}

impl Counter {
    pub(crate) fn new() -> Self {
        let name = format!("eventwire-bench-{}.system-calls", process::id());
        Self { file: env::temp_dir().join(name) }
    }

    /// A command that starts the program behind it and counts its calls.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new("perf");
        command.args(["stat", "-x,", "-e", "raw_syscalls:sys_enter", "-o"]);
        command.arg(&self.file).arg("--");
        command
    }

    /// The number of calls, once the server has ended.
    pub(crate) fn sum(&self) -> Result<u64, Error> {
        let text = fs::read_to_string(&self.file)
            .map_err(Error::system("cannot read the number of system calls"))?;
        counted(&text).ok_or_else(|| {
            Error::Settings("perf could not count system calls: it needs permission".to_owned())
        })
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        // The file may not exist.
        let _ = fs::remove_file(&self.file);
    }
}

/// The first field of the line that is not a comment. It is `<not counted>` if nothing was counted.
fn counted(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| !line.is_empty() && !line.starts_with('#'))?;
    line.split(',').next()?.parse().ok()
}
