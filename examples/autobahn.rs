//! Both roles of the Autobahn|Testsuite, which `tests/autobahn/run` runs:
//! `cargo run --release --example autobahn -- server 127.0.0.1:9001`, or `client` and a URL
//!
//! The server echoes. The client asks the suite's server for the number of cases, echoes in each
//! case, and then requests the report. Every limit but one is the default.

use std::process::ExitCode;

use eventwire::{
    ClientConfig, Config, ConnectError, Connection, Disconnect, EventLoop, Message, ServerConfig,
    WebSocketHandler,
};

/// The client's name in the suite's reports.
const AGENT: &str = "eventwire";

/// Cases 9.1.6 and 9.2.6 send messages of 16 MiB. The limit on fragments grows with this limit, and
/// then allows the 65,537 fragments of cases 9.3.1 and 9.4.1, which send 4 MiB in fragments of 64
/// bytes. The other defaults suffice.
const MAX_MESSAGE: usize = 16 * 1024 * 1024;

type Failure = Box<dyn std::error::Error>;

/// Compresses messages of any size, and accepts every parameter that the suite requests.
#[cfg(feature = "deflate")]
fn deflate() -> eventwire::proto::DeflateConfig {
    eventwire::proto::DeflateConfig::default().min_size(0).context_takeover(true, true)
}

fn server() -> ServerConfig {
    let config = ServerConfig::default().max_message(MAX_MESSAGE);
    #[cfg(feature = "deflate")]
    let config = config.deflate(deflate());
    config
}

fn client() -> ClientConfig {
    let config = ClientConfig::default().max_message(MAX_MESSAGE);
    #[cfg(feature = "deflate")]
    let config = config.deflate(deflate());
    config
}

/// The state of the client's connection. The client has one connection at a time.
#[derive(Default)]
struct Visit {
    /// The last text that was received.
    text: String,
    ended: bool,
    failure: Option<Failure>,
}

struct Echo;

impl<S> WebSocketHandler<S> for Echo {
    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, _: &mut S) {
        conn.send(message);
    }
}

/// A client connection, which echoes messages or stores the last text.
struct Client {
    echoes: bool,
}

impl WebSocketHandler<Visit> for Client {
    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, v: &mut Visit) {
        if self.echoes {
            conn.send(message);
        } else if let Some(text) = message.as_text() {
            text.clone_into(&mut v.text);
        }
    }

    // The suite judges how the connection ended.
    fn on_close(&mut self, _: &mut Connection<'_>, _: &Disconnect, visit: &mut Visit) {
        visit.ended = true;
    }

    fn on_connect_error(&mut self, _: &mut Connection<'_>, e: &ConnectError, v: &mut Visit) {
        v.ended = true;
        v.failure = Some(e.to_string().into());
    }
}

/// Opens one connection, serves it until it ends, and returns the last text that it received.
fn visit(event_loop: &mut EventLoop<Visit>, url: &str, echoes: bool) -> Result<String, Failure> {
    let mut visit = Visit::default();
    event_loop.connect(url, client(), Client { echoes })?;
    while !visit.ended {
        event_loop.turn(None, &mut visit)?;
    }
    visit.failure.map_or(Ok(visit.text), Err)
}

fn run_client(base: &str) -> Result<(), Failure> {
    let mut event_loop = EventLoop::new(Config::default())?;
    let cases: u32 = visit(&mut event_loop, &format!("{base}/getCaseCount"), false)?.parse()?;
    for case in 1..=cases {
        visit(&mut event_loop, &format!("{base}/runCase?case={case}&agent={AGENT}"), true)?;
    }
    visit(&mut event_loop, &format!("{base}/updateReports?agent={AGENT}"), false)?;
    println!("{cases} cases run");
    Ok(())
}

fn run_server(address: &str) -> Result<(), Failure> {
    let mut event_loop = EventLoop::new(Config::default())?;
    let listener = event_loop.listen(address, server(), Echo)?;
    if let Some(address) = event_loop.local_addr(listener) {
        println!("listening on ws://{address}");
    }
    event_loop.run(&mut ())?;
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let run = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["server", address] => run_server(address),
        ["client", url] => run_client(url.trim_end_matches('/')),
        _ => {
            eprintln!("usage: autobahn server ADDRESS | client URL");
            return ExitCode::from(2);
        }
    };
    if let Err(error) = &run {
        eprintln!("error: {error}");
    }
    ExitCode::from(u8::from(run.is_err()))
}
