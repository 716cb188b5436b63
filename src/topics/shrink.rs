//! Returning the capacity of collections that have become short.

use std::collections::VecDeque;

/// Shrinks a list that uses less than a quarter of its capacity. `capacity_min` always remains.
pub(super) fn shrink<T>(list: &mut Vec<T>, capacity_min: usize) {
    if list.capacity() > capacity_min.max(4 * list.len()) {
        list.shrink_to(capacity_min.max(2 * list.len()));
    }
}

/// [`shrink`] for a queue.
pub(super) fn shrink_queue<T>(queue: &mut VecDeque<T>, capacity_min: usize) {
    if queue.capacity() > capacity_min.max(4 * queue.len()) {
        queue.shrink_to(capacity_min.max(2 * queue.len()));
    }
}
