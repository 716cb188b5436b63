//! Data that an application attaches to connections.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::mpsc::Sender;

use eventwire::{
    ClientConfig, CloseCode, Config, ConnectError, Connection, ConnectionId, Disconnect, EventLoop,
    Message, ServerConfig, Upgrade, UpgradeRequest, UpgradeResponse, WebSocketHandler,
};

use crate::util::{Peer, Server, drive_until};

/// Who is connected.
#[derive(Debug, PartialEq)]
struct User(String);

/// Notes when it is dropped.
struct Dropped(Sender<&'static str>, &'static str);

impl Drop for Dropped {
    fn drop(&mut self) {
        let _ = self.0.send(self.1);
    }
}

/// Answers with the user's name, who may be renamed.
struct Names(Sender<&'static str>);

impl WebSocketHandler<()> for Names {
    fn on_upgrade(
        &mut self,
        conn: &mut Connection<'_>,
        request: &UpgradeRequest<'_>,
        _: &mut (),
    ) -> Upgrade {
        assert_eq!(conn.data::<User>(), None, "it is of this connection alone");
        conn.attach(Dropped(self.0.clone(), "dropped"));
        match request.header("X-User") {
            Some(name) => {
                assert_eq!(conn.attach(User(name.to_owned())), None);
                Upgrade::accept()
            }
            None => Upgrade::refuse(401),
        }
    }

    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, _: &mut ()) {
        match message.as_text() {
            Some("forget") => assert!(conn.detach::<User>().is_some()),
            Some("who") => {
                let name = conn.data().map_or("nobody", |User(name)| name).to_owned();
                conn.send(name);
            }
            Some(name) => conn.data_mut::<User>().expect("a user").0 = name.to_owned(),
            None => {}
        }
    }

    fn on_close(&mut self, conn: &mut Connection<'_>, _: &Disconnect, _: &mut ()) {
        let _ = self.0.send(if conn.data::<User>().is_some() { "a user" } else { "nobody" });
    }
}

#[test]
fn data_stays_from_the_request_until_the_connection_is_closed() {
    let (tell, told) = std::sync::mpsc::channel();
    let server = Server::with(Names(tell));
    let next = || told.recv_timeout(crate::util::PATIENCE).expect("it is told");
    let mut ann = Peer::open(server.address()).upgrade_with("X-User: Ann\r\n");
    let mut bob = Peer::open(server.address()).upgrade_with("X-User: Bob\r\n");
    for (peer, name) in [(&mut ann, "Ann"), (&mut bob, "Bob")] {
        peer.send("who");
        peer.expect(name);
    }
    ann.send("Anna");
    ann.send("who");
    ann.expect("Anna");
    bob.send("forget");
    bob.send("who");
    bob.expect("nobody");
    for (mut peer, last) in [(ann, "a user"), (bob, "nobody")] {
        peer.send_close(1000, "");
        peer.expect_close(CloseCode::NORMAL);
        assert_eq!([next(), next()], [last, "dropped"]);
    }
    // A slot that was used before has nothing.
    let (_refused, head) = Peer::ask(server.address(), "");
    assert!(head.starts_with("HTTP/1.1 401 "), "{head}");
    assert_eq!(next(), "dropped", "a connection that never opens keeps nothing");
}

/// A client that attaches something to its connection.
struct Client(Rc<RefCell<Option<ConnectionId>>>);

impl WebSocketHandler<Vec<u32>> for Client {
    fn on_response(
        &mut self,
        conn: &mut Connection<'_>,
        _: &UpgradeResponse<'_>,
        _: &mut Vec<u32>,
    ) {
        conn.attach(1_u32);
    }

    fn on_open(&mut self, conn: &mut Connection<'_>, seen: &mut Vec<u32>) {
        seen.extend(conn.data::<u32>());
        *conn.data_mut::<u32>().expect("it is attached") += 1;
        conn.close(CloseCode::NORMAL, "");
    }

    fn on_close(&mut self, conn: &mut Connection<'_>, _: &Disconnect, seen: &mut Vec<u32>) {
        seen.extend(conn.data::<u32>());
        *self.0.borrow_mut() = Some(conn.id());
    }

    fn on_connect_error(
        &mut self,
        conn: &mut Connection<'_>,
        _: &ConnectError,
        seen: &mut Vec<u32>,
    ) {
        seen.extend(conn.data::<u32>());
        *self.0.borrow_mut() = Some(conn.id());
    }
}

#[test]
fn clients_have_data_too_and_what_is_gone_takes_none() {
    let server = Server::echo();
    let mut event_loop = EventLoop::new(Config::default()).expect("make a loop");
    let ended = Rc::new(RefCell::new(None));
    let url = format!("ws://{}/", server.address());
    let client = Client(Rc::clone(&ended));
    event_loop.connect(&url, ClientConfig::default(), client).expect("begin to connect");
    let mut seen = Vec::new();
    drive_until(&mut event_loop, &mut seen, |_, _| ended.borrow().is_some());
    assert_eq!(seen, [1, 2]);

    let id = event_loop
        .connect(&url, ClientConfig::default(), Client(Rc::clone(&ended)))
        .expect("begin to connect");
    let mut context = event_loop.context();
    let mut conn = context.connection(id);
    assert_eq!(conn.attach(7_u32), None, "it is there before it is connected");
    conn.close(CloseCode::NORMAL, "");
    ended.borrow_mut().take();
    drive_until(&mut event_loop, &mut seen, |_, _| ended.borrow().is_some());
    assert_eq!(seen, [1, 2, 7]);
    let mut context = event_loop.context();
    let mut gone = context.connection(id);
    assert_eq!((gone.attach(8_u32), gone.detach::<u32>()), (Some(8), None));
    assert_eq!(gone.data::<u32>(), None);
}

/// Panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("on purpose");
    }
}

struct Bombs;

impl WebSocketHandler<()> for Bombs {
    fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut ()) {
        conn.attach(Bomb);
    }

    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, _: &mut ()) {
        conn.send(message);
    }
}

#[test]
fn data_that_panics_when_it_is_dropped_costs_nobody_else_anything() {
    let mut event_loop = EventLoop::new(Config::default()).expect("make a loop");
    let listener = event_loop.listen("127.0.0.1:0", ServerConfig::default(), Bombs);
    let address = event_loop.local_addr(listener.expect("listen")).expect("an address");
    let handle = event_loop.handle();
    let peers = std::thread::spawn(move || {
        let (mut one, mut other) = (Peer::connect(address), Peer::connect(address));
        one.send_close(1000, "");
        one.expect_close(CloseCode::NORMAL);
        one.expect_end();
        other.send("still there?");
        other.expect("still there?");
        handle.stop();
    });
    event_loop.run(&mut ()).expect("run");
    peers.join().expect("they do not panic");
    assert_eq!(event_loop.stats().panics, 2);
}
