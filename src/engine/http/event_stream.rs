//! Streams of server-sent events.

use std::time::Duration;

use crate::engine::broadcast::report::Gap;
use crate::overflow::OverflowPolicy;
use crate::proto::event_stream::write_retry;
use crate::proto::http::{Body, ContentType, HttpResponse, InvalidHeader};
use crate::proto::json::write_json_string;
use crate::topics::Position;

/// The type of a stream of events.
const EVENT_STREAM: ContentType = ContentType::new("text/event-stream");

/// A stream of server-sent events (HTML Standard §9.2), as an [`Answer`](crate::Answer): what a
/// page's `EventSource` receives. It passes where proxies break WebSockets, and the browser
/// connects again by itself.
///
/// The connection is subscribed to the topics of the stream. Each broadcast is an event, which the
/// loop encodes once for all streams: a text line by line, bytes in base64 as events named
/// `binary`. Its `id:` is its [`Position`](crate::Position); values that were conflated by key have
/// none. The policies for slow subscribers apply. A gap is an event named `gap`, whose data is
/// JSON: `{"topic":"news","first":7,"last":9,"missed":3}`. It is sent once the gap has ended, so
/// that it comes after the broadcasts that follow the gap.
///
/// # Clients that come back
///
/// A client that connects again says the last `id:` that it has, in the header `Last-Event-ID`, as
/// a browser does by itself. The topic with that epoch
/// [resumes](crate::Connection::subscribe_from) from there: if it has a
/// [history](crate::TopicConfig::history), the client gets what it missed. If not all of it can be
/// had, an event named `lost` says so before later events, with the data
/// `{"topic":"news","oldest":"0123456789abcdef:5","newest":"0123456789abcdef:9"}`, as
/// [`Resumption::Lost`](crate::Resumption::Lost). Its `id:` is the newest position.
///
/// A browser says one position, so of several topics the others are lost. A script that remembers
/// the position of each topic says all of them, separated by commas, in the header or, since an
/// `EventSource` sets no headers, in the query: `/events?last-event-id=…`. The header takes
/// precedence. What is no list of positions has none, so that everything is lost. A request without
/// header and parameter gets what is broadcast from now on. So does a client that got no event
/// before it lost its connection: it has no position.
///
/// The connection is open in one direction, as with a
/// [`StreamedResponse`](crate::StreamedResponse): [`Connection::send`](crate::Connection::send)
/// sends an event, and the handler of the request learns of gaps, of resumed subscriptions and of
/// the end.
///
/// ```
/// use std::time::Duration;
/// use eventwire::{EventStream, HttpResponse, OverflowPolicy, Routes};
///
/// let routes = Routes::<()>::new()
///     .events("/news", EventStream::of("news"))
///     .get("/prices", |_, request, _| match request.query() {
///         Some("market=fx") => Ok(EventStream::new()
///             .topic_with("prices/fx", OverflowPolicy::KeepLatest)
///             .retry(Duration::from_secs(1))),
///         _ => Err(HttpResponse::new(404)),
///     });
/// # drop(routes);
/// ```
#[derive(Clone, Debug)]
pub struct EventStream {
    topics: Vec<(String, OverflowPolicy)>,
    head: HttpResponse,
    heartbeat: Option<Duration>,
    retry: Option<Duration>,
    is_named: bool,
}

impl EventStream {
    /// A stream without topics: its events are sent to the connection.
    #[must_use]
    pub fn new() -> Self {
        let head = HttpResponse::new(200).content_type(EVENT_STREAM);
        let heartbeat = Some(Duration::from_secs(15));
        Self { topics: Vec::new(), head, heartbeat, retry: None, is_named: false }
    }

    /// A stream of one topic. The topic is made if it does not exist.
    #[must_use]
    pub fn of(topic: impl Into<String>) -> Self {
        Self::new().topic(topic)
    }

    /// Adds a topic, with [`OverflowPolicy::Close`]: a slow client is disconnected, and connects
    /// again.
    #[must_use]
    pub fn topic(self, topic: impl Into<String>) -> Self {
        self.topic_with(topic, OverflowPolicy::Close)
    }

    /// Adds a topic with a policy for slow clients.
    #[must_use]
    pub fn topic_with(mut self, topic: impl Into<String>, policy: OverflowPolicy) -> Self {
        self.topics.push((topic.into(), policy));
        self
    }

    /// The time between two comments that keep proxies from ending a silent stream. Default: 15 s,
    /// as the HTML Standard recommends (§9.2.7). `None`: no comments, so that a client that has
    /// vanished is noticed only when something is sent. A slow client gets no comment while events
    /// wait for it: they show that the stream lives.
    #[must_use]
    pub const fn heartbeat(mut self, interval: Option<Duration>) -> Self {
        self.heartbeat = interval;
        self
    }

    /// How long the client waits before it connects again, in whole milliseconds. Default: what the
    /// browser chooses, a few seconds.
    #[must_use]
    pub const fn retry(mut self, time: Duration) -> Self {
        self.retry = Some(time);
        self
    }

    /// Names each event after its topic (`event:`), for pages that tell topics apart
    /// (`source.addEventListener("prices", …)`). Default: events have no names, and arrive as
    /// `message`.
    #[must_use]
    pub const fn named(mut self) -> Self {
        self.is_named = true;
        self
    }

    /// Adds a header to the response.
    ///
    /// # Errors
    ///
    /// [`InvalidHeader`] if the name or the value cannot be written.
    pub fn header(mut self, name: &str, value: &str) -> Result<Self, InvalidHeader> {
        self.head = self.head.header(name, value)?;
        Ok(self)
    }

    pub(crate) fn topics(&self) -> impl Iterator<Item = (&str, OverflowPolicy)> {
        self.topics.iter().map(|(name, policy)| (name.as_str(), *policy))
    }

    /// The head of the response. Neither caches nor proxies may hold events back.
    pub(crate) fn head(&self) -> HttpResponse {
        self.head.clone().for_events()
    }

    pub(crate) const fn body(&self) -> Body {
        if self.is_named { Body::NamedEvents } else { Body::Events }
    }

    pub(crate) const fn heartbeat_interval(&self) -> Option<Duration> {
        self.heartbeat
    }

    /// What comes before the first event.
    pub(crate) fn preamble(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if let Some(time) = self.retry {
            write_retry(time.as_millis(), &mut out);
        }
        out
    }
}

impl Default for EventStream {
    fn default() -> Self {
        Self::new()
    }
}

/// The data of the event that reports a gap, as JSON.
pub(crate) fn gap_data(topic: &str, gap: &Gap) -> String {
    let Gap { first, last, .. } = *gap;
    about(topic, &format!("\"first\":{first},\"last\":{last},\"missed\":{}", gap.missed()))
}

/// The data of the event that reports that a subscription could not be resumed, as JSON.
pub(crate) fn lost_data(topic: &str, oldest: Position, newest: Position) -> String {
    about(topic, &format!("\"oldest\":\"{oldest}\",\"newest\":\"{newest}\""))
}

/// A JSON object about a topic, with these fields.
fn about(topic: &str, fields: &str) -> String {
    let mut data = String::from("{\"topic\":");
    write_json_string(topic, &mut data);
    data.extend([",", fields, "}"]);
    data
}
