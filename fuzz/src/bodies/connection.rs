//! A connection under any sequence of what its owner, its peer and the time can do to it.
//!
//! Input: the role, a choice of limits, then commands with their arguments.

use std::time::Duration;

use eventwire::proto::{CloseCode, FrameHeader, Message, OpCode, Role, State, apply_mask};

use super::endpoint::{Endpoint, Frame, Seen, limits, opening_head};
use super::input::{Input, pieces};

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let role = if input.byte() % 2 == 0 { Role::Server } else { Role::Client };
    let limits = limits(input.byte());
    let mut test = Test { peer: Endpoint::new(role, limits), sent: Vec::new() };
    while !input.is_empty() {
        let before = test.peer.connection.state();
        let (written, seen) = (test.peer.out.len(), test.peer.seen.len());
        test.command(&mut input);
        let after = test.peer.connection.state();
        assert!(rank(after) >= rank(before), "{before:?} became {after:?}");
        if rank(before) >= rank(State::Closing) {
            assert_eq!(test.peer.out.len(), written, "written while {before:?}");
        }
        if before == State::Closed {
            assert_eq!(test.peer.seen.len(), seen, "yielded when closed");
        }
    }
    test.finish();
}

struct Test {
    peer: Endpoint,
    /// Messages that the application sent.
    sent: Vec<Frame>,
}

impl Test {
    fn command(&mut self, input: &mut Input<'_>) {
        match input.byte() % 12 {
            0 => self.peer.receive(input.chunk()),
            1 => self.peer.receive(opening_head(self.peer.connection.role())),
            2 | 3 => self.receive_frame(input),
            4 => self.receive_filling(input.byte(), input.length()),
            5 => self.send(Message::Binary(input.chunk())),
            6 => self.send(Message::Text(&String::from_utf8_lossy(input.chunk()))),
            7 => self.ping(input.chunk()),
            8 => self.close(CloseCode::new(input.number()), input.chunk()),
            9 => self.pass(Duration::from_millis(u64::from(input.number()) * 10)),
            10 => self.meet_deadline(),
            _ => self.miss_deadline(),
        }
    }

    /// A valid header, whose payload comes whole, in pieces, or not to its end.
    fn receive_frame(&mut self, input: &mut Input<'_>) {
        let (first, seed) = (input.byte(), input.byte());
        let Some(opcode) = OpCode::from_bits(first & 0xF) else {
            return self.peer.receive(&[first]);
        };
        let mut payload = input.chunk().repeat(usize::from(first >> 4 & 7) + 1);
        let mask = (self.peer.connection.role() == Role::Server).then_some([seed, 1, 2, 3]);
        let fin = first & 0x80 != 0;
        let missing = if seed % 8 == 0 { 1 << (seed >> 3) } else { 0 };
        let header = FrameHeader {
            fin,
            compressed: false,
            opcode,
            mask,
            len: payload.len() as u64 + missing,
        };
        let mut bytes = [0; FrameHeader::MAX_LEN];
        let len = header.encode(&mut bytes);
        if let Some(key) = mask {
            apply_mask(&mut payload, key, 0);
        }
        let stream = [&bytes[..len], &payload].concat();
        match seed % 3 {
            0 => self.peer.receive(&stream),
            1 => pieces(&stream, seed).for_each(|piece| self.peer.receive(piece)),
            _ => pieces(&stream, seed).for_each(|piece| self.peer.receive_direct(piece)),
        }
    }

    /// Much of the same for a payload that is under way, and little otherwise: it would make
    /// thousands of small frames.
    fn receive_filling(&mut self, byte: u8, len: usize) {
        let len = if self.peer.awaits_payload() { len } else { len.min(200) };
        self.peer.receive_direct(&vec![byte; len]);
    }

    fn send(&mut self, message: Message<'_>) {
        let (open, written) = (self.peer.connection.is_open(), self.peer.out.len());
        let sent = self.peer.with(|connection, workspace| connection.send(message, workspace));
        assert_eq!((sent, self.peer.out.len() > written), (open, open));
        if sent {
            let opcode = match message {
                Message::Text(_) => OpCode::Text,
                Message::Binary(_) => OpCode::Binary,
            };
            self.sent.push(Frame { opcode, payload: message.as_bytes().to_vec() });
        }
    }

    fn ping(&mut self, payload: &[u8]) {
        let (open, written) = (self.peer.connection.is_open(), self.peer.out.len());
        let sent = self.peer.with(|connection, workspace| connection.ping(payload, workspace));
        assert_eq!((sent, self.peer.out.len() > written), (open, open));
    }

    fn close(&mut self, code: CloseCode, reason: &[u8]) {
        let reason = String::from_utf8_lossy(reason);
        let (before, written) = (self.peer.connection.state(), self.peer.out.len());
        self.peer.with(|connection, workspace| connection.close(code, &reason, workspace));
        let after = match before {
            State::Open => State::Closing,
            State::Connecting => State::Closed,
            unchanged => unchanged,
        };
        assert_eq!(self.peer.connection.state(), after);
        assert_eq!(self.peer.out.len() > written, before == State::Open);
    }

    /// Lets time pass; before the deadline nothing may happen.
    fn pass(&mut self, time: Duration) {
        self.peer.now += time;
        if self.peer.connection.deadline().is_none_or(|deadline| self.peer.now < deadline) {
            let (state, written) = (self.peer.connection.state(), self.peer.out.len());
            assert_eq!(self.peer.handle_timeout(), Ok(()));
            assert_eq!((self.peer.connection.state(), self.peer.out.len()), (state, written));
        }
    }

    /// Lets time pass up to the deadline, when the connection has to act.
    fn meet_deadline(&mut self) {
        let Some(deadline) = self.peer.connection.deadline() else {
            return;
        };
        self.peer.now = self.peer.now.max(deadline);
        let (before, written) = (self.peer.connection.state(), self.peer.out.len());
        if self.peer.handle_timeout().is_err() {
            assert_eq!(self.peer.connection.state(), State::Closed);
        } else {
            // It pinged; the deadline that follows is the pong's, or an unfinished message's.
            assert_eq!((before, self.peer.connection.state()), (State::Open, State::Open));
            assert!(self.peer.out.len() > written);
        }
    }

    /// Acts on deadlines until none is due.
    fn miss_deadline(&mut self) {
        for _ in 0..3 {
            self.meet_deadline();
            let deadline = self.peer.connection.deadline();
            if deadline.is_none_or(|deadline| deadline > self.peer.now) {
                return;
            }
        }
        panic!("the deadline does not move");
    }

    fn finish(self) {
        let frames = self.peer.frames();
        let of = |opcode: OpCode| {
            let same = frames.iter().filter(move |frame| frame.opcode == opcode);
            same.map(|frame| &frame.payload)
        };
        let pings = self.peer.seen.iter().filter_map(|seen| match seen {
            Seen::Ping(payload) => Some(payload),
            _ => None,
        });
        assert!(of(OpCode::Pong).eq(pings), "a pong for every ping, in order");
        let control = |frame: &&Frame| !frame.opcode.is_control();
        assert!(frames.iter().filter(control).eq(&self.sent), "every message, in order");
        assert!(of(OpCode::Ping).all(|payload| payload.len() <= 125));
    }
}

fn rank(state: State) -> u8 {
    match state {
        State::Connecting => 0,
        State::Open => 1,
        State::Closing => 2,
        State::Closed => 3,
    }
}
