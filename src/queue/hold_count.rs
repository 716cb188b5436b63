//! How many holds keep a loop from ending.

use super::sync::{AtomicUsize, Ordering};

/// The number of holds, and whether the loop waits for their end. Both are in one word, so that
/// exactly one of both sides sees the other: the last hold that the loop waits, or the loop that
/// there is none.
#[derive(Debug)]
pub(crate) struct HoldCount(AtomicUsize);

impl Default for HoldCount {
    fn default() -> Self {
        Self(AtomicUsize::new(0))
    }
}

impl HoldCount {
    /// The loop is ending, and waits until the last hold is dropped.
    const AWAITED: usize = 1 << (usize::BITS - 1);

    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns whether the caller must tell the loop: it waits, and this was the last hold.
    pub(crate) fn remove(&self) -> bool {
        self.0.fetch_sub(1, Ordering::AcqRel) == Self::AWAITED + 1
    }

    /// How many holds there are.
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Acquire) & !Self::AWAITED
    }

    /// Whether there is none. If there are some, the end of the last one is awaited from here on.
    pub(crate) fn has_ended(&self) -> bool {
        let is_over = self.0.fetch_or(Self::AWAITED, Ordering::AcqRel) & !Self::AWAITED == 0;
        if is_over {
            self.0.fetch_and(!Self::AWAITED, Ordering::AcqRel);
        }
        is_over
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_of_awaited_holds_tells_the_loop() {
        let holds = HoldCount::default();
        assert!(holds.has_ended());
        holds.add();
        assert!(!holds.remove(), "nobody waits");
        holds.add();
        holds.add();
        assert!(!holds.has_ended());
        assert!(!holds.remove());
        assert_eq!(holds.count(), 1);
        assert!(holds.remove());
        assert!(holds.has_ended());
        assert_eq!(holds.count(), 0);
    }
}
