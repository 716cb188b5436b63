use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::*;

fn take_all<E>(receiver: &mut InboxReceiver<E>) -> Vec<E> {
    std::iter::from_fn(|| receiver.take()).collect()
}

#[test]
fn a_full_queue_gives_the_event_back_and_leaves_other_queues_alone() {
    let mut receiver = Inbox::with_capacity(2);
    let one = InboxSender::new(receiver.inbox());
    let other = InboxSender::new(receiver.inbox());
    assert!(one.send(1).is_ok());
    assert!(one.send(2).is_ok());
    assert!(matches!(one.send(3), Err(PublishError::Full(3))));
    assert!(other.send(4).is_ok());
    assert_eq!(take_all(&mut receiver), [1, 4, 2]);
    assert!(one.send(5).is_ok());
    assert_eq!(take_all(&mut receiver), [5]);
    assert!(!receiver.has_events());
}

#[test]
fn what_a_new_publisher_has_sent_is_counted_before_anything_is_taken() {
    let mut receiver = Inbox::with_capacity(2);
    let one = InboxSender::new(receiver.inbox());
    assert!(one.send(1).is_ok());
    assert_eq!(receiver.len(), 1);
    assert_eq!(receiver.take(), Some(1));
    let other = InboxSender::new(receiver.inbox());
    assert!(one.send(2).is_ok());
    assert!(other.send(3).is_ok());
    assert_eq!(receiver.len(), 2);
    drop(other);
    assert_eq!(receiver.len(), 2);
    receiver.close();
    assert_eq!(receiver.len(), 2);
    assert_eq!(take_all(&mut receiver).len(), 2);
    assert_eq!(receiver.len(), 0);
}

#[test]
fn events_of_a_publisher_that_is_gone_arrive_and_its_queue_is_given_up() {
    let mut receiver = Inbox::with_capacity(4);
    let kept = InboxSender::new(receiver.inbox());
    for number in 0..100 {
        let sender = InboxSender::new(receiver.inbox());
        assert!(sender.send(number).is_ok());
        drop(sender);
        assert!(receiver.has_events());
        assert_eq!(receiver.take(), Some(number));
        assert_eq!(receiver.take(), None);
        assert_eq!(receiver.queues(), 1);
    }
    drop(kept);
    assert_eq!(receiver.take(), None);
    assert_eq!(receiver.queues(), 0);
    assert!(!receiver.has_events());
}

#[test]
fn a_publisher_that_is_held_up_while_it_comes_holds_up_nobody() {
    let mut receiver = Inbox::with_capacity(2);
    let inbox = Arc::clone(receiver.inbox());
    let known = InboxSender::new(&inbox);
    assert!(known.send(1).is_ok());
    assert_eq!(receiver.take(), Some(1));
    let new = InboxSender::new(&inbox);
    assert!(known.send(2).is_ok() && new.send(3).is_ok());
    let coming = inbox.queues();
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        let taken = [receiver.take(), receiver.take()];
        tell.send((taken, receiver)).unwrap();
    });
    let (taken, mut receiver) = told.recv_timeout(Duration::from_secs(30)).unwrap();
    assert_eq!(taken, [Some(2), None]);
    assert!(receiver.has_events());
    drop(coming);
    assert_eq!(take_all(&mut receiver), [3]);
    assert!(!receiver.has_events());
}

#[test]
fn a_dropped_receiver_closes_the_inbox() {
    let receiver = Inbox::with_capacity(1);
    let sender = InboxSender::new(receiver.inbox());
    drop(receiver);
    assert!(matches!(sender.send("event"), Err(PublishError::Closed("event"))));
}

#[test]
fn what_was_sent_before_the_close_is_left_to_take() {
    let mut receiver = Inbox::with_capacity(2);
    let senders = [(); 3].map(|()| InboxSender::new(receiver.inbox()));
    for (number, sender) in senders.iter().enumerate() {
        assert!(sender.send(number).is_ok());
    }
    assert_eq!(receiver.take(), Some(0));
    receiver.close();
    assert_eq!(receiver.len(), 2);
    assert!(matches!(senders[0].send(3), Err(PublishError::Closed(3))));
    let late = InboxSender::new(receiver.inbox());
    assert!(matches!(late.send(4), Err(PublishError::Closed(4))));
    drop((senders, late));
    assert!(receiver.has_events());
    assert_eq!(take_all(&mut receiver), [1, 2]);
    assert!(!receiver.has_events());
    receiver.close();
    assert_eq!(receiver.len(), 0);
}

#[test]
fn what_many_threads_send_arrives_once_and_in_each_ones_order() {
    const THREADS: usize = 4;
    const EVENTS: usize = 20_000;
    let mut receiver = Inbox::with_capacity(64);
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let sender = InboxSender::new(receiver.inbox());
            thread::spawn(move || {
                for number in 0..EVENTS {
                    let mut event = (thread, number);
                    while let Err(PublishError::Full(back)) = sender.send(event) {
                        event = back;
                        thread::yield_now();
                    }
                }
            })
        })
        .collect();
    let mut next = [0; THREADS];
    while next != [EVENTS; THREADS] {
        let Some((thread, number)) = receiver.take() else {
            thread::yield_now();
            continue;
        };
        assert_eq!(number, next[thread]);
        next[thread] += 1;
    }
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(receiver.take(), None);
}
