//! Which sockets an event is for.

use std::rc::Rc;

use crate::slots::Key;

/// Sockets of one namespace: members of any of the rooms, or all if there are none, without members
/// of others and without one.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) namespace: Rc<str>,
    pub(super) rooms: Vec<String>,
    pub(super) except: Vec<String>,
    pub(super) skipped: Option<Key>,
}
