//! Actions with positions and histories, and what is to come of them.

use eventwire::{
    ConnectionId, Context, OverflowPolicy, Position, Resumption, SendStatus, SubscribeError,
    TopicId,
};

use super::expected::Basics;
use super::methods::{At, Call};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResumeAction {
    /// Resumes from before a broadcast.
    FromRight,
    /// Resumes from a position that the topic does not have yet.
    FromFuture,
    FromOtherEpoch,
    /// Resumes from two positions, of which the second decides.
    FromTwo,
    Position,
    PositionBefore,
    History,
}

/// What a client is sent when its subscription was resumed.
pub(super) fn note(resumption: Resumption) -> String {
    match resumption {
        Resumption::Recovered { replayed } => format!("R{replayed}"),
        Resumption::Lost { .. } => "L".to_owned(),
        other => panic!("{other:?}"),
    }
}

impl ResumeAction {
    pub(super) const ALL: [Self; 7] = [
        Self::FromRight,
        Self::FromFuture,
        Self::FromOtherEpoch,
        Self::FromTwo,
        Self::Position,
        Self::PositionBefore,
        Self::History,
    ];

    pub(super) fn run(self, me: ConnectionId, topic: TopicId, cx: &mut Context<'_>) -> String {
        let begin = cx.position(topic).expect("a topic");
        let (epoch, offset) = (begin.epoch(), begin.offset());
        let cast = |cx: &mut Context<'_>| assert_eq!(cx.broadcast(topic, "x"), SendStatus::Sent);
        let from = |cx: &mut Context<'_>, position| {
            cx.connection(me).subscribe_from(topic, OverflowPolicy::Close, position)
        };
        match self {
            Self::FromRight => {
                cast(cx);
                format!("{:?}", from(cx, begin))
            }
            Self::FromFuture => format!("{:?}", from(cx, Position::new(epoch, offset + 1))),
            Self::FromOtherEpoch => format!("{:?}", from(cx, Position::new(epoch ^ 1, offset))),
            Self::FromTwo => {
                cast(cx);
                let after = cx.position(topic).expect("a topic");
                let first = from(cx, begin);
                format!("{first:?} {:?}", from(cx, after))
            }
            Self::Position => {
                cast(cx);
                let position = cx.position(topic).expect("a topic");
                assert_eq!(position.epoch(), epoch);
                (position.offset() - offset).to_string()
            }
            Self::PositionBefore => {
                cast(cx);
                let [one, all] = [1, u64::MAX].map(|count| cx.position_before(topic, count));
                assert_eq!(all, Some(Position::new(epoch, 0)));
                format!("{}", one == Some(begin))
            }
            Self::History => {
                cast(cx);
                let last = cx.history(topic, offset + 1..).next().expect("a message");
                assert_eq!(last.position, Position::new(epoch, offset + 1));
                last.message.as_text().expect("text").to_owned()
            }
        }
    }
}

/// The definition.
pub(super) fn expected(call: Call, action: ResumeAction) -> Basics {
    let (open, subscribed) = (call.is_open(), call.is_subscribed());
    let outcome = if open { Ok(()) } else { Err(SubscribeError::ConnectionGone) };
    let result = match action {
        ResumeAction::FromRight | ResumeAction::FromFuture | ResumeAction::FromOtherEpoch => {
            format!("{outcome:?}")
        }
        ResumeAction::FromTwo => format!("{outcome:?} {outcome:?}"),
        ResumeAction::Position => "1".to_owned(),
        ResumeAction::PositionBefore => "true".to_owned(),
        ResumeAction::History => "x".to_owned(),
    };
    // The subscription that ends gets what was broadcast before.
    let mine = if subscribed { "x" } else { "" };
    let is_lost = matches!(action, ResumeAction::FromFuture | ResumeAction::FromOtherEpoch);
    let me = match action {
        ResumeAction::FromRight => format!("{mine}R1x."),
        ResumeAction::FromTwo => format!("{mine}R0."),
        ResumeAction::FromFuture | ResumeAction::FromOtherEpoch => "L.".to_owned(),
        _ if subscribed => "x.".to_owned(),
        _ => String::new(),
    };
    Basics {
        result,
        me: if open { me } else { String::new() },
        other: if is_lost { "." } else { "x." }.to_owned(),
        me_closed: (call.at == At::Close).then_some(1000),
        other_closed: None,
    }
}
