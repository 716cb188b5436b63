//! The opening of a session: the query of its requests, and what the client gets.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

/// How a client is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// HTTP requests that wait for packets.
    Polling,
    /// A WebSocket.
    WebSocket,
}

impl Transport {
    /// The name in the protocol: `polling` or `websocket`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Polling => "polling",
            Self::WebSocket => "websocket",
        }
    }
}

/// Why a request gets no session: the protocol's codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequestError {
    /// The transport is missing, or is not one that the server has.
    UnknownTransport,
    /// There is no session with that id.
    UnknownSession,
    /// Only `GET` opens a session.
    BadMethod,
    /// The request does not fit the session: it is on another transport, for instance.
    BadRequest,
    /// The server does not serve this client.
    Forbidden,
    /// The version is not 4.
    UnsupportedVersion,
}

impl RequestError {
    const fn parts(self) -> (u8, &'static str) {
        match self {
            Self::UnknownTransport => (0, "Transport unknown"),
            Self::UnknownSession => (1, "Session ID unknown"),
            Self::BadMethod => (2, "Bad handshake method"),
            Self::BadRequest => (3, "Bad request"),
            Self::Forbidden => (4, "Forbidden"),
            Self::UnsupportedVersion => (5, "Unsupported protocol version"),
        }
    }

    /// The status of the response.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Forbidden => 403,
            _ => 400,
        }
    }

    /// The body of the response, in JSON.
    ///
    /// ```
    /// use eventwire::socketio::engine_io::RequestError;
    ///
    /// let body = RequestError::UnknownSession.body();
    /// assert_eq!(body, r#"{"code":1,"message":"Session ID unknown"}"#);
    /// ```
    #[must_use]
    pub fn body(self) -> String {
        let (code, message) = self.parts();
        format!("{{\"code\":{code},\"message\":\"{message}\"}}")
    }
}

/// What the query of a request says.
#[derive(Debug)]
pub struct Query<'a> {
    version: Option<Cow<'a, str>>,
    /// The transport.
    pub transport: Transport,
    /// The id of the session. `None`: the request is to open one.
    pub session: Option<Cow<'a, str>>,
}

impl<'a> Query<'a> {
    /// Reads the pairs of a query. Of repeated names the first counts.
    ///
    /// # Errors
    ///
    /// [`RequestError::UnknownTransport`].
    pub fn read(
        pairs: impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)>,
    ) -> Result<Self, RequestError> {
        let (mut version, mut transport, mut session) = (None, None, None);
        for (name, value) in pairs {
            match &*name {
                "EIO" => version = version.or(Some(value)),
                "transport" => transport = transport.or(Some(value)),
                "sid" => session = session.or(Some(value)),
                _ => {}
            }
        }
        let transport = match transport.as_deref() {
            Some("polling") => Transport::Polling,
            Some("websocket") => Transport::WebSocket,
            _ => return Err(RequestError::UnknownTransport),
        };
        Ok(Self { version, transport, session })
    }

    /// Checks the version of a request that is to open a session.
    ///
    /// # Errors
    ///
    /// [`RequestError::UnsupportedVersion`].
    pub fn check_version(&self) -> Result<(), RequestError> {
        match self.version.as_deref() {
            Some("4") => Ok(()),
            _ => Err(RequestError::UnsupportedVersion),
        }
    }
}

/// The settings of a server that clients have to know.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// From a pong to the next ping.
    pub ping_interval: Duration,
    /// How long a pong may take.
    pub ping_timeout: Duration,
    /// The longest `POST` body, and the longest message of a WebSocket, in bytes.
    pub max_payload: usize,
}

impl Settings {
    /// The data of the packet that opens a session. `begins`: the transport that it begins with.
    #[must_use]
    pub fn open(&self, id: &str, begins: Transport) -> String {
        let upgrades = match begins {
            Transport::Polling => "\"websocket\"",
            Transport::WebSocket => "",
        };
        let (interval, timeout) = (self.ping_interval.as_millis(), self.ping_timeout.as_millis());
        let mut open = String::new();
        // Writing to a string never fails.
        let _ = write!(
            open,
            "{{\"sid\":\"{id}\",\"upgrades\":[{upgrades}],\"pingInterval\":{interval},\
             \"pingTimeout\":{timeout},\"maxPayload\":{}}}",
            self.max_payload
        );
        open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &[(&'static str, &'static str)]) -> Result<Query<'static>, RequestError> {
        Query::read(query.iter().map(|&(name, value)| (name.into(), value.into())))
    }

    #[test]
    fn a_query_names_a_transport_that_there_is() {
        for query in [&[][..], &[("EIO", "4")], &[("transport", "webtransport")]] {
            assert_eq!(read(query).err(), Some(RequestError::UnknownTransport), "{query:?}");
        }
        let query = read(&[("transport", "polling"), ("sid", "a"), ("sid", "b")]).unwrap();
        assert_eq!((query.transport, query.session.as_deref()), (Transport::Polling, Some("a")));
        assert_eq!(query.check_version(), Err(RequestError::UnsupportedVersion));
        for (version, checked) in [
            ("4", Ok(())),
            ("3", Err(RequestError::UnsupportedVersion)),
            ("44", Err(RequestError::UnsupportedVersion)),
        ] {
            let query = read(&[("transport", "websocket"), ("EIO", version)]).unwrap();
            assert_eq!(query.check_version(), checked, "{version}");
        }
    }

    #[test]
    fn the_open_packet_tells_the_settings() {
        let settings = Settings {
            ping_interval: Duration::from_millis(300),
            ping_timeout: Duration::from_millis(200),
            max_payload: 1_000_000,
        };
        assert_eq!(
            settings.open("abc", Transport::Polling),
            "{\"sid\":\"abc\",\"upgrades\":[\"websocket\"],\"pingInterval\":300,\
             \"pingTimeout\":200,\"maxPayload\":1000000}"
        );
        assert!(settings.open("abc", Transport::WebSocket).contains("\"upgrades\":[],"));
    }
}
