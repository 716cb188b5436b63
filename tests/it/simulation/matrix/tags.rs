//! Actions with tags, and what is to come of them.

use eventwire::{CloseCode, ConnectionId, Context, Tag, TagError};

use super::expected::Basics;
use super::methods::{At, Call};

/// The tag of all connections.
pub(super) const ALL: &str = "all";

/// The tag of the connection at hand.
pub(super) const MINE: &str = "mine";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TagAction {
    TagMe,
    UntagMe,
    UntagAll,
    SendTagged,
    CloseTagged,
    CloseMyTag,
}

impl TagAction {
    /// Returns the outcome, and how many connections have the tag of the connection at hand then,
    /// and that of all.
    pub(super) fn run(self, me: ConnectionId, cx: &mut Context<'_>) -> String {
        let mut conn = cx.connection(me);
        let outcome = match self {
            Self::TagMe => format!("{:?} {:?}", conn.tag("new"), conn.tag("")),
            Self::UntagMe => format!("{} {}", conn.untag(MINE), conn.untag(MINE)),
            Self::UntagAll => {
                let tags: Vec<String> = conn.tags().map(|tag| tag.to_string()).collect();
                tags.iter().filter(|tag| conn.untag(*tag)).count().to_string()
            }
            Self::SendTagged => cx.send_tagged(ALL, "x").to_string(),
            Self::CloseTagged => cx.close_tagged(ALL, CloseCode::POLICY, "").to_string(),
            Self::CloseMyTag => cx.close_tagged(MINE, CloseCode::POLICY, "").to_string(),
        };
        assert_eq!(cx.connection(me).is_tagged(ALL), cx.tagged(ALL).any(|id| id == me));
        assert!(cx.connection(me).tags().all(|tag| matches!(tag, Tag::Text(_))));
        format!("{outcome}, {} {}", cx.tagged(MINE).len(), cx.tagged(ALL).len())
    }
}

/// The definition.
pub(super) fn expected(call: Call, action: TagAction) -> Basics {
    let tagged = call.is_tagged();
    let (mine, all) = (usize::from(tagged), 1 + usize::from(tagged));
    let result = match action {
        TagAction::TagMe => {
            let gone: Result<bool, _> = Err(TagError::ConnectionGone);
            let open: Result<bool, _> = Err(TagError::EmptyKey);
            let results = if call.is_open() { (Ok(true), open) } else { (gone, gone) };
            format!("{:?} {:?}, {mine} {all}", results.0, results.1)
        }
        TagAction::UntagMe => format!("{tagged} false, 0 {all}"),
        TagAction::UntagAll => format!("{}, 0 1", 2 * mine),
        TagAction::SendTagged => format!("{all}, {mine} {all}"),
        TagAction::CloseTagged => format!("{all}, 0 0"),
        TagAction::CloseMyTag => format!("{mine}, 0 1"),
    };
    let closes_all = action == TagAction::CloseTagged;
    let closes_me = tagged && (closes_all || action == TagAction::CloseMyTag);
    let is_sent = action == TagAction::SendTagged;
    // The last thing is a broadcast to all that are still subscribed.
    let texts = |gets: bool, stays: bool| {
        format!("{}{}", if gets { "x" } else { "" }, if stays { "." } else { "" })
    };
    let me = texts(is_sent && tagged, call.is_subscribed() && !closes_me);
    let other = texts(is_sent, !closes_all);
    let me_closed = match call.at {
        At::Close => Some(1000),
        _ => closes_me.then_some(1008),
    };
    let other_closed = closes_all.then_some(1008);
    Basics { result, me, other, me_closed, other_closed }
}
