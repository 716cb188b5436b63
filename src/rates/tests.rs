use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::bucket::Bucket;
use super::table::Table;
use super::*;
use crate::slots::Key;
use crate::time::Time;

fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

fn at(nanos: u64) -> Time {
    Time::BEGINNING + Duration::from_nanos(nanos)
}

fn millis(millis: u64) -> Time {
    Time::BEGINNING + Duration::from_millis(millis)
}

fn conn(number: u64) -> Key {
    Key::from_bits(((number + 1) << 32) | (number % 64))
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn rates(limits: RateLimits, max: usize) -> Rates {
    let prefixes = Prefixes { v4: 32, v6: 64 };
    Rates::new(Some(AddressRules { limits, prefixes, max }), max)
}

/// Counts a connection; why it is refused, if it is.
fn connect(rates: &mut Rates, number: u64, address: &str, now: Time) -> Option<LimitKind> {
    match rates.admit(ip(address), now) {
        Err(denied) => Some(denied.kind),
        Ok(admitted) => {
            rates.join(conn(number), admitted.expect("addresses have limits"));
            rates.denied(conn(number)).map(|denied| denied.kind)
        }
    }
}

/// The messages and bytes that a connection may receive.
fn left(rates: &mut Rates, number: u64, now: Time) -> (u64, u64) {
    match rates.judge(conn(number), true, now) {
        Verdict::Read(allowance) => (allowance.messages, allowance.bytes),
        other => panic!("{other:?}"),
    }
}

// Buckets.

#[test]
fn a_bucket_starts_full_is_refilled_evenly_and_never_holds_more_than_the_burst() {
    let rate = Rate::per_second(10).burst(3);
    let mut bucket = Bucket::FULL;
    assert_eq!(bucket.available(&rate, millis(0)), 3);
    bucket.take(&rate, 3, millis(0));
    assert_eq!(bucket.ready_at(&rate, 1, millis(0)), Some(millis(100)));
    for (time, available) in [(0, 0), (99, 0), (100, 1), (199, 1), (200, 2), (300, 3), (9_000, 3)] {
        assert_eq!(bucket.available(&rate, millis(time)), available, "after {time} ms");
    }
}

#[test]
fn a_debt_is_refilled_first() {
    let rate = Rate::per_second(1_000).burst(10);
    let mut bucket = Bucket::FULL;
    bucket.take(&rate, 10, millis(0));
    assert!(!bucket.is_overdrawn(&rate, millis(0)));
    bucket.take(&rate, 100, millis(0));
    assert!(bucket.is_overdrawn(&rate, millis(0)));
    assert_eq!(bucket.ready_at(&rate, 1, millis(0)), Some(millis(101)));
    assert_eq!(bucket.available(&rate, millis(100)), 0);
    assert!(!bucket.is_overdrawn(&rate, millis(100)));
    assert_eq!(bucket.available(&rate, millis(105)), 5);
}

#[test]
fn zero_allows_nothing_ever() {
    for rate in [Rate::per_second(0), Rate::per_minute(0).burst(5), Rate::per_second(5).burst(0)] {
        let mut bucket = Bucket::FULL;
        for now in [Time::BEGINNING, millis(1), at(u64::MAX - 1)] {
            assert_eq!(bucket.available(&rate, now), 0, "{rate:?}");
            assert_eq!(bucket.ready_at(&rate, 1, now), None, "{rate:?}");
        }
    }
}

#[test]
fn rates_below_one_a_second_and_the_largest_numbers_are_exact() {
    let slow = Rate::per_minute(1);
    let mut bucket = Bucket::FULL;
    bucket.take(&slow, 1, at(0));
    assert_eq!(bucket.ready_at(&slow, 1, at(0)), Some(millis(60_000)));
    assert_eq!(bucket.available(&slow, at(59_999_999_999)), 0);
    assert_eq!(bucket.available(&slow, millis(60_000)), 1);
    for rate in [Rate::per_second(u64::MAX), Rate::per_minute(u64::MAX).burst(1)] {
        let mut bucket = Bucket::FULL;
        for _ in 0..3 {
            bucket.take(&rate, u64::MAX, at(0));
        }
        assert!(bucket.ready_at(&rate, 1, at(0)).is_some());
        assert!(bucket.available(&rate, at(u64::MAX)) > 0, "{rate:?}");
    }
    let mut bucket = Bucket::FULL;
    let slow = Rate::per_minute(1).burst(u64::MAX);
    (0..3).for_each(|_| bucket.take(&slow, u64::MAX, at(0)));
    assert_eq!(bucket.available(&slow, at(u64::MAX)), 0);
    assert_eq!(bucket.ready_at(&slow, u64::MAX, at(0)), None);
}

proptest! {
    #![proptest_config(config())]
    /// Beside a model that counts in fractions of one millionth of a nanosecond's worth: what may
    /// be taken in all is the burst and what the rate has brought, to the last one, whatever the
    /// intervals and however time is turned back within a turn.
    #[test]
    fn in_all_no_more_is_there_than_the_burst_and_the_rate(
        (count, burst) in (1..50_000_u64, 1..1_000_u64),
        steps in prop::collection::vec((0..40_000_000_u64, 0..30_u64, any::<bool>()), 1..200),
    ) {
        let rate = Rate::per_second(count).burst(burst);
        let (mut bucket, mut now, mut taken) = (Bucket::FULL, 1_000_u64, 0_u128);
        let start = now;
        for (nanos, wanted, turned_back) in steps {
            now += nanos;
            let seen = if turned_back { now - now.min(500) } else { now };
            let available = bucket.available(&rate, at(seen));
            prop_assert!(available <= burst);
            if available < wanted {
                let ready = bucket.ready_at(&rate, wanted.min(burst), at(now)).expect("it comes");
                let mut copy = bucket;
                prop_assert!(copy.available(&rate, ready) >= wanted.min(burst));
                if ready > at(now) {
                    let before = Time::from_nanos(ready.as_nanos() - 1);
                    let mut copy = bucket;
                    prop_assert!(copy.available(&rate, before) < wanted.min(burst));
                }
            }
            let take = wanted.min(available);
            bucket.take(&rate, take, at(seen));
            taken += u128::from(take);
            let most = u128::from(burst)
                + u128::from(count) * u128::from(now - start) / 1_000_000_000 + 1;
            prop_assert!(taken <= most, "{taken} of {most}");
        }
        // Nothing was lost either, while the bucket was not full.
        let full = bucket.available(&rate, at(now + 1_000_000_000 * (burst / count + 2)));
        prop_assert_eq!(full, burst);
    }

    /// A connection that takes what it gets as soon as it gets it receives exactly the rate.
    #[test]
    fn whoever_waits_gets_exactly_the_rate(count in 1..5_000_u64, burst in 2..50_u64) {
        let rate = Rate::per_second(count).burst(burst);
        let (mut bucket, mut now, mut taken) = (Bucket::FULL, at(0), 0);
        while taken < 3 * count + burst {
            let available = bucket.available(&rate, now);
            bucket.take(&rate, available, now);
            taken += available;
            now = bucket.ready_at(&rate, 1, now).expect("it comes");
        }
        let last = (u128::from(taken - burst) * 1_000_000_000).div_ceil(count.into());
        let next = (u128::from(taken - burst + 1) * 1_000_000_000).div_ceil(count.into());
        let now = u128::from(now.as_nanos());
        prop_assert!(last <= now && now <= next, "{last} {now} {next}");
    }
}

// The table.

fn table_key(number: u8) -> RateKey {
    RateKey::Number(number.into())
}

#[derive(Clone, Debug)]
enum Command {
    Add(u8),
    Open(u8),
    Close(u8),
    Use(u8),
    Pass(u64),
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        4 => (0..24_u8).prop_map(Command::Add),
        4 => (0..24_u8).prop_map(Command::Open),
        4 => (0..24_u8).prop_map(Command::Close),
        2 => (0..24_u8).prop_map(Command::Use),
        1 => (0..400_u64).prop_map(Command::Pass),
    ]
}

