//! Runs this program again under callgrind.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::{env, fs};

/// The functions whose instructions count, with those of all that they call.
const COUNTED: &str = "--toggle-collect=*Server::counted_*";

pub(crate) fn is_there() -> bool {
    let mut version = Command::new("valgrind");
    version.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    version.status().is_ok_and(|status| status.success())
}

/// Instructions of the loop in `rounds` rounds of a workload.
pub(crate) fn count(workload: &str, rounds: usize) -> u64 {
    let program = env::current_exe().expect("this program has a path");
    let out = out_file();
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", COUNTED])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program)
        .args(["run", workload, &rounds.to_string()])
        .output()
        .expect("valgrind starts, as it did before");
    let failure = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{workload}: {failure}");
    let profile = fs::read_to_string(&out).expect("callgrind wrote its profile");
    fs::remove_file(&out).expect("the profile is ours");
    total(&profile).unwrap_or_else(|| panic!("{workload}: nothing was counted: {failure}"))
}

fn out_file() -> PathBuf {
    env::temp_dir().join(format!("eventwire-instructions-{}", std::process::id()))
}

fn total(profile: &str) -> Option<u64> {
    let line = profile.lines().find_map(|line| line.strip_prefix("totals: "))?;
    line.trim().parse().ok().filter(|&total| total > 0)
}
