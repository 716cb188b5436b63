//! Runs this program again under callgrind.

use std::process::Command;
use std::{env, fs};

/// The functions whose instructions count, with those of all that they call.
const COUNTED: &str = "--toggle-collect=*Server::counted_*";

pub(crate) fn is_there() -> bool {
    let version = Command::new("valgrind").arg("--version").output();
    version.is_ok_and(|output| output.status.success())
}

/// Instructions of the loop in `rounds` rounds of a workload.
pub(crate) fn count(workload: &str, rounds: usize) -> u64 {
    let out = env::temp_dir().join(format!("eventwire-instructions-{}", std::process::id()));
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", COUNTED])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(env::current_exe().expect("this program has a path"))
        .args(["run", workload, &rounds.to_string()])
        .output()
        .expect("valgrind starts, as it did before");
    let failure = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{workload}: {failure}");
    let profile = fs::read_to_string(&out).expect("callgrind wrote its profile");
    fs::remove_file(&out).expect("the profile is ours");
    total(&profile).unwrap_or_else(|| panic!("{workload}: nothing was counted: {failure}"))
}

fn total(profile: &str) -> Option<u64> {
    let line = profile.lines().find_map(|line| line.strip_prefix("totals: "))?;
    line.trim().parse().ok().filter(|&total| total > 0)
}
