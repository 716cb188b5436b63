//! The examples do what they say, and fit on a page.

#[cfg(feature = "socketio")]
mod chat_io;
#[cfg(feature = "sqlite")]
mod orders;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use eventwire::proto::OpCode;
use eventwire::{CloseCode, Config, Connection, EventLoop, ServerConfig, WebSocketHandler};

use crate::util::{PATIENCE, Peer, Server, request};

/// Its tests run with these. Were it a test of its own for cargo (`test = true`), `cargo test`
/// would not build the program.
#[path = "../../examples/chat.rs"]
#[expect(dead_code, reason = "its `main` is for the program")]
mod chat;

/// A running example; it ends with this.
pub(crate) struct Example {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Example {
    fn run(name: &str, argument: &str) -> Self {
        Self::run_with(name, &[argument])
    }

    fn run_with(name: &str, arguments: &[&str]) -> Self {
        // `cargo test` builds the examples into a directory beside that of the tests.
        let test = std::env::current_exe().expect("the path of this test");
        let profile = test.ancestors().nth(2).expect("the profile's directory");
        let path: PathBuf =
            [profile.as_os_str(), "examples".as_ref(), name.as_ref()].iter().collect();
        assert!(path.exists(), "{}: `cargo build --examples` makes it", path.display());
        Self::spawn(Command::new(&path).args(arguments))
    }

    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        Self { child, output }
    }

    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line of output");
        line
    }

    /// The address that it says it listens on.
    pub(crate) fn address(&mut self) -> SocketAddr {
        let line = self.line();
        let url = line.trim_end().strip_prefix("listening on ").expect("its first line");
        let address = url.strip_prefix("ws://").or_else(|| url.strip_prefix("http://"));
        address.and_then(|address| address.parse().ok()).expect("an address")
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
fn broadcast_sends_each_message_to_everybody() {
    let mut example = Example::run("broadcast", "127.0.0.1:0");
    let address = example.address();
    let mut peers = [(); 3].map(|()| Peer::connect(address));
    peers[1].send("hello");
    for peer in &mut peers {
        peer.expect("hello");
    }
}

#[test]
fn lines_go_to_everybody_else_over_plain_tcp() {
    let mut example = Example::run("lines", "127.0.0.1:0");
    let line = example.line();
    let address = line.trim_end().strip_prefix("listening on tcp://").expect("its first line");
    let [mut ada, mut ben] = [(); 2].map(|()| {
        let stream = TcpStream::connect(address).expect("connect");
        stream.set_read_timeout(Some(PATIENCE)).expect("set the read timeout");
        let mut lines = BufReader::new(stream);
        lines.get_mut().write_all(b"who\n").expect("write");
        assert!(next(&mut lines).ends_with(" are here\n"));
        lines
    });
    // A line may come in pieces, and several at once.
    for piece in ["hel", "lo\nagain\nwho\n"] {
        ada.get_mut().write_all(piece.as_bytes()).expect("write");
    }
    assert_eq!([next(&mut ben), next(&mut ben)], ["hello\n", "again\n"]);
    assert_eq!(next(&mut ada), "* 2 are here\n");
    ada.get_mut().write_all(b"quit\n").expect("write");
    assert_eq!([next(&mut ada), next(&mut ada)], ["* goodbye\n", ""]);
    drop(ada);
    assert_eq!(next(&mut ben), "* somebody has left\n");
    ben.get_mut().write_all(&[b'x'; 5_000]).expect("write");
    assert_eq!(next(&mut ben), "", "the line is too long");
}

fn next(lines: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    lines.read_line(&mut line).expect("a line");
    line
}

#[test]
fn chat_has_rooms_that_people_join_and_leave() {
    let mut example = Example::run("chat", "127.0.0.1:0");
    let address = example.address();
    let [mut ada, mut ben] = ["ada", "ben"].map(|name| {
        let mut peer = Peer::open(address);
        peer.write(&request("/chat", ""));
        assert!(peer.head().starts_with("HTTP/1.1 101 "));
        peer.send("hello?");
        peer.expect("! join a room first: /join lobby");
        peer.send(format!("/name {name}").as_str());
        peer.send("/join lobby");
        peer.expect(format!("* {name} joins lobby").as_str());
        peer
    });
    ada.expect("here: ada");
    ada.expect("* ben joins lobby");
    for peer in [&mut ada, &mut ben] {
        peer.expect("here: ada, ben");
    }
    ada.send("hello");
    ada.expect("ada: hello");
    ben.expect("ada: hello");
    ben.send("/who");
    ben.expect("here: ada, ben");
    ben.send("/ping 7");
    ben.expect("pong 7");
    ben.send("/name here");
    ben.expect("! a name is up to 24 letters, digits and dashes");

    ben.send("/join attic");
    ben.expect("* ben joins attic");
    ben.expect("here: ben");
    ada.expect("* ben leaves");
    ada.expect("here: ada");
    ada.send("/name eve");
    ada.expect("here: eve");
    ada.send("/join attic");
    for peer in [&mut ada, &mut ben] {
        peer.expect("* eve joins attic");
        peer.expect("here: eve, ben");
    }
    drop(ben);
    ada.expect("* ben leaves");
    ada.expect("here: eve");
    ada.send("/dance");
    ada.expect("! no such command: /dance");
    ada.send(b"\x00");
    ada.expect("! only text is accepted");
}

#[test]
fn chat_serves_its_page_and_its_numbers() {
    let mut example = Example::run("chat", "127.0.0.1:0");
    let mut browser = Peer::open(example.address());
    browser.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(browser.head().contains("\r\nContent-Type: text/html; charset=utf-8\r\n"));
    browser.write(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let rest = browser.rest();
    assert!(rest.starts_with("<!doctype html>"));
    assert!(rest.contains("\neventwire_requests_total 1\n"));
}

#[test]
fn presence_counts_a_person_once_whatever_their_connections() {
    let mut example = Example::run("presence", "127.0.0.1:0");
    let address = example.address();
    let join = |name: &str, here: &str| {
        let mut peer = Peer::connect(address);
        peer.send(name);
        peer.expect(format!("here {here}").as_str());
        peer
    };
    let mut ada = join("ada", "ada");
    let mut laptop = join("ben", "ada,ben");
    ada.expect("join ben");
    let mut phone = join("ben", "ada,ben");
    laptop.send("hello");
    for peer in [&mut ada, &mut laptop, &mut phone] {
        peer.expect("ben: hello");
    }
    // The phone is still there.
    drop(laptop);
    let mut tablet = join("ben", "ada,ben");
    tablet.send("/quit");
    for peer in [&mut phone, &mut tablet] {
        assert_eq!(peer.expect_close(CloseCode::NORMAL), "signed out");
    }
    ada.expect("leave ben");
    let mut cyd = join("cyd", "ada,cyd");
    ada.expect("join cyd");
    cyd.send_close(1000, "");
    ada.expect("leave cyd");
    for name in ["", "two words", &"n".repeat(25)] {
        let mut nobody = Peer::connect(address);
        nobody.send(name);
        nobody.expect_close(CloseCode::POLICY);
    }
    ada.send("alone");
    ada.expect("ada: alone");
}

#[test]
fn ticker_sends_a_slow_client_only_the_latest_quote() {
    let mut example = Example::run("ticker", "127.0.0.1:0");
    let address = example.address();
    let mut slow = Peer::narrow(address);
    slow.send("NONE");
    slow.expect("! known symbols: [\"ACME\", \"INIT\"]");
    slow.send("ACME");
    // It does not read, and the ticker says how many quotes it has missed once it does.
    let number = |peer: &mut Peer| -> u64 {
        let line = String::from_utf8(peer.frame().payload).unwrap();
        assert!(line.starts_with(r#"{"symbol":"ACME","price":1"#), "{line}");
        let (_, number) = line.trim_end_matches('}').rsplit_once(':').unwrap();
        number.parse().unwrap()
    };
    let mut fast = Peer::connect(address);
    fast.send("ACME");
    let first = number(&mut fast);
    while number(&mut fast) < first + 400_000 {}
    let (mut last, mut gap) = (number(&mut slow), 0);
    while last < first + 400_000 {
        let next = number(&mut slow);
        assert!(next > last);
        gap = gap.max(next - last);
        last = next;
    }
    assert!(gap > 1_000, "{gap}");
    assert!(example.line().contains(" is slow and missed "));
}

#[test]
fn ticker_sends_the_latest_quote_of_every_symbol_at_most_every_so_often() {
    const INTERVAL: u64 = 40;
    let mut example = Example::run("ticker", "127.0.0.1:0");
    let mut peer = Peer::connect(example.address());
    peer.send(format!("ALL {INTERVAL}").as_str());
    let mut quote = || {
        let line = String::from_utf8(peer.frame().payload).unwrap();
        let symbol = line.split('"').nth(3).unwrap().to_owned();
        let (_, number) = line.trim_end_matches('}').rsplit_once(':').unwrap();
        (symbol, number.parse::<u64>().unwrap())
    };
    quote();
    let start = Instant::now();
    let mut last = BTreeMap::new();
    for _ in 0..20 {
        let (symbol, number) = quote();
        if let Some(before) = last.insert(symbol, number) {
            assert!(number > before, "{number} after {before}");
        }
    }
    assert_eq!(last.into_keys().collect::<Vec<_>>(), ["ACME", "INIT"]);
    // Two quotes come at each tick. One tick may have been late.
    assert!(start.elapsed() >= Duration::from_millis(8 * INTERVAL), "{:?}", start.elapsed());
}

#[test]
fn ticker_keeps_the_latest_quote_of_every_symbol_for_a_slow_client() {
    let mut example = Example::run("ticker", "127.0.0.1:0");
    let address = example.address();
    let mut slow = Peer::narrow(address);
    slow.send("ALL");
    let mut fast = Peer::connect(address);
    fast.send("ALL");
    let quote = |peer: &mut Peer| {
        let line = String::from_utf8(peer.frame().payload).unwrap();
        let (_, number) = line.trim_end_matches('}').rsplit_once(':').unwrap();
        (line.contains("ACME"), number.parse::<u64>().unwrap())
    };
    let (_, first) = quote(&mut fast);
    while quote(&mut fast).1 < first + 400_000 {}
    let (mut last, mut jump) = ([0; 2], 0);
    while last.into_iter().min() < Some(first + 400_000) {
        let (is_acme, number) = quote(&mut slow);
        let before = &mut last[usize::from(is_acme)];
        assert!(number > *before);
        jump = jump.max(number - *before);
        *before = number;
    }
    assert!(jump > 1_000, "{jump}");
}

/// Sends lines, eight ahead of their acknowledgements, and passes on what is acknowledged, until
/// the stream is cut.
fn save_lines(mut peer: Peer, name: &str, acknowledged: &Sender<String>) {
    let mut input = BufReader::new(peer.stream());
    let mut lines = (0..).map(|number| format!("{name} {number}"));
    for line in lines.by_ref().take(8) {
        peer.send(line.as_str());
    }
    loop {
        let (mut head, mut answer) = ([0; 2], Vec::new());
        if input.read_exact(&mut head).is_err() {
            return;
        }
        answer.resize(usize::from(head[1]), 0);
        if input.read_exact(&mut answer).is_err() {
            return;
        }
        let answer = String::from_utf8(answer).expect("text");
        let line = answer.strip_prefix("saved ").expect("an acknowledgement");
        acknowledged.send(line.to_owned()).expect("somebody compares");
        let next = peer.encode_message(lines.next().expect("endless").as_str());
        if !peer.try_write(&next) {
            return;
        }
    }
}

#[test]
fn jobs_keeps_every_line_that_it_acknowledged_whenever_it_is_killed() {
    let path = std::env::temp_dir().join(format!("eventwire-jobs-{}", std::process::id()));
    for round in 0..3 {
        let argument = path.to_str().expect("a path of text");
        let mut example = Example::run_with("jobs", &["127.0.0.1:0", argument]);
        let address = example.address();
        let (sender, acknowledged) = mpsc::channel();
        let clients: Vec<_> = (0..4)
            .map(|client| {
                let (peer, sender) = (Peer::connect(address), sender.clone());
                thread::spawn(move || save_lines(peer, &format!("{round}-{client}"), &sender))
            })
            .collect();
        drop(sender);
        let under_load = |_: usize| acknowledged.recv_timeout(PATIENCE).expect("a line");
        let mut lines: Vec<String> = (0..300).map(under_load).collect();
        // SIGKILL, in the midst of it.
        drop(example);
        lines.extend(&acknowledged);
        for client in clients {
            client.join().expect("a client");
        }
        let journal = std::fs::read_to_string(&path).expect("the journal");
        let saved: BTreeSet<&str> = journal.lines().collect();
        assert!(lines.iter().all(|line| saved.contains(&**line)), "an acknowledged line is lost");
    }
    std::fs::remove_file(path).expect("it is there");
}

#[test]
fn jobs_refuses_what_is_no_line() {
    let path = std::env::temp_dir().join(format!("eventwire-lines-{}", std::process::id()));
    let argument = path.to_str().expect("a path of text");
    let mut example = Example::run_with("jobs", &["127.0.0.1:0", argument]);
    let mut peer = Peer::connect(example.address());
    peer.send("two\nlines");
    peer.expect("! only lines of text are accepted");
    peer.send("one line");
    peer.expect("saved one line");
    drop(example);
    assert_eq!(std::fs::read_to_string(&path).expect("the journal"), "one line\n");
    std::fs::remove_file(path).expect("it is there");
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
fn client_ends_when_the_server_is_absent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut example = Example::run("client", &format!("ws://{address}"));
    assert!(example.child.wait().unwrap().success());
    assert_eq!(example.line(), "");
}

#[test]
fn autobahn_serves_echoes_of_the_longest_messages_that_the_suite_sends() {
    let mut example = Example::run_with("autobahn", &["server", "127.0.0.1:0"]);
    let mut peer = Peer::connect(example.address());
    peer.send("hello");
    peer.expect("hello");
    let longest = vec![b'*'; 16 * 1024 * 1024];
    peer.send(longest.as_slice());
    peer.expect(longest.as_slice());
}

#[test]
fn autobahn_runs_case_after_case_and_asks_for_the_report() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let mut example = Example::run_with("autobahn", &["client", &url]);
    let accept = |target: &str| {
        let (mut peer, request) = Peer::accept_request(&listener);
        assert!(request.starts_with(&format!("GET {target} HTTP/1.1\r\n")), "{request}");
        peer.answer(&request, "");
        peer
    };
    let end = |mut peer: Peer| {
        peer.send_close(1000, "");
        peer.expect_close(CloseCode::NORMAL);
    };
    let mut counting = accept("/getCaseCount");
    counting.send("2");
    end(counting);
    for case in 1..=2 {
        let mut peer = accept(&format!("/runCase?case={case}&agent=eventwire"));
        peer.send("echo");
        peer.expect("echo");
        end(peer);
    }
    end(accept("/updateReports?agent=eventwire"));
    assert_eq!(example.line(), "2 cases run\n");
    assert!(example.child.wait().unwrap().success());
}

#[test]
fn autobahn_fails_when_there_is_no_suite() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    drop(listener);
    for (arguments, code) in [(&["client", &*url][..], 1), (&["client"], 2)] {
        let mut example = Example::run_with("autobahn", arguments);
        assert_eq!(example.child.wait().unwrap().code(), Some(code));
    }
}

/// Fifty upstreams that greet, on this address until the returned value is dropped.
fn upstreams(address: SocketAddr) -> Server {
    Server::start(Config::default(), move |event_loop: &mut EventLoop<()>| {
        let listener = event_loop.listen(address, ServerConfig::default(), Greeter);
        event_loop.local_addr(listener.expect("the address is free")).expect("an address")
    })
}

struct Greeter;

impl WebSocketHandler<()> for Greeter {
    fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut ()) {
        conn.send("hello");
    }
}

#[test]
fn gateway_gets_its_upstreams_back_when_they_were_killed() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let url = format!("ws://{address}");
    let mut example = Example::run_with("gateway", &["127.0.0.1:0", &url]);
    let mut client = Peer::connect(example.address());
    for _ in 0..2 {
        let server = upstreams(address);
        let mut greeted = BTreeSet::new();
        while greeted.len() < 50 {
            greeted.insert(text(&mut client));
        }
        assert!(greeted.contains("0: hello") && greeted.contains("49: hello"));
        client.send("?");
        client.expect("50 of 50 upstreams");
        server.handle.stop();
        server.wait();
        while upstreams_of(&mut client) > 0 {}
    }
}