/// A model of the table: connections, the time of the last use, and the messages that are missing.
#[derive(Clone, Debug, Default)]
struct Modelled {
    connections: usize,
    used: u64,
    full_at: u64,
}

proptest! {
    #![proptest_config(config())]
    #[test]
    fn the_table_is_bounded_and_the_oldest_quiet_entries_go_first(
        max in 0..8_usize,
        commands in prop::collection::vec(command(), 0..300),
    ) {
        const COST: u64 = 100;
        let limits = Arc::new(RateLimits::new().messages(Rate::per_second(10).burst(1_000)));
        let mut table = Table::new(max);
        let mut model: BTreeMap<u8, Modelled> = BTreeMap::new();
        let (mut now, mut uses) = (0, 0);
        for command in commands {
            uses += 1;
            match command {
                Command::Pass(time) => now += time,
                Command::Add(number) => {
                    let found = table.find_or_add(&table_key(number), &limits, millis(now));
                    if !model.contains_key(&number) {
                        for _ in 0..2 {
                            let Some((oldest, entry)) = oldest(&model) else { break };
                            if entry.full_at > now {
                                break;
                            }
                            model.remove(&oldest);
                        }
                        if model.len() >= max {
                            if let Some((oldest, _)) = oldest(&model) {
                                model.remove(&oldest);
                            }
                        }
                        if model.len() < max {
                            model.insert(number, Modelled { used: uses, ..Modelled::default() });
                        }
                    }
                    prop_assert_eq!(found.is_some(), model.contains_key(&number));
                }
                Command::Open(number) | Command::Close(number) | Command::Use(number) => {
                    let found = table.find(&table_key(number));
                    prop_assert_eq!(found.is_some(), model.contains_key(&number));
                    let (Some(key), Some(entry)) = (found, model.get_mut(&number)) else {
                        continue;
                    };
                    let in_table = table.get_mut(key).expect("it is there");
                    match command {
                        Command::Open(_) => {
                            in_table.open(millis(now));
                            entry.connections += 1;
                        }
                        Command::Close(_) if entry.connections > 0 => {
                            in_table.close();
                            entry.connections -= 1;
                        }
                        Command::Close(_) => {}
                        _ => {
                            in_table.charge(1, 0, millis(now));
                            entry.full_at = entry.full_at.max(now) + COST;
                        }
                    }
                    table.note_use(key);
                    entry.used = uses;
                }
            }
            prop_assert!(table.len() <= max);
            prop_assert_eq!(table.len(), model.len());
            let quiet = model.values().filter(|entry| entry.connections == 0).count();
            prop_assert_eq!(table.quiet_len(), quiet);
            for number in model.keys() {
                prop_assert!(table.find(&table_key(*number)).is_some());
            }
        }
    }
}

