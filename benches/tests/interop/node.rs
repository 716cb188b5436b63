//! Node's own WebSocket.

use super::client::run;

#[test]
fn nodes_own_websocket_gets_back_what_it_sends() {
    // Node 20 has it behind a flag, and prints a warning.
    let node = ["node", "--no-warnings", "--experimental-websocket"];
    run("Node's own WebSocket", &node, ["-e", "WebSocket"], "with_node.js");
}
