//! The servers' life: ready, in use, ended by a signal.

use std::net::TcpStream;

use rustix::process::Signal;

use super::program::{Running, run, some_cpu};

/// Starts, takes a connection, gets the signal, ends in order without another word.
fn assert_orderly(arguments: &[&str], signal: Signal) {
    let (server, url) = Running::serve(arguments);
    let (_, address) = url.split_once("://").unwrap();
    assert!(!address.ends_with(":0"), "{url}");
    let _client = TcpStream::connect(address).unwrap();
    server.signal(signal);
    let output = server.finish();
    output.assert_success();
    assert_eq!(output.stdout, "");
}

#[test]
fn signals_end_the_engines_servers_in_order() {
    for idle in ["block", "adaptive", "busy"] {
        let listen = ["--listen", "127.0.0.1:0", "--idle", idle];
        assert_orderly(&[&["serve", "echo"], &listen[..]].concat(), Signal::TERM);
        assert_orderly(&[&["serve", "broadcast"], &listen[..]].concat(), Signal::INT);
    }
}

#[test]
fn signals_end_the_floor_in_order() {
    let cpu = some_cpu();
    for idle in ["block", "adaptive", "busy"] {
        let listen = ["--listen", "127.0.0.1:0", "--idle", idle, "--cpu", &cpu];
        assert_orderly(&[&["floor", "echo"], &listen[..]].concat(), Signal::INT);
        assert_orderly(&[&["floor", "broadcast"], &listen[..]].concat(), Signal::TERM);
    }
}

#[test]
fn an_address_in_use_is_told() {
    for command in ["serve", "floor"] {
        let (_server, url) = Running::serve(&[command, "echo", "--listen", "127.0.0.1:0"]);
        let (_, address) = url.split_once("://").unwrap();
        let output = run(&[command, "echo", "--listen", address]);
        output.assert_failure(&format!("cannot listen on {address}: "));
    }
}

#[test]
fn an_address_of_another_machine_is_told() {
    // RFC 5737 keeps it for documentation: no machine has it.
    for command in ["serve", "floor"] {
        let output = run(&[command, "echo", "--listen", "192.0.2.1:0"]);
        output.assert_failure("cannot listen on 192.0.2.1:0: ");
    }
}

#[test]
fn a_cpu_that_does_not_exist_is_told() {
    for command in ["serve", "floor"] {
        let output = run(&[command, "echo", "--listen", "127.0.0.1:0", "--cpu", "1000000"]);
        output.assert_failure("cannot run on CPU 1000000");
    }
}

#[test]
fn messages_over_the_limit_end_the_connection() {
    let limited = ["serve", "echo", "--listen", "127.0.0.1:0", "--max-message", "1000"];
    let (_server, url) = Running::serve(&limited);
    run(&["echo", "--url", &url, "-t", "0.1", "-s", "1000"]).assert_success();
    let output = run(&["echo", "--url", &url, "-t", "0.1", "-s", "1001"]);
    output.assert_failure("the server closed the connection with code 1009");
}
