//! A plain reading of what the peer says, and what it must get for it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::str;

use eventwire::proto::http::HeadLimits;

use super::bodies::Length;
use super::site::{HOME, LONG_MESSAGE, SHORT_MESSAGE, Site};

/// More elements than this reading counts in lists, and fewer than are refused.
const MANY: usize = 50;

/// What is at the front of a stream.
pub(super) enum Front<T> {
    Incomplete,
    Refused(u16),
    Whole(usize, T),
}

/// What a request must come to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Expected {
    Refused(u16),
    Answer(u16, Content, IsLast),
    /// A WebSocket, with messages up to so long.
    Opens(usize),
    /// A handler is asked once the body is there: the answer without it.
    Body(Length, Content, IsLast),
    /// It has something in it that this reading does not judge.
    Unclear,
}

pub(super) type IsLast = bool;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Content {
    Text(String),
    /// A text and more, in chunks or to the end of the stream.
    Stream(String, InChunks),
    Long,
    Metrics,
    Nothing,
}

pub(super) type InChunks = bool;

impl Content {
    fn text(&self) -> Option<&String> {
        match self {
            Self::Text(text) | Self::Stream(text, _) => Some(text),
            Self::Long | Self::Metrics | Self::Nothing => None,
        }
    }

    /// The same, which begins with another text.
    pub(super) fn with(self, text: String) -> Self {
        match self {
            Self::Stream(_, in_chunks) => Self::Stream(text, in_chunks),
            _ => Self::Text(text),
        }
    }

    const fn is_stream(&self) -> bool {
        matches!(self, Self::Stream(..))
    }
}

/// The end of a head, looked for byte by byte.
pub(super) fn head(bytes: &[u8], limits: HeadLimits) -> Front<()> {
    let (mut start, mut headers) = (0, 0);
    for (at, &byte) in bytes.iter().enumerate() {
        let line = &bytes[start..at];
        let is_first = start == 0;
        if at == limits.bytes {
            return Front::Refused(431);
        }
        match byte {
            b'\n' if line == b"\r" => return Front::Whole(at + 1, ()),
            b'\n' if line.ends_with(b"\r") => start = at + 1,
            _ if line.ends_with(b"\r") || byte == b'\n' => return Front::Refused(400),
            b'\r' if is_first && line.is_empty() => return Front::Refused(400),
            b'\r' => {}
            b' ' | b'\t' if line.is_empty() => return Front::Refused(400),
            b'\t' => {}
            0..=31 | 127 => return Front::Refused(400),
            _ if line.is_empty() && !is_first && headers == limits.headers => {
                return Front::Refused(431);
            }
            _ if line.is_empty() && !is_first => headers += 1,
            _ => {}
        }
        if (byte >= b' ' || byte == b'\t') && line.len() == limits.line {
            return Front::Refused(if is_first { 414 } else { 431 });
        }
    }
    Front::Incomplete
}

/// A request of the ordinary kind.
struct Asked<'a> {
    method: &'a str,
    target: &'a str,
    /// Of a target in absolute form.
    authority: Option<&'a str>,
    path: &'a str,
    query: Option<&'a str>,
    version: &'a str,
    headers: Vec<(&'a str, &'a str)>,
}

