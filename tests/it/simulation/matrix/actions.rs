//! What is done in a method.

use std::time::Duration;

use eventwire::{
    CloseCode, ConnectionId, Context, Error, OverflowPolicy, Rate, RateLimits, SendStatus,
};

use super::http::HttpAction;
use super::probe::{Say, State};
use super::resuming::ResumeAction;
use super::storing::StoreAction;
use super::tags::TagAction;

/// Limits with which nothing is read.
pub(super) const NOTHING: RateLimits = RateLimits::new().messages(Rate::per_second(0));

/// A URL that nobody serves.
pub(super) const NOWHERE: &str = "ws://127.0.0.1:7";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Subscribe,
    SubscribeBehindBroadcast,
    Unsubscribe,
    UnsubscribeBehindBroadcast,
    ResubscribeBehindBroadcast,
    CloseMe,
    CloseMeBehindBroadcast,
    CloseOther,
    Broadcast,
    BroadcastExceptMe,
    BroadcastExceptOther,
    SendMe,
    SendMeBehindBroadcast,
    SendOther,
    PingMe,
    TagMeWithLimits,
    RemoveTopic,
    EmptyAndRemoveTopic,
    Publish,
    Connect,
    ConnectAndStopLink,
    ConnectWithWrongEndpoint,
    ConnectStream,
    ListenAndClose,
    ListenOnPortInUse,
    MakePublisher,
    HoldAndRelease,
    StopListening,
    StopReading,
    Stop,
    Drain,
    Tag(TagAction),
    Resume(ResumeAction),
    Store(StoreAction),
    Http(HttpAction),
}

impl Action {
    const WITHOUT_REQUESTS: [Self; 37] = [
        Self::Subscribe,
        Self::SubscribeBehindBroadcast,
        Self::Unsubscribe,
        Self::UnsubscribeBehindBroadcast,
        Self::ResubscribeBehindBroadcast,
        Self::CloseMe,
        Self::CloseMeBehindBroadcast,
        Self::CloseOther,
        Self::Broadcast,
        Self::BroadcastExceptMe,
        Self::BroadcastExceptOther,
        Self::SendMe,
        Self::SendMeBehindBroadcast,
        Self::SendOther,
        Self::PingMe,
        Self::TagMeWithLimits,
        Self::RemoveTopic,
        Self::EmptyAndRemoveTopic,
        Self::Publish,
        Self::Connect,
        Self::ConnectAndStopLink,
        Self::ConnectWithWrongEndpoint,
        Self::ConnectStream,
        Self::ListenAndClose,
        Self::ListenOnPortInUse,
        Self::MakePublisher,
        Self::HoldAndRelease,
        Self::StopListening,
        Self::StopReading,
        Self::Stop,
        Self::Drain,
        Self::Tag(TagAction::TagMe),
        Self::Tag(TagAction::UntagMe),
        Self::Tag(TagAction::UntagAll),
        Self::Tag(TagAction::SendTagged),
        Self::Tag(TagAction::CloseTagged),
        Self::Tag(TagAction::CloseMyTag),
    ];

    pub(super) fn all() -> impl Iterator<Item = Self> {
        let resumes = ResumeAction::ALL.map(Self::Resume);
        let stores = StoreAction::ALL.map(Self::Store);
        let others = Self::WITHOUT_REQUESTS.into_iter().chain(resumes).chain(stores);
        others.chain(HttpAction::all().map(Self::Http))
    }

    /// Whether it ends the loop.
    pub(super) const fn ends(self) -> bool {
        matches!(self, Self::Stop | Self::Drain)
    }

