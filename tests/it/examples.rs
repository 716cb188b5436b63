//! The examples do what they say, and fit on a page.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use eventwire::CloseCode;
use eventwire::proto::OpCode;

use crate::util::Peer;

/// A running example; it ends with this.
struct Example {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Example {
    fn run(name: &str, argument: &str) -> Self {
        // `cargo test` builds the examples into a directory beside that of the tests.
        let test = std::env::current_exe().expect("the path of this test");
        let profile = test.ancestors().nth(2).expect("the profile's directory");
        let path: PathBuf =
            [profile.as_os_str(), "examples".as_ref(), name.as_ref()].iter().collect();
        let mut child =
            Command::new(&path).arg(argument).stdout(Stdio::piped()).spawn().unwrap_or_else(
                |error| panic!("{}: {error}; `cargo build --examples` makes it", path.display()),
            );
        let output = BufReader::new(child.stdout.take().expect("its output"));
        Self { child, output }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line of output");
        line
    }

    /// The address that it says it listens on.
    fn address(&mut self) -> SocketAddr {
        let line = self.line();
        let address = line.trim_end().strip_prefix("listening on ws://").expect("its first line");
        address.parse().expect("an address")
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn echo_sends_every_message_back() {
    let mut example = Example::run("echo", "127.0.0.1:0");
    let mut peer = Peer::connect(example.address());
    peer.send("hello");
    peer.expect("hello");
    peer.send(b"\x00\xFF");
    peer.expect(b"\x00\xFF");
}

#[test]
fn broadcast_lets_all_hear_what_one_says() {
    let mut example = Example::run("broadcast", "127.0.0.1:0");
    let address = example.address();
    let mut peers = [(); 3].map(|()| Peer::connect(address));
    peers[1].send("hello");
    for peer in &mut peers {
        peer.expect("hello");
    }
}

#[test]
fn client_prints_the_reply_closes_and_ends() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut example = Example::run("client", &format!("ws://{}", listener.local_addr().unwrap()));
    let mut peer = Peer::accept(&listener);
    peer.expect("hello");
    peer.send("good day");
    assert_eq!(example.line(), "good day\n");
    peer.expect_close(CloseCode::NORMAL);
    peer.send_frame(true, OpCode::Close, &1000_u16.to_be_bytes());
    assert!(example.child.wait().unwrap().success());
}

#[test]
fn client_ends_when_nobody_listens() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut example = Example::run("client", &format!("ws://{address}"));
    assert!(example.child.wait().unwrap().success());
    assert_eq!(example.line(), "");
}

#[test]
fn each_example_fits_on_a_page() {
    let examples = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples");
    for name in ["broadcast", "client", "echo"] {
        let source = std::fs::read_to_string(examples.join(name).with_extension("rs")).unwrap();
        assert!(source.lines().count() < 40, "{name}");
    }
}
