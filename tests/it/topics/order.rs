//! Sends and broadcasts arrive in the order of the calls.

use super::*;

/// Every sequence of these commands.
fn sequences(commands: &[&'static str], len: usize) -> Vec<Vec<&'static str>> {
    (0..len).fold(vec![Vec::new()], |sequences, _| {
        let longer = |sequence: &Vec<&'static str>| {
            let sequence = sequence.clone();
            commands.iter().map(move |&command| [&sequence[..], &[command]].concat())
        };
        sequences.iter().flat_map(longer).collect()
    })
}

/// Runs each sequence, its commands numbered, and expects the numbers of those that the peer
/// receives, in order.
fn expect_in_order(peer: &mut Peer, sequences: &[Vec<&str>], subscribed: &[&str], padding: &str) {
    // Pipelined, so that one turn serves several; few enough at a time to be answered at once.
    for some in sequences.chunks(20) {
        let mut stream = Vec::new();
        for sequence in some {
            let numbered = sequence.iter().zip(0..);
            let lines: Vec<_> =
                numbered.map(|(command, n)| format!("{command} {n}{padding}")).collect();
            stream.extend(peer.encode_message(&lines.join("\n")));
        }
        peer.write(&stream);
        for sequence in some {
            for (n, _) in sequence.iter().enumerate().filter(|(_, it)| subscribed.contains(it)) {
                peer.expect(&format!("{n}{padding}"));
            }
        }
    }
}

#[test]
fn sends_and_broadcasts_keep_the_order_of_the_calls_in_every_interleaving() {
    let server = server();
    let mut peer = Peer::connect(server.address());
    tell(&mut peer, "sub a\nsub b");
    let commands = ["send", "cast a", "cast b", "cast foreign"];
    expect_in_order(&mut peer, &sequences(&commands, 6), &commands[..3], "");
}

#[test]
fn the_order_holds_for_messages_that_are_not_copied() {
    let server = server();
    let mut peer = Peer::connect(server.address());
    tell(&mut peer, "sub a\nsub b");
    let commands = ["send", "cast a", "cast b"];
    expect_in_order(&mut peer, &sequences(&commands, 4), &commands, &"x".repeat(5_000));
}

#[test]
fn the_order_holds_for_subscribers_other_than_the_speaker() {
    let server = server();
    let mut speaker = Peer::connect(server.address());
    let mut both = Peer::connect(server.address());
    let mut one = Peer::connect(server.address());
    tell(&mut both, "sub a\nsub b");
    tell(&mut one, "sub b");
    for sequence in sequences(&["cast a", "cast b", "send"], 5) {
        let lines: Vec<_> =
            sequence.iter().zip(0..).map(|(command, n)| format!("{command} {n}")).collect();
        speaker.send(&lines.join("\n"));
        for (n, &command) in sequence.iter().enumerate() {
            let number = n.to_string();
            match command {
                "cast a" => both.expect(&number),
                "cast b" => {
                    both.expect(&number);
                    one.expect(&number);
                }
                _ => speaker.expect(&number),
            }
        }
    }
}

#[test]
fn the_speaker_may_be_left_out_and_the_order_holds() {
    let server = server();
    let mut peers = [(); 3].map(|()| Peer::connect(server.address()));
    for peer in &mut peers {
        tell(peer, "sub a\nsub b");
    }
    let [speaker, one, other] = &mut peers;
    for sequence in sequences(&["cast a", "others a", "others b", "send"], 4) {
        let lines: Vec<_> =
            sequence.iter().zip(0..).map(|(command, n)| format!("{command} {n}")).collect();
        speaker.send(&format!("{}\nsend end", lines.join("\n")));
        for (n, &command) in sequence.iter().enumerate() {
            let number = n.to_string();
            if matches!(command, "cast a" | "send") {
                speaker.expect(&number);
            }
            if command != "send" {
                one.expect(&number);
                other.expect(&number);
            }
        }
        speaker.expect("end");
    }
}
