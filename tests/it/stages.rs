//! Shutdown in stages, over real sockets and from another thread.

use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use eventwire::{
    CloseCode, Config, Connection, EventLoop, Message, RunEnd, ServerConfig, Shutdown, on_message,
};

use crate::util::{Peer, drive};

const LONG: Duration = Duration::from_secs(3600);

/// An echo server.
fn echo() -> (EventLoop<()>, SocketAddr) {
    let mut event_loop = EventLoop::new(Config::default()).expect("a loop");
    let echo = on_message(|conn: &mut Connection<'_>, message: Message<'_>, _: &mut ()| {
        conn.send(message);
    });
    let listener = event_loop.listen("127.0.0.1:0", ServerConfig::default(), echo).expect("a port");
    let address = event_loop.local_addr(listener).expect("an address");
    (event_loop, address)
}

#[test]
fn another_thread_takes_a_loop_through_the_stages() {
    let (mut event_loop, address) = echo();
    let handle = event_loop.handle();
    let mut peer = drive(&mut event_loop, &mut (), || {
        let mut peer = Peer::connect(address);
        peer.send("one");
        peer.expect("one");
        peer
    });
    handle.stop_listening();
    event_loop.turn(Some(Duration::ZERO), &mut ()).expect("a turn");
    assert!(TcpStream::connect(address).is_err(), "nobody listens");
    drive(&mut event_loop, &mut (), || {
        peer.send("two");
        peer.expect("two");
    });
    handle.stop_reading();
    event_loop.turn(Some(Duration::ZERO), &mut ()).expect("a turn");
    peer.send("three");
    let client = thread::spawn(move || {
        handle.shutdown(Shutdown::within(LONG).code(CloseCode::RESTART, "deploy"));
        // No echo of what was not read.
        assert_eq!(peer.expect_close(CloseCode::RESTART), "deploy");
        peer.send_close(1012, "");
        peer.expect_end();
    });
    let summary = event_loop.run(&mut ()).expect("it ends");
    client.join().expect("no panic");
    assert_eq!((summary.end, summary.closed, summary.cut), (RunEnd::ShutDown, 1, 0));
}
