//! Records of TLS that are none, or far too many.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use eventwire::proto::{Limits, OpCode};
use eventwire::{Config, ServerConfig};
use rustls::crypto::cipher::{MessageEncrypter, OutboundPlainMessage};
use rustls::{ConnectionTrafficSecrets, ContentType, ProtocolVersion, SupportedCipherSuite};

use super::rig::{HALF_RECORD, IN_PIECES, KIB, MIB, NOISE, Rig, SESSION};
use super::service::Profile;
use crate::util::{Peer, frame};

const SOFT: usize = 16 * 1024;
const RECEIVE: usize = 16 * 1024;

pub(super) fn profile() -> Profile {
    let limits = Limits::default()
        .ping_interval(Some(Duration::from_secs(1)))
        .pong_timeout(Duration::from_secs(1))
        .close_timeout(Duration::from_millis(500));
    Profile::new(Config::default(), ServerConfig::default().limits(limits))
}

/// No deadline expires, and little output waits.
pub(super) fn patient() -> Profile {
    let config = Config::default()
        .outbox(SOFT, 4 * SOFT)
        .outbox_stall(Duration::from_secs(3600))
        .receive_buffer(RECEIVE);
    let limits = Limits::default().ping_interval(None).close_timeout(Duration::from_millis(500));
    Profile::new(config, ServerConfig::default().limits(limits))
}

/// A session whose records are made by hand.
struct Sealer {
    socket: TcpStream,
    encrypter: Box<dyn MessageEncrypter>,
    sequence: u64,
}

impl Sealer {
    fn new(peer: Peer) -> Self {
        let (session, socket) = peer.into_session();
        let Some(SupportedCipherSuite::Tls13(suite)) = session.negotiated_cipher_suite() else {
            panic!("another version of TLS");
        };
        let secrets = session.dangerous_extract_secrets().expect("the keys");
        let (sequence, secrets) = secrets.tx;
        let (ConnectionTrafficSecrets::Aes128Gcm { key, iv }
        | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
        | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv }) = secrets
        else {
            panic!("another cipher");
        };
        Self { socket, encrypter: suite.aead_alg.encrypter(key, iv), sequence }
    }

    /// The next record.
    fn seal(&mut self, typ: ContentType, payload: &[u8]) -> Vec<u8> {
        let version = ProtocolVersion::TLSv1_2;
        let message = OutboundPlainMessage { typ, version, payload: payload.into() };
        let sealed = self.encrypter.encrypt(message, self.sequence).expect("a record");
        self.sequence += 1;
        sealed.encode()
    }

    /// The stream ends, with an alert or without.
    fn expect_end(mut self) {
        let mut received = Vec::new();
        if let Err(error) = self.socket.read_to_end(&mut received) {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        }
    }
}

#[test]
fn what_is_no_record_of_a_session_ends_it() {
    let mut rig = Rig::secure("tls records").sessions(1, HALF_RECORD);
    let hello = {
        let mut peer = Peer::begin(rig.echo());
        peer.hello()
    };
    let (alert, data) = (ContentType::Alert, ContentType::ApplicationData);
    let handshake = ContentType::Handshake;
    // Once as anybody on the way could send it, once as the peer alone can.
    let plain = [
        ("garbage", vec![0xFF; 5000]),
        ("another handshake", hello.clone()),
        ("data that is not encrypted", b"\x17\x03\x03\x00\x07\x81\x81\0\0\0\0x".to_vec()),
        ("a length of 64 KiB", b"\x17\x03\x03\xFF\xFF".repeat(10)),
        ("an alert that is not encrypted", b"\x15\x03\x03\x00\x02\x01\x00".to_vec()),
        ("no payload at all", b"\x17\x03\x03\x00\x00".to_vec()),
        ("data with another key", [b"\x17\x03\x03\x00\x20", &[7; 32][..]].concat()),
    ];
    let sealed = [
        ("another handshake, encrypted", handshake, hello[5..].to_vec()),
        ("a finish once more", handshake, [&[20, 0, 0, 32][..], &[0; 32]].concat()),
        ("a message that nobody knows", handshake, vec![99, 0, 0, 0]),
        ("a message of 16 MiB", handshake, vec![24, 0xFF, 0xFF, 0xFF]),
        ("an alert that is no end", alert, vec![1, 100]),
        ("an alert that is one", alert, vec![2, 80]),
        ("half an alert", alert, vec![1]),
        ("a change of ciphers", ContentType::ChangeCipherSpec, vec![1]),
        ("a record of no kind", ContentType::Unknown(99), vec![1]),
    ];
    let before = rig.stat("by_failure");
    let message = frame(true, OpCode::Text, b"behind");
    for (name, bytes) in &plain {
        let mut sealer = Sealer::new(Peer::connect(rig.echo()));
        let behind = sealer.seal(data, &message);
        sealer.socket.write_all(&[&bytes[..], &behind].concat()).expect(name);
        sealer.expect_end();
    }
    for (name, typ, bytes) in &sealed {
        let mut sealer = Sealer::new(Peer::connect(rig.echo()));
        let records = [sealer.seal(*typ, bytes), sealer.seal(data, &message)].concat();
        sealer.socket.write_all(&records).expect(name);
        sealer.expect_end();
    }
    rig.progress(5);
    let count = plain.len() + sealed.len();
    assert_eq!(rig.stat("by_failure") - before, count as u64);
    rig.assert_held_at_most(NOISE);
    rig.end(NOISE);
}

