//! The program from the outside: its output, exit codes and signals.

#[cfg(test)]
mod commands;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod load;
#[cfg(test)]
mod program;
#[cfg(test)]
mod serve;
#[cfg(test)]
mod websocket;

use program::run;

const COMMANDS: [&str; 17] = [
    "serve",
    "echo",
    "broadcast",
    "bus",
    "bystander",
    "events-stream",
    "http",
    "freshness",
    "jobs",
    "journal",
    "keyed",
    "reconnect",
    "resume",
    "socketio",
    "tls",
    "compare",
    "show",
];

#[test]
fn help_says_what_the_program_does_and_shows_examples() {
    let output = run(&["--help"]);
    output.assert_success();
    for part in COMMANDS.iter().chain(&["Usage:", "Examples:", "Exit code:"]) {
        assert!(output.stdout.contains(part), "{part}\n{}", output.stdout);
    }
    for command in COMMANDS {
        let help = run(&[command, "--help"]);
        help.assert_success();
        assert!(help.stdout.lines().next().is_some_and(|line| !line.is_empty()), "{command}");
    }
    run(&["--version"]).assert_success();
}

#[test]
fn wrong_arguments_exit_with_2() {
    for line in [
        "--no-such-option",
        "no-such-command",
        "--idle never",
        "serve",
        "serve chat",
        "serve echo --listen 9001",
        "serve echo --listen :9001",
        "serve echo --listen h:70000",
        "serve echo --cpu x",
        "serve echo --as nobody",
        "serve echo --max-message 0",
        "echo",
        "echo --url wss://localhost",
        "echo --url localhost:9001",
        "echo --url ws://localhost -c 0",
        "echo --url ws://localhost -d 0",
        "echo --url ws://localhost -t 0",
        "echo --url ws://localhost -t NaN",
        "echo --url ws://localhost --rate 0",
        "echo --url ws://localhost -s 100000000",
        "echo --url ws://localhost -c 60000 -d 60000",
        "echo --url ws://localhost -c 60000 -s 1000000",
        "echo --url ws://localhost --raw",
        "broadcast --url ws://localhost -d 2",
        "broadcast --url ws://localhost --publishers 0",
        "--quick echo",
        "bus --rate 1",
        "bystander -c 0",
        "bystander -s 7",
        "events-stream -c 0",
        "freshness --reader 0",
        "http -d 0",
        "http --rounds 0",
        "journal --topics 0",
        "keyed --keys 0",
        "keyed --order any",
        "resume -c 0",
        "resume --storm --socket-io ws://127.0.0.1:1",
        "socketio --only nothing",
        "socketio --rounds 0",
        "compare --only nothing",
        "compare --rounds 4",
        "compare --against ws://localhost:9001",
        "compare --start node=node",
    ] {
        let output = run(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(output.code, Some(2), "{line}: {}", output.stderr);
        assert!(output.stdout.is_empty(), "{line}: {}", output.stdout);
        assert!(output.stderr.starts_with("error: "), "{line}: {}", output.stderr);
    }
}
