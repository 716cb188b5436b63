//! What is said and answered on a connection that has opened.

use eventwire::proto::{FrameHeader, OpCode, Role};

/// What the peer's frames must come to.
#[derive(Default)]
struct Due {
    /// What is echoed: the kind of the frame, and its payload.
    echoes: Vec<(u8, Vec<u8>)>,
    pings: usize,
    end: End,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum End {
    /// The peer says no more, perhaps in the middle of a frame.
    #[default]
    Open,
    HalfFrame,
    /// The server closes with this code.
    Closed(u16),
    ClosedWithoutCode,
    /// This reading does not judge what comes.
    Unclear,
}

/// Checks what came for the frames `said`, and returns the messages; `is_cut`: their end may be
/// lost.
pub(super) fn check(said: &[u8], came: &[u8], longest: usize, is_cut: bool) -> Vec<Vec<u8>> {
    let due = due(said, longest);
    let (mut at, mut messages, mut pongs, mut close) = (0, Vec::new(), 0, None);
    while at < came.len() {
        assert!(close.is_none(), "more after a close frame");
        let header = FrameHeader::parse(&came[at..], Role::Client).expect("a server's frame");
        let whole = header.and_then(|(header, len)| {
            let payload = came[at + len..].get(..header.len as usize)?;
            Some((header, payload, at + len + payload.len()))
        });
        let Some((header, payload, end)) = whole else {
            assert!(is_cut, "half a frame");
            break;
        };
        assert!(header.fin, "an echo is in one piece");
        match header.opcode {
            OpCode::Close => close = Some(payload.get(..2).map(|code| [code[0], code[1]])),
            OpCode::Pong => pongs += 1,
            // To see whether the peer lives.
            OpCode::Ping => assert!(payload.is_empty()),
            _ => messages.push((came[at], payload.to_vec())),
        }
        at = end;
    }
    let is_unclear = due.end == End::Unclear;
    assert!(is_unclear || pongs <= due.pings, "pongs of nobody's pings");
    let known = due.echoes.len().min(messages.len());
    assert!(messages[..known] == due.echoes[..known], "the echo is another");
    assert!(known == due.echoes.len() || is_cut, "messages are not echoed");
    assert!(known == messages.len() || is_unclear, "messages of nobody");
    let code = close.map(|code| code.map(u16::from_be_bytes));
    let is_right = match due.end {
        End::Unclear => true,
        End::Open => code.is_none(),
        // In the end it takes too long.
        End::HalfFrame => [None, Some(Some(1008))].contains(&code),
        End::Closed(due) => code == Some(Some(due)),
        End::ClosedWithoutCode => code == Some(None),
    };
    assert!(is_right || (is_cut && code.is_none()), "closed with {code:?}");
    messages.into_iter().map(|(_, payload)| payload).collect()
}

/// Reads frames of the ordinary kind.
fn due(mut said: &[u8], longest: usize) -> Due {
    let mut due = Due::default();
    while let [first, second, rest @ ..] = said {
        let len = usize::from(second & 0x7F);
        let is_message = [0x81, 0x82].contains(first);
        let is_control = [0x88, 0x89, 0x8A].contains(first);
        if second & 0x80 == 0 || len > 125 || !(is_message || is_control) {
            due.end = End::Unclear;
            return due;
        }
        if is_message && len > longest {
            due.end = End::Closed(1009);
            return due;
        }
        let Some((key, rest)) = rest.split_first_chunk::<4>() else {
            break;
        };
        let Some(masked) = rest.get(..len) else {
            // What has come of it may be wrong already.
            due.end = if *first == 0x81 { End::Unclear } else { End::HalfFrame };
            return due;
        };
        let payload: Vec<u8> =
            masked.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        said = &rest[len..];
        match (first, &payload[..]) {
            (0x81, text) if !text.is_ascii() => due.end = End::Unclear,
            (0x81 | 0x82, _) => due.echoes.push((*first, payload)),
            (0x89, _) => due.pings += 1,
            (0x8A, _) => {}
            (_, []) => due.end = End::ClosedWithoutCode,
            (_, [3, 232, reason @ ..]) if reason.is_ascii() => due.end = End::Closed(1000),
            _ => due.end = End::Unclear,
        }
        if due.end != End::Open {
            return due;
        }
    }
    match said {
        [] => {}
        [0x81 | 0x82 | 0x88..=0x8A, ..] => due.end = End::HalfFrame,
        _ => due.end = End::Unclear,
    }
    due
}
