//! Models of the queues. loom runs them in every distinct order of their threads' accesses, up to a
//! number of preemptions. The command is in `.ci/run`.
//!
//! A lost wake-up is a deadlock here, because nothing but a wake ends a sleep.

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use super::{
    Doorbell, Inbox, InboxReceiver, InboxSender, PublishError, SubscriberEnd, SubscriberQueue,
};
use crate::overflow::OverflowPolicy;

/// The loop's sleep in the kernel: a wake ends the current or the next sleep.
#[derive(Default)]
struct Sleep {
    woken: Mutex<bool>,
    wakes: Condvar,
}

impl Sleep {
    fn wake(&self) {
        *self.woken.lock().unwrap() = true;
        self.wakes.notify_one();
    }

    fn sleep(&self) {
        let mut woken = self.woken.lock().unwrap();
        while !*woken {
            woken = self.wakes.wait(woken).unwrap();
        }
        *woken = false;
    }
}

/// What a loop and its publishers share.
#[derive(Clone, Default)]
struct World {
    doorbell: Arc<Doorbell>,
    sleep: Arc<Sleep>,
}

impl World {
    /// As `Publisher::publish`.
    fn publish(
        &self,
        sender: &InboxSender<usize>,
        event: usize,
    ) -> Result<(), PublishError<usize>> {
        sender.send(event)?;
        if self.doorbell.ring_fenced() {
            self.sleep.wake();
        }
        Ok(())
    }

    /// As `EventLoop::wait` of a loop that never spins.
    fn wait(&self, receiver: &InboxReceiver<usize>) {
        if receiver.has_events() {
            return;
        }
        self.doorbell.about_to_sleep();
        if !receiver.has_events() {
            self.sleep.sleep();
        }
        self.doorbell.awake();
    }

    /// Handles `count` events, one per turn.
    fn handle(&self, receiver: &mut InboxReceiver<usize>, count: usize) -> Vec<usize> {
        let mut handled = Vec::new();
        while handled.len() < count {
            self.wait(receiver);
            match receiver.take() {
                Some(event) => handled.push(event),
                // A turn in which the sockets are served.
                None => thread::yield_now(),
            }
        }
        handled
    }
}

/// Whether each publisher's events are in order. The tens are the publisher's number.
fn is_in_order(events: &[usize]) -> bool {
    [10, 20].iter().all(|publisher| {
        let numbers = events.iter().filter(|event| **event / 10 * 10 == *publisher);
        numbers.is_sorted_by(|one, next| one < next)
    })
}

#[test]
fn a_loop_that_sleeps_after_every_event_gets_all_of_two_publishers() {
    loom::model(|| {
        let world = World::default();
        let mut receiver = Inbox::with_capacity(2);
        let publishers = [10, 20].map(|publisher| {
            let (world, sender) = (world.clone(), InboxSender::new(receiver.inbox()));
            thread::spawn(move || {
                for number in 1..=2 {
                    assert!(world.publish(&sender, publisher + number).is_ok());
                }
                sender
            })
        });
        let mut handled = world.handle(&mut receiver, 4);
        assert!(is_in_order(&handled), "{handled:?}");
        handled.sort_unstable();
        assert_eq!(handled, [11, 12, 21, 22]);
        for publisher in publishers {
            drop(publisher.join().unwrap());
        }
        assert_eq!(receiver.take(), None);
    });
}

#[test]
fn what_was_accepted_before_the_close_is_counted_and_the_rest_is_given_back() {
    loom::model(|| {
        let world = World::default();
        let mut receiver = Inbox::with_capacity(2);
        let accepted = Arc::new(AtomicUsize::new(0));
        let publishers = [10, 20].map(|publisher| {
            let (world, sender) = (world.clone(), InboxSender::new(receiver.inbox()));
            let accepted = Arc::clone(&accepted);
            thread::spawn(move || {
                for number in 1..=2 {
                    match world.publish(&sender, publisher + number) {
                        Ok(()) => drop(accepted.fetch_add(1, Ordering::Relaxed)),
                        Err(PublishError::Closed(event)) => assert_eq!(event, publisher + number),
                        Err(PublishError::Full(_) | PublishError::NoHandler(_)) => {
                            panic!("there is room")
                        }
                    }
                }
                sender
            })
        });
        let mut handled = world.handle(&mut receiver, 1);
        receiver.close();
        let left = receiver.len();
        for publisher in publishers {
            let sender = publisher.join().unwrap();
            assert!(matches!(sender.send(7), Err(PublishError::Closed(7))));
        }
        assert_eq!(receiver.len(), left);
        handled.extend(std::iter::from_fn(|| receiver.take()));
        assert_eq!(handled.len(), accepted.load(Ordering::Relaxed));
        assert_eq!(handled.len(), 1 + left);
        assert!(is_in_order(&handled), "{handled:?}");
    });
}

