use std::io::Write;

use super::*;

/// Sleeps until that time. Returns the number of sleeps.
fn sleep(reactor: &mut MioReactor, until: Time) -> usize {
    for sleeps in 0.. {
        let now = reactor.now();
        if now >= until {
            return sleeps;
        }
        reactor.poll_until(now, Some(until), &mut Vec::new()).expect("a sleep");
    }
    0
}

/// What one poll reports, by key.
fn look(reactor: &mut MioReactor) -> (Polled, Vec<u64>) {
    let mut ready = Vec::new();
    let polled = reactor.poll(Some(Duration::ZERO), &mut ready).expect("a poll");
    (polled, ready.iter().map(|one| one.key).collect())
}

#[test]
fn a_poll_that_took_all_it_takes_says_so_and_leaves_the_others_in_their_order() {
    let mut reactor = MioReactor::with_events(2).expect("a reactor");
    let mut pairs = Vec::new();
    for key in 0..5 {
        let (near, far) = std::os::unix::net::UnixStream::pair().expect("a pair");
        let mut stream = MioStream::from(far);
        reactor.register(&mut stream, key).expect("not registered before");
        pairs.push((near, stream));
    }
    while look(&mut reactor).0 == Polled::Part {}
    let mut say = |key: usize| pairs[key].0.write_all(b"hello").expect("room");
    (0..5).for_each(&mut say);
    assert_eq!(look(&mut reactor), (Polled::Part, vec![0, 1]));
    // Ready before, and again: the unreported ones come first.
    [4, 1, 3].into_iter().for_each(&mut say);
    assert_eq!(look(&mut reactor), (Polled::Part, vec![2, 3]));
    say(2);
    assert_eq!(look(&mut reactor), (Polled::Part, vec![4, 1]));
    assert_eq!(look(&mut reactor), (Polled::All, vec![2]));
    assert_eq!(look(&mut reactor), (Polled::All, vec![]));
}

#[test]
fn sleeps_end_by_their_moment_however_many_were_to_end_by_it() {
    let mut reactor = MioReactor::new().expect("a reactor");
    let hour = reactor.now() + Duration::from_secs(3600);
    for millis in [20, 1, 10] {
        let until = reactor.now() + Duration::from_millis(millis);
        for moment in [hour, until, until, until + Duration::from_millis(1), until, hour] {
            reactor.waker().wake().expect("a wake");
            let now = reactor.now();
            reactor.poll_until(now, Some(moment), &mut Vec::new()).expect("a poll");
        }
        // One may be ended by what an earlier one was to end by, and one by a signal.
        assert!(sleep(&mut reactor, until) < 10);
    }
}

#[test]
fn a_moment_that_has_come_is_not_waited_for() {
    let mut reactor = MioReactor::new().expect("a reactor");
    let now = reactor.now();
    for moment in [Time::BEGINNING, now] {
        reactor.poll_until(now, Some(moment), &mut Vec::new()).expect("a poll");
    }
}
