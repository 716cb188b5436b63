//! The structure of JSON that is valid. On other text the results are meaningless, but each text
//! ends.

use std::mem;

/// A part of JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    ArrayStart,
    ArrayEnd,
    ObjectStart,
    ObjectEnd,
    Colon,
    Comma,
    /// A string with its quotes, a number, or a word such as `true`.
    Scalar(&'a str),
}

/// The tokens of a JSON text.
pub(super) struct Tokens<'a> {
    json: &'a str,
    at: usize,
}

impl<'a> Tokens<'a> {
    pub(super) const fn new(json: &'a str) -> Self {
        Self { json, at: 0 }
    }

    fn scalar(&mut self) -> Token<'a> {
        let rest = &self.json[self.at..];
        let len = if rest.starts_with('"') { string_len(rest) } else { word_len(rest) };
        self.at += len;
        Token::Scalar(&rest[..len])
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let rest = &self.json.as_bytes()[self.at..];
        self.at += rest.iter().position(|byte| !is_space(*byte)).unwrap_or(rest.len());
        let token = match self.json.as_bytes().get(self.at)? {
            b'[' => Token::ArrayStart,
            b']' => Token::ArrayEnd,
            b'{' => Token::ObjectStart,
            b'}' => Token::ObjectEnd,
            b':' => Token::Colon,
            b',' => Token::Comma,
            _ => return Some(self.scalar()),
        };
        self.at += 1;
        Some(token)
    }
}

/// The length of the string at the start of `text`, with its quotes.
fn string_len(text: &str) -> usize {
    let mut is_escaped = false;
    let end = text.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        ends
    });
    end.map_or(text.len(), |end| end + 2)
}

fn word_len(text: &str) -> usize {
    let ends = |byte| is_space(byte) || matches!(byte, b'[' | b']' | b'{' | b'}' | b':' | b',');
    text.bytes().position(ends).unwrap_or(text.len())
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// The elements of a JSON array, from the text between its brackets.
pub(super) struct Elements<'a> {
    rest: &'a str,
}

impl<'a> Elements<'a> {
    pub(super) fn new(json: &'a str) -> Self {
        Self { rest: json.trim_ascii() }
    }

    /// The elements that follow, as JSON without brackets.
    pub(super) fn rest(&self) -> &'a str {
        self.rest
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let mut tokens = Tokens::new(self.rest);
        let mut depth = 0_usize;
        while let Some(token) = tokens.next() {
            match token {
                Token::ArrayStart | Token::ObjectStart => depth += 1,
                Token::ArrayEnd | Token::ObjectEnd => depth = depth.saturating_sub(1),
                Token::Comma if depth == 0 => {
                    let element = &self.rest[..tokens.at - 1];
                    self.rest = self.rest[tokens.at..].trim_ascii_start();
                    return Some(element.trim_ascii_end());
                }
                _ => {}
            }
        }
        let element = mem::take(&mut self.rest);
        (!element.is_empty()).then_some(element)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn elements(json: &str) -> Vec<&str> {
        Elements::new(json).collect()
    }

    #[test]
    fn strings_hide_structure() {
        let tokens: Vec<Token<'_>> = Tokens::new(r#" {"a\"]": [-1e5 ,"\\"]}"#).collect();
        let expected = [
            Token::ObjectStart,
            Token::Scalar(r#""a\"]""#),
            Token::Colon,
            Token::ArrayStart,
            Token::Scalar("-1e5"),
            Token::Comma,
            Token::Scalar(r#""\\""#),
            Token::ArrayEnd,
            Token::ObjectEnd,
        ];
        assert_eq!(tokens, expected);
    }

    #[test]
    fn elements_end_at_commas_outside_of_brackets_and_strings() {
        assert_eq!(elements(""), [""; 0]);
        assert_eq!(elements(" \n"), [""; 0]);
        assert_eq!(elements("1"), ["1"]);
        assert_eq!(
            elements(r#" 1 , "a,b" ,{"c":[2,3]},[[4],5] "#),
            ["1", r#""a,b""#, r#"{"c":[2,3]}"#, "[[4],5]"]
        );
        assert_eq!(elements("\"caf\u{e9}\",\"\u{1f600}\""), ["\"caf\u{e9}\"", "\"\u{1f600}\""]);
    }

    #[test]
    fn what_follows_an_element_is_json_without_brackets() {
        let mut elements = Elements::new(" 1, [2] ,3 ");
        assert_eq!(elements.next(), Some("1"));
        assert_eq!(elements.rest(), "[2] ,3");
        assert_eq!(elements.by_ref().count(), 2);
        assert_eq!(elements.rest(), "");
    }

    proptest! {
        #[test]
        fn any_text_ends(text in "[\\[\\]{}:,\"\\\\ a1\u{e9}]{0,30}") {
            let tokens = Tokens::new(&text).count();
            prop_assert!(tokens <= text.len());
            prop_assert!(elements(&text).len() <= text.len());
        }
    }
}
