use crate::engine::broadcast::report::Gap;
use crate::engine::connection::Connection;
use crate::engine::handler::WebSocketHandler;
use crate::engine::http::http_handler::HttpHandler;
use crate::engine::ids::TopicId;
use crate::engine::stream::handler::StreamHandler;
use crate::net::disconnect::{ConnectError, Disconnect};
use crate::topics::Resumption;

/// A handler of any kind of connection, and what all kinds have in common.
pub(crate) enum AnyHandler<S> {
    WebSocket(Box<dyn WebSocketHandler<S>>),
    Stream(Box<dyn StreamHandler<S>>),
    Http(Box<dyn HttpHandler<S>>),
}

impl<S> AnyHandler<S> {
    #[inline]
    pub(crate) fn web_socket(&mut self) -> Option<&mut dyn WebSocketHandler<S>> {
        match self {
            Self::WebSocket(handler) => Some(&mut **handler),
            Self::Stream(_) | Self::Http(_) => None,
        }
    }

    #[inline]
    pub(crate) fn stream(&mut self) -> Option<&mut dyn StreamHandler<S>> {
        match self {
            Self::Stream(handler) => Some(&mut **handler),
            Self::WebSocket(_) | Self::Http(_) => None,
        }
    }

    pub(crate) fn http(&mut self) -> Option<&mut dyn HttpHandler<S>> {
        match self {
            Self::Http(handler) => Some(&mut **handler),
            Self::WebSocket(_) | Self::Stream(_) => None,
        }
    }

    pub(crate) fn on_open(&mut self, conn: &mut Connection<'_>, state: &mut S) {
        match self {
            Self::WebSocket(handler) => handler.on_open(conn, state),
            Self::Stream(handler) => handler.on_open(conn, state),
            Self::Http(handler) => handler.on_open(conn, state),
        }
    }

    pub(crate) fn on_drained(&mut self, conn: &mut Connection<'_>, state: &mut S) {
        match self {
            Self::WebSocket(handler) => handler.on_drained(conn, state),
            Self::Stream(handler) => handler.on_drained(conn, state),
            Self::Http(handler) => handler.on_drained(conn, state),
        }
    }

    pub(crate) fn on_gap(&mut self, conn: &mut Connection<'_>, gap: Gap, state: &mut S) {
        match self {
            Self::WebSocket(handler) => handler.on_gap(conn, gap, state),
            Self::Stream(handler) => handler.on_gap(conn, gap, state),
            Self::Http(handler) => handler.on_gap(conn, gap, state),
        }
    }

    pub(crate) fn on_resumed(
        &mut self,
        conn: &mut Connection<'_>,
        topic: TopicId,
        resumption: Resumption,
        state: &mut S,
    ) {
        match self {
            Self::WebSocket(handler) => handler.on_resumed(conn, topic, resumption, state),
            Self::Stream(handler) => handler.on_resumed(conn, topic, resumption, state),
            Self::Http(handler) => handler.on_resumed(conn, topic, resumption, state),
        }
    }

    pub(crate) fn on_close(
        &mut self,
        conn: &mut Connection<'_>,
        disconnect: &Disconnect,
        state: &mut S,
    ) {
        match self {
            Self::WebSocket(handler) => handler.on_close(conn, disconnect, state),
            Self::Stream(handler) => handler.on_close(conn, disconnect, state),
            Self::Http(handler) => handler.on_close(conn, disconnect, state),
        }
    }

    pub(crate) fn on_connect_error(
        &mut self,
        conn: &mut Connection<'_>,
        error: &ConnectError,
        state: &mut S,
    ) {
        match self {
            Self::WebSocket(handler) => handler.on_connect_error(conn, error, state),
            Self::Stream(handler) => handler.on_connect_error(conn, error, state),
            // It has no clients of its own.
            Self::Http(_) => {}
        }
    }
}