impl<'a> Asked<'a> {
    fn read(head: &'a [u8]) -> Option<Self> {
        let mut lines = str::from_utf8(head).ok()?.strip_suffix("\r\n\r\n")?.split("\r\n");
        let mut words = lines.next()?.split(' ');
        let (method, target, version) = (words.next()?, words.next()?, words.next()?);
        let is_method = !method.is_empty() && method.bytes().all(|b| b.is_ascii_alphabetic());
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/?=.&_*:-".contains(&byte);
        let is_target = !target.is_empty() && target.bytes().all(is_plain);
        let is_version = ["HTTP/1.1", "HTTP/1.0", "HTTP/2.0"].contains(&version);
        if !is_method || !is_target || !is_version || words.next().is_some() {
            return None;
        }
        let header = |line: &'a str| {
            let (name, value) = line.split_once(':')?;
            let is_name = |byte: u8| byte.is_ascii_alphabetic() || byte == b'-';
            let is_ordinary = !name.is_empty()
                && name.bytes().all(is_name)
                && value.bytes().all(|byte| (b' '..=b'~').contains(&byte));
            is_ordinary.then(|| (name, value.trim()))
        };
        let headers = lines.map(header).collect::<Option<_>>()?;
        let (mut authority, mut rest) = (None, target);
        if let Some((scheme, url)) = target.split_once("://") {
            if ["http", "https", "ws", "wss"].contains(&scheme.to_lowercase().as_str()) {
                let end = url.find(['/', '?']).unwrap_or(url.len());
                (authority, rest) = (Some(&url[..end]), &url[end..]);
            }
        }
        let (path, query) = match rest.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (rest, None),
        };
        let path = if path.is_empty() && authority.is_some() { "/" } else { path };
        Some(Self { method, target, authority, path, query, version, headers })
    }

    fn values(&self, name: &str) -> Vec<&'a str> {
        let same = |(key, _): &&(&str, &str)| key.eq_ignore_ascii_case(name);
        self.headers.iter().filter(same).map(|(_, value)| *value).collect()
    }

    fn lists(&self, name: &str, token: &str) -> bool {
        let values = self.values(name);
        values
            .iter()
            .flat_map(|value| value.split(','))
            .any(|element| element.trim().eq_ignore_ascii_case(token))
    }

    /// The length of the body that is announced.
    fn length(&self) -> Result<Option<Length>, u16> {
        let lengths = self.values("Content-Length");
        let codings = self.values("Transfer-Encoding");
        if lengths.len() > 1 || !(lengths.is_empty() || codings.is_empty()) {
            return Err(400);
        }
        if codings.is_empty() {
            let Some(digits) = lengths.first() else { return Ok(None) };
            let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            let length: u64 = digits.parse().ok().filter(|_| is_number).ok_or(400_u16)?;
            let length = usize::try_from(length).unwrap_or(usize::MAX);
            return Ok((length > 0).then_some(Length::Known(length)));
        }
        let codings = codings.join(",");
        let codings: Vec<_> = codings.split(',').map(str::trim).collect();
        let codings: Vec<_> = codings.into_iter().filter(|coding| !coding.is_empty()).collect();
        match codings[..] {
            [coding] if coding.eq_ignore_ascii_case("chunked") && !self.is_old() => {
                Ok(Some(Length::Chunks))
            }
            _ => Err(501),
        }
    }

    fn is_last(&self) -> bool {
        self.is_old() || self.lists("Connection", "close") || self.has_body()
    }

    fn has_body(&self) -> bool {
        !self.values("Transfer-Encoding").is_empty()
            || !matches!(self.values("Content-Length")[..], [] | ["0"])
    }

    fn is_old(&self) -> bool {
        self.version == "HTTP/1.0"
    }

    /// Whether it is for this server, as every request must be; `None`: not for this reading.
    fn is_for_this_server(&self) -> Option<bool> {
        let known = ["a", "b.example:80"];
        let is_all = self.method == "OPTIONS" && self.target == "*";
        let mut is_right = is_all || self.path.starts_with('/');
        match self.authority {
            Some("") => is_right = false,
            Some(host) if !known.contains(&host) => return None,
            _ => {}
        }
        match self.values("Host")[..] {
            [] => Some(is_right && self.is_old()),
            [""] | [_, _, ..] => Some(false),
            [host] if known.contains(&host) => Some(is_right),
            _ => None,
        }
    }

    fn opens(&self, longest: usize) -> Option<Expected> {
        let is_for_this_server = self.is_for_this_server()?;
        let others = ["Origin", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"];
        if others.iter().any(|name| !self.values(name).is_empty()) {
            return None;
        }
        Some(if self.is_old() {
            Expected::Refused(505)
        } else if self.method != "GET" {
            Expected::Refused(405)
        } else if !is_for_this_server || self.has_body() {
            Expected::Refused(400)
        } else if !self.lists("Upgrade", "websocket") {
            Expected::Refused(426)
        } else if !self.lists("Connection", "upgrade") {
            Expected::Refused(400)
        } else if self.values("Sec-WebSocket-Version") != ["13"] {
            Expected::Refused(426)
        } else {
            match self.values("Sec-WebSocket-Key")[..] {
                ["dGhlIHNhbXBsZSBub25jZQ=="] => Expected::Opens(longest),
                [] | ["short"] | [_, _, ..] => Expected::Refused(400),
                _ => return None,
            }
        })
    }
}

