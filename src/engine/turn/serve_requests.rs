//! Serves what handlers asked for, at the end of the turn.

use crate::engine::endpoints::Endpoint;
use crate::engine::event_loop::EventLoop;
use crate::engine::http::router::Router;
use crate::reactor::Reactor;

impl<S, R: Reactor> EventLoop<S, R> {
    /// Sends the answers that requests awaited.
    #[inline(never)]
    pub(crate) fn send_answers(&mut self, state: &mut S) {
        while let Some(given) = self.core.requests.next_answer() {
            self.answering(given.conn.0, state).send_given(given);
        }
        self.core.sender().flush_dirty();
    }

    /// Dials connections, makes room for others and frees endpoints that nothing uses.
    #[inline(never)]
    pub(crate) fn serve_requests(&mut self) {
        while let Some(dial) = self.core.requests.next_dial() {
            self.dialer.dial(&mut self.core, dial);
        }
        if self.core.requests.take_wanted_room() {
            self.make_room();
        }
        while let Some(slot) = self.core.requests.next_unused_endpoint() {
            self.free_endpoint(slot);
        }
        self.core.requests.finish();
    }

    /// Drops an endpoint with its handlers, unless it was used again.
    fn free_endpoint(&mut self, slot: usize) {
        let Some(endpoint) = self.core.endpoints.remove_unused(slot) else {
            return;
        };
        match endpoint {
            Endpoint::Client(client) => drop(self.handlers.try_remove(client.handler)),
            Endpoint::Stream(stream) => drop(self.handlers.try_remove(stream.handler)),
            Endpoint::Server(_) => {}
        }
        let router = self.routers.remove(slot);
        for handler in router.iter().flat_map(Router::handlers) {
            drop(self.handlers.try_remove(handler));
        }
    }
}