fn text(client: &mut Peer) -> String {
    String::from_utf8(client.frame().payload).expect("text")
}

fn upstreams_of(client: &mut Peer) -> usize {
    client.send("?");
    let answer = text(client);
    let count = answer.strip_suffix(" of 50 upstreams").expect("the upstreams are silent");
    count.parse().expect("a count")
}

/// A folder for the uploads of one test.
struct Uploads(PathBuf);

impl Uploads {
    fn new(name: &str) -> Self {
        let name = format!("eventwire-{name}-{}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn serve(&self, jobs_max: &str) -> (Example, SocketAddr) {
        let folder = self.0.to_str().expect("a path of text");
        let mut example = Example::run_with("upload", &["127.0.0.1:0", folder, jobs_max]);
        let address = example.address();
        (example, address)
    }
}

impl Drop for Uploads {
    fn drop(&mut self) {
        // A test that has failed may have made none.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Begins an upload. The connection ends with the answer.
fn begin_upload(address: SocketAddr, name: &str, body: &[u8]) -> Peer {
    let mut peer = Peer::open(address);
    let length = body.len();
    let head = format!(
        "POST /files/{name} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\
        Content-Length: {length}\r\n\r\n"
    );
    // A server that refuses the head does not read the body.
    if peer.try_write(head.as_bytes()) {
        peer.try_write(body);
    }
    peer
}

#[test]
fn upload_answers_when_the_file_is_written() {
    let uploads = Uploads::new("upload");
    let (_example, address) = uploads.serve("64");
    let (file, sha1) = (uploads.0.join("a.txt"), "a9993e364706816aba3e25717850c26c9cd0d89d");
    let answer = begin_upload(address, "a.txt", b"abc").rest();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let json = format!(r#"{{"name":"a.txt","bytes":3,"sha1":"{sha1}"}}"#);
    assert!(answer.ends_with(&json), "{answer}");
    assert_eq!(std::fs::read(&file).expect("the file"), b"abc");
    // Another one replaces it, and the longest is taken.
    let longest = vec![b'*'; 8 * 1024 * 1024];
    let answer = begin_upload(address, "a.txt", &longest).rest();
    assert!(answer.contains(r#""bytes":8388608"#), "{answer}");
    assert_eq!(std::fs::read(&file).expect("the file"), longest);
    let names = std::fs::read_dir(&uploads.0).expect("the folder");
    assert_eq!(names.count(), 1, "a draft is left");
}

#[test]
fn upload_refuses_what_is_too_long_or_has_no_safe_name() {
    let uploads = Uploads::new("refused-upload");
    let (_example, address) = uploads.serve("64");
    for name in ["", ".hidden", "../a", "a/b", "a%2Fb", "a\"b", &"a".repeat(101)] {
        let answer = begin_upload(address, name, b"abc").rest();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{name}: {answer}");
    }
    let answer = begin_upload(address, "a", b"").rest();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    let mut peer = Peer::open(address);
    peer.write(b"POST /files/a HTTP/1.1\r\nHost: a\r\nContent-Length: 8388609\r\n\r\n");
    assert!(peer.head().starts_with("HTTP/1.1 413 "));
    assert_eq!(std::fs::read_dir(&uploads.0).expect("the folder").count(), 0);
}

#[test]
fn upload_refuses_uploads_beyond_those_that_wait_and_goes_on() {
    let uploads = Uploads::new("busy-upload");
    let (_example, address) = uploads.serve("1");
    let body = vec![b'*'; 256 * 1024];
    let (mut stored, mut refused) = (0, 0);
    while stored == 0 || refused == 0 {
        let names = (0..16).map(|number| number.to_string());
        let peers: Vec<_> = names.map(|name| begin_upload(address, &name, &body)).collect();
        for mut peer in peers {
            let answer = peer.rest();
            match answer.get(9..12) {
                Some("200") => stored += 1,
                Some("503") => refused += 1,
                _ => panic!("{answer}"),
            }
        }
    }
}

/// The numbers of a page's stream, from its first line on.
fn ticks(address: SocketAddr) -> impl Iterator<Item = u64> {
    let mut peer = Peer::open(address);
    peer.write(b"GET /events HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\n\r\n");
    let head = peer.head();
    assert!(head.contains("\r\nContent-Type: text/event-stream\r\n"), "{head}");
    let lines = BufReader::new(peer.stream()).lines().map_while(Result::ok);
    lines.filter_map(|line| line.strip_prefix("data: ")?.parse().ok())
}

#[test]
fn live_goes_on_after_a_restart() {
    let mut example = Example::run("live", "127.0.0.1:0");
    let address = example.address();
    let mut last = 0;
    for _ in 0..2 {
        let seen: Vec<u64> = ticks(address).take(3).collect();
        assert!(seen[0] > last, "{seen:?} after {last}");
        assert_eq!(seen, [seen[0], seen[0] + 1, seen[0] + 2]);
        last = seen[2];
        // SIGKILL, while a page is connected.
        let stream = ticks(address);
        drop(example);
        assert!(stream.count() < 1000, "the stream ends with the program");
        example = Example::run("live", &address.to_string());
        assert_eq!(example.address(), address);
    }
    let mut page = Peer::open(address);
    page.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(page.rest().contains("new EventSource(\"/events\")"));
}

/// The number in a message of the topic `news`, and its position.
fn news_of(json: &str) -> Option<(u64, String)> {
    let rest = json.strip_prefix(r#"{"topic":"news","position":""#)?;
    let (position, number) = rest.strip_suffix("\"}")?.split_once(r#"","data":""#)?;
    Some((number.parse().ok()?, position.to_owned()))
}

#[test]
fn resume_sends_what_a_client_missed_over_either_transport() {
    let mut example = Example::run("resume", "127.0.0.1:0");
    let address = example.address();
    let socket = |line: &str| {
        let mut peer = Peer::open(address);
        peer.write(&request("/socket", ""));
        assert!(peer.head().starts_with("HTTP/1.1 101 "));
        peer.send(line);
        peer
    };
    let text = |peer: &mut Peer| String::from_utf8(peer.frame().payload).expect("text");
    let mut peer = socket("news");
    let begin = text(&mut peer);
    assert!(begin.starts_with(r#"{"topic":"news","newest":""#), "{begin}");
    let (mut last, mut position) = news_of(&text(&mut peer)).expect("news");
    // Nothing is missing and nothing comes twice, from one connection to the next.
    for _ in 0..3 {
        drop(peer);
        peer = socket(&format!("news {position}"));
        for _ in 0..5 {
            let (number, next) = news_of(&text(&mut peer)).expect("news");
            assert_eq!(number, last + 1);
            (last, position) = (number, next);
        }
    }
    let mut stream = Peer::open(address);
    let target = format!("/events?topic=news&last-event-id={position}");
    stream.write(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
    stream.head();
    let lines = BufReader::new(stream.stream()).lines().map_while(Result::ok);
    let numbers = lines.filter_map(|line| Some(news_of(line.strip_prefix("data: ")?)?.0));
    let expected: Vec<u64> = (last + 1..=last + 5).collect();
    assert_eq!(numbers.take(5).collect::<Vec<_>>(), expected);

    let mut peer = socket("news 0123456789abcdef:1");
    let lost = text(&mut peer);
    assert!(lost.starts_with(r#"{"topic":"news","oldest":""#), "{lost}");
    for (line, reason) in [("weather", "no such topic"), ("news 7", "no position")] {
        assert_eq!(socket(line).expect_close(CloseCode::POLICY), reason);
    }
}

#[test]
fn resume_serves_its_page_and_its_script() {
    let mut example = Example::run("resume", "127.0.0.1:0");
    let address = example.address();
    for (path, kind, text) in [
        ("/", "text/html", "new ResumingClient("),
        ("/resume.js", "text/javascript", "export class ResumingClient"),
    ] {
        let mut page = Peer::open(address);
        page.write(
            format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes(),
        );
        let page = page.rest();
        assert!(page.contains(&format!("\r\nContent-Type: {kind}")) && page.contains(text));
    }
}

#[test]
fn the_first_examples_fit_on_a_page_and_none_is_long() {
    let examples = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples");
    for entry in std::fs::read_dir(&examples).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        // Its tests are read by those who look for tests.
        let lines = text.split("#[cfg(test)]").next().map_or(0, |text| text.lines().count());
        let most = match path.file_name().and_then(|name| name.to_str()) {
            Some("broadcast.rs" | "client.rs" | "echo.rs") => 40,
            // With its tables, its clients and its warehouse it is a whole application.
            Some("orders.rs") => 200,
            // The same for stock clients: rooms, a sign-in, recovery.
            Some("chat_io.html" | "chat_io.rs") => 200,
            // It serves all that conformance cases ask for, and is no example of how to begin.
            Some("socketio.rs") => 320,
            _ => 150,
        };
        assert!(lines < most, "{}: {lines}", path.display());
    }
}
