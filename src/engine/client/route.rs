//! The way from a configuration to a server: which URL, through which proxy, to which address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str;
use std::sync::Arc;

use crate::config::ClientConfig;
use crate::engine::endpoints::ClientEndpoint;
use crate::engine::turn::requests::Destination;
use crate::net::connector::Connector;
use crate::proto::handshake::{
    ClientRequest, HttpProxy, Key, RedirectError, Refused, UrlError, WsUrl,
};
use crate::proto::http::InvalidHeader;
use crate::proto::{ClientHandshake, WebSocket, Workspace};
use crate::time::Time;

/// The headers that are meant for one server, and are not sent to another one.
const CREDENTIALS: [&str; 3] = ["Authorization", "Cookie", "Proxy-Authorization"];

/// The way of a connection that is being made.
#[derive(Debug)]
pub(crate) struct Route {
    client: Arc<ClientEndpoint>,
    /// The URL that the application asked for.
    asked: WsUrl,
    /// The URL to connect to, which a redirect may have named.
    url: WsUrl,
    /// How many redirects were followed.
    redirects: u8,
    /// The application has made the stream, so that there is neither a proxy nor a redirect.
    has_given_stream: bool,
    /// When the connection was begun. All redirects have one deadline.
    begun: Time,
}

impl Route {
    /// # Errors
    ///
    /// If the URL cannot be connected to with this configuration.
    pub(crate) fn new(
        client: Arc<ClientEndpoint>,
        url: WsUrl,
        begun: Time,
    ) -> Result<Self, UrlError> {
        check_scheme(&url, &client.config)?;
        Ok(Self { client, asked: url.clone(), url, redirects: 0, has_given_stream: false, begun })
    }

    pub(crate) fn config(&self) -> &ClientConfig {
        &self.client.config
    }

    pub(crate) const fn url(&self) -> &WsUrl {
        &self.url
    }

    /// The index of the handler.
    pub(crate) fn handler(&self) -> usize {
        self.client.handler
    }

    /// The same over a stream that the application has made.
    pub(crate) fn over_given_stream(self) -> Self {
        Self { has_given_stream: true, ..self }
    }

    fn proxy(&self) -> Option<&HttpProxy> {
        self.config().proxy.as_ref().filter(|_| !self.has_given_stream)
    }

    pub(crate) fn follows_redirects(&self) -> bool {
        self.config().redirects > 0 && !self.has_given_stream
    }

    /// Whether it is needed again before the connection is open.
    pub(crate) fn is_needed_later(&self) -> bool {
        self.follows_redirects() || self.proxy().is_some()
    }

    /// The route that a redirect names.
    ///
    /// # Errors
    ///
    /// Why it must not be followed.
    pub(crate) fn redirected(&self, response: &Refused) -> Result<Self, RedirectError> {
        let limit = self.config().redirects;
        if self.redirects >= limit {
            return Err(RedirectError::TooMany { limit });
        }
        let mut locations = response.values("Location");
        let (location, other) = (locations.next().unwrap_or_default(), locations.next());
        if other.is_some() {
            return Err(RedirectError::RepeatedLocation);
        }
        let location = str::from_utf8(location).map_err(|_| UrlError::Target);
        let url = location
            .and_then(|location| self.url.join(location))
            .map_err(RedirectError::InvalidLocation)?;
        if self.url.is_secure() && !url.is_secure() {
            return Err(RedirectError::Insecure);
        }
        check_scheme(&url, self.config()).map_err(RedirectError::InvalidLocation)?;
        Ok(Self {
            client: Arc::clone(&self.client),
            asked: self.asked.clone(),
            url,
            redirects: self.redirects + 1,
            has_given_stream: false,
            begun: self.begun,
        })
    }

    /// The opening request for the server.
    ///
    /// # Errors
    ///
    /// If a header or subprotocol of the configuration is invalid.
    pub(crate) fn request(&self) -> Result<ClientRequest, InvalidHeader> {
        let is_first_origin = self.url.has_same_origin(&self.asked);
        let request = request(&self.url, self.config(), is_first_origin)?;
        Ok(request.following_redirects(self.follows_redirects()))
    }

