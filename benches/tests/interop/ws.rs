//! Node's ws.

use super::client::run;

#[test]
fn ws_gets_back_what_it_sends() {
    run("Node's ws", &["node"], ["-e", "require('ws')"], "with_ws.js");
}