/// What the request must come to, and what its handler notes, if one is called. `client`: the
/// address that a proxy names.
pub(super) fn expected(
    head: &[u8],
    site: Site,
    client: Option<SocketAddr>,
) -> (Expected, Option<String>) {
    judged(head, site, client).unwrap_or((Expected::Unclear, None))
}

/// Whether the head may say something of a body, whatever else it says.
pub(super) fn may_have_body(head: &[u8]) -> bool {
    let head = head.to_ascii_lowercase();
    let names: [&[u8]; 3] = [b"content-length", b"transfer-encoding", b"expect"];
    names.iter().any(|name| head.windows(name.len()).any(|window| window == *name))
}

/// The same, once the body that the request announces is looked at.
fn with_length(
    asked: &Asked<'_>,
    (expected, noted): (Expected, Option<String>),
) -> (Expected, Option<String>) {
    match (asked.length(), expected, noted) {
        (Err(status), _, _) => (Expected::Refused(status), None),
        (Ok(Some(length)), Expected::Answer(200, content, _), Some(noted)) => {
            let is_last = asked.is_old() || asked.lists("Connection", "close");
            let is_last = is_last || content.is_stream();
            (Expected::Body(length, content, is_last), Some(noted))
        }
        (_, expected, noted) => (expected, noted),
    }
}

fn judged(
    head: &[u8],
    site: Site,
    client: Option<SocketAddr>,
) -> Option<(Expected, Option<String>)> {
    let asked = Asked::read(head)?;
    if asked.version == "HTTP/2.0" {
        return Some((Expected::Refused(505), None));
    }
    let elements = |(_, value): &(_, &str)| value.matches(',').count() + 1;
    if asked.headers.iter().map(elements).sum::<usize>() > MANY {
        return None;
    }
    if !asked.values("Expect").is_empty() {
        return None;
    }
    let (path, query) = (asked.path, asked.query.unwrap_or("-"));
    let who = match forwarded(&asked, site)?.or(client) {
        Some(client) if !client.ip().is_loopback() => client.to_string(),
        _ => "itself".to_owned(),
    };
    let longest = match path {
        _ if asked.method == "OPTIONS" => return Some(found(&asked, (options(&asked)?, None))),
        "/ws" => SHORT_MESSAGE,
        path if path.starts_with("/rooms/") => LONG_MESSAGE,
        _ => {
            let content = content(&asked, path, query, &who)?;
            let noted = has_handler(path).then(|| match &content {
                Expected::Answer(200, content, _) => content.text().cloned(),
                _ => None,
            });
            return Some(found(&asked, (content, noted.flatten())));
        }
    };
    let opens = asked.opens(longest)?;
    let noted = matches!(opens, Expected::Opens(_)).then(|| format!("opens {path} {who}"));
    // A handshake that announces a body is refused, whatever the body's length is.
    Some((opens, noted))
}

/// What is wrong with the request itself comes before what is wrong with its length.
fn found(
    asked: &Asked<'_>,
    (expected, noted): (Expected, Option<String>),
) -> (Expected, Option<String>) {
    match expected {
        Expected::Refused(_) => (expected, noted),
        _ => with_length(asked, (expected, noted)),
    }
}

/// Whether a handler answers at the path.
fn has_handler(path: &str) -> bool {
    path == "/ask" || path.starts_with("/ask/") || path == "/stream"
}

/// What is at the path, beside WebSockets.
fn is_page(path: &str) -> bool {
    has_handler(path) || ["/", "/long", "/metrics", "/nothing"].contains(&path)
}

/// The answer to a request for what may be done.
fn options(asked: &Asked<'_>) -> Option<Expected> {
    let path = asked.path;
    let is_there = is_page(path) || path == "/ws" || path.starts_with("/rooms/") || path == "*";
    Some(match (asked.is_for_this_server()?, is_there) {
        (false, _) => Expected::Refused(400),
        (true, true) => Expected::Answer(204, Content::Nothing, asked.is_last()),
        (true, false) => Expected::Answer(404, Content::Text(String::new()), asked.is_last()),
    })
}

