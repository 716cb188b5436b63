use super::*;

type Tested = Session<u32, char>;

/// What a session wrote.
#[derive(Debug, Default)]
struct Log(Vec<Written>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Written {
    Answer(u32, String),
    Sent(char, String),
    Closed(char),
}

use Written::{Answer, Closed, Sent};

impl Wire<u32, char> for Log {
    fn answer(&mut self, poll: u32, payload: Bytes) {
        self.0.push(Answer(poll, String::from_utf8(payload.to_vec()).unwrap()));
    }

    fn send(&mut self, socket: char, packet: &Packet<'_>) {
        let mut text = String::new();
        packet.write_text(&mut text);
        self.0.push(Sent(socket, text));
    }

    fn send_message(&mut self, socket: char, message: &Outgoing) {
        self.0.push(Sent(socket, message.text.clone()));
        for attachment in &message.attachments {
            self.0.push(Sent(socket, format!("{attachment:?}")));
        }
    }

    fn close(&mut self, socket: char) {
        self.0.push(Closed(socket));
    }
}

impl Log {
    /// What was written since the last look.
    fn take(&mut self) -> Vec<Written> {
        mem::take(&mut self.0)
    }
}

fn answer(poll: u32, payload: &str) -> Written {
    Answer(poll, payload.replace(',', "\x1e"))
}

fn sent(socket: char, text: &str) -> Written {
    Sent(socket, text.to_owned())
}

fn message(text: &str) -> Rc<Outgoing> {
    Rc::new(Outgoing { text: format!("4{text}"), attachments: Vec::new() })
}

fn with_attachments(text: &str, count: usize) -> Rc<Outgoing> {
    let attachments = vec![Bytes::from_static(b"abc"); count];
    Rc::new(Outgoing { text: format!("4{text}"), attachments })
}

/// A session by polling, one whose upgrade to `w` has begun, and one whose probe was answered.
fn upgrading() -> [Tested; 3] {
    let [none, mut open, mut probed] = [(); 3].map(|()| Tested::polling());
    for session in [&mut open, &mut probed] {
        assert!(session.socket_opened('w'));
    }
    let mut log = Log::default();
    probed.receive_probe('w', Some(Packet::Ping("probe")), &mut log);
    assert_eq!(log.take(), [sent('w', "3probe")]);
    [none, open, probed]
}

#[test]
fn a_poll_waits_for_a_message() {
    let (mut session, mut log) = (Tested::polling(), Log::default());
    assert_eq!(session.poll(1, &mut log), Ok(()));
    session.flush(&mut log);
    assert!(session.has_idle_poll());
    session.send(message("a"), &mut log);
    session.send(message("b"), &mut log);
    assert!(!session.has_idle_poll());
    assert_eq!((log.take(), session.queued_bytes()), (vec![], 4));
    session.flush(&mut log);
    assert_eq!((log.take(), session.queued_bytes()), (vec![answer(1, "4a,4b")], 0));
}

#[test]
fn what_waits_leaves_with_the_next_poll_and_no_more_than_clients_take_of_it() {
    let (mut session, mut log) = (Tested::polling(), Log::default());
    for _ in 0..20 {
        session.send(message("a"), &mut log);
    }
    session.send(with_attachments("b", 10), &mut log);
    let all = ["4a"; 16].join(",");
    for (poll, payload) in [(1, all), (2, format!("4a,4a,4a,4a,4b{}", ",bYWJj".repeat(10)))] {
        assert_eq!(session.poll(poll, &mut log), Ok(()));
        assert_eq!(log.take(), [answer(poll, &payload)]);
    }
    assert_eq!(session.queued_bytes(), 0);
}

#[test]
fn attachments_stay_with_their_message_however_many_they_are() {
    let (mut session, mut log) = (Tested::polling(), Log::default());
    session.send(message("a"), &mut log);
    session.send(with_attachments("b", 16), &mut log);
    assert_eq!(session.poll(1, &mut log), Ok(()));
    assert_eq!(session.poll(2, &mut log), Ok(()));
    let long = format!("4b{}", ",bYWJj".repeat(16));
    assert_eq!(log.take(), [answer(1, "4a"), answer(2, &long)]);
}

#[test]
fn a_second_poll_ends_the_session_whatever_waits() {
    for waiting in [0, 1, 100] {
        let (mut session, mut log) = (Tested::polling(), Log::default());
        assert_eq!(session.poll(1, &mut log), Ok(()));
        for _ in 0..waiting {
            session.send(message("a"), &mut log);
        }
        assert_eq!(session.poll(2, &mut log), Err(Refused::Overlapping));
        assert_eq!(log.take(), [answer(1, "1")]);
        assert!(session.is_closed());
        assert_eq!(session.poll(3, &mut log), Err(Refused::Unknown));
    }
}

#[test]
fn a_session_ends_with_the_client_of_the_poll_that_waits() {
    let (mut session, mut log) = (Tested::polling(), Log::default());
    assert_eq!(session.poll(1, &mut log), Ok(()));
    assert!(!session.poll_lost(2, &mut log) && session.is_open());
    assert!(session.poll_lost(1, &mut log) && session.is_closed());
    assert_eq!(log.take(), []);
}

#[test]
fn packets_are_received_in_every_open_state() {
    let packets = || {
        [
            (Packet::Text("a"), Received::Text("a")),
            (Packet::Binary(b"b".into()), Received::Binary(Bytes::from_static(b"b"))),
            (Packet::Pong(""), Received::Nothing),
            (Packet::Noop, Received::Nothing),
            (Packet::Close, Received::Closed),
            (Packet::Ping(""), Received::Violation),
            (Packet::Ping("probe"), Received::Violation),
            (Packet::Open("{}"), Received::Violation),
            (Packet::Upgrade, Received::Violation),
        ]
    };
    let mut log = Log::default();
    for mut session in upgrading().into_iter().chain([Tested::web_socket('w')]) {
        for (packet, received) in packets() {
            assert_eq!(session.receive(packet), received);
        }
        assert!(session.is_open());
        session.close(&mut log);
        for (packet, _) in packets() {
            assert_eq!(session.receive(packet), Received::Nothing);
        }
    }
}

#[test]
fn requests_are_refused_where_they_do_not_belong() {
    let mut log = Log::default();
    let mut session = Tested::web_socket('w');
    assert_eq!(session.poll(1, &mut log), Err(Refused::OtherTransport));
    assert_eq!(session.check_post(), Err(Refused::OtherTransport));
    assert!(!session.socket_opened('x'));
    let mut closing = Tested::polling();
    assert_eq!(closing.check_post(), Ok(()));
    closing.close(&mut log);
    assert_eq!(closing.check_post(), Err(Refused::Unknown));
    assert!(!closing.socket_opened('x') && !closing.is_closed());
    assert_eq!(closing.poll(2, &mut log), Ok(()));
    assert_eq!(closing.check_post(), Err(Refused::Unknown));
    assert!(!closing.socket_opened('x') && closing.is_closed());
    assert_eq!(log.take(), [answer(2, "1")]);
}

#[test]
fn an_upgrade_moves_what_waits_behind_what_polls_have_got() {
    let (mut session, mut log) = (Tested::polling(), Log::default());
    assert_eq!(session.poll(1, &mut log), Ok(()));
    assert!(session.socket_opened('w') && session.is_upgrading_to('w'));
    assert_eq!(session.socket(), None);
    session.receive_probe('w', Some(Packet::Ping("probe")), &mut log);
    assert_eq!(log.take(), [sent('w', "3probe"), answer(1, "6")]);
    // Every poll is answered at once, so that the client can leave polling.
    assert_eq!(session.poll(2, &mut log), Ok(()));
    assert_eq!(log.take(), [answer(2, "6")]);
    session.send(message("a"), &mut log);
    assert_eq!(session.poll(3, &mut log), Ok(()));
    session.send(with_attachments("b", 1), &mut log);
    session.send(message("c"), &mut log);
    assert_eq!(log.take(), [answer(3, "4a")]);
    let received = session.receive_probe('w', Some(Packet::Upgrade), &mut log);
    assert_eq!((received, session.socket()), (Received::Upgraded, Some('w')));
    let attachment = format!("{:?}", Bytes::from_static(b"abc"));
    assert_eq!(log.take(), [sent('w', "4b"), sent('w', &attachment), sent('w', "4c")]);
    assert_eq!(session.queued_bytes(), 0);
    session.send(message("d"), &mut log);
    assert_eq!(log.take(), [sent('w', "4d")]);
}

#[test]
fn a_poll_that_waits_gets_what_waits_before_the_upgrade() {
    let (mut session, mut log) = (Tested::polling(), Log::default());
    assert!(session.socket_opened('w'));
    assert_eq!(session.poll(1, &mut log), Ok(()));
    for _ in 0..17 {
        session.send(message("a"), &mut log);
    }
    session.receive_probe('w', Some(Packet::Upgrade), &mut log);
    assert_eq!(log.take(), [answer(1, &["4a"; 16].join(",")), sent('w', "4a")]);
}

#[test]
fn a_failed_upgrade_leaves_the_session_by_polling() {
    let bad = [None, Some(Packet::Ping("")), Some(Packet::Text("a")), Some(Packet::Close)];
    for packet in bad {
        for mut session in upgrading().into_iter().skip(1) {
            let mut log = Log::default();
            session.receive_probe('w', packet.clone(), &mut log);
            assert_eq!(log.take(), [Closed('w')]);
            assert_eq!(session.poll(1, &mut log), Ok(()));
            session.send(message("a"), &mut log);
            session.flush(&mut log);
            assert_eq!(log.take(), [answer(1, "4a")]);
            assert!(session.socket_opened('x'));
        }
    }
}

#[test]
fn a_websocket_whose_upgrade_has_failed_does_not_harm_the_next_upgrade() {
    for packet in [Some(Packet::Ping("probe")), Some(Packet::Upgrade), None] {
        let (mut session, mut log) = (Tested::polling(), Log::default());
        assert!(session.socket_opened('v'));
        session.end_upgrade(&mut log);
        assert!(session.socket_opened('w'));
        assert_eq!(session.receive_probe('v', packet, &mut log), Received::Nothing);
        assert_eq!(log.take(), [Closed('v'), Closed('v')]);
        assert!(session.is_upgrading_to('w'));
        assert_eq!(session.socket_lost('v'), Lost::Nothing);
        session.receive_probe('w', Some(Packet::Upgrade), &mut log);
        assert_eq!(session.socket(), Some('w'));
    }
}

#[test]
fn one_upgrade_goes_on_at_a_time() {
    for mut session in upgrading().into_iter().skip(1) {
        assert!(!session.socket_opened('x') && session.is_upgrading_to('w'));
        assert_eq!(session.socket_lost('x'), Lost::Nothing);
        assert_eq!(session.socket_lost('w'), Lost::Upgrade);
        assert!(session.is_open() && session.socket_opened('x'));
    }
}

#[test]
fn the_end_of_its_websocket_is_the_end_of_a_session() {
    let mut session = Tested::web_socket('w');
    assert_eq!(session.socket_lost('x'), Lost::Nothing);
    assert_eq!(session.socket_lost('w'), Lost::Session);
    assert!(session.is_closed());
    assert_eq!(session.socket_lost('w'), Lost::Nothing);
}

#[test]
fn a_heart_that_is_not_answered_is_missed() {
    for mut session in upgrading().into_iter().chain([Tested::web_socket('w')]) {
        let mut log = Log::default();
        for _ in 0..2 {
            assert_eq!(session.beat(&mut log), Beat::Pinged);
            assert_eq!(session.receive(Packet::Pong("")), Received::Pong);
            assert_eq!(session.receive(Packet::Pong("")), Received::Nothing);
        }
        assert_eq!(session.beat(&mut log), Beat::Pinged);
        assert_eq!(session.beat(&mut log), Beat::Missed);
        assert!(session.is_open(), "the caller ends it");
    }
}

#[test]
fn a_ping_takes_its_place_among_messages() {
    let (mut session, mut log) = (Tested::polling(), Log::default());
    session.send(message("a"), &mut log);
    assert_eq!(session.beat(&mut log), Beat::Pinged);
    session.send(message("b"), &mut log);
    assert_eq!(session.poll(1, &mut log), Ok(()));
    assert_eq!(log.take(), [answer(1, "4a,2,4b")]);
    // One that waits moves with an upgrade, too.
    assert_eq!(session.receive(Packet::Pong("")), Received::Pong);
    assert_eq!(session.beat(&mut log), Beat::Pinged);
    assert!(session.socket_opened('w'));
    session.receive_probe('w', Some(Packet::Upgrade), &mut log);
    assert_eq!(log.take(), [sent('w', "2")]);
}

#[test]
fn a_session_that_closes_sends_what_waits_first() {
    let (mut session, mut log) = (Tested::polling(), Log::default());
    assert_eq!(session.poll(1, &mut log), Ok(()));
    session.send(message("a"), &mut log);
    session.close(&mut log);
    // The end has a response of its own.
    assert_eq!(log.take(), [answer(1, "4a")]);
    assert!(!session.is_closed());
    assert_eq!(session.poll(2, &mut log), Ok(()));
    assert_eq!((log.take(), session.is_closed()), (vec![answer(2, "1")], true));

    let mut session = Tested::polling();
    for _ in 0..17 {
        session.send(message("a"), &mut log);
    }
    session.close(&mut log);
    assert!(!session.is_open() && !session.is_closed());
    session.send(message("b"), &mut log);
    assert_eq!(session.poll(1, &mut log), Ok(()));
    assert_eq!(log.take(), [answer(1, &["4a"; 16].join(","))]);
    assert!(!session.is_closed());
    assert_eq!(session.poll(2, &mut log), Ok(()));
    assert_eq!((log.take(), session.is_closed()), (vec![answer(2, "4a")], false));
    assert_eq!(session.poll(3, &mut log), Ok(()));
    assert_eq!((log.take(), session.is_closed()), (vec![answer(3, "1")], true));
}

#[test]
fn a_session_that_ends_lets_go_of_its_transports() {
    type End = fn(&mut Tested, &mut Log);
    let ends: [(End, &str); 3] = [(Tested::close, "1"), (Tested::abort, "1"), (Tested::end, "6")];
    for (end, last) in ends {
        for (mut session, closed) in upgrading().into_iter().zip([&[][..], &['w'], &['w']]) {
            let mut log = Log::default();
            session.end_upgrade(&mut Log::default());
            assert_eq!(session.poll(1, &mut log), Ok(()));
            if !closed.is_empty() {
                assert!(session.socket_opened('w'));
            }
            end(&mut session, &mut log);
            let mut written = log.take();
            written.sort_by_key(|it| matches!(it, Answer(..)));
            let expected = closed.iter().map(|socket| Closed(*socket)).chain([answer(1, last)]);
            assert_eq!(written, expected.collect::<Vec<_>>());
            assert!(session.is_closed());
        }
        let (mut session, mut log) = (Tested::web_socket('w'), Log::default());
        end(&mut session, &mut log);
        end(&mut session, &mut log);
        assert_eq!((log.take(), session.is_closed()), (vec![Closed('w')], true));
    }
}

#[test]
fn an_abort_drops_what_waits() {
    let (mut session, mut log) = (Tested::polling(), Log::default());
    session.send(message("a"), &mut log);
    session.close(&mut log);
    session.abort(&mut log);
    assert!(session.is_closed());
    assert_eq!(session.queued_bytes(), 0);
    assert_eq!(session.poll(1, &mut log), Err(Refused::Unknown));
    assert_eq!(log.take(), []);
}
