use std::sync::Arc;

use crate::config::{ClientConfig, MaxAge, ServerConfig, StreamConfig};
use crate::engine::any_handler::AnyHandler;
use crate::engine::handler::WebSocketHandler;
use crate::engine::http::http_handler::HttpHandler;
use crate::engine::stream::handler::StreamHandler;
use crate::proto::Limits;
use crate::proto::handshake::{Acceptance, OriginPolicy, UpgradeRequest};

/// A handler with the configuration of its connections.
pub(crate) struct ConfiguredHandler<S> {
    pub(crate) handler: AnyHandler<S>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) origins: OriginPolicy,
    /// How many bytes of a connection's output the system may hold unsent. 0: the system's default.
    pub(crate) unsent_limit: u32,
    pub(crate) max_age: Option<Box<MaxAge>>,
    subprotocols: Subprotocols,
    #[cfg(feature = "deflate")]
    deflate: Option<crate::proto::DeflateConfig>,
    /// The slot of its endpoint.
    pub(crate) endpoint: usize,
}

impl<S> ConfiguredHandler<S> {
    pub(crate) fn server(
        handler: Box<dyn WebSocketHandler<S>>,
        config: ServerConfig,
        endpoint: usize,
    ) -> Self {
        Self {
            handler: AnyHandler::WebSocket(handler),
            limits: Arc::new(config.limits),
            origins: config.origins,
            unsent_limit: config.unsent_limit,
            max_age: config.max_age,
            subprotocols: Subprotocols::new(config.subprotocols),
            #[cfg(feature = "deflate")]
            deflate: config.deflate,
            endpoint,
        }
    }

    pub(crate) fn client(
        handler: Box<dyn WebSocketHandler<S>>,
        config: &ClientConfig,
        endpoint: usize,
    ) -> Self {
        Self {
            handler: AnyHandler::WebSocket(handler),
            limits: Arc::new(config.limits.clone()),
            origins: OriginPolicy::Any,
            unsent_limit: config.unsent_limit,
            max_age: None,
            subprotocols: Subprotocols::default(),
            #[cfg(feature = "deflate")]
            deflate: None,
            endpoint,
        }
    }

    pub(crate) fn stream(
        handler: Box<dyn StreamHandler<S>>,
        config: &StreamConfig,
        endpoint: usize,
    ) -> Self {
        Self {
            handler: AnyHandler::Stream(handler),
            limits: Arc::default(),
            origins: OriginPolicy::Any,
            unsent_limit: config.unsent_limit,
            max_age: config.max_age.clone(),
            subprotocols: Subprotocols::default(),
            #[cfg(feature = "deflate")]
            deflate: None,
            endpoint,
        }
    }

    pub(crate) fn http(
        handler: Box<dyn HttpHandler<S>>,
        config: &ServerConfig,
        endpoint: usize,
    ) -> Self {
        Self {
            handler: AnyHandler::Http(handler),
            limits: Arc::default(),
            origins: OriginPolicy::Any,
            unsent_limit: config.unsent_limit,
            max_age: config.max_age.clone(),
            subprotocols: Subprotocols::default(),
            #[cfg(feature = "deflate")]
            deflate: None,
            endpoint,
        }
    }

    /// Chooses a configured subprotocol if the handler chose none, and negotiates compression.
    pub(crate) fn complete(
        &self,
        acceptance: Acceptance,
        request: &UpgradeRequest<'_>,
    ) -> Acceptance {
        let acceptance = self.choose_subprotocol(acceptance, request);
        #[cfg(feature = "deflate")]
        let acceptance = match &self.deflate {
            Some(config) => acceptance.deflate(config, request),
            None => acceptance,
        };
        acceptance
    }

    fn choose_subprotocol(
        &self,
        acceptance: Acceptance,
        request: &UpgradeRequest<'_>,
    ) -> Acceptance {
        if acceptance.chosen_subprotocol().is_some() || self.subprotocols.0.is_empty() {
            return acceptance;
        }
        match self.subprotocols.best(request.subprotocols()) {
            // The names were checked when the listener was made.
            Some(name) => acceptance.clone().subprotocol(name).unwrap_or(acceptance),
            None => acceptance,
        }
    }
}

/// The subprotocols that a server supports, searchable by name.
#[derive(Debug, Default)]
struct Subprotocols(
    /// Sorted by name, each with its rank: 0 for the most preferred one.
    Vec<(String, usize)>,
);

impl Subprotocols {
    /// `names` is in order of preference, the most preferred one first.
    fn new(names: Vec<String>) -> Self {
        let mut ranked: Vec<_> = names.into_iter().zip(0..).collect();
        ranked.sort_unstable();
        // A duplicate keeps its better rank.
        ranked.dedup_by(|next, last| next.0 == last.0);
        Self(ranked)
    }

    /// The most preferred one of the offers. Searches for each offer once.
    fn best<'a>(&self, offers: impl Iterator<Item = &'a str>) -> Option<&str> {
        let found = offers.filter_map(|offer| {
            let place = self.0.binary_search_by_key(&offer, |(name, _)| name);
            place.ok().map(|place| &self.0[place])
        });
        found.min_by_key(|(_, rank)| *rank).map(|(name, _)| name.as_str())
    }
}

/// Checks that every configured subprotocol is a valid header value.
pub(crate) fn check_subprotocols(
    names: &[String],
) -> Result<(), crate::proto::http::InvalidHeader> {
    names.iter().try_for_each(|name| Acceptance::new().subprotocol(name).map(drop))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_of_those_offered_is_found_by_looking_at_each_offer_once() {
        let names = |names: &[&str]| Subprotocols::new(names.iter().map(|&it| it.into()).collect());
        for (spoken, offered, expected) in [
            (&["b", "a", "c"][..], &["c", "a"][..], Some("a")),
            (&["b", "a", "c"], &["a", "c", "b"], Some("b")),
            (&["b", "a", "b"], &["a", "b"], Some("b")),
            (&["a", "b", "a"], &["b", "a"], Some("a")),
            (&["a"], &["A", "aa", ""], None),
            (&["a"], &[], None),
            (&[], &["a"], None),
        ] {
            let mut looks = 0;
            let offers = offered.iter().copied().inspect(|_| looks += 1);
            assert_eq!(names(spoken).best(offers), expected, "{spoken:?}, {offered:?}");
            assert_eq!(looks, offered.len());
        }
    }
}