/// The answer to a request for what is no WebSocket.
fn content(asked: &Asked<'_>, path: &str, query: &str, who: &str) -> Option<Expected> {
    let is_reading = ["GET", "HEAD"].contains(&asked.method);
    if !is_reading && !path.starts_with('/') {
        return Some(Expected::Refused(405));
    }
    if !asked.is_for_this_server()? {
        return Some(Expected::Refused(400));
    }
    let content = match path {
        "/" => Content::Text(HOME.to_owned()),
        "/long" => Content::Long,
        "/metrics" => Content::Metrics,
        "/nothing" => Content::Nothing,
        _ if is_page(path) => {
            let text = format!("{} {path} {query} {who}", asked.method);
            match path {
                "/stream" => Content::Stream(text, !asked.is_old()),
                _ => Content::Text(text),
            }
        }
        _ => Content::Text(String::new()),
    };
    let is_last = asked.is_last();
    Some(match (is_page(path), is_reading) {
        (false, _) => Expected::Answer(404, content, is_last),
        (true, false) => Expected::Answer(405, Content::Text(String::new()), is_last),
        (true, true) if content == Content::Nothing => Expected::Answer(204, content, is_last),
        (true, true) => {
            let is_last = is_last || content.is_stream();
            Expected::Answer(200, content, is_last)
        }
    })
}

/// The client that the peer forwards, if its request is trusted; `None`: not for this reading.
fn forwarded(asked: &Asked<'_>, site: Site) -> Option<Option<SocketAddr>> {
    if !site.trusts {
        return Some(None);
    }
    let (name, read): (_, fn(&str) -> Option<SocketAddr>) = match site.proxy_kind {
        1 => ("X-Forwarded-For", address),
        2 => ("Forwarded", node),
        _ => return Some(None),
    };
    let values = asked.values(name);
    if !values.iter().all(|value| has_plain_quotes(value)) {
        return None;
    }
    let values = values.join(",");
    let mut client = None;
    for element in values.rsplit(',') {
        let Some(address) = read(element.trim()) else { break };
        client = Some(address);
        let is_proxy = match address.ip().to_canonical() {
            IpAddr::V4(ip) => [10, 127].contains(&ip.octets()[0]),
            IpAddr::V6(_) => false,
        };
        if !is_proxy {
            break;
        }
    }
    Some(client)
}

/// Whether quotes come in pairs with nothing between them that divides or escapes.
fn has_plain_quotes(value: &str) -> bool {
    let parts: Vec<_> = value.split('"').collect();
    let quoted = parts.iter().skip(1).step_by(2);
    parts.len() % 2 == 1 && quoted.clone().all(|part| !part.contains([',', ';', '\\']))
}

fn address(text: &str) -> Option<SocketAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    match (text.parse(), text.parse::<IpAddr>(), bare) {
        (Ok(address), _, _) => Some(address),
        (_, Ok(ip), _) => Some(SocketAddr::new(ip, 0)),
        (_, _, Some(bare)) => Some(SocketAddr::new(bare.parse::<Ipv6Addr>().ok()?.into(), 0)),
        _ => None,
    }
}

fn node(element: &str) -> Option<SocketAddr> {
    let pairs = element.split(';').map(str::trim).filter(|pair| !pair.is_empty());
    let pairs: Vec<_> = pairs.map(|pair| pair.split_once('=')).collect::<Option<_>>()?;
    let is_name = |name: &str| {
        let is_token =
            |byte: u8| byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(&byte);
        !name.is_empty() && name.bytes().all(is_token)
    };
    let is_value = |value: &str| match value.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"').is_some_and(|value| !value.contains('"')),
        None => !value.contains('"'),
    };
    if !pairs.iter().all(|(name, value)| is_name(name.trim()) && is_value(value.trim())) {
        return None;
    }
    let values = pairs.into_iter().filter(|(name, _)| name.trim().eq_ignore_ascii_case("for"));
    let values: Vec<_> = values.map(|(_, value)| value.trim().trim_matches('"')).collect();
    let [value] = values[..] else { return None };
    address(value)
}
