//! Prometheus' own parser, in Python's client of it.

use super::client::{clients, command, skip, succeeds};
use super::example;
use super::program::Running;

#[test]
fn prometheus_reads_the_numbers_of_a_loop() {
    if !succeeds(command(&["python3"]).args(["-c", "import prometheus_client"])) {
        return skip("Python's prometheus_client");
    }
    let (_server, address) = example::serve("chat", &["127.0.0.1:0"]);
    let mut reader = command(&["python3"]);
    reader.arg(clients().join("read_metrics.py")).arg(format!("http://{address}/metrics"));
    Running::spawn(&mut reader).finish().assert_success();
}