fn oldest(model: &BTreeMap<u8, Modelled>) -> Option<(u8, Modelled)> {
    let quiet = model.iter().filter(|(_, entry)| entry.connections == 0);
    quiet.min_by_key(|(_, entry)| entry.used).map(|(number, entry)| (*number, entry.clone()))
}

// Addresses.

#[test]
fn addresses_count_by_their_prefix() {
    let key = |v4, v6, address: &str| Prefixes { v4, v6 }.key(ip(address));
    for (prefixes, one, other, is_same) in [
        ((32, 64), "192.0.2.1", "192.0.2.1", true),
        ((32, 64), "192.0.2.1", "192.0.2.2", false),
        ((24, 64), "192.0.2.1", "192.0.2.254", true),
        ((0, 0), "192.0.2.1", "10.0.0.1", true),
        ((0, 0), "192.0.2.1", "2001:db8::1", false),
        ((32, 64), "::ffff:192.0.2.1", "192.0.2.1", true),
        ((32, 64), "2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true),
        ((32, 64), "2001:db8:0:1::1", "2001:db8:0:2::1", false),
        ((32, 56), "2001:db8:0:1::1", "2001:db8:0:ff::1", true),
        ((32, 56), "2001:db8:0:1::1", "2001:db8:0:100::1", false),
        ((32, 128), "2001:db8::1", "2001:db8::2", false),
        ((255, 255), "2001:db8::1", "2001:db8::1", true),
        ((32, 0), "2001:db8::1", "fe80::1", true),
    ] {
        let (v4, v6) = prefixes;
        assert_eq!(key(v4, v6, one) == key(v4, v6, other), is_same, "{one} {other} {prefixes:?}");
    }
}

#[test]
fn connections_are_counted_until_they_end() {
    let mut rates = rates(RateLimits::new().connections(2), 10);
    assert_eq!(connect(&mut rates, 0, "192.0.2.1", millis(0)), None);
    assert_eq!(connect(&mut rates, 1, "192.0.2.1", millis(0)), None);
    assert_eq!(connect(&mut rates, 2, "192.0.2.1", millis(0)), Some(LimitKind::Connections));
    assert_eq!(connect(&mut rates, 3, "192.0.2.2", millis(0)), None);
    // One that was refused gives nobody a place when it ends.
    rates.leave(conn(2));
    assert_eq!(connect(&mut rates, 4, "192.0.2.1", millis(0)), Some(LimitKind::Connections));
    rates.leave(conn(0));
    rates.leave(conn(0));
    assert_eq!(connect(&mut rates, 5, "192.0.2.1", millis(0)), None);
    let _ = [1, 3, 4, 5].map(|number| rates.leave(conn(number)));
    assert!(rates.tables().iter().all(|table| table.quiet_len() == table.len()));
}

#[test]
fn few_that_are_refused_wait_for_their_response_and_further_ones_get_none() {
    let mut rates = rates(RateLimits::new().connections(0), 10);
    for number in 0..16 {
        assert_eq!(
            connect(&mut rates, number, "192.0.2.1", millis(0)),
            Some(LimitKind::Connections)
        );
        assert!(rates.denied(conn(number)).is_some());
    }
    assert!(rates.admit(ip("192.0.2.1"), millis(0)).is_err());
    rates.leave(conn(3));
    assert!(rates.admit(ip("192.0.2.1"), millis(0)).is_ok());
}

#[test]
fn new_connections_have_a_rate_and_refused_ones_do_not_use_it() {
    let limits = RateLimits::new().new_connections(Rate::per_second(2));
    let mut rates = rates(limits, 10);
    for (number, time, refused) in
        [(0, 0, false), (1, 0, false), (2, 0, true), (3, 499, true), (4, 500, false)]
    {
        let denied = connect(&mut rates, number, "192.0.2.1", millis(time));
        assert_eq!(denied, refused.then_some(LimitKind::NewConnections), "{number}");
    }
    let denied = rates.denied(conn(2)).expect("it was refused");
    assert_eq!(denied.retry_after_secs(millis(0)), Some(1));
}

#[test]
fn retry_after_is_in_whole_seconds_and_at_least_one() {
    for (ready, secs) in [(0, 1), (1, 1), (1_000, 1), (1_001, 2), (59_500, 60)] {
        let denied = Denied { kind: LimitKind::Bytes, ready_at: Some(millis(ready)) };
        assert_eq!(denied.retry_after_secs(millis(0)), Some(secs), "{ready} ms");
    }
    let never = Denied { kind: LimitKind::Bytes, ready_at: None };
    assert_eq!(never.retry_after_secs(millis(0)), None);
}

#[test]
fn addresses_without_room_count_together_and_one_with_connections_stays() {
    let mut rates = rates(RateLimits::new().connections(1), 2);
    assert_eq!(connect(&mut rates, 0, "192.0.2.1", millis(0)), None);
    assert_eq!(connect(&mut rates, 1, "192.0.2.2", millis(0)), None);
    assert_eq!(connect(&mut rates, 2, "192.0.2.3", millis(0)), None);
    assert_eq!(connect(&mut rates, 3, "192.0.2.4", millis(0)), Some(LimitKind::Connections));
    assert_eq!(connect(&mut rates, 4, "192.0.2.1", millis(0)), Some(LimitKind::Connections));
    assert_eq!(rates.addresses_len(), 3);
    let _ = [0, 1, 2, 3, 4].map(|number| rates.leave(conn(number)));
    assert_eq!(connect(&mut rates, 5, "192.0.2.3", millis(0)), None);
    assert_eq!(connect(&mut rates, 6, "192.0.2.4", millis(0)), None);
    assert!(rates.addresses_len() <= 2);
}

#[test]
fn who_leaves_and_comes_back_gets_no_new_burst() {
    let limits = RateLimits::new().messages(Rate::per_second(1).burst(5));
    let mut rates = rates(limits, 10);
    assert_eq!(connect(&mut rates, 0, "192.0.2.1", millis(0)), None);
    rates.charge(conn(0), 5, 0, millis(0));
    rates.leave(conn(0));
    assert_eq!(connect(&mut rates, 1, "192.0.2.1", millis(1_000)), None);
    assert_eq!(left(&mut rates, 1, millis(1_000)), (1, u64::MAX));
    rates.leave(conn(1));
    // Once it is as if it had never come, it is forgotten.
    assert_eq!(connect(&mut rates, 2, "192.0.2.2", millis(9_000)), None);
    assert_eq!(rates.addresses_len(), 1);
}

#[test]
fn requests_are_charged_one_message_and_their_bytes() {
    let limits =
        RateLimits::new().messages(Rate::per_second(2)).bytes(Rate::per_second(100).burst(150));
    let mut rates = rates(limits, 10);
    let client = ip("2001:db8::1");
    assert_eq!(rates.request(client, 100, millis(0)), Ok(()));
    // What is there is enough for any request: the debt comes first later.
    assert_eq!(rates.request(ip("2001:db8::2"), 100, millis(0)), Ok(()));
    let denied = rates.request(client, 1, millis(0)).expect_err("there were two");
    assert_eq!((denied.kind, denied.ready_at), (LimitKind::Messages, Some(millis(500))));
    let denied = rates.request(client, 1, millis(500)).expect_err("bytes are owed");
    assert_eq!((denied.kind, denied.ready_at), (LimitKind::Bytes, Some(millis(510))));
    assert_eq!(rates.request(client, 1, millis(510)), Ok(()));
}

// Reading.

#[test]
fn connections_of_an_address_share_what_is_left_and_wait_their_turn() {
    let limits = RateLimits::new().messages(Rate::per_second(10));
    let mut rates = rates(limits, 10);
    let _ = [0, 1, 2].map(|number| connect(&mut rates, number, "192.0.2.1", millis(0)));
    rates.charge(conn(0), 4, 1, millis(0));
    assert_eq!(left(&mut rates, 1, millis(0)), (6, u64::MAX));
    rates.charge(conn(1), 6, 1, millis(0));
    let wait = |rates: &mut Rates, number| match rates.judge(conn(number), true, millis(0)) {
        Verdict::Pause(Some(until)) => until,
        other => panic!("{other:?}"),
    };
    assert_eq!([0, 1, 2].map(|number| wait(&mut rates, number)), [100, 200, 300].map(millis));
    // Nobody waits longer for its turn than a second.
    let last = (0..30).map(|_| wait(&mut rates, 0)).last();
    assert_eq!(last, Some(millis(1_100)));
    // A raw stream has no messages.
    assert!(matches!(rates.judge(conn(0), false, millis(0)), Verdict::Read(_)));
}

#[test]
fn pauses_end_when_a_twentieth_of_a_second_has_come_in() {
    let limits = RateLimits::new().messages(Rate::per_second(1_000)).bytes(Rate::per_second(4_000));
    let mut rates = rates(limits, 10);
    connect(&mut rates, 0, "192.0.2.1", millis(0));
    rates.charge(conn(0), 1_000, 0, millis(0));
    assert_eq!(rates.judge(conn(0), true, millis(0)), Verdict::Pause(Some(millis(50))));
    rates.charge(conn(0), 0, 4_000, millis(50));
    assert_eq!(rates.judge(conn(0), true, millis(60)), Verdict::Pause(Some(millis(100))));
    assert_eq!(left(&mut rates, 0, millis(100)), (100, 200));
}

#[test]
fn with_closing_what_exceeds_a_limit_is_told_from_what_uses_it_up() {
    let limits = RateLimits::new()
        .messages(Rate::per_second(2))
        .bytes(Rate::per_second(100))
        .on_excess(OnExcess::Close);
    let mut rates = rates(limits, 10);
    connect(&mut rates, 0, "192.0.2.1", millis(0));
    rates.charge(conn(0), 2, 100, millis(0));
    assert_eq!(left(&mut rates, 0, millis(0)), (0, 0));
    rates.charge(conn(0), 0, 1, millis(0));
    let exceeded = |kind| Verdict::Close(Exceeded { scope: LimitScope::Address, kind });
    assert_eq!(rates.judge(conn(0), true, millis(0)), exceeded(LimitKind::Bytes));
    rates.charge(conn(0), 1, 0, millis(0));
    assert_eq!(rates.judge(conn(0), true, millis(0)), exceeded(LimitKind::Messages));
}

#[test]
fn pauses_come_up_in_order_and_are_forgotten_with_their_connections() {
    let mut rates = rates(RateLimits::new(), 10);
    assert_eq!(rates.next_due(), Time::NEVER);
    for (number, until) in [(0, Some(30)), (1, Some(10)), (2, None), (3, Some(20)), (4, Some(5))] {
        connect(&mut rates, number, "192.0.2.1", millis(0));
        rates.begin_pause(conn(number), until.map(millis));
    }
    rates.begin_pause(conn(1), Some(millis(40)));
    rates.leave(conn(4));
    rates.end_pause(conn(2));
    assert_eq!(rates.next_due(), millis(20));
    assert_eq!(rates.expire(millis(19)), None);
    let expired: Vec<_> = std::iter::from_fn(|| rates.expire(millis(40))).collect();
    assert_eq!(expired, [3, 0, 1].map(conn));
    assert_eq!((rates.next_due(), rates.expire(at(u64::MAX))), (Time::NEVER, None));
}

// Tags.

#[test]
fn tags_have_limits_of_their_own_and_the_latest_hold() {
    let mut rates = Rates::new(None, 2);
    let (one, other) = (RateKey::Text("user".into()), RateKey::Number(7));
    let two = RateLimits::new().connections(2);
    assert_eq!(rates.join_tag(conn(0), &one, &two, millis(0)), Ok(false));
    assert_eq!(rates.join_tag(conn(0), &one, &two, millis(0)), Ok(false));
    assert_eq!(rates.join_tag(conn(1), &one, &two, millis(0)), Ok(false));
    let full = rates.join_tag(conn(2), &one, &two, millis(0));
    let full = matches!(full, Err(TagDenied::Limit(Denied { kind: LimitKind::Connections, .. })));
    assert!(full);
    assert!(!rates.limits_input(conn(0)));
    let more = two.connections(3).messages(Rate::per_second(5));
    assert_eq!(rates.join_tag(conn(2), &one, &more, millis(0)), Ok(true));
    assert!(rates.limits_input(conn(0)));
    rates.charge(conn(0), 3, 0, millis(0));
    assert_eq!(left(&mut rates, 1, millis(0)).0, 2);
    // What was used up stays used up.
    assert_eq!(
        rates.join_tag(conn(2), &one, &more.messages(Rate::per_minute(60).burst(10)), millis(0)),
        Ok(true)
    );
    assert_eq!(left(&mut rates, 1, millis(0)).0, 7);
    // There is room for two tags with connections.
    assert_eq!(rates.join_tag(conn(0), &other, &two, millis(0)), Ok(false));
    let third = RateKey::Number(8);
    assert_eq!(rates.join_tag(conn(0), &third, &two, millis(0)), Err(TagDenied::Full));
    assert!(rates.leave_tag(conn(0), &other) && !rates.leave_tag(conn(0), &other));
    assert_eq!(rates.join_tag(conn(0), &third, &two, millis(0)), Ok(false));
    let _ = [0, 1, 2].map(|number| rates.leave_tags(conn(number)));
    assert!(rates.tables().iter().all(|table| table.quiet_len() == table.len()));
    assert!(!rates.limits_input(conn(0)));
}

#[test]
fn a_connection_obeys_the_strictest_of_its_limits() {
    let limits = RateLimits::new().messages(Rate::per_second(10)).on_excess(OnExcess::Close);
    let mut rates = rates(limits, 10);
    connect(&mut rates, 0, "192.0.2.1", millis(0));
    let tagged = |messages| {
        RateLimits::new().messages(Rate::per_second(messages)).on_excess(OnExcess::Close)
    };
    rates.join_tag(conn(0), &RateKey::Number(1), &tagged(4), millis(0)).expect("room");
    rates.join_tag(conn(0), &RateKey::Number(2), &tagged(5), millis(0)).expect("room");
    let Verdict::Read(allowance) = rates.judge(conn(0), true, millis(0)) else { panic!("it may") };
    assert_eq!(allowance.messages, 4);
    let exceeded = allowance.exceeded_by(LimitKind::Messages);
    assert_eq!(exceeded.scope, LimitScope::Tag);
    // One that pauses wins over one that has something left, and none ever over all.
    let none = RateLimits::new().messages(Rate::per_second(0));
    rates.join_tag(conn(0), &RateKey::Number(3), &none, millis(0)).expect("room");
    assert_eq!(rates.judge(conn(0), true, millis(0)), Verdict::Pause(None));
    assert_eq!(rates.judge(conn(0), false, millis(0)), Verdict::Read(Allowance::UNLIMITED));
}