    /// The protocol of the connection. Its first request is written: to the proxy if there is one.
    pub(crate) fn protocol(
        &self,
        request: ClientRequest,
        key: Key,
        workspace: &mut Workspace<'_>,
    ) -> WebSocket {
        let limits = Arc::clone(&self.client.limits);
        let mut protocol = match self.proxy() {
            Some(proxy) => ClientHandshake::behind_proxy(proxy, request, key, limits, workspace),
            None => WebSocket::client(request, key, limits, workspace),
        };
        protocol.handshake().count_from(self.begun);
        protocol
    }

    /// Where to connect.
    pub(crate) fn destination(&self) -> Destination {
        let config = self.config();
        let (host, port) = match self.proxy() {
            Some(proxy) => (proxy.host(), proxy.port()),
            None => (self.url.host(), self.url.port()),
        };
        // The configured addresses are those of the first server, or of the proxy.
        if self.proxy().is_some() || self.url.has_same_origin(&self.asked) {
            if let Some(path) = &config.unix_socket {
                return Destination::Path(path.clone());
            }
            if !config.addresses.is_empty() {
                return Destination::Addresses(config.addresses.clone());
            }
        }
        let addresses = known_addresses(host, port);
        if addresses.is_empty() {
            Destination::Host(host.to_owned(), port)
        } else {
            Destination::Addresses(addresses)
        }
    }

    /// What the stream is made with: TLS from its beginning, unless it begins with a proxy.
    pub(crate) fn connector(&self) -> Connector {
        Connector {
            #[cfg(feature = "tls")]
            tls: self.tls().filter(|_| self.proxy().is_none()),
            ..Connector::default()
        }
    }

    /// The trusted roots and the name of the server, if it speaks TLS.
    #[cfg(feature = "tls")]
    pub(crate) fn tls(&self) -> Option<(crate::reactor::TlsClient, String)> {
        let tls = self.config().tls.clone().filter(|_| self.url.is_secure());
        tls.map(|tls| (tls, self.url.host().to_owned()))
    }
}

/// The request for `url`, with the configured credentials or without.
pub(crate) fn request(
    url: &WsUrl,
    config: &ClientConfig,
    has_credentials: bool,
) -> Result<ClientRequest, InvalidHeader> {
    let mut request = ClientRequest::new(url.clone());
    for name in &config.subprotocols {
        request = request.subprotocol(name)?;
    }
    for (name, value) in &config.headers {
        if has_credentials || !is_credential(name) {
            request = request.header(name, value)?;
        }
    }
    if let Some(origin) = &config.origin {
        request = request.origin(origin)?;
    }
    #[cfg(feature = "deflate")]
    if let Some(deflate) = config.deflate {
        request = request.deflate(deflate);
    }
    Ok(request)
}

fn is_credential(name: &str) -> bool {
    CREDENTIALS.iter().any(|credential| name.eq_ignore_ascii_case(credential))
}

/// Checks that a URL with `wss` can be connected to.
fn check_scheme(url: &WsUrl, config: &ClientConfig) -> Result<(), UrlError> {
    #[cfg(feature = "tls")]
    let can_encrypt = config.tls.is_some();
    #[cfg(not(feature = "tls"))]
    let can_encrypt = {
        let _ = config;
        false
    };
    if url.is_secure() && !can_encrypt { Err(UrlError::TlsNotConfigured) } else { Ok(()) }
}

/// The addresses of hosts that need no lookup: literals, and `localhost` (RFC 6761 §6.3).
pub(crate) fn known_addresses(host: &str, port: u16) -> Vec<SocketAddr> {
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = literal.parse::<IpAddr>() {
        return vec![SocketAddr::new(ip, port)];
    }
    if host.eq_ignore_ascii_case("localhost") {
        let loopback: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        return loopback.map(|ip| SocketAddr::new(ip, port)).into();
    }
    Vec::new()
}
