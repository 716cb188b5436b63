//! What only few connections have at a time.

use std::ops::Range;

use super::connector::Connector;
use super::disconnect::{ConnectError, Disconnect};

/// State that only few connections have at a time. It is allocated for these, so that the others
/// do not pay for it.
#[derive(Debug, Default)]
pub(crate) struct RareState(Option<Box<Fields>>);

#[derive(Debug, Default)]
struct Fields {
    /// What was received and not handled when reading stopped; it comes before all other input.
    leftover: Option<Leftover>,
    /// What remains to be tried while the connection is being made.
    connector: Option<Connector>,
    /// Why it ended, or is about to.
    end: Option<End>,
    /// How often in a row it missed a deadline and was given more time, because its input had not
    /// been read to the end.
    graces: u8,
}

/// Bytes that were received behind the message at which reading stopped.
#[derive(Debug)]
pub(crate) struct Leftover {
    /// From the pool, initialised to its whole length.
    pub(crate) storage: Vec<u8>,
    /// The part of it that is still to be handled; not empty.
    pub(crate) range: Range<usize>,
}

/// Why a connection ended: before or after it was open.
#[derive(Debug)]
pub(crate) enum End {
    Disconnect(Disconnect),
    Connect(ConnectError),
}

impl RareState {
    #[inline]
    pub(crate) const fn is_none(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn leftover(&self) -> Option<&Leftover> {
        self.0.as_ref()?.leftover.as_ref()
    }

    #[inline]
    pub(crate) fn take_leftover(&mut self) -> Option<Leftover> {
        self.take(|fields| fields.leftover.take())
    }

    pub(crate) fn set_leftover(&mut self, leftover: Leftover) {
        self.fields().leftover = Some(leftover);
    }

    /// Whether the connection is being made.
    #[inline]
    pub(crate) fn is_connecting(&self) -> bool {
        self.0.as_ref().is_some_and(|fields| fields.connector.is_some())
    }

    pub(crate) fn connector_mut(&mut self) -> Option<&mut Connector> {
        self.0.as_mut()?.connector.as_mut()
    }

    pub(crate) fn set_connector(&mut self, connector: Connector) {
        self.fields().connector = Some(connector);
    }

    /// The connection is made, or given up: returns what it was trying.
    pub(crate) fn take_connector(&mut self) -> Option<Connector> {
        self.take(|fields| fields.connector.take())
    }

    /// Notes why the connection ends. The first reason stands.
    pub(crate) fn note_end(&mut self, end: End) {
        self.fields().end.get_or_insert(end);
    }

    /// Notes why the connection ends, whatever was noted before.
    pub(crate) fn overrule_end(&mut self, end: End) {
        self.fields().end = Some(end);
    }

    /// Why the connection is about to end, if that was noted.
    pub(crate) fn end(&self) -> Option<&End> {
        self.0.as_ref()?.end.as_ref()
    }

    pub(crate) fn take_end(&mut self) -> Option<End> {
        self.take(|fields| fields.end.take())
    }

    pub(crate) fn graces(&self) -> u8 {
        self.0.as_ref().map_or(0, |fields| fields.graces)
    }

    pub(crate) fn set_graces(&mut self, times: u8) {
        if times > 0 {
            self.fields().graces = times;
        } else {
            self.take(|fields| Some(std::mem::take(&mut fields.graces)));
        }
    }

    fn fields(&mut self) -> &mut Fields {
        self.0.get_or_insert_default()
    }

    /// Takes something, and frees the allocation if nothing else is in it.
    #[inline]
    fn take<T>(&mut self, take: impl FnOnce(&mut Fields) -> Option<T>) -> Option<T> {
        let taken = take(self.0.as_mut()?)?;
        self.0.take_if(|fields| fields.is_empty());
        Some(taken)
    }
}

impl Fields {
    const fn is_empty(&self) -> bool {
        self.leftover.is_none()
            && self.connector.is_none()
            && self.end.is_none()
            && self.graces == 0
    }
}
