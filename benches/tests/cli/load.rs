//! The load against correct servers.

use super::program::{Running, run, some_cpu};
use super::websocket::{Manner, serve};

/// Runs a load command briefly. It must succeed.
fn assert_complete(command: &str, url: &str, arguments: &[&str]) {
    let output = run(&[&[command, "--url", url, "-t", "0.2"], arguments].concat());
    output.assert_success();
    assert!(output.stdout.contains("messages/s"), "{}", output.stdout);
}

#[test]
fn echoes_of_every_size_are_checked() {
    let url = serve(Manner::Echo);
    for size in ["0", "1", "7", "8", "125", "126", "65535", "65536", "300000"] {
        assert_complete("echo", &url, &["-s", size, "-c", "3", "-d", "4"]);
    }
}

#[test]
fn fragments_and_pings_between_them_are_understood() {
    let url = serve(Manner::Fragment);
    assert_complete("echo", &url, &["-s", "200"]);
}

#[test]
fn an_open_loop_keeps_its_rate() {
    let url = serve(Manner::Echo);
    let output = run(&["echo", "--url", &url, "-c", "4", "-t", "0.5", "--rate", "200"]);
    output.assert_success();
    assert!(output.stdout.contains("open loop, 200 messages/s"), "{}", output.stdout);
    assert!(output.stdout.contains("messages left later than intended"), "{}", output.stdout);
}

#[test]
fn a_spinning_load_works_too() {
    let url = serve(Manner::Echo);
    assert_complete("echo", &url, &["--spin", "--cpu", &some_cpu()]);
}

#[test]
fn host_names_and_paths_work() {
    let url = serve(Manner::Echo).replace("127.0.0.1", "localhost");
    assert_complete("echo", &format!("{url}/some/path?query=1"), &[]);
}

#[test]
fn the_engine_echoes() {
    let (_server, url) = Running::serve(&["serve", "echo", "--listen", "127.0.0.1:0"]);
    assert!(url.starts_with("ws://127.0.0.1:"), "{url}");
    assert_complete("echo", &url, &["-c", "20", "-s", "64"]);
    assert_complete("echo", &url, &["-c", "3", "-s", "20", "-d", "64"]);
    assert_complete("echo", &url, &["-c", "2", "-s", "200000", "-d", "3"]);
    assert_complete("echo", &url, &["-c", "5", "--rate", "500"]);
}

#[test]
fn the_engine_broadcasts() {
    let (_server, url) = Running::serve(&["serve", "broadcast", "--listen", "127.0.0.1:0"]);
    assert_complete("broadcast", &url, &["-c", "30", "-s", "64"]);
    assert_complete("broadcast", &url, &["-c", "5", "-s", "8", "--publishers", "3"]);
    assert_complete("broadcast", &url, &["-c", "5", "-s", "70000"]);
    assert_complete("broadcast", &url, &["-c", "5", "--rate", "200", "--publishers", "2"]);
}

#[test]
fn the_floor_carries_the_same_load() {
    let (_server, url) = Running::serve(&[
        "serve",
        "echo",
        "--as",
        "floor",
        "--listen",
        "127.0.0.1:0",
        "--idle",
        "block",
    ]);
    assert!(url.starts_with("tcp://127.0.0.1:"), "{url}");
    assert_complete("echo", &url, &["--raw", "-c", "10", "-s", "70"]);
    assert_complete("echo", &url, &["-c", "2", "-s", "3", "-d", "64"]);
    assert_complete("echo", &url, &["-c", "2", "-s", "500000", "-d", "4"]);
    let (_server, url) =
        Running::serve(&["serve", "broadcast", "--as", "floor", "--listen", "127.0.0.1:0"]);
    assert_complete("broadcast", &url, &["-c", "30", "-s", "64"]);
    assert_complete("broadcast", &url, &["-c", "3", "-s", "200000"]);
}

#[test]
fn the_websocket_floor_carries_the_same_load() {
    let (_server, url) =
        Running::serve(&["serve", "echo", "--as", "ws-floor", "--listen", "127.0.0.1:0"]);
    assert!(url.starts_with("ws://127.0.0.1:"), "{url}");
    for size in ["0", "1", "125", "126", "65535", "65536"] {
        assert_complete("echo", &url, &["-s", size, "-c", "3", "-d", "4"]);
    }
    assert_complete("echo", &url, &["-c", "20", "-s", "20", "-d", "64"]);
    assert_complete("echo", &url, &["-c", "4", "-s", "16384", "-d", "16"]);
    // Longer than the buffer, with several in flight.
    assert_complete("echo", &url, &["-c", "2", "-s", "1500000", "-d", "3"]);
    let (_server, url) =
        Running::serve(&["serve", "broadcast", "--as", "ws-floor", "--listen", "127.0.0.1:0"]);
    assert_complete("broadcast", &url, &["-c", "30", "-s", "64"]);
    assert_complete("broadcast", &url, &["-c", "5", "-s", "8", "--publishers", "3"]);
    assert_complete("broadcast", &url, &["-c", "5", "-s", "70000"]);
}