    pub(super) fn run(self, me: ConnectionId, state: &State, cx: &mut Context<'_>) -> String {
        let (other, topic) = (state.other.expect("it came first"), state.topic);
        let text = |outcome: &dyn std::fmt::Debug| format!("{outcome:?}");
        let cast = |cx: &mut Context<'_>| assert_eq!(cx.broadcast(topic, "x"), SendStatus::Sent);
        match self {
            Self::Subscribe => text(&cx.connection(me).subscribe(topic)),
            Self::SubscribeBehindBroadcast => {
                cast(cx);
                text(&cx.connection(me).subscribe(topic))
            }
            Self::Unsubscribe => text(&cx.connection(me).unsubscribe(topic)),
            Self::UnsubscribeBehindBroadcast => {
                cast(cx);
                text(&cx.connection(me).unsubscribe(topic))
            }
            Self::ResubscribeBehindBroadcast => {
                cast(cx);
                cx.connection(me).unsubscribe(topic);
                assert_eq!(cx.broadcast(topic, "y"), SendStatus::Sent);
                text(&cx.connection(me).subscribe_with(topic, OverflowPolicy::KeepLatest))
            }
            Self::CloseMe => text(&cx.connection(me).close(CloseCode::NORMAL, "")),
            Self::CloseMeBehindBroadcast => {
                cast(cx);
                text(&cx.connection(me).close(CloseCode::NORMAL, ""))
            }
            Self::CloseOther => text(&cx.connection(other).close(CloseCode::NORMAL, "")),
            Self::Broadcast => text(&cx.broadcast(topic, "x")),
            Self::BroadcastExceptMe => text(&cx.broadcast_except(topic, me, "x")),
            Self::BroadcastExceptOther => text(&cx.broadcast_except(topic, other, "x")),
            Self::SendMe => text(&cx.send_to(me, "x")),
            Self::SendMeBehindBroadcast => {
                cast(cx);
                text(&cx.send_to(me, "y"))
            }
            Self::SendOther => text(&cx.send_to(other, "x")),
            Self::PingMe => text(&cx.connection(me).ping(b"x")),
            Self::TagMeWithLimits => {
                text(&cx.connection(me).tag_with("unread", &NOTHING.bytes(Rate::per_second(0))))
            }
            Self::RemoveTopic => text(&cx.remove_topic(topic)),
            Self::EmptyAndRemoveTopic => {
                cx.connection(me).unsubscribe(topic);
                assert!(cx.connection(other).unsubscribe(topic));
                assert!(cx.remove_topic(topic));
                text(&cx.broadcast(topic, "x"))
            }
            Self::Publish => text(&cx.publish(Say("x")).is_ok()),
            Self::Tag(action) => action.run(me, cx),
            Self::Resume(action) => action.run(me, topic, cx),
            Self::Store(action) => action.run(topic, cx),
            Self::Http(action) => action.run(me, state, cx),
            _ => self.run_on_the_loop(state, cx),
        }
    }

    /// Actions that concern no connection at hand.
    pub(super) fn run_on_the_loop(self, state: &State, cx: &mut Context<'_>) -> String {
        let text = |outcome: &dyn std::fmt::Debug| format!("{outcome:?}");
        match self {
            Self::Connect => text(&cx.connect(state.reach.client, NOWHERE).is_ok()),
            Self::ConnectAndStopLink => {
                let conn = cx.connect(state.reach.client, NOWHERE).expect("it is begun");
                let link = cx.connection(conn).link().expect("it reconnects");
                assert!(cx.stop_reconnecting(link));
                text(&cx.stop_reconnecting(link))
            }
            Self::ConnectWithWrongEndpoint => text(&cx.connect(state.reach.server, NOWHERE)),
            Self::ConnectStream => text(&cx.connect_stream(state.reach.stream, "sim:7").is_ok()),
            Self::ListenAndClose => {
                let listener = cx.listen(state.reach.server, "127.0.0.1:0").expect("a port");
                assert!(cx.close_listener(listener));
                text(&cx.close_listener(listener))
            }
            Self::ListenOnPortInUse => {
                let Err(Error::Io { source, .. }) = cx.listen(state.reach.server, state.reach.used)
                else {
                    panic!("the port is in use");
                };
                text(&source.kind())
            }
            Self::MakePublisher => text(&cx.publisher::<Say>().is_ok()),
            Self::HoldAndRelease => {
                drop(cx.hold());
                String::new()
            }
            Self::StopListening => {
                cx.stop_listening();
                String::new()
            }
            Self::StopReading => {
                cx.stop_reading();
                String::new()
            }
            Self::Stop => {
                cx.stop();
                String::new()
            }
            Self::Drain => {
                cx.shutdown(Duration::from_millis(100));
                String::new()
            }
            _ => unreachable!("it concerns a connection"),
        }
    }
}
