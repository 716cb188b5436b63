//! Packets of Socket.IO that are malformed, or name more than there may be.

use eventwire::proto::OpCode;

use super::socketio_peer::{
    NAMESPACES, NOISE, PAYLOAD, Polling, ROOMS, echo, end, joined, start, text,
};

/// More than there may be, of attachments.
const TOO_MANY: usize = 11;

#[test]
fn malformed_packets_end_their_session_alone() {
    let (mut rig, mut guest) = start("socketio");
    let deep = format!(r#"42["echo",{}{}]"#, "[".repeat(1000), "]".repeat(1000));
    let deepest = format!(r#"42["echo",{}"#, "[".repeat(PAYLOAD - 100));
    let keys = format!(r#"42["echo",{{{}"#, r#""a":{"#.repeat(10_000));
    let packets = [
        "",
        "0{}",
        "2",
        "2probe",
        "5",
        "7",
        "4",
        "48",
        "4x",
        "42",
        "42{}",
        "42[]",
        "42[{}]",
        "42[null]",
        r#"42["echo""#,
        r#"42["echo",]"#,
        r#"42["echo"]x"#,
        r#"42["connect"]"#,
        r#"42["disconnect"]"#,
        r#"4299999999999999999999["echo"]"#,
        r#"42-1["echo"]"#,
        r#"42/b,["echo"]"#,
        "40",
        "41x",
        "43[]",
        "43x[]",
        "44{}",
        r#"45["echo"]"#,
        r#"45-["echo"]"#,
        r#"4511-["echo"]"#,
        r#"45999999999999999999999-["echo"]"#,
        "40/x1,[]",
        "40/x1,{",
        "b!",
        "b",
        &deep,
        &deepest,
        &keys,
    ];
    for packet in packets {
        let mut peer = joined(rig.socket_io());
        peer.send(packet);
        peer.next_frame();
        drop(peer);
        rig.until(|rig| rig.stat("sessions") == 1);
        echo(&mut guest);
    }
    assert_eq!(rig.stat("violations"), packets.len() as u64);
    for packet in packets {
        // An empty body is an empty packet.
        let mut polling = Polling::joined(rig.socket_io());
        assert_eq!(polling.post(packet), 400, "{packet}");
        assert_eq!(polling.get().0, 400);
        drop(polling);
    }
    assert_eq!(rig.stat("violations"), 2 * packets.len() as u64);
    rig.assert_held_at_most(8 * PAYLOAD as u64 + NOISE);
    end(rig, guest, NOISE);
}

#[test]
fn placeholders_and_attachments_that_do_not_fit_end_their_session_alone() {
    let (mut rig, mut guest) = start("socketio");
    let event = |placeholder: &str| format!(r#"451-["echo",{placeholder}]"#);
    let mut cases: Vec<(String, Vec<OpCode>)> = [
        r#"{"_placeholder":true,"num":1}"#,
        r#"{"_placeholder":true,"num":-1}"#,
        r#"{"_placeholder":true,"num":1e400}"#,
        r#"{"_placeholder":true,"num":"0"}"#,
        r#"{"_placeholder":true}"#,
        r#"{"num":0,"_placeholder":true,"num":99999999999999999999}"#,
    ]
    .map(|placeholder| (event(placeholder), vec![OpCode::Binary]))
    .into();
    let fine = r#"{"_placeholder":true,"num":0}"#;
    cases.push((event(fine), vec![OpCode::Text]));
    cases.push((event(fine), vec![OpCode::Binary, OpCode::Binary]));
    cases.push((r#"42["echo"]"#.to_owned(), vec![OpCode::Binary]));
    let count = cases.len() as u64;
    for (text, frames) in cases {
        let mut peer = joined(rig.socket_io());
        peer.send(&text);
        for opcode in frames {
            peer.send_frame(true, opcode, b"4");
        }
        peer.next_frame();
        drop(peer);
        rig.until(|rig| rig.stat("sessions") == 1);
        echo(&mut guest);
    }
    assert_eq!(rig.stat("violations"), count);
    end(rig, guest, NOISE);
}

#[test]
fn attachments_that_were_announced_and_never_come_hold_what_has_come() {
    const PEERS: usize = 5;
    let (mut rig, mut guest) = start("socketio");
    let mut peers: Vec<_> = (0..PEERS).map(|_| joined(rig.socket_io())).collect();
    for peer in &mut peers {
        peer.send(r#"4510-["echo"]"#);
        for _ in 0..9 {
            peer.send_frame(true, OpCode::Binary, &[0; PAYLOAD]);
        }
    }
    // Eleven cannot be announced, and the length of one is that of a message.
    let mut further = joined(rig.socket_io());
    further.send(&*format!(r#"45{TOO_MANY}-["echo"]"#));
    further.next_frame();
    drop(further);
    rig.until(|rig| rig.stat("messages_received") > (PEERS * 10) as u64);
    rig.progress(2);
    echo(&mut guest);
    // Ten attachments of each session.
    rig.assert_held_at_most((PEERS * 10 * PAYLOAD) as u64 + 4 * PAYLOAD as u64 + NOISE);
    drop(peers);
    rig.until(|rig| rig.stat("sessions") == 1);
    // The allocator may keep a part of what was held.
    end(rig, guest, NOISE + (PEERS * 5 * PAYLOAD) as u64);
}

#[test]
fn namespaces_without_end_are_refused() {
    let (mut rig, mut guest) = start("socketio, recovering");
    let topics = rig.stat("topics");
    let mut peer = joined(rig.socket_io());
    let mut joins = 0;
    for number in 0..1000 {
        // Of a claim to a session that nobody knows, too.
        peer.send(&*format!(r#"40/x{number},{{"pid":"AAAQIDBAUGBwgJCgsMDQ4PEA"}}"#));
        joins += usize::from(text(&mut peer).starts_with("40/x"));
    }
    assert_eq!(joins, NAMESPACES - 1);
    for name in ["/y", "/", "/y/x", &format!("/y{}", "z".repeat(PAYLOAD / 2))] {
        if name != "/" {
            peer.send(&*format!("40{name},"));
            assert!(text(&mut peer).starts_with("44/y"));
        }
    }
    assert_eq!(rig.stat("topics"), topics + 2 * (NAMESPACES as u64 - 1));
    echo(&mut guest);
    drop(peer);
    rig.until(|rig| rig.stat("sessions") == 1 && rig.stat("topics") == topics);
    rig.assert_held_at_most(8 * PAYLOAD as u64 + NOISE);
    end(rig, guest, NOISE);
}

#[test]
fn rooms_without_end_are_refused() {
    let (mut rig, mut guest) = start("socketio");
    let topics = rig.stat("topics");
    let mut peer = joined(rig.socket_io());
    let mut joins = 0;
    for number in 0..1000 {
        peer.send(&*format!(r#"421["join","{number}"]"#));
        joins += usize::from(text(&mut peer) == "431[true]");
    }
    assert_eq!(joins, ROOMS);
    // A name of any length.
    let mut other = joined(rig.socket_io());
    other.send(&*format!(r#"421["join","{}"]"#, "x".repeat(PAYLOAD - 100)));
    assert_eq!(text(&mut other), "431[true]");
    assert!(rig.stat("topics") <= topics + ROOMS as u64 + 1);
    echo(&mut guest);
    drop((peer, other));
    rig.until(|rig| rig.stat("sessions") == 1);
    assert_eq!(rig.stat("topics"), topics);
    rig.assert_held_at_most(8 * PAYLOAD as u64 + NOISE);
    end(rig, guest, NOISE);
}
