//! curl with static files and preflights.

use std::net::SocketAddr;
use std::process::Command;

use eventwire::{
    Config, ContentType, Cors, EventLoop, HttpResponse, Routes, ServerConfig, StaticFile,
};

use super::client::{skip, succeeds};
use super::looping::Looping;
use super::program::Running;

fn routes() -> Routes<()> {
    let cors = Cors::origins(["https://app.example"]).unwrap();
    Routes::new()
        .cors("/*", cors.allow_headers(["Content-Type"]).unwrap())
        .file("/file", StaticFile::new(ContentType::TEXT, "0123456789"))
        .put("/rooms/{room}", |_, request, _| {
            let room = request.param("room").unwrap_or_default();
            HttpResponse::text(format!("{room}: {} bytes", request.body().len()))
        })
}

/// What curl prints with these arguments and the URL of `path`: the head and the body.
fn curl(address: SocketAddr, path: &str, arguments: &[&str]) -> String {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--include", "--max-time", "60", "--noproxy", "*"]);
    command.args(arguments).arg(format!("http://{address}{path}"));
    let output = Running::spawn(&mut command).finish();
    output.assert_success();
    output.stdout
}

#[track_caller]
fn assert_parts(received: &str, parts: &[&str]) {
    for part in parts {
        assert!(received.contains(part), "{part:?} is not in {received}");
    }
}

#[test]
fn curl_gets_parts_and_news_and_asks_before_it_writes() {
    if !succeeds(Command::new("curl").arg("--version")) {
        return skip("curl");
    }
    let serving = Looping::start(Config::default(), |event_loop: &mut EventLoop<()>| {
        event_loop.listen("127.0.0.1:0", ServerConfig::default(), routes()).unwrap()
    });
    let address = serving.address;

    let whole = curl(address, "/file", &[]);
    assert_parts(&whole, &["HTTP/1.1 200 OK\r\n", "\r\n\r\n0123456789"]);
    let etag = whole.lines().find_map(|line| line.strip_prefix("ETag: ")).unwrap();
    let known = curl(address, "/file", &["--header", &format!("If-None-Match: {etag}")]);
    assert_parts(&known, &["HTTP/1.1 304 Not Modified\r\n", etag]);
    let part = curl(address, "/file", &["--range", "2-4"]);
    assert_parts(&part, &["HTTP/1.1 206 ", "\r\nContent-Range: bytes 2-4/10\r\n", "\r\n\r\n234"]);
    let rest = curl(address, "/file", &["--continue-at", "7"]);
    assert_parts(&rest, &["HTTP/1.1 206 ", "\r\nContent-Range: bytes 7-9/10\r\n", "\r\n\r\n789"]);
    let behind = curl(address, "/file", &["--range", "10-"]);
    assert_parts(&behind, &["HTTP/1.1 416 ", "\r\nContent-Range: bytes */10\r\n"]);

    let origin = ["--header", "Origin: https://app.example"];
    let allowed = "\r\nAccess-Control-Allow-Origin: https://app.example\r\n";
    let asking = ["--request", "OPTIONS", "--header", "Access-Control-Request-Method: PUT"];
    let preflight = curl(address, "/rooms/a%20b", &[&origin[..], &asking].concat());
    let methods = "\r\nAccess-Control-Allow-Methods: PUT\r\n";
    assert_parts(&preflight, &["HTTP/1.1 204 No Content\r\n", allowed, methods]);
    let writing = ["--request", "PUT", "--data", "hello"];
    let written = curl(address, "/rooms/a%20b", &[&origin[..], &writing].concat());
    assert_parts(&written, &["HTTP/1.1 200 OK\r\n", allowed, "\r\n\r\na b: 5 bytes"]);
}
