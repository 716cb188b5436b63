//! The synchronisation primitives of the queues: those of the standard library and crossbeam, or
//! loom's for the models.

#[cfg(all(test, loom))]
pub(super) use modelled::*;
#[cfg(not(all(test, loom)))]
pub(super) use real::*;

#[cfg(not(all(test, loom)))]
mod real {
    pub(in crate::queue) use std::sync::atomic::{
        AtomicBool, AtomicU64, AtomicUsize, Ordering, fence,
    };
    pub(in crate::queue) use std::sync::{Arc, Condvar, Mutex, MutexGuard};
    pub(in crate::queue) use std::thread::{Thread, current, park};

    pub(in crate::queue) use crossbeam_queue::ArrayQueue;
}

#[cfg(all(test, loom))]
mod modelled {
    use std::ops::{Deref, DerefMut};
    use std::sync::atomic::AtomicUsize as UnseenUsize;
    use std::sync::{Mutex as Unseen, PoisonError};
    use std::time::Duration;

    pub(in crate::queue) use loom::sync::Arc;
    pub(in crate::queue) use loom::sync::atomic::{
        AtomicBool, AtomicU64, AtomicUsize, Ordering, fence,
    };

    pub(in crate::queue) use loom::thread::{Thread, current, park};

    /// A bounded queue.
    ///
    /// Unlike the real one, it orders nothing but the values: a pop may miss a push that the
    /// popping thread does not know from another access.
    ///
    /// loom switches threads only at its own accesses, and each call makes one of them. So the
    /// accesses that loom does not see are a single step.
    #[derive(Debug)]
    pub(in crate::queue) struct ArrayQueue<T> {
        slots: Vec<Unseen<Option<T>>>,
        claimed: UnseenUsize,
        pushed: AtomicUsize,
        popped: UnseenUsize,
    }

    impl<T> ArrayQueue<T> {
        pub(in crate::queue) fn new(capacity: usize) -> Self {
            let slots = (0..capacity).map(|_| Unseen::new(None)).collect();
            let (claimed, popped) = (UnseenUsize::new(0), UnseenUsize::new(0));
            Self { slots, claimed, pushed: AtomicUsize::new(0), popped }
        }

        fn slot(&self, number: usize) -> &Unseen<Option<T>> {
            &self.slots[number % self.slots.len()]
        }

        pub(in crate::queue) fn push(&self, value: T) -> Result<(), T> {
            let claimed = self.claimed.load(Ordering::Relaxed);
            if claimed - self.popped.load(Ordering::Relaxed) == self.slots.len() {
                return Err(value);
            }
            self.claimed.store(claimed + 1, Ordering::Relaxed);
            *self.slot(claimed).lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
            self.pushed.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }

        pub(in crate::queue) fn pop(&self) -> Option<T> {
            let pushed = self.pushed.load(Ordering::Relaxed);
            let popped = self.popped.load(Ordering::Relaxed);
            if popped >= pushed {
                return None;
            }
            self.popped.store(popped + 1, Ordering::Relaxed);
            self.slot(popped).lock().unwrap_or_else(PoisonError::into_inner).take()
        }

        pub(in crate::queue) fn len(&self) -> usize {
            self.pushed.load(Ordering::Relaxed) - self.popped.load(Ordering::Relaxed)
        }
    }

    /// loom's, with the standard library's waiting for a condition. Time never passes.
    #[derive(Debug, Default)]
    pub(in crate::queue) struct Condvar(loom::sync::Condvar);

    type Locked<T> = Result<T, PoisonError<T>>;

    /// loom's, which does not by itself look at a `try_lock` between a lock and its release: to it
    /// only the lock is an access.
    #[derive(Debug)]
    pub(in crate::queue) struct Mutex<T> {
        is_held: AtomicBool,
        inner: loom::sync::Mutex<T>,
    }

    #[derive(Debug)]
    pub(in crate::queue) struct MutexGuard<'a, T> {
        is_held: &'a AtomicBool,
        /// Always there, but while a condition is waited for.
        inner: Option<loom::sync::MutexGuard<'a, T>>,
    }

    impl<T> Mutex<T> {
        pub(in crate::queue) fn new(value: T) -> Self {
            Self { is_held: AtomicBool::new(false), inner: loom::sync::Mutex::new(value) }
        }

        fn hold<'a>(&'a self, guard: loom::sync::MutexGuard<'a, T>) -> MutexGuard<'a, T> {
            self.is_held.store(true, Ordering::Relaxed);
            MutexGuard { is_held: &self.is_held, inner: Some(guard) }
        }

        pub(in crate::queue) fn lock(&self) -> Locked<MutexGuard<'_, T>> {
            Ok(self.hold(self.inner.lock().unwrap_or_else(PoisonError::into_inner)))
        }

        pub(in crate::queue) fn try_lock(&self) -> Result<MutexGuard<'_, T>, ()> {
            if self.is_held.load(Ordering::Relaxed) {
                return Err(());
            }
            self.inner.try_lock().map(|guard| self.hold(guard)).map_err(drop)
        }
    }

    impl<T: Default> Default for Mutex<T> {
        fn default() -> Self {
            Self::new(T::default())
        }
    }

    impl<T> Deref for MutexGuard<'_, T> {
        type Target = T;

        fn deref(&self) -> &T {
            self.inner.as_ref().unwrap()
        }
    }

    impl<T> DerefMut for MutexGuard<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            self.inner.as_mut().unwrap()
        }
    }

    impl<T> Drop for MutexGuard<'_, T> {
        fn drop(&mut self) {
            self.is_held.store(false, Ordering::Relaxed);
        }
    }

    impl Condvar {
        pub(in crate::queue) fn notify_one(&self) {
            self.0.notify_one();
        }

        pub(in crate::queue) fn notify_all(&self) {
            self.0.notify_all();
        }

        pub(in crate::queue) fn wait_while<'a, T>(
            &self,
            mut guard: MutexGuard<'a, T>,
            mut waits: impl FnMut(&mut T) -> bool,
        ) -> Locked<MutexGuard<'a, T>> {
            while waits(&mut guard) {
                guard.is_held.store(false, Ordering::Relaxed);
                let inner = guard.inner.take().unwrap();
                guard.inner = Some(self.0.wait(inner).unwrap_or_else(PoisonError::into_inner));
                guard.is_held.store(true, Ordering::Relaxed);
            }
            Ok(guard)
        }

        pub(in crate::queue) fn wait_timeout_while<'a, T>(
            &self,
            guard: MutexGuard<'a, T>,
            _: Duration,
            waits: impl FnMut(&mut T) -> bool,
        ) -> Locked<(MutexGuard<'a, T>, ())> {
            self.wait_while(guard, waits)
                .map(|guard| (guard, ()))
                .map_err(|poisoned| PoisonError::new((poisoned.into_inner(), ())))
        }
    }
}
