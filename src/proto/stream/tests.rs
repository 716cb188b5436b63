use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Data, InputError, RawStream, StreamLimits};
use crate::proto::{BufferPool, Role, State, TimedOut};
use crate::time::Time;

const START: Time = Time::BEGINNING;

fn open(kept: usize) -> RawStream {
    let limits = Arc::new(StreamLimits { kept, ..StreamLimits::default() });
    let mut stream = RawStream::new(Role::Server, limits, START);
    stream.open(START);
    stream
}

/// Lends `input`, of which `used` bytes are used; what was lent.
fn lend(
    stream: &mut RawStream,
    pool: &mut BufferPool,
    input: &[u8],
    use_some: impl FnOnce(&[u8]) -> usize,
) -> (Vec<u8>, Result<(), InputError>) {
    let data = Data::new(stream.take_kept(START), input);
    let lent = data.as_slice().to_vec();
    let used = use_some(&lent);
    (lent, stream.keep(data, used, false, pool))
}

proptest! {
    #[test]
    fn every_byte_is_lent_in_order_until_it_is_used(
        pieces in vec((vec(any::<u8>(), 1..3000), 0..=100_usize), 1..30),
    ) {
        let (mut stream, mut pool) = (open(usize::MAX), BufferPool::default());
        let (mut sent, mut used) = (Vec::new(), Vec::new());
        for (piece, percent) in pieces {
            sent.extend_from_slice(&piece);
            let before = used.len();
            let (lent, kept) = lend(&mut stream, &mut pool, &piece, |lent| {
                let count = lent.len() * percent / 100;
                used.extend_from_slice(&lent[..count]);
                count
            });
            prop_assert_eq!(&lent[..], &sent[before..]);
            prop_assert_eq!(kept, Ok(()));
            prop_assert_eq!(stream.kept(), sent.len() - used.len());
            prop_assert_eq!(stream.buffered_bytes() == 0, stream.kept() == 0);
            prop_assert!(stream.buffered_bytes() <= 2 * stream.kept() + 8 * 1024);
        }
        prop_assert_eq!(&used[..], &sent[..used.len()]);
    }

    #[test]
    fn no_more_is_kept_than_may_be_and_no_more_used_than_there_is(
        limit in 0..100_usize,
        pieces in vec((1..100_usize, 0..150_usize), 1..20),
    ) {
        let (mut stream, mut pool) = (open(limit), BufferPool::default());
        for (len, used) in pieces {
            let before = stream.kept();
            let (lent, kept) = lend(&mut stream, &mut pool, &vec![7; len], |_| used);
            prop_assert_eq!(lent.len(), before + len);
            let expected = match lent.len().checked_sub(used) {
                None => Err(InputError::Overused { used, lent: lent.len() }),
                Some(left) if left > limit => Err(InputError::Unused { limit }),
                Some(_) => Ok(()),
            };
            prop_assert_eq!(kept, expected);
            prop_assert!(stream.kept() <= limit);
        }
    }
}

#[test]
fn a_paused_stream_lends_its_rest_again_however_long_that_is() {
    let (mut stream, mut pool) = (open(3), BufferPool::default());
    let data = Data::new(stream.take_kept(START), b"one two three");
    assert_eq!(stream.keep(data, 4, true, &mut pool), Ok(()));
    assert!(stream.lends_again());
    let data = Data::new(stream.take_kept(START), &[]);
    assert_eq!(data.as_slice(), b"two three");
    assert!(!stream.lends_again());
    assert_eq!(stream.keep(data, 0, false, &mut pool), Err(InputError::Unused { limit: 3 }));
}

#[test]
fn nothing_is_kept_once_it_is_closed() {
    for close in [RawStream::close, RawStream::terminate] {
        let (mut stream, mut pool) = (open(100), BufferPool::default());
        assert_eq!(lend(&mut stream, &mut pool, b"rest", |_| 0).1, Ok(()));
        let data = Data::new(stream.take_kept(START), b" and more");
        close(&mut stream, START);
        assert_eq!(stream.keep(data, 99, false, &mut pool), Ok(()));
        assert_eq!((stream.kept(), stream.buffered_bytes()), (0, 0));
    }
}

#[test]
fn each_state_has_its_deadline() {
    let limits = StreamLimits::default();
    let second = Duration::from_secs(1);
    let mut stream = RawStream::new(Role::Client, Arc::new(limits.clone()), START);
    assert_eq!(stream.deadline(), Some(START + limits.connect_timeout));
    stream.open(START + second);
    let idle = limits.idle_timeout.expect("there is one by default");
    assert_eq!(stream.deadline(), Some(START + second + idle));
    stream.take_kept(START + 2 * second);
    assert_eq!(stream.deadline(), Some(START + 2 * second + idle));
    stream.close(START + 3 * second);
    let end = START + 3 * second + limits.close_timeout;
    assert_eq!((stream.state(), stream.deadline()), (State::Closing, Some(end)));
    stream.note_progress(START + 4 * second);
    assert_eq!(stream.handle_timeout(end), Ok(()));
    assert_eq!(stream.handle_timeout(end + second), Err(TimedOut::Close));
    assert_eq!(stream.state(), State::Closed);

    let endless = Arc::new(StreamLimits { idle_timeout: None, ..limits });
    let mut stream = RawStream::new(Role::Server, endless, START);
    stream.open(START);
    assert_eq!(stream.deadline(), None);
}

#[test]
fn each_missed_deadline_has_its_name() {
    let limits = Arc::new(StreamLimits::default());
    let late = START + Duration::from_secs(1_000);
    let mut stream = RawStream::new(Role::Server, Arc::clone(&limits), START);
    assert_eq!(stream.handle_timeout(late), Err(TimedOut::Handshake));
    let mut stream = open(1);
    assert_eq!(stream.handle_timeout(late), Err(TimedOut::Idle));
}

#[test]
fn the_header_of_a_proxy_may_come_in_any_pieces() {
    let header = b"PROXY TCP4 192.0.2.7 198.51.100.1 5000 80\r\n";
    let input = [&header[..], b"rest"].concat();
    for step in 1..input.len() {
        let limits = Arc::new(StreamLimits::default());
        let mut stream = RawStream::new(Role::Server, limits, START).behind_proxy();
        let (mut at, mut found) = (0, None);
        while found.is_none() {
            let end = (at + step).min(input.len());
            let (used, header) = stream.read_proxy_header(&input[at..end]).expect("it is one");
            at += used;
            found = header;
        }
        assert_eq!((found.as_deref(), &input[at..]), (Some(&header[..]), &b"rest"[..]));
        assert!(!stream.expects_proxy_header());
    }
    let limits = Arc::new(StreamLimits::default());
    let mut stream = RawStream::new(Role::Server, limits, START).behind_proxy();
    assert!(stream.read_proxy_header(b"GET / HTTP/1.1\r\n").is_err());
}
