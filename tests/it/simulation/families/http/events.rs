//! What came on a stream of events.

use eventwire::Position;

/// The topics, by the names that their broadcasts begin with.
pub(super) const TOPICS: [&str; 2] = ["news", "more"];

/// Consecutive broadcasts that were missed: the number of the topic, the first and the last.
pub(super) type Missed = (usize, u64, u64);

/// The events of a stream.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// The numbers of the broadcasts to each topic, in order.
    broadcasts: [Vec<u64>; 2],
    pub(super) gaps: Vec<Missed>,
    /// How many events were sent to this connection alone.
    pub(super) direct: usize,
}

impl Events {
    /// Takes a stream apart. Its last event may be cut.
    pub(super) fn read(bytes: &[u8], is_named: bool) -> Self {
        let (text, mut events) = (std::str::from_utf8(bytes).expect("text"), Self::default());
        for event in text.split_inclusive("\n\n") {
            if let Some(event) = event.strip_suffix("\n\n").filter(|event| *event != ":") {
                events.add(event, is_named);
            }
        }
        events
    }

    fn add(&mut self, event: &str, is_named: bool) {
        let (mut id, mut name, mut data) = (None, None, None);
        for line in event.lines() {
            let split = line.split_once(": ");
            let (field, value) = split.unwrap_or_else(|| panic!("no field: {event:?}"));
            let known = match field {
                "id" => &mut id,
                "event" => &mut name,
                "data" => &mut data,
                _ => panic!("{event}"),
            };
            assert_eq!(known.replace(value), None, "{event}");
        }
        let data = data.expect("data");
        if name == Some("gap") {
            assert_eq!(id, None);
            return self.gaps.push(gap(data));
        }
        let Some(id) = id else {
            assert_eq!((data, name), (format!("direct {}", self.direct).as_str(), None));
            self.direct += 1;
            return;
        };
        let topic = TOPICS.iter().position(|topic| data.starts_with(topic)).expect("a topic");
        assert_eq!(name, is_named.then_some(TOPICS[topic]), "{event}");
        let number = id.parse::<Position>().expect("a position").offset();
        assert_eq!(data.split(' ').nth(1), Some(number.to_string().as_str()), "{event}");
        let numbers = &mut self.broadcasts[topic];
        assert!(numbers.last().is_none_or(|last| *last < number), "{event} after {numbers:?}");
        numbers.push(number);
    }

    /// Checks that each broadcast since the beginning came or was reported as missed, once.
    /// `may_miss`: the end of the stream may have come before the report of the last gap.
    pub(super) fn check(&self, starts: [u64; 2], may_miss: bool) {
        for (topic, numbers) in self.broadcasts.iter().enumerate() {
            let mut ranges: Vec<_> = numbers.iter().map(|number| (*number, *number)).collect();
            let gaps = self.gaps.iter().filter(|gap| gap.0 == topic);
            ranges.extend(gaps.map(|&(_, first, last)| (first, last)));
            ranges.sort_unstable();
            let (mut next, mut holes) = (starts[topic] + 1, 0);
            for (first, last) in ranges {
                assert!(first >= next && last >= first, "{first} comes twice: {self:?}");
                holes += usize::from(first > next);
                next = last + 1;
            }
            assert!(holes <= usize::from(may_miss), "misses without a report: {self:?} {starts:?}");
        }
    }
}

/// What the data of a gap says.
fn gap(data: &str) -> Missed {
    let rest = data.strip_prefix("{\"topic\":\"").expect("JSON");
    let (topic, rest) = rest.split_once("\",\"first\":").expect("JSON");
    let (first, rest) = rest.split_once(",\"last\":").expect("JSON");
    let (last, missed) = rest.split_once(",\"missed\":").expect("JSON");
    let missed: u64 = missed.strip_suffix('}').expect("JSON").parse().expect("a number");
    let (first, last): (u64, u64) =
        (first.parse().expect("a number"), last.parse().expect("a number"));
    assert_eq!(missed, last - first + 1, "{data}");
    (TOPICS.iter().position(|name| *name == topic).expect("a topic"), first, last)
}
