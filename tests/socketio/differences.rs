//! Where Node's server differs from the specification or from what the example promises.

/// A case that Node's server fails.
pub(super) struct Difference {
    pub(super) case: &'static str,
    pub(super) reason: &'static str,
}

/// Of `socket.io` 4.8.4.
pub(super) const DIFFERENCES: &[Difference] = &[
    Difference {
        case: "connect::a_namespace_is_left_and_joined_in_one_segment",
        reason: "it handles CONNECT before the DISCONNECT that came first, and closes the session",
    },
    Difference {
        case: "disconnect::a_close_packet_ends_all_sockets",
        reason: "it ignores the close packet over a WebSocket",
    },
    Difference {
        case: "malformed::a_placeholder_with_a_fraction",
        reason: "it accepts every number between 0 and the count of attachments",
    },
    Difference {
        case: "malformed::an_event_without_a_payload",
        reason: "it takes that for an event without a name",
    },
    Difference {
        case: "polling::a_get_brings_at_most_sixteen_packets",
        reason: "it has no such limit, which only Python's client needs",
    },
    Difference {
        case: "recovery::a_secret_is_of_one_live_connection",
        reason: "a secret is good for any number of connections until it expires",
    },
    Difference {
        case: "upgrade::a_web_socket_for_a_session_that_began_as_one_is_closed",
        reason: "it lets such a session upgrade to another WebSocket",
    },
    Difference {
        case: "websocket::a_close_packet_closes_the_web_socket",
        reason: "it ignores the close packet over a WebSocket",
    },
];
