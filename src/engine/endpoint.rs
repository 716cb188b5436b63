use std::sync::Arc;

use super::{Upgrade, WebSocketHandler};
use crate::config::ServerConfig;
use crate::proto::Limits;
use crate::proto::handshake::{Acceptance, OriginPolicy, Request};

/// A handler, with what was configured for its connections.
pub(super) struct Endpoint<S> {
    pub(super) handler: Box<dyn WebSocketHandler<S>>,
    pub(super) limits: Arc<Limits>,
    pub(super) origins: OriginPolicy,
    /// How many bytes of a connection's output the system may hold unsent; 0: as many as it does.
    pub(super) unsent_limit: u32,
    subprotocols: Vec<String>,
    #[cfg(feature = "deflate")]
    deflate: Option<crate::proto::DeflateConfig>,
    /// The slot of its site. One without serves one connection that this program makes, and goes
    /// with it.
    pub(super) site: Option<usize>,
}

impl<S> Endpoint<S> {
    pub(super) fn server(
        handler: Box<dyn WebSocketHandler<S>>,
        config: ServerConfig,
        site: usize,
    ) -> Self {
        Self {
            handler,
            limits: Arc::new(config.limits),
            origins: config.origins,
            unsent_limit: config.unsent_limit,
            subprotocols: config.subprotocols,
            #[cfg(feature = "deflate")]
            deflate: config.deflate,
            site: Some(site),
        }
    }

    pub(super) fn client(handler: Box<dyn WebSocketHandler<S>>, limits: Limits) -> Self {
        Self {
            handler,
            limits: Arc::new(limits),
            origins: OriginPolicy::Any,
            unsent_limit: 0,
            subprotocols: Vec::new(),
            #[cfg(feature = "deflate")]
            deflate: None,
            site: None,
        }
    }

    /// Chooses the configured subprotocol, if the handler chose none, and agrees to compression.
    pub(super) fn complete(&self, upgrade: Upgrade, request: &Request<'_>) -> Upgrade {
        let Upgrade::Accept(acceptance) = upgrade else {
            return upgrade;
        };
        let acceptance = self.choose_subprotocol(acceptance, request);
        #[cfg(feature = "deflate")]
        let acceptance = match &self.deflate {
            Some(config) => acceptance.deflate(config, request),
            None => acceptance,
        };
        Upgrade::Accept(acceptance)
    }

    fn choose_subprotocol(&self, acceptance: Acceptance, request: &Request<'_>) -> Acceptance {
        if acceptance.chosen_subprotocol().is_some() {
            return acceptance;
        }
        let offered = |name: &&String| request.subprotocols().any(|offer| offer == name.as_str());
        match self.subprotocols.iter().find(offered) {
            // The names were checked when the listener was made.
            Some(name) => acceptance.clone().subprotocol(name).unwrap_or(acceptance),
            None => acceptance,
        }
    }
}

/// Whether every configured subprotocol can be written.
pub(super) fn check_subprotocols(
    names: &[String],
) -> Result<(), crate::proto::handshake::InvalidHeader> {
    names.iter().try_for_each(|name| Acceptance::new().subprotocol(name).map(drop))
}
