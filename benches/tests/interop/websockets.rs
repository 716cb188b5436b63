//! Python's websockets.

use super::client::run;

#[test]
fn websockets_gets_back_what_it_sends() {
    let probe = ["-c", "import websockets.asyncio.client"];
    run("Python's websockets", &["python3"], probe, "with_websockets.py");
}
