use std::sync::mpsc::{Receiver, Sender, channel};

use eventwire::{ConnectError, Connection, ConnectionId, Disconnect, Message, WebSocketHandler};

use super::PATIENCE;

/// What a handler was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Open(ConnectionId),
    Message(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Drained,
    /// With the reason as [`reason`] writes it.
    Close(ConnectionId, String),
    ConnectError(String),
}

/// Reads what a [`Recorder`] was told, in order.
#[derive(Debug)]
pub(crate) struct Log(Receiver<Told>);

impl Log {
    /// What was told next.
    #[track_caller]
    pub(crate) fn next(&self) -> Told {
        self.0.recv_timeout(PATIENCE).expect("the handler is told something")
    }

    /// What was told next, if anything was yet.
    pub(crate) fn try_next(&self) -> Option<Told> {
        self.0.try_recv().ok()
    }

    /// Expects a connection to open.
    #[track_caller]
    pub(crate) fn open(&self) -> ConnectionId {
        match self.next() {
            Told::Open(conn) => conn,
            other => panic!("{other:?} instead of on_open"),
        }
    }

    /// Expects a connection to close; returns why.
    #[track_caller]
    pub(crate) fn close(&self) -> String {
        match self.next() {
            Told::Close(_, reason) => reason,
            other => panic!("{other:?} instead of on_close"),
        }
    }

    /// Expects a connection not to open; returns why.
    #[track_caller]
    pub(crate) fn connect_error(&self) -> String {
        match self.next() {
            Told::ConnectError(error) => error,
            other => panic!("{other:?} instead of on_connect_error"),
        }
    }

    /// Everything else that is told until the handler is gone.
    pub(crate) fn rest(self) -> Vec<Told> {
        std::iter::from_fn(|| match self.0.recv_timeout(PATIENCE) {
            Ok(told) => Some(told),
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => None,
            Err(timeout) => panic!("the handler is still there: {timeout}"),
        })
        .collect()
    }
}

/// A handler that notes everything it is told.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    told: Sender<Told>,
    /// What it says when a connection opens; otherwise it echoes messages.
    greeting: Option<&'static str>,
}

impl Recorder {
    /// One that echoes messages.
    pub(crate) fn new() -> (Self, Log) {
        let (told, log) = channel();
        (Self { told, greeting: None }, Log(log))
    }

    /// One that says something first, and then listens.
    pub(crate) fn greeting(greeting: &'static str) -> (Self, Log) {
        let (recorder, log) = Self::new();
        (Self { greeting: Some(greeting), ..recorder }, log)
    }

    fn note(&self, told: Told) {
        // A test that has seen enough reads no further.
        let _ = self.told.send(told);
    }
}

impl<S> WebSocketHandler<S> for Recorder {
    fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut S) {
        self.note(Told::Open(conn.id()));
        if let Some(greeting) = self.greeting {
            conn.send(greeting);
        }
    }

    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, _: &mut S) {
        self.note(Told::Message(message.as_bytes().to_vec()));
        if self.greeting.is_none() {
            conn.send(message);
        }
    }

    fn on_ping(&mut self, _: &mut Connection<'_>, payload: &[u8], _: &mut S) {
        self.note(Told::Ping(payload.to_vec()));
    }

    fn on_pong(&mut self, _: &mut Connection<'_>, payload: &[u8], _: &mut S) {
        self.note(Told::Pong(payload.to_vec()));
    }

    fn on_drained(&mut self, _: &mut Connection<'_>, _: &mut S) {
        self.note(Told::Drained);
    }

    fn on_close(&mut self, conn: &mut Connection<'_>, disconnect: &Disconnect, _: &mut S) {
        self.note(Told::Close(conn.id(), reason(disconnect)));
    }

    fn on_connect_error(&mut self, _: &mut Connection<'_>, error: &ConnectError, _: &mut S) {
        self.note(Told::ConnectError(match error {
            ConnectError::Io(error) => format!("Io({:?})", error.kind()),
            other => format!("{other:?}"),
        }));
    }
}

/// A reason that compares: errors of the system by their kind.
pub(crate) fn reason(disconnect: &Disconnect) -> String {
    match disconnect {
        Disconnect::Io(error) => format!("Io({:?})", error.kind()),
        Disconnect::ClosedByApplication { code } => format!("ClosedByApplication({})", code.get()),
        Disconnect::ClosedByPeer { code, reason } => {
            format!("ClosedByPeer({:?}, {reason:?})", code.map(eventwire::CloseCode::get))
        }
        other => format!("{other:?}"),
    }
}
