use std::sync::mpsc::{Receiver, Sender, channel};

use eventwire::{
    ClientConfig, Config, ConnectError, Connection, ConnectionId, Error, EventLoop, RedirectError,
    Refused, UpgradeResponse, WebSocketHandler,
};

use super::{PATIENCE, Server};

/// What came of a connection that was begun.
#[derive(Debug, PartialEq)]
pub(crate) enum Outcome {
    /// The headers of the response.
    Response(Vec<(String, String)>),
    Open(ConnectionId),
    Refused(Refused),
    Proxy(Refused),
    Redirect(RedirectError),
    /// Any other error, in words.
    Failed(String),
}

/// Reads the outcomes of a [`dial`], in order.
#[derive(Debug)]
pub(crate) struct Outcomes(Receiver<Outcome>);

impl Outcomes {
    #[track_caller]
    pub(crate) fn next(&self) -> Outcome {
        self.0.recv_timeout(PATIENCE).expect("the handler is called")
    }

    /// Expects a response and an open connection. Returns the response's headers.
    #[track_caller]
    pub(crate) fn open(&self, conn: ConnectionId) -> Vec<(String, String)> {
        let Outcome::Response(headers) = self.next() else { panic!("no response") };
        assert_eq!(self.next(), Outcome::Open(conn));
        headers
    }

    #[track_caller]
    pub(crate) fn refused(&self) -> Refused {
        match self.next() {
            Outcome::Refused(refused) => refused,
            other => panic!("{other:?} instead of a refusal"),
        }
    }

    #[track_caller]
    pub(crate) fn proxy_refused(&self) -> Refused {
        match self.next() {
            Outcome::Proxy(refused) => refused,
            other => panic!("{other:?} instead of a refusal of the proxy"),
        }
    }
}

/// A handler that tells what came of its connection.
#[derive(Debug)]
pub(crate) struct Teller(Sender<Outcome>);

impl WebSocketHandler<()> for Teller {
    fn on_response(
        &mut self,
        conn: &mut Connection<'_>,
        response: &UpgradeResponse<'_>,
        _: &mut (),
    ) {
        assert_eq!((response.status(), conn.is_open()), (101, false));
        let headers = response
            .headers()
            .map(|(name, value)| (name.to_owned(), String::from_utf8_lossy(value).into_owned()));
        let _ = self.0.send(Outcome::Response(headers.collect()));
    }

    fn on_open(&mut self, conn: &mut Connection<'_>, _: &mut ()) {
        conn.send("hello");
        let _ = self.0.send(Outcome::Open(conn.id()));
    }

    fn on_connect_error(&mut self, _: &mut Connection<'_>, error: &ConnectError, _: &mut ()) {
        let _ = self.0.send(match error {
            ConnectError::Refused(refused) => Outcome::Refused((**refused).clone()),
            ConnectError::Proxy(refused) => Outcome::Proxy((**refused).clone()),
            ConnectError::Redirect(error) => Outcome::Redirect(*error),
            other => Outcome::Failed(other.to_string()),
        });
    }
}

/// A loop that connects to `url`, and what comes of it.
pub(crate) fn dial(
    url: impl Into<String>,
    config: ClientConfig,
) -> (Server<ConnectionId>, Outcomes) {
    let url = url.into();
    dial_with(move |event_loop, teller| event_loop.connect(&url, config, teller))
}

/// The same, as `connect` does it.
pub(crate) fn dial_with<F>(connect: F) -> (Server<ConnectionId>, Outcomes)
where
    F: FnOnce(&mut EventLoop<()>, Teller) -> Result<ConnectionId, Error> + Send + 'static,
{
    let (tell, outcomes) = channel();
    let server = Server::start(Config::default(), move |event_loop: &mut EventLoop<()>| {
        connect(event_loop, Teller(tell)).expect("begin to connect")
    });
    (server, Outcomes(outcomes))
}
