//! Hostile peers over real sockets, one family a file.
//!
//! Each case says what becomes of the peer (a close code, a status of HTTP, or the end of its
//! stream), how much memory the server may hold meanwhile by its configuration, and that a hundred
//! bystanders notice nothing: each of their messages is echoed, in order, on the same connection.
//! When it is over, the server holds what it held before.
//!
//! `EVENTWIRE_HOSTILE_FIGURES=1` shows how much memory it came to.

mod bystanders;
mod churn;
mod dead;
mod descriptors;
mod drip;
mod flood;
mod foe;
mod fragments;
mod frames;
mod handshakes;
mod origins;
mod pings;
mod readers;
mod resets;
mod rig;
mod service;
mod upgrades;

use service::Profile;

/// The server's settings by the name that its process is told.
fn profile(name: &str) -> Profile {
    match name {
        "churn" => churn::profile(),
        "dead" => dead::profile(),
        "descriptors" => descriptors::profile(),
        "descriptors, too few" => descriptors::too_few(),
        "drip" => drip::profile(),
        "drip, impatient" => drip::impatient(),
        "flood" => flood::profile(),
        "fragments" => fragments::profile(),
        "fragments, all that memory holds" => fragments::much_memory(),
        "fragments, by their number" => fragments::many(),
        "frames" => frames::profile(),
        "handshakes" => handshakes::profile(),
        "handshakes, many pending" => handshakes::many_pending(),
        "origins, any" => origins::any(),
        "origins, listed" => origins::listed(),
        "origins, same" => origins::same(),
        "pings" => pings::profile(),
        "pings, without a rate" => pings::without_a_rate(),
        "readers" => readers::profile(),
        "readers, all that memory holds" => readers::much_memory(),
        "resets" => resets::profile(),
        "upgrades" => upgrades::profile(),
        other => panic!("no profile is called {other}"),
    }
}
