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
    assert!(output.stdout.contains("Open loop, 200 messages/s"), "{}", output.stdout);
    assert!(output.stdout.contains("late p99"), "{}", output.stdout);
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

/// Starts a server, and checks loads on it, as the arguments of `command`.
fn assert_carries(server: &str, command: &str, loads: &[&str]) {
    let (_server, url) = Running::serve(&format!("serve {server} --listen 127.0.0.1:0"));
    let scheme = if server.contains("--as floor") { "tcp" } else { "ws" };
    assert!(url.starts_with(&format!("{scheme}://127.0.0.1:")), "{url}");
    for load in loads {
        assert_complete(command, &url, &load.split(' ').collect::<Vec<_>>());
    }
}

const BROADCASTS: [&str; 3] = ["-c 30 -s 64", "-c 5 -s 8 --publishers 3", "-c 5 -s 70000"];

#[test]
fn the_engine_carries_every_load() {
    let echoes = ["-c 20 -s 64", "-c 3 -s 20 -d 64", "-c 2 -s 200000 -d 3", "-c 5 --rate 500"];
    assert_carries("echo", "echo", &echoes);
    assert_carries("broadcast", "broadcast", &BROADCASTS);
    assert_carries("broadcast", "broadcast", &["-c 5 --rate 200 --publishers 2"]);
}

#[test]
fn the_floor_carries_the_same_load() {
    let echoes = ["--raw -c 10 -s 70", "-c 2 -s 3 -d 64", "-c 2 -s 500000 -d 4"];
    assert_carries("echo --as floor --idle block", "echo", &echoes);
    assert_carries("broadcast --as floor", "broadcast", &["-c 30 -s 64", "-c 3 -s 200000"]);
}

#[test]
fn the_websocket_floor_carries_the_same_load() {
    let sizes = ["0", "1", "125", "126", "65535", "65536"];
    let mut echoes = sizes.map(|size| format!("-c 3 -d 4 -s {size}")).to_vec();
    // The last ones are longer than the buffer, with several in flight.
    echoes.extend(
        ["-c 20 -s 20 -d 64", "-c 4 -s 16384 -d 16", "-c 2 -s 1500000 -d 3"].map(String::from),
    );
    let echoes: Vec<&str> = echoes.iter().map(String::as_str).collect();
    assert_carries("echo --as ws-floor", "echo", &echoes);
    assert_carries("broadcast --as ws-floor", "broadcast", &BROADCASTS);
}
