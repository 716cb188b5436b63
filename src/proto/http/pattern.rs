//! Patterns of paths.

use std::borrow::Cow;
use std::cmp::{Ordering, Reverse};
use std::fmt;
use std::rc::Rc;

use super::percent;

/// Which paths a route matches.
#[derive(Clone, Debug)]
pub(crate) enum Pattern {
    Exact(String),
    /// Paths with as many segments, of which some are parameters.
    Template(Rc<Template>),
    /// Every path with this prefix.
    Prefix(String),
}

/// A pattern with parameters, by its segments.
#[derive(Debug)]
pub(crate) struct Template(Vec<Segment>);

/// What is between two slashes of a pattern.
#[derive(Debug)]
enum Segment {
    Literal(String),
    /// The name of a parameter, which stands for one segment that is not empty.
    Parameter(String),
}

/// Why a route is refused. Each variant has the path that the application gave.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InvalidRoute {
    /// No request has this path: it does not start with `/`, or it has bytes other than visible
    /// ASCII, or `?` or `#`.
    Path(String),
    /// A `*` is not at the end of this path, or the path has parameters, too.
    Wildcard(String),
    /// A brace in this path does not belong to a parameter, which is a whole segment with a name of
    /// its own: `/rooms/{room}`.
    Parameter(String),
    /// The method is not a token (RFC 9110 §9.1), or it is `CONNECT`, which has no path.
    Method {
        /// The path.
        path: String,
        /// The method.
        method: String,
    },
    /// There is another route for this method and path. `GET` and a WebSocket are two.
    Taken {
        /// The path.
        path: String,
        /// The method, or `WebSocket`.
        method: String,
    },
    /// Another route matches the same paths with other names of parameters.
    OtherNames {
        /// The path.
        path: String,
        /// The path of the other route.
        other: String,
    },
}

impl fmt::Display for InvalidRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "no request has the path {path:?}"),
            Self::Wildcard(path) => {
                write!(f, "`*` is not at the end of the path {path:?}, or it has parameters")
            }
            Self::Parameter(path) => {
                write!(f, "a parameter of {path:?} is no whole segment with a name of its own")
            }
            Self::Method { path, method } => write!(f, "no route of {path:?} has method {method}"),
            Self::Taken { path, method } => write!(f, "two routes for {method} {path:?}"),
            Self::OtherNames { path, other } => {
                write!(f, "{path:?} and {other:?} match the same paths")
            }
        }
    }
}

impl std::error::Error for InvalidRoute {}

impl Pattern {
    pub(crate) fn parse(path: &str) -> Result<Self, InvalidRoute> {
        let is_visible = |byte: u8| byte.is_ascii_graphic() && !b"?#".contains(&byte);
        if !path.starts_with('/') || !path.bytes().all(is_visible) {
            return Err(InvalidRoute::Path(path.to_owned()));
        }
        let has_parameters = path.contains(['{', '}']);
        match path.strip_suffix('*') {
            Some(prefix) if !has_parameters && !prefix.contains('*') => {
                Ok(Self::Prefix(prefix.to_owned()))
            }
            _ if path.contains('*') => Err(InvalidRoute::Wildcard(path.to_owned())),
            _ if has_parameters => match Template::parse(path) {
                Some(template) => Ok(Self::Template(Rc::new(template))),
                None => Err(InvalidRoute::Parameter(path.to_owned())),
            },
            _ => Ok(Self::Exact(path.to_owned())),
        }
    }

