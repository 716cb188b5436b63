//! The header `Sec-WebSocket-Extensions` (RFC 6455 §9.1).

use std::borrow::Cow;
use std::str;

use crate::proto::http::{Fields, HeadLimits, HttpError, is_token};

pub(crate) const EXTENSIONS: &str = "Sec-WebSocket-Extensions";

/// One extension with its parameters, offered or chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extension<'a> {
    pub(crate) name: &'a str,
    pub(crate) params: Vec<Param<'a>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Param<'a> {
    pub(crate) name: &'a str,
    /// A token, without quotes.
    pub(crate) value: Option<Cow<'a, str>>,
}

impl Fields<'_> {
    /// All extensions of all lines, in order.
    ///
    /// # Errors
    ///
    /// [`HttpError::MalformedHeader`] if a line is no list of extensions. The connection must fail
    /// then (RFC 6455 §9.1). [`HttpError::TooManyElements`] if there are more extensions and
    /// parameters than [`HeadLimits::ELEMENTS_MAX`].
    pub(crate) fn extensions(&self) -> Result<Vec<Extension<'_>>, HttpError> {
        let count = |line: &[u8]| line.split_inclusive(|byte| b",;".contains(byte)).count();
        let too_many = HttpError::too_many_elements(EXTENSIONS);
        let (mut extensions, mut room) = (Vec::new(), HeadLimits::ELEMENTS_MAX);
        for line in self.values(EXTENSIONS) {
            room = room.checked_sub(count(line)).ok_or(too_many)?;
            let line = str::from_utf8(line).ok();
            line.and_then(|line| Cursor(line).list(&mut extensions))
                .ok_or(HttpError::MalformedHeader(EXTENSIONS))?;
        }
        Ok(extensions)
    }
}

/// The rest of a line.
struct Cursor<'a>(&'a str);

impl<'a> Cursor<'a> {
    /// Reads the whole line. Empty elements are ignored (RFC 9110 §5.6.1.2).
    fn list(mut self, extensions: &mut Vec<Extension<'a>>) -> Option<()> {
        loop {
            while self.takes(',') {}
            if self.0.is_empty() {
                return Some(());
            }
            extensions.push(self.extension()?);
            if !self.0.is_empty() && !self.takes(',') {
                return None;
            }
        }
    }

    fn extension(&mut self) -> Option<Extension<'a>> {
        let name = self.token()?;
        let mut params = Vec::new();
        while self.takes(';') {
            let name = self.token()?;
            let value = if self.takes('=') { Some(self.value()?) } else { None };
            params.push(Param { name, value });
        }
        Some(Extension { name, params })
    }

    /// Takes `separator` and the white space around it. Returns whether it was there.
    fn takes(&mut self, separator: char) -> bool {
        self.skip_white_space();
        let rest = self.0.strip_prefix(separator);
        self.0 = rest.unwrap_or(self.0);
        self.skip_white_space();
        rest.is_some()
    }

    fn skip_white_space(&mut self) {
        self.0 = self.0.trim_start_matches([' ', '\t']);
    }

    fn token(&mut self) -> Option<&'a str> {
        let end = self.0.find([',', ';', '=', ' ', '\t', '"']).unwrap_or(self.0.len());
        let (token, rest) = self.0.split_at(end);
        self.0 = rest;
        is_token(token.as_bytes()).then_some(token)
    }

    /// Reads a token, or a token in quotes. In quotes a backslash escapes the next character.
    fn value(&mut self) -> Option<Cow<'a, str>> {
        let Some(quoted) = self.0.strip_prefix('"') else {
            return self.token().map(Cow::Borrowed);
        };
        let mut value = String::new();
        let mut chars = quoted.chars();
        loop {
            match chars.next()? {
                '"' => break,
                '\\' => value.push(chars.next()?),
                other => value.push(other),
            }
        }
        self.0 = chars.as_str();
        is_token(value.as_bytes()).then_some(Cow::Owned(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Option<Vec<Extension<'_>>> {
        let mut extensions = Vec::new();
        Cursor(line).list(&mut extensions).map(|()| extensions)
    }

    fn extension<'a>(name: &'a str, params: &[(&'a str, Option<&'a str>)]) -> Extension<'a> {
        let param = |&(name, value): &(&'a str, Option<&'a str>)| Param {
            name,
            value: value.map(Cow::Borrowed),
        };
        Extension { name, params: params.iter().map(param).collect() }
    }

    #[test]
    fn lists_are_read_with_their_parameters() {
        for (line, extensions) in [
            ("", vec![]),
            (" , ,", vec![]),
            ("a", vec![extension("a", &[])]),
            (" a , b;c", vec![extension("a", &[]), extension("b", &[("c", None)])]),
            ("a\t;\tb = c ;d", vec![extension("a", &[("b", Some("c")), ("d", None)])]),
            (r#"a; b="c\d"; e"#, vec![extension("a", &[("b", Some("cd")), ("e", None)])]),
            ("a,,a", vec![extension("a", &[]), extension("a", &[])]),
        ] {
            assert_eq!(parse(line), Some(extensions), "{line:?}");
        }
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for line in [
            "a b",
            "a;",
            "a;,b",
            ";a",
            "=a",
            "a;b=",
            "a;b==c",
            "a=b",
            "a;b=c d",
            r#"a;b=""#,
            r#"a;b="c"#,
            r#"a;b="c\"#,
            r#"a;b="c d""#,
            r#"a;b="c,d""#,
            r#"a;b="""#,
            r#""a""#,
            r#"a;b="c"d"#,
            "a\u{e9}",
            "a/b",
        ] {
            assert_eq!(parse(line), None, "{line:?}");
        }
    }
}
