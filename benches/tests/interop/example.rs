//! Runs an example of the library as a server.

use std::process::Command;

use super::program::Running;

/// Starts an example with these arguments, and returns the address that it listens on.
pub(super) fn serve(example: &str, arguments: &[&str]) -> (Running, String) {
    // `cargo test` builds the examples into a directory beside that of the tests.
    let test = std::env::current_exe().unwrap();
    let path = test.ancestors().nth(2).unwrap().join("examples").join(example);
    assert!(path.exists(), "{} is missing: `cargo build --examples` makes it", path.display());
    let (server, url) = Running::spawn(Command::new(path).args(arguments)).until_it_listens();
    let (_, address) = url.split_once("://").unwrap();
    (server, address.to_owned())
}