    #[inline]
    pub(crate) fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(exact) => path == exact,
            Self::Template(template) => template.matches(path),
            Self::Prefix(prefix) => path.starts_with(prefix.as_str()),
        }
    }

    /// The pattern if it has parameters.
    #[inline]
    pub(crate) fn template(&self) -> Option<Rc<Template>> {
        match self {
            Self::Template(template) => Some(Rc::clone(template)),
            Self::Exact(_) | Self::Prefix(_) => None,
        }
    }

    /// Whether both match the same paths.
    pub(crate) fn matches_same(&self, other: &Self) -> bool {
        self.precedence(other) == Ordering::Equal
    }

    /// The order in which patterns are tried: exact paths come before templates, and those before
    /// prefixes, the longest first. Of two templates the first segment decides in which only one of
    /// them is literal.
    pub(crate) fn precedence(&self, other: &Self) -> Ordering {
        let by_length = |a: &String, b: &String| Reverse(a.len()).cmp(&Reverse(b.len()));
        match (self, other) {
            (Self::Exact(a), Self::Exact(b)) | (Self::Prefix(a), Self::Prefix(b)) => {
                by_length(a, b).then_with(|| a.cmp(b))
            }
            (Self::Template(a), Self::Template(b)) => a.shape().cmp(b.shape()),
            _ => self.kind().cmp(&other.kind()),
        }
    }

    const fn kind(&self) -> u8 {
        match self {
            Self::Exact(_) => 0,
            Self::Template(_) => 1,
            Self::Prefix(_) => 2,
        }
    }
}

impl Template {
    fn parse(path: &str) -> Option<Self> {
        let mut template = Self(Vec::new());
        for segment in segments_of(path) {
            let name = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            if name.unwrap_or(segment).contains(['{', '}']) {
                return None;
            }
            let is_taken = |name: &str| template.names().any(|other| other == name);
            template.0.push(match name {
                Some(name) if name.is_empty() || is_taken(name) => return None,
                Some(name) => Segment::Parameter(name.to_owned()),
                None => Segment::Literal(segment.to_owned()),
            });
        }
        Some(template)
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(Segment::name)
    }

    /// What decides which paths match. Literal segments are less than parameters.
    fn shape(&self) -> impl Iterator<Item = (bool, &str)> {
        self.0.iter().map(|segment| match segment {
            Segment::Literal(text) => (false, text.as_str()),
            Segment::Parameter(_) => (true, ""),
        })
    }

    #[inline(never)]
    fn matches(&self, path: &str) -> bool {
        let mut actual = segments_of(path);
        let matches = self.0.iter().all(|expected| match (expected, actual.next()) {
            (Segment::Literal(text), Some(segment)) => segment == text,
            (Segment::Parameter(_), Some(segment)) => !segment.is_empty(),
            (_, None) => false,
        });
        matches && actual.next().is_none()
    }

    /// The parameters of a path that matches, by name, not decoded.
    fn parameters<'a>(&'a self, path: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let pairs = self.0.iter().zip(segments_of(path));
        pairs.filter_map(|(expected, segment)| Some((expected.name()?, segment)))
    }

    /// Whether all parameters of a path that matches can be decoded.
    pub(crate) fn can_decode(&self, path: &str) -> bool {
        self.parameters(path).all(|(_, segment)| percent::decode(segment).is_some())
    }

    /// The parameter with this name in a path that matches, decoded.
    pub(super) fn parameter<'a>(&'a self, path: &'a str, name: &str) -> Option<Cow<'a, str>> {
        let (_, segment) = self.parameters(path).find(|(other, _)| *other == name)?;
        percent::decode(segment)
    }
}

impl Segment {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::Parameter(name) => Some(name),
        }
    }
}

