//! Clients of WebSockets against `serve echo`.

use rustix::process::Signal;

use super::browser::Browser;
use super::client::{AIOHTTP, Client, WS};
use super::program::Running;
use super::server::Looping;

/// What every client is tested with: further arguments of the server, and the extension that the
/// client must have accepted. All clients offer compression, and trust the server's certificate.
const SETUPS: &[(&[&str], &str)] = &[
    (&[], ""),
    (&["--deflate"], "permessage-deflate"),
    #[cfg(feature = "tls")]
    (&["--tls"], ""),
];

/// Runs `exchange` with the URL of a server, which must then end in order.
pub(super) fn serve(arguments: &[&str], exchange: impl FnOnce(&str)) {
    let arguments = [&["serve", "echo", "--listen", "127.0.0.1:0"], arguments].concat();
    let (server, url) = Running::serve(&arguments.join(" "));
    // The certificate's name.
    let url = if url.starts_with("wss:") { url.replace("127.0.0.1", "localhost") } else { url };
    exchange(&url);
    server.signal(Signal::TERM);
    server.finish().assert_success();
}

/// Runs a script with each setup.
fn gets_back(client: Client, script: &str) {
    let Some(client) = client.find() else { return };
    for (arguments, extension) in SETUPS {
        serve(arguments, |url| client.run(script, &[url, extension]));
    }
}

#[test]
fn nodes_own_websocket_gets_back_what_it_sends() {
    // Node 20 has it behind a flag, and prints a warning.
    let node = &["node", "--no-warnings", "--experimental-websocket"];
    gets_back(Client::new("Node's own WebSocket", node, &["-e", "WebSocket"]), "with_node.js");
}

#[test]
fn ws_gets_back_what_it_sends() {
    gets_back(WS, "with_ws.js");
}

#[test]
fn aiohttp_gets_back_what_it_sends() {
    gets_back(AIOHTTP, "with_aiohttp.py");
}

#[test]
fn websockets_gets_back_what_it_sends() {
    let probe = &["-c", "import websockets.asyncio.client"];
    gets_back(Client::new("Python's websockets", &["python3"], probe), "with_websockets.py");
}

#[test]
fn chromium_gets_back_what_it_sends() {
    let Some(mut browser) = Browser::start() else { return };
    let script = include_str!("clients/exchange.js");
    let page = Looping::page(include_str!("clients/chromium.html"), script);
    for (arguments, extension) in SETUPS {
        serve(arguments, |url| {
            let query = format!("url={url}&extension={extension}");
            let window = browser.open(&format!("http://{}/?{query}", page.address));
            let result = browser.wait_for(&window, "#result", |text| !text.is_empty());
            assert_eq!(result, "ok");
        });
    }
}
