//! Actions with durable topics, and what is to come of them.

use eventwire::journal::TableChange;
use eventwire::reactor::Reactor;
use eventwire::{
    CommitError, Config, Context, Durability, DurableMessage, EventLoop, JournalConfig, NotStored,
    Position, SendStatus, TopicConfig, TopicId,
};

use super::expected::Basics;
use super::methods::{At, Call};
use crate::util::disk::Disk;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StoreAction {
    /// Commits a message with a change of tables and an event.
    Commit,
    /// Commits to a topic that is not durable.
    CommitPlain,
    /// Commits a change of tables to a topic that delivers first.
    CommitLate,
    BroadcastCommitFirst,
    BroadcastDeliverFirst,
    /// Removes a durable topic with a message under way.
    Remove,
}

/// What has become of a message.
struct Settled(Result<Position, NotStored>);

/// Adds durable topics to a configuration.
pub(super) fn with_durable_topics(config: Config, kept: &TopicConfig) -> Config {
    let durable = |durability| kept.clone().durable(durability);
    config
        .topics("c/*", durable(Durability::CommitFirst))
        .topics("d/*", durable(Durability::DeliverFirst))
}

/// Stores them. A message that was committed is stored, unless its topic is removed meanwhile.
pub(super) fn store<S: 'static, R: Reactor>(event_loop: &mut EventLoop<S, R>) {
    let storage = Disk::default().storage();
    event_loop.journal(storage, JournalConfig::default()).expect("a journal");
    event_loop.on(|_, Settled(result), _| assert_eq!(result.clone().map(Position::offset), Ok(1)));
}

impl StoreAction {
    pub(super) const ALL: [Self; 6] = [
        Self::Commit,
        Self::CommitPlain,
        Self::CommitLate,
        Self::BroadcastCommitFirst,
        Self::BroadcastDeliverFirst,
        Self::Remove,
    ];

    pub(super) fn run(self, plain: TopicId, cx: &mut Context<'_>) -> String {
        let [first, late] = ["c/0", "d/0"].map(|name| cx.topic(name).expect("a topic"));
        let tables = || TableChange::new(|_| Ok(()));
        let offset = |cx: &Context<'_>, topic| cx.position(topic).map(Position::offset);
        match self {
            Self::Commit => {
                let message = DurableMessage::new("x").with(tables()).then(Settled);
                format!("{:?} {:?}", cx.commit(first, message), offset(cx, first))
            }
            Self::CommitPlain => format!("{:?}", cx.commit(plain, DurableMessage::new("x"))),
            Self::CommitLate => {
                format!("{:?}", cx.commit(late, DurableMessage::new("x").with(tables())))
            }
            Self::BroadcastCommitFirst => {
                format!("{:?} {:?}", cx.broadcast(first, "x"), offset(cx, first))
            }
            Self::BroadcastDeliverFirst => {
                format!("{:?} {:?}", cx.broadcast(late, "x"), offset(cx, late))
            }
            Self::Remove => {
                let status = cx.broadcast(first, "x");
                format!("{status:?} {} {:?}", cx.remove_topic(first), offset(cx, first))
            }
        }
    }
}

/// The definition.
pub(super) fn expected(call: Call, action: StoreAction) -> Basics {
    let taken = Ok::<(), CommitError>(());
    let sent = SendStatus::Sent;
    let result = match action {
        StoreAction::Commit => format!("{taken:?} Some(0)"),
        StoreAction::CommitPlain => format!("{:?}", Err::<(), _>(CommitError::NotDurable)),
        StoreAction::CommitLate => format!("{:?}", Err::<(), _>(CommitError::NotCommitFirst)),
        StoreAction::BroadcastCommitFirst => format!("{sent:?} Some(0)"),
        StoreAction::BroadcastDeliverFirst => format!("{sent:?} Some(1)"),
        StoreAction::Remove => format!("{sent:?} true None"),
    };
    let me = if call.is_open() && call.is_subscribed() { "." } else { "" };
    Basics {
        result,
        me: me.to_owned(),
        other: ".".to_owned(),
        me_closed: (call.at == At::Close).then_some(1000),
        other_closed: None,
    }
}
