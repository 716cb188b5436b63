use std::ops::Range;

use super::connector::Connector;
use super::disconnect::{ConnectError, Disconnect};
use super::socket::Socket;

/// What few connections have at a time, kept aside so that the others do not pay for it.
#[derive(Debug, Default)]
pub(crate) struct Aside {
    /// What was received and not handled when reading was left off; it comes before all else.
    leftover: Option<Leftover>,
    /// What remains to be tried while the connection is being made.
    connector: Option<Connector>,
    /// Why it ended, or is about to.
    end: Option<End>,
    /// How often in a row it was late and not judged, because it had not been read to the end.
    spared: u8,
}

/// Bytes that were received behind the message at which reading was left off.
#[derive(Debug)]
pub(crate) struct Leftover {
    /// From the pool, initialised to its whole length.
    pub(crate) storage: Vec<u8>,
    /// What of it is still to be handled; not empty.
    pub(crate) range: Range<usize>,
}

/// Why a connection ended: before or after it was open.
#[derive(Debug)]
pub(crate) enum End {
    Disconnect(Disconnect),
    Connect(ConnectError),
}

impl Socket {
    pub(crate) fn leftover(&self) -> Option<&Leftover> {
        self.aside.as_ref()?.leftover.as_ref()
    }

    #[inline]
    pub(crate) fn take_leftover(&mut self) -> Option<Leftover> {
        self.take(|aside| aside.leftover.take())
    }

    pub(crate) fn set_leftover(&mut self, leftover: Leftover) {
        self.aside.get_or_insert_default().leftover = Some(leftover);
    }

    /// Whether the connection is being made.
    #[inline]
    pub(crate) fn is_connector(&self) -> bool {
        self.aside.as_ref().is_some_and(|aside| aside.connector.is_some())
    }

    pub(crate) fn connector_mut(&mut self) -> Option<&mut Connector> {
        self.aside.as_mut()?.connector.as_mut()
    }

    pub(crate) fn set_connector(&mut self, connector: Connector) {
        self.aside.get_or_insert_default().connector = Some(connector);
    }

    /// The connection is made, or is not to be made any more: what it was trying.
    pub(crate) fn end_connecting(&mut self) -> Option<Connector> {
        self.take(|aside| aside.connector.take())
    }

    /// Notes why the connection ends. The first reason stands.
    pub(crate) fn note_end(&mut self, end: End) {
        self.aside.get_or_insert_default().end.get_or_insert(end);
    }

    /// Notes why the connection ends, whatever was noted before.
    pub(crate) fn overrule_end(&mut self, end: End) {
        self.aside.get_or_insert_default().end = Some(end);
    }

    pub(crate) fn spared(&self) -> u8 {
        self.aside.as_ref().map_or(0, |aside| aside.spared)
    }

    pub(crate) fn set_spared(&mut self, times: u8) {
        if times > 0 {
            self.aside.get_or_insert_default().spared = times;
        } else {
            self.take(|aside| Some(std::mem::take(&mut aside.spared)));
        }
    }

    pub(crate) fn take_end(&mut self) -> Option<End> {
        self.take(|aside| aside.end.take())
    }

    /// Takes something of what is aside, and gives the room up if that was all.
    #[inline]
    fn take<T>(&mut self, take: impl FnOnce(&mut Aside) -> Option<T>) -> Option<T> {
        let taken = take(self.aside.as_mut()?)?;
        self.aside.take_if(|aside| aside.is_empty());
        Some(taken)
    }
}

impl Aside {
    const fn is_empty(&self) -> bool {
        self.leftover.is_none()
            && self.connector.is_none()
            && self.end.is_none()
            && self.spared == 0
    }
}
