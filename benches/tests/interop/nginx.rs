//! nginx in front of a listener, as the guide configures it.

use std::fs;

use eventwire::{
    Config, Connection, EventLoop, HttpResponse, Routes, ServerConfig, TrustedProxies,
};

use super::client::{CURL, Client, WS};
use super::server::{Daemon, Looping};

/// What is not of interest here: one process, which reports errors and keeps files in its folder.
const SETTINGS: &str = "daemon off; master_process off; error_log stderr; pid pid; events {}";
const FOLDERS: &str = "access_log off; client_body_temp_path a; proxy_temp_path b; \
    fastcgi_temp_path c; uwsgi_temp_path d; scgi_temp_path e;";

/// Starts nginx in front of the listener at this address, with some of the guide's words replaced
/// by others. `None` if it is not installed, which is reported.
pub(super) fn nginx(upstream: &str, changes: &[(&str, &str)]) -> Option<Daemon> {
    let nginx = Client::new("nginx", &["nginx", "-e", "stderr"], &["-v"]).find()?;
    let guide = include_str!("../../../src/guide.md");
    let block = guide.split("```nginx\n").nth(1).unwrap().split("```").next().unwrap();
    Some(Daemon::start(|port, folder| {
        let listen = format!("listen 127.0.0.1:{port};");
        let addresses = [("127.0.0.1:9001", upstream), ("listen 8080;", &listen)];
        let mut block = block.to_owned();
        for (from, to) in addresses.iter().chain(changes) {
            assert!(block.contains(from), "{from}");
            block = block.replace(from, to);
        }
        let whole = format!("{SETTINGS}\nhttp {{ {FOLDERS}\n{block}}}\n");
        fs::write(folder.path("nginx.conf"), whole).unwrap();
        let mut command = nginx.command();
        command.args(["-p", &folder.path(""), "-c", "nginx.conf"]);
        command
    }))
}

/// Calls `test` with the address of a server, and then with that of nginx before it.
pub(super) fn directly_and_behind_nginx(address: &str, test: impl Fn(&str)) {
    test(address);
    if let Some(nginx) = nginx(address, &[]) {
        test(&nginx.address);
    }
}

fn name(conn: &Connection<'_>) -> String {
    conn.peer_addr().unwrap().ip().to_string()
}

/// Tells clients their address, and echoes their other messages.
fn routes(_: &mut EventLoop<()>) -> Routes<()> {
    let routes = Routes::new().get("/who", |conn, _, ()| HttpResponse::text(name(conn)));
    routes.websocket_fn("/", ServerConfig::default(), |conn, message, ()| {
        match message.as_bytes() {
            b"who?" => conn.send(name(conn)),
            _ => conn.send(message),
        };
    })
}

#[test]
fn nginx_passes_on_websockets_and_pages_and_whose_they_are() {
    let (Some(ws), Some(curl)) = (WS.find(), CURL.find()) else { return };
    let proxies = TrustedProxies::x_forwarded_for(["127.0.0.1".parse().unwrap()]);
    let config = ServerConfig::default().proxies(proxies);
    let upstream = Looping::serve(Config::default(), config, routes);
    let Some(nginx) = nginx(&upstream.address.to_string(), &[]) else { return };
    let url = format!("ws://{}/", nginx.address);
    ws.run("with_ws.js", &[&url, "", "127.0.0.2"]);
    ws.run("with_ws.js", &[&url, "", "127.0.0.3"]);
    curl.run("who_with_curl.sh", &[&nginx.address]);
}
