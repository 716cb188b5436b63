//! Models of the queues. loom runs them in every distinct order of their threads' accesses, up to a
//! number of preemptions. The command is in `.ci/run`.
//!
//! A lost wake-up is a deadlock here, because nothing but a wake ends a sleep.

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;

use std::time::Duration;

use super::{
    Doorbell, HoldCount, Inbox, InboxReceiver, InboxSender, JobQueue, PublishError, SubscriberEnd,
    SubscriberQueue,
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
    fn wait(&self, has_work: impl Fn() -> bool) {
        if has_work() {
            return;
        }
        self.doorbell.about_to_sleep();
        if !has_work() {
            self.sleep.sleep();
        }
        self.doorbell.awake();
    }

    /// Handles `count` events, one per turn.
    fn handle(&self, receiver: &mut InboxReceiver<usize>, count: usize) -> Vec<usize> {
        let mut handled = Vec::new();
        while handled.len() < count {
            self.wait(|| receiver.has_events());
            let taken = receiver.take();
            receiver.wake_waiting(taken.is_some());
            match taken {
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

#[test]
fn a_publisher_that_waits_for_room_gets_it() {
    loom::model(|| {
        let world = World::default();
        let mut receiver = Inbox::with_capacity(1);
        let (publisher, sender) = (world.clone(), InboxSender::new(receiver.inbox()));
        let publishing = thread::spawn(move || {
            for number in 11..=13 {
                assert!(sender.send_timeout(number, Duration::MAX).is_ok());
                if publisher.doorbell.ring_fenced() {
                    publisher.sleep.wake();
                }
            }
        });
        assert_eq!(world.handle(&mut receiver, 3), [11, 12, 13]);
        publishing.join().unwrap();
    });
}

/// A model with more threads or accesses than others, which has as many orders with one preemption
/// less.
fn large_model(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.map(|most| most.min(2));
    builder.check(model);
}

#[test]
fn a_publisher_that_waits_for_room_gets_it_beside_another() {
    large_model(|| {
        let world = World::default();
        let mut receiver = Inbox::with_capacity(1);
        let publishers = [(10, 2), (20, 1)].map(|(publisher, events)| {
            let (world, sender) = (world.clone(), InboxSender::new(receiver.inbox()));
            thread::spawn(move || {
                for number in 1..=events {
                    assert!(sender.send_timeout(publisher + number, Duration::MAX).is_ok());
                    if world.doorbell.ring_fenced() {
                        world.sleep.wake();
                    }
                }
            })
        });
        let handled = world.handle(&mut receiver, 3);
        assert!(is_in_order(&handled), "{handled:?}");
        for publisher in publishers {
            publisher.join().unwrap();
        }
    });
}

#[test]
fn the_close_ends_the_wait_for_room() {
    loom::model(|| {
        let mut receiver = Inbox::with_capacity(1);
        let sender = InboxSender::new(receiver.inbox());
        let publishing = thread::spawn(move || {
            let accepted = (1..=3).take_while(|number| {
                let sent = sender.send_timeout(*number, Duration::MAX);
                assert!(!matches!(sent, Err(PublishError::Full(_))));
                sent.is_ok()
            });
            accepted.count()
        });
        let taken = usize::from(receiver.take().is_some());
        receiver.wake_waiting(taken > 0);
        receiver.close();
        assert_eq!(taken + receiver.len(), publishing.join().unwrap());
    });
}

#[test]
fn no_job_waits_while_a_worker_sleeps() {
    loom::model(|| {
        let queue = Arc::new(JobQueue::new(2, 2));
        // Each takes one job and never returns, so the other has to take the other one.
        let workers = [0, 1].map(|worker| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.take(worker))
        });
        for job in [1, 2] {
            assert_eq!(queue.submit(job), Ok(()));
        }
        let mut taken = workers.map(|worker| worker.join().unwrap());
        taken.sort_unstable();
        assert_eq!(taken, [Some(1), Some(2)]);
    });
}

#[test]
fn two_threads_that_submit_wake_two_workers() {
    large_model(|| {
        let queue = Arc::new(JobQueue::new(2, 2));
        let workers = [0, 1].map(|worker| {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.take(worker))
        });
        let other = Arc::clone(&queue);
        let submitting = thread::spawn(move || assert_eq!(other.submit(1), Ok(())));
        assert_eq!(queue.submit(2), Ok(()));
        submitting.join().unwrap();
        let mut taken = workers.map(|worker| worker.join().unwrap());
        taken.sort_unstable();
        assert_eq!(taken, [Some(1), Some(2)]);
    });
}

#[test]
fn a_worker_learns_that_its_queue_has_ended() {
    for closes in [false, true] {
        loom::model(move || {
            let queue = Arc::new(JobQueue::new(1, 1));
            let worked = Arc::clone(&queue);
            let working = thread::spawn(move || {
                let mut done = 0;
                while worked.take(0).is_some() {
                    worked.finish(1);
                    done += 1;
                }
                done
            });
            let accepted = usize::from(queue.submit(7).is_ok());
            if closes {
                let unfinished = queue.close();
                assert!(unfinished <= 1);
                assert!(working.join().unwrap() + unfinished >= accepted);
                assert_eq!(queue.submit(8), Err(PublishError::Closed(8)));
            } else {
                queue.abandon();
                assert_eq!(working.join().unwrap(), 1);
                assert!(queue.is_over());
            }
        });
    }
}

#[test]
fn the_drop_of_the_last_hold_ends_the_wait_for_it() {
    loom::model(|| {
        let (world, holds) = (World::default(), Arc::new(HoldCount::default()));
        let is_over = Arc::new(AtomicUsize::new(0));
        let threads = [(); 2].map(|()| {
            holds.add();
            let (world, holds) = (world.clone(), Arc::clone(&holds));
            let is_over = Arc::clone(&is_over);
            thread::spawn(move || {
                if holds.remove() {
                    is_over.store(1, Ordering::Release);
                    if world.doorbell.ring() {
                        world.sleep.wake();
                    }
                }
            })
        });
        while !holds.has_ended() {
            world.wait(|| is_over.load(Ordering::Acquire) == 1);
        }
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(holds.count(), 0);
    });
}
