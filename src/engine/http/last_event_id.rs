//! From where a client resumes a stream of events.

use crate::proto::http::HttpRequest;
use crate::topics::Position;

/// The header in which a client says which event it had last (HTML Standard §9.2.4).
const HEADER: &str = "Last-Event-ID";

/// The parameter of the query in which a script says it, which cannot set headers.
const PARAMETER: &str = "last-event-id";

/// The longest list of positions, in bytes: as much as some hundred topics need.
const LIST_BYTES_MAX: usize = 4096;

/// The positions that a client has of the topics of a stream. None, if what it says is no list of
/// positions: then it has lost everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LastEventId(Vec<Position>);

impl LastEventId {
    /// What a request says; `None` if it says nothing, as most that are answered later.
    #[inline]
    pub(crate) fn of(request: &HttpRequest<'_>) -> Option<Box<Self>> {
        let header = request.fields().single(HEADER);
        if header == Ok(None) && request.query().is_none() {
            return None;
        }
        Self::search(request, header.map_err(drop))
    }

    /// What a request says with that header, which may not come twice, or in its query.
    #[cold]
    fn search(request: &HttpRequest<'_>, header: Result<Option<&[u8]>, ()>) -> Option<Box<Self>> {
        let positions = match header {
            Ok(Some(value)) => Self::read(std::str::from_utf8(value).ok()),
            Err(()) => Self::read(None),
            Ok(None) => {
                let (_, value) = request.query_pairs().find(|(name, _)| name == PARAMETER)?;
                Self::read(Some(&value))
            }
        };
        Some(Box::new(positions))
    }

    /// The positions in a list. None if one of them is no position, because nobody knows from
    /// which topic a client has lost something then.
    fn read(list: Option<&str>) -> Self {
        let list = list.filter(|list| list.len() <= LIST_BYTES_MAX);
        let positions: Option<Vec<Position>> =
            list.and_then(|list| list.split(',').map(|one| one.trim().parse().ok()).collect());
        Self(positions.unwrap_or_default())
    }

    /// The position in a topic with that epoch. One of another epoch, if there is none, so that
    /// everything is lost. Of several, that from which nothing is left out.
    pub(crate) fn position_in(&self, epoch: u64) -> Position {
        let of_topic = self.0.iter().filter(|position| position.epoch() == epoch);
        let first = of_topic.min_by_key(|position| position.offset());
        first.copied().unwrap_or(Position::new(!epoch, 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::http::HeadLimits;

    fn read(target: &str, headers: &str) -> Option<Vec<String>> {
        let head = format!("GET {target} HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
        let limits = HeadLimits::default();
        let request = HttpRequest::parse(head.as_bytes(), &limits).unwrap();
        let LastEventId(positions) = *LastEventId::of(&request)?;
        Some(positions.iter().map(ToString::to_string).collect())
    }

    const ONE: &str = "00c0ffee00c0ffee:1";
    const TWO: &str = "0123456789abcdef:22";

    #[test]
    fn the_header_takes_precedence_over_the_query() {
        let of = |list: &[&str]| Some(list.iter().map(|it| (*it).to_owned()).collect());
        let header = |value: &str| format!("last-event-ID: {value}\r\n");
        let query = |value: &str| format!("/?a=b&last-event-id={value}");
        let escaped = format!("{}%2C+{TWO}", ONE.replace(':', "%3A"));
        for (target, headers, expected) in [
            ("/", String::new(), None),
            ("/?a=b", String::new(), None),
            ("/", header(ONE), of(&[ONE])),
            ("/", header(&format!("{ONE},{TWO}")), of(&[ONE, TWO])),
            ("/", header(&format!("{ONE} , {TWO}")), of(&[ONE, TWO])),
            (&query(ONE), String::new(), of(&[ONE])),
            (&query(&escaped), String::new(), of(&[ONE, TWO])),
            (&query(ONE), header(TWO), of(&[TWO])),
            (&query(ONE), header("x"), of(&[])),
        ] {
            assert_eq!(read(target, &headers), expected, "{target} {headers}");
        }
    }

    #[test]
    fn what_is_no_list_of_positions_has_none() {
        let long = vec![ONE; LIST_BYTES_MAX / ONE.len()].join(",");
        for value in ["", "7", ",", &format!("{ONE},"), &format!("{ONE},x"), &long] {
            assert_eq!(read("/", &format!("Last-Event-ID: {value}\r\n")), Some(vec![]), "{value}");
            assert_eq!(read(&format!("/?last-event-id={value}"), ""), Some(vec![]), "{value}");
        }
        let twice = format!("Last-Event-ID: {ONE}\r\n").repeat(2);
        assert_eq!(read("/", &twice), Some(vec![]));
    }

    #[test]
    fn a_topic_resumes_from_the_first_position_of_its_epoch() {
        let at = Position::new;
        let last = LastEventId(vec![at(1, 9), at(2, 5), at(1, 7)]);
        assert_eq!([last.position_in(1), last.position_in(2)], [at(1, 7), at(2, 5)]);
        assert_ne!(last.position_in(3).epoch(), 3);
    }
}