#[test]
fn empty_records_end_a_session_after_a_few() {
    const PEERS: usize = 50;
    let mut rig = Rig::secure("tls records, patient").sessions(1, IN_PIECES);
    for _ in 0..PEERS {
        let mut sealer = Sealer::new(Peer::connect(rig.echo()));
        let empty = |_| sealer.seal(ContentType::ApplicationData, b"");
        let records: Vec<u8> = (0..10_000).flat_map(empty).collect();
        // It may be cut before it has said everything.
        let _ = sealer.socket.write_all(&records);
        sealer.expect_end();
    }
    rig.progress(5);
    assert_eq!(rig.stat("by_failure"), PEERS as u64);
    rig.assert_held_at_most(NOISE);
    rig.end(NOISE);
}

#[test]
fn floods_of_records_with_next_to_nothing_leave_the_others_their_turns() {
    /// Of wire for each peer.
    const MUCH: usize = 4 << 20;
    let mut rig = Rig::secure("tls records, patient").sessions(1, IN_PIECES);
    // Bytes by themselves, and among as many empty ones as may be.
    for empty in [0, 31] {
        let mut sealer = Sealer::new(Peer::connect(rig.echo()));
        let pings = frame(true, OpCode::Text, b"x").into_iter().cycle();
        let mut records = Vec::new();
        for byte in pings {
            records.extend(sealer.seal(ContentType::ApplicationData, &[byte]));
            (0..empty).for_each(|_| {
                records.extend(sealer.seal(ContentType::ApplicationData, b""));
            });
            if records.len() > MUCH {
                break;
            }
        }
        let mut answers = sealer.socket.try_clone().expect("clone the stream");
        let mut socket = sealer.socket.try_clone().expect("clone the stream");
        let reading = thread::spawn(move || {
            let mut buffer = vec![0; 256 * 1024];
            while answers.read(&mut buffer).is_ok_and(|count| count > 0) {}
        });
        let writing = thread::spawn(move || socket.write_all(&records).expect("write"));
        rig.progress(10);
        writing.join().expect("all of it is taken");
        sealer.socket.shutdown(Shutdown::Both).expect("shut down");
        reading.join().expect("the end");
    }
    rig.until(|rig| rig.peers() == 0);
    rig.assert_held_at_most(MIB + NOISE);
    rig.end(MIB + NOISE);
}

#[test]
fn key_updates_by_themselves_end_a_session_and_among_messages_are_answered_once() {
    const PEERS: usize = 20;
    const TIMES: usize = 1000;
    let mut rig = Rig::secure("tls records, patient").sessions(2 * PEERS, SESSION);
    for _ in 0..PEERS {
        let mut peer = Peer::connect(rig.echo());
        for _ in 0..TIMES {
            peer.update_keys();
        }
        peer.expect_alert_or_cut();
    }
    assert_eq!(rig.stat("by_failure"), PEERS as u64);
    let message = frame(true, OpCode::Text, b"x");
    let mut peers: Vec<_> = (0..PEERS).map(|_| Peer::connect(rig.echo())).collect();
    for _ in 0..TIMES {
        for peer in &mut peers {
            peer.update_keys();
            peer.write(&message);
        }
    }
    rig.progress(5);
    for peer in &mut peers {
        assert_eq!(peer.bytes(3 * TIMES), b"\x81\x01x".repeat(TIMES));
    }
    rig.assert_held_at_most(NOISE);
    drop(peers);
    rig.end(NOISE);
}

#[test]
fn one_who_never_reads_makes_a_session_hold_one_answer() {
    const PEERS: usize = 2;
    let mut rig = Rig::secure("tls records, patient").sessions(PEERS, IN_PIECES);
    let message = frame(true, OpCode::Text, b"x");
    let mut peers: Vec<_> = (0..PEERS).map(|_| Peer::narrow(rig.echo())).collect();
    // Each by itself, or the answers to several would be one record.
    let mut idle_rounds = 0;
    while idle_rounds < 3 {
        let mut more = 0;
        for _ in 0..200 {
            for peer in &mut peers {
                more += peer.pour(&message).unwrap_or_default();
            }
        }
        idle_rounds = if more == 0 { idle_rounds + 1 } else { 0 };
        rig.pass(Duration::from_millis(5));
    }
    rig.progress(10);
    // Others than those of a few bytes wait where they count, in storage that doubles.
    let waiting = 2 * (SOFT + RECEIVE) as u64;
    assert!(rig.stat("outbound_bytes") <= PEERS as u64 * waiting);
    rig.assert_held_at_most(PEERS as u64 * waiting + NOISE);
    drop(peers);
    rig.end(PEERS as u64 * waiting + NOISE);
}

#[test]
fn who_stalls_in_a_record_answers_no_ping_and_is_cut() {
    const PEERS: usize = 200;
    let mut rig = Rig::secure("tls records").sessions(PEERS, HALF_RECORD);
    let mut peers = Vec::new();
    for number in 0..PEERS {
        let mut sealer = Sealer::new(Peer::connect(rig.echo()));
        let record = sealer.seal(ContentType::ApplicationData, &[0; 16 * KIB as usize]);
        let said = [1, 5, 4096, record.len() - 1][number % 4];
        sealer.socket.write_all(&record[..said]).expect("write");
        peers.push(sealer);
    }
    rig.progress(5);
    // They keep their ends, and are forgotten all the same.
    rig.until(|rig| rig.peers() == 0);
    assert_eq!(rig.stat("by_timeout"), PEERS as u64);
    rig.assert_held_at_most(NOISE);
    drop(peers);
    rig.end(NOISE);
}
