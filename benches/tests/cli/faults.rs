//! Missing or faulty servers: one line on standard error, and exit code 1.

use std::net::TcpListener;

use rustix::process::Signal;

use super::program::{Output, Running, run};
use super::websocket::{Manner, serve};

fn echo(manner: Manner) -> Output {
    let url = serve(manner);
    run(&["echo", "--url", &url, "-t", "0.2", "-s", "100"])
}

#[test]
fn a_server_that_is_not_there_is_told() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    drop(listener);
    run(&["echo", "--url", &url]).assert_failure("cannot connect to ws://127.0.0.1:");
    run(&["broadcast", "--url", &url]).assert_failure("cannot connect to ws://127.0.0.1:");
}

#[test]
fn a_host_that_does_not_exist_is_told() {
    let output = run(&["echo", "--url", "ws://no-such-host.invalid:9001"]);
    output.assert_failure("cannot connect to ws://no-such-host.invalid:9001/");
}

#[test]
fn a_failed_handshake_is_told_with_its_reason() {
    echo(Manner::Forbid).assert_failure("403 Forbidden");
    echo(Manner::WrongKey).assert_failure("Sec-WebSocket-Accept");
    echo(Manner::NoResponse).assert_failure("opening handshake");
}

#[test]
fn a_wrong_echo_is_told_with_what_is_wrong() {
    echo(Manner::Corrupt).assert_failure("byte 99 is ");
    echo(Manner::Shorten).assert_failure("100 bytes came back with 99");
    echo(Manner::Text).assert_failure("a text message");
    echo(Manner::Repeat).assert_failure("connection 0: ");
}

#[test]
fn a_server_that_closes_is_told() {
    echo(Manner::Hangup).assert_failure("the server closed the connection");
    echo(Manner::CloseFrame).assert_failure("with code 1001 (\"bye\")");
}

#[test]
fn a_server_that_never_answers_is_told() {
    echo(Manner::Silent).assert_failure("1 answers outstanding");
}

#[test]
fn a_server_that_dies_under_load_is_told() {
    let (server, url) = Running::serve("serve echo --as floor --listen 127.0.0.1:0");
    let load = Running::start(&["echo", "--url", &url, "-t", "100", "-c", "5"]);
    let probe = run(&["echo", "--url", &url, "-t", "0.1"]);
    probe.assert_success();
    server.signal(Signal::KILL);
    // The load may still be connecting, or already measuring.
    load.finish().assert_failure("connect");
}

#[test]
fn loads_that_make_no_sense_are_told() {
    let tcp = "tcp://127.0.0.1:9";
    run(&["echo", "--url", tcp, "-s", "0"]).assert_failure("raw TCP has no empty messages");
    run(&["broadcast", "--url", tcp, "-s", "7"]).assert_failure("needs at least 8 bytes");
    let two = ["broadcast", "--url", tcp, "--publishers", "2"];
    run(&two).assert_failure("only one publisher");
}

#[test]
fn files_that_cannot_be_written_are_told_before_anything_is_measured() {
    let path = "/no/such/folder/report.json";
    run(&["--quick", "--json", path]).assert_failure("cannot write /no/such/folder/report.json");
    run(&["--quick", "--html", path]).assert_failure("cannot write /no/such/folder/report.json");
}