#[test]
fn publishers_that_come_and_go_leave_their_events_and_no_queue() {
    loom::model(|| {
        let world = World::default();
        let mut receiver = Inbox::with_capacity(2);
        let (publishers, inbox) = (world.clone(), Arc::clone(receiver.inbox()));
        let publishing = thread::spawn(move || {
            for number in [11, 21] {
                let sender = InboxSender::new(&inbox);
                assert!(publishers.publish(&sender, number).is_ok());
            }
        });
        let mut handled = world.handle(&mut receiver, 2);
        handled.sort_unstable();
        assert_eq!(handled, [11, 21]);
        publishing.join().unwrap();
        assert_eq!(receiver.take(), None);
        assert_eq!(receiver.queues(), 0);
        assert!(!receiver.has_events());
    });
}

/// A loop that pushes events, hands them over with retries, and ends the queue.
fn push_to_end(mut queue: SubscriberQueue<usize>, events: usize) {
    for event in 1..=events {
        queue.push(event);
        queue.hand_over();
        while queue.has_pending() {
            // A turn in which the sockets are served.
            thread::yield_now();
            queue.hand_over();
        }
    }
}

#[test]
fn a_subscriber_that_sleeps_gets_every_event_and_the_end() {
    loom::model(|| {
        let (queue, mut receiver) = SubscriberQueue::new(2, OverflowPolicy::DropNewest);
        let receiving = thread::spawn(move || {
            let mut events = Vec::new();
            let end = loop {
                match receiver.recv(None) {
                    Ok(event) => events.extend(event),
                    Err(end) => break end,
                }
            };
            (events, end, receiver.missed())
        });
        push_to_end(queue, 2);
        assert_eq!(receiving.join().unwrap(), (vec![1, 2], SubscriberEnd::Closed, 0));
    });
}

#[test]
fn a_subscriber_that_does_not_wait_gets_every_event_once() {
    loom::model(|| {
        let (queue, mut receiver) = SubscriberQueue::new(3, OverflowPolicy::DropNewest);
        let receiving = thread::spawn(move || {
            let mut events = Vec::new();
            loop {
                match receiver.try_recv() {
                    Ok(Some(event)) => events.push(event),
                    Ok(None) => thread::yield_now(),
                    Err(end) => return (events, end),
                }
            }
        });
        push_to_end(queue, 2);
        assert_eq!(receiving.join().unwrap(), (vec![1, 2], SubscriberEnd::Closed));
    });
}

#[test]
fn a_full_queue_misses_as_many_events_as_it_says() {
    for policy in [OverflowPolicy::Close, OverflowPolicy::DropNewest, OverflowPolicy::DropOldest] {
        loom::model(move || {
            let (mut queue, mut receiver) = SubscriberQueue::new(1, policy);
            let receiving = thread::spawn(move || {
                let mut events = Vec::new();
                let end = loop {
                    match receiver.recv(None) {
                        Ok(event) => events.extend(event),
                        Err(end) => break end,
                    }
                };
                (events, end, receiver.missed() as usize)
            });
            for event in 1..=3 {
                queue.push(event);
                queue.hand_over();
            }
            drop(queue);
            let (events, end, missed) = receiving.join().unwrap();
            assert!(events.is_sorted_by(|one, next| one < next), "{events:?}");
            match policy {
                OverflowPolicy::Close => {
                    assert_eq!(end == SubscriberEnd::Overflowed, events.len() < 3)
                }
                OverflowPolicy::DropNewest => {
                    assert_eq!((events[0], events.len()), (1, 3 - missed))
                }
                OverflowPolicy::DropOldest | OverflowPolicy::KeepLatest => {
                    assert_eq!((events.last(), events.len()), (Some(&3), 3 - missed));
                }
            }
        });
    }
}
