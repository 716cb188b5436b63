//! The program from the outside: its output, exit codes and signals.

#[cfg(test)]
mod bus;
#[cfg(test)]
mod compare;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod journal;
#[cfg(test)]
mod load;
#[cfg(test)]
mod program;
#[cfg(test)]
mod report;
#[cfg(test)]
mod scratch;
#[cfg(test)]
mod serve;
#[cfg(test)]
mod socketio;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod websocket;

use program::run;

#[test]
fn help_says_what_the_program_does_and_shows_examples() {
    let output = run(&["--help"]);
    output.assert_success();
    for part in [
        "Usage:",
        "serve",
        "echo",
        "broadcast",
        "bus",
        "bystander",
        "events-stream",
        "freshness",
        "http",
        "jobs",
        "journal",
        "keyed",
        "reconnect",
        "resume",
        "socketio",
        "tls",
        "compare",
        "Examples:",
        "Exit code:",
    ] {
        assert!(output.stdout.contains(part), "{part}\n{}", output.stdout);
    }
    for command in [
        "serve",
        "echo",
        "broadcast",
        "bus",
        "bystander",
        "events-stream",
        "freshness",
        "http",
        "jobs",
        "journal",
        "keyed",
        "reconnect",
        "resume",
        "socketio",
        "tls",
        "compare",
    ] {
        run(&[command, "--help"]).assert_success();
    }
    run(&["--version"]).assert_success();
}

#[test]
fn wrong_arguments_exit_with_2() {
    for arguments in [
        &["--no-such-option"][..],
        &["no-such-command"],
        &["--idle", "never"],
        &["serve"],
        &["serve", "chat"],
        &["serve", "echo", "--listen", "9001"],
        &["echo"],
        &["echo", "--url", "wss://localhost"],
        &["echo", "--url", "localhost:9001"],
        &["echo", "--url", "ws://localhost", "-c", "0"],
        &["echo", "--url", "ws://localhost", "-d", "0"],
        &["echo", "--url", "ws://localhost", "-t", "0"],
        &["echo", "--url", "ws://localhost", "--rate", "0"],
        &["echo", "--url", "ws://localhost", "-s", "100000000"],
        &["echo", "--url", "ws://localhost", "-c", "60000", "-d", "60000"],
        &["echo", "--url", "ws://localhost", "-c", "60000", "-s", "1000000"],
        &["echo", "--url", "ws://localhost", "--raw"],
        &["bus", "--rate", "1"],
        &["bystander", "-c", "0"],
        &["events-stream", "-c", "0"],
        &["freshness", "--reader", "0"],
        &["http", "-d", "0"],
        &["http", "--rounds", "0"],
        &["journal", "--topics", "0"],
        &["keyed", "--keys", "0"],
        &["resume", "-c", "0"],
        &["resume", "--storm", "--socket-io", "ws://127.0.0.1:1"],
        &["socketio", "--only", "nothing"],
        &["socketio", "--rounds", "0"],
        &["socketio", "--eventwire", " "],
        &["compare", "--only", "nothing"],
        &["compare", "--rounds", "4"],
        &["compare", "--against", "ws://localhost:9001"],
    ] {
        let output = run(arguments);
        assert_eq!(output.code, Some(2), "{arguments:?}: {}", output.stderr);
        assert!(output.stdout.is_empty(), "{arguments:?}: {}", output.stdout);
        assert!(output.stderr.starts_with("error: "), "{arguments:?}: {}", output.stderr);
    }
}
