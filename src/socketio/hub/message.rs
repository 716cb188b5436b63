//! A message on its way to clients.

use std::rc::Rc;

use bytes::Bytes;

use crate::socketio::engine_io::Outgoing;
use crate::{Connection, SendStatus};

/// A message to be sent to one session or to many.
#[derive(Debug)]
pub(in crate::socketio) enum Message<'a> {
    Borrowed { text: &'a str, attachments: &'a [Bytes] },
    Shared(&'a Rc<Outgoing>),
}

impl Message<'_> {
    pub(in crate::socketio) fn parts(&self) -> (&str, &[Bytes]) {
        match self {
            Self::Borrowed { text, attachments } => (text, attachments),
            Self::Shared(message) => (&message.text, &message.attachments),
        }
    }

    pub(in crate::socketio) fn len(&self) -> usize {
        let (text, attachments) = self.parts();
        text.len() + attachments.iter().map(Bytes::len).sum::<usize>()
    }

    /// Sends it on a WebSocket.
    #[inline]
    pub(in crate::socketio) fn send(&self, conn: &mut Connection<'_>) -> SendStatus {
        let (text, attachments) = self.parts();
        let mut status = conn.send(text);
        for attachment in attachments {
            status = conn.send(attachment);
        }
        status
    }

    pub(in crate::socketio) fn share(&self) -> Rc<Outgoing> {
        match self {
            Self::Borrowed { text, attachments } => {
                Rc::new(Outgoing { text: (*text).to_owned(), attachments: attachments.to_vec() })
            }
            Self::Shared(message) => Rc::clone(message),
        }
    }
}