fn segments_of(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').skip(1)
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(path) => f.write_str(path),
            Self::Template(template) => template.fmt(f),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|segment| match segment {
            Segment::Literal(text) => write!(f, "/{text}"),
            Segment::Parameter(name) => write!(f, "/{{{name}}}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(path: &str) -> Pattern {
        Pattern::parse(path).unwrap()
    }

    #[test]
    fn a_path_that_no_request_can_have_is_refused() {
        for path in ["", "chat", "*", "{a}", "/a b", "/a?b", "/#", "/\u{e9}"] {
            let error = Pattern::parse(path).unwrap_err();
            assert_eq!(error, InvalidRoute::Path(path.to_owned()));
        }
        for path in ["/*/a", "/**", "/{a}/*", "/{a}*", "/{*}"] {
            let error = Pattern::parse(path).unwrap_err();
            assert_eq!(error, InvalidRoute::Wildcard(path.to_owned()));
        }
        for path in ["/{}", "/{a", "/a}", "/{a}b", "/b{a}", "/{{a}}", "/{a}/{a}", "/}{"] {
            let error = Pattern::parse(path).unwrap_err();
            assert_eq!(error, InvalidRoute::Parameter(path.to_owned()));
        }
    }

    #[test]
    fn a_parameter_is_one_segment() {
        for (pattern, path, expected) in [
            ("/rooms/{room}", "/rooms/1", Some(&[("room", "1")][..])),
            ("/rooms/{room}", "/rooms/a%20b", Some(&[("room", "a b")])),
            ("/rooms/{room}", "/rooms/a%2Fb", Some(&[("room", "a/b")])),
            ("/rooms/{room}", "/rooms/", None),
            ("/rooms/{room}", "/rooms", None),
            ("/rooms/{room}", "/rooms/1/", None),
            ("/rooms/{room}", "/rooms/1/2", None),
            ("/rooms/{room}", "/room/1", None),
            ("/rooms/{room}/", "/rooms/1/", Some(&[("room", "1")])),
            ("/{a}/{b}", "/1/2", Some(&[("a", "1"), ("b", "2")])),
            ("/{a}/{b}", "//2", None),
            ("/{a}", "/", None),
            ("/{a}/b/{c}", "/1/b/3", Some(&[("a", "1"), ("c", "3")])),
            ("/{a}/b/{c}", "/1/B/3", None),
        ] {
            let Pattern::Template(template) = parsed(pattern) else {
                panic!("{pattern} has parameters");
            };
            let matches = template.matches(path);
            assert_eq!(matches, expected.is_some(), "{pattern} {path}");
            for (name, value) in expected.unwrap_or_default() {
                assert_eq!(template.parameter(path, name).as_deref(), Some(*value));
                assert_eq!(template.parameter(path, "none"), None);
            }
        }
    }

    #[test]
    fn a_parameter_that_is_no_text_cannot_be_decoded() {
        let Pattern::Template(template) = parsed("/{a}/%/{b}") else {
            panic!("it has parameters");
        };
        for (path, can_decode) in
            [("/1/%/2", true), ("/%31/%/2", true), ("/%/%/2", false), ("/1/%/%FF", false)]
        {
            assert!(template.matches(path));
            assert_eq!(template.can_decode(path), can_decode, "{path}");
        }
    }

    #[test]
    fn patterns_that_match_the_same_paths_are_known() {
        for (one, other, expected) in [
            ("/a", "/a", true),
            ("/a*", "/a*", true),
            ("/{a}", "/{b}", true),
            ("/{a}/b", "/{b}/b", true),
            ("/{a}/b", "/{a}/{b}", false),
            ("/{a}/b", "/a/{b}", false),
            ("/{a}", "/{a}/", false),
            ("/a", "/a*", false),
        ] {
            assert_eq!(parsed(one).matches_same(&parsed(other)), expected, "{one} {other}");
        }
    }

    proptest! {
        /// The first pattern in their order is at least as specific as any other that matches.
        #[test]
        fn the_order_is_total(
            patterns in proptest::collection::vec("(/(a|b|\\{x\\}|\\{y\\})){1,3}|/(a|b)?\\*", 3),
        ) {
            let valid: Vec<_> = patterns.iter().filter_map(|it| Pattern::parse(it).ok()).collect();
            for a in &valid {
                for b in &valid {
                    prop_assert_eq!(a.precedence(b), b.precedence(a).reverse());
                    for c in &valid {
                        let sorted = a.precedence(b).is_le() && b.precedence(c).is_le();
                        prop_assert!(!sorted || a.precedence(c).is_le());
                    }
                }
            }
        }
    }
}
