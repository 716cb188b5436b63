use std::sync::mpsc::{Receiver, Sender, channel};

use eventwire::{ConnectError, Connection, ConnectionId, Disconnect, Message, WebSocketHandler};

use super::PATIENCE;

/// A call of a handler's method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Open(ConnectionId),
    Message(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Drained,
    /// With the reason in the form of [`reason`].
    Close(ConnectionId, String),
    ConnectError(String),
}

/// Reads the calls of a [`Recorder`], in order.
#[derive(Debug)]
pub(crate) struct Log(Receiver<Call>);

impl Log {
    /// The next call.
    #[track_caller]
    pub(crate) fn next(&self) -> Call {
        self.0.recv_timeout(PATIENCE).expect("the handler is called")
    }

    /// The next call, if there has been one.
    pub(crate) fn try_next(&self) -> Option<Call> {
        self.0.try_recv().ok()
    }

    /// Expects a connection to open.
    #[track_caller]
    pub(crate) fn open(&self) -> ConnectionId {
        match self.next() {
            Call::Open(conn) => conn,
            other => panic!("{other:?} instead of on_open"),
        }
    }

    /// Expects a connection to close; returns why.
    #[track_caller]
    pub(crate) fn close(&self) -> String {
        match self.next() {
            Call::Close(_, reason) => reason,
            other => panic!("{other:?} instead of on_close"),
        }
    }

    /// Expects a connection not to open; returns why.
    #[track_caller]
    pub(crate) fn connect_error(&self) -> String {
        match self.next() {
            Call::ConnectError(error) => error,
            other => panic!("{other:?} instead of on_connect_error"),
        }
    }

    /// All further calls until the handler is dropped.
    pub(crate) fn rest(self) -> Vec<Call> {
        std::iter::from_fn(|| match self.0.recv_timeout(PATIENCE) {
            Ok(call) => Some(call),
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => None,
            Err(timeout) => panic!("the handler is still there: {timeout}"),
        })
        .collect()
    }
}

/// A handler that notes every call.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    calls: Sender<Call>,
    /// Sent when a connection opens; without it, messages are echoed.
    greeting: Option<&'static str>,
}

impl Recorder {
    /// One that echoes messages.
    pub(crate) fn new() -> (Self, Log) {
        let (calls, log) = channel();
        (Self { calls, greeting: None }, Log(log))
    }

    /// One that sends a greeting, and then only receives.
    pub(crate) fn greeting(greeting: &'static str) -> (Self, Log) {
        let (recorder, log) = Self::new();
        (Self { greeting: Some(greeting), ..recorder }, log)
    }

    fn note(&self, call: Call) {
        // A test that has seen enough reads no further.
        let _ = self.calls.send(call);
    }
}

impl<S> WebSocketHandler<S> for Recorder {
    fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut S) {
        self.note(Call::Open(conn.id()));
        if let Some(greeting) = self.greeting {
            conn.send(greeting);
        }
    }

    fn on_message(&mut self, conn: &mut Connection<'_>, message: Message<'_>, _: &mut S) {
        self.note(Call::Message(message.as_bytes().to_vec()));
        if self.greeting.is_none() {
            conn.send(message);
        }
    }

    fn on_ping(&mut self, _: &mut Connection<'_>, payload: &[u8], _: &mut S) {
        self.note(Call::Ping(payload.to_vec()));
    }

    fn on_pong(&mut self, _: &mut Connection<'_>, payload: &[u8], _: &mut S) {
        self.note(Call::Pong(payload.to_vec()));
    }

    fn on_drained(&mut self, _: &mut Connection<'_>, _: &mut S) {
        self.note(Call::Drained);
    }

    fn on_close(&mut self, conn: &mut Connection<'_>, disconnect: &Disconnect, _: &mut S) {
        self.note(Call::Close(conn.id(), reason(disconnect)));
    }

    fn on_connect_error(&mut self, _: &mut Connection<'_>, error: &ConnectError, _: &mut S) {
        self.note(Call::ConnectError(match error {
            ConnectError::Io(error) => format!("Io({:?})", error.kind()),
            ConnectError::Refused(refused) => format!("Refused({})", refused.status()),
            ConnectError::Proxy(refused) => format!("Proxy({})", refused.status()),
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
