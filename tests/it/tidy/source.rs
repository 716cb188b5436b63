//! Rust sources as the rules see them: code, comments and literals told apart.

use std::fs;
use std::path::Path;

/// One source file.
pub(super) struct Source {
    /// From the top of the repository: `src/proto/websocket/frame.rs`.
    pub(super) path: String,
    pub(super) text: String,
    /// The text with comments and literals blanked, every line where it was.
    pub(super) code: String,
    /// The text with everything but comments blanked, every line where it was.
    pub(super) comments: String,
}

/// One function.
pub(super) struct Function {
    pub(super) line: usize,
    pub(super) lines: usize,
}

impl Source {
    pub(super) fn new(path: String, text: String) -> Self {
        let (code, comments) = split(&text);
        Self { path, text, code, comments }
    }

    /// Every Rust file below `folder`, which need not exist, in order of path.
    pub(super) fn below(root: &Path, folder: &str) -> Vec<Self> {
        let Ok(entries) = fs::read_dir(root.join(folder)) else {
            return Vec::new();
        };
        let mut names: Vec<(String, bool)> = entries
            .map(|entry| {
                let entry = entry.expect("the sources can be read");
                (entry.file_name().to_string_lossy().into_owned(), entry.path().is_dir())
            })
            .collect();
        names.sort();
        let mut sources = Vec::new();
        for (name, is_folder) in names {
            let path = format!("{folder}/{name}");
            if is_folder && name != "target" {
                sources.extend(Self::below(root, &path));
            } else if !is_folder && name.ends_with(".rs") {
                let text = fs::read_to_string(root.join(&path)).expect("the sources can be read");
                sources.push(Self::new(path, text));
            }
        }
        sources
    }

    /// Whether the file is nothing but tests.
    pub(super) fn is_test(&self) -> bool {
        self.path.split('/').any(|part| part == "tests" || part == "tests.rs")
    }

    /// The modules that lead to this file: `proto`, `websocket`, `frame`.
    pub(super) fn module(&self) -> Vec<&str> {
        let path = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        path.split('/').filter(|part| !matches!(*part, "mod" | "lib")).collect()
    }

    /// The code that is not compiled for tests alone, every line where it was.
    pub(super) fn shipped(&self) -> String {
        let mut code = if self.is_test() { String::new() } else { self.code.clone() };
        while let Some(start) = code.find("#[cfg(test)]").or_else(|| code.find("#[cfg(all(test,")) {
            let end = item_end(&code, start);
            code.replace_range(start..end, &blank(&code[start..end]));
        }
        code
    }

    /// Every function, with the lines from its `fn` to its end.
    pub(super) fn functions(&self) -> Vec<Function> {
        occurrences(&self.code, "fn ")
            .into_iter()
            .map(|at| {
                let item = &self.code[at..item_end(&self.code, at)];
                Function { line: line_of(&self.code, at), lines: item.lines().count() }
            })
            .collect()
    }
}

/// Where `word` begins in `text`, not in the middle of a longer word.
pub(super) fn occurrences(text: &str, word: &str) -> Vec<usize> {
    let is_word = word.bytes().next().is_some_and(is_name);
    let begins = |at: &usize| !is_word || !text[..*at].bytes().next_back().is_some_and(is_name);
    text.match_indices(word).map(|(at, _)| at).filter(begins).collect()
}

/// The line, from 1, on which byte `at` is.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// Every path in `code` that begins with `root`, groups written out: `std::io`, `std::io::Read`
/// for `use std::io::{self, Read}`, with the lines that they are on.
pub(super) fn paths(code: &str, root: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for at in occurrences(code, &format!("{root}::")) {
        if code[..at].ends_with("::") {
            continue;
        }
        let mut paths = Vec::new();
        expand(code, at, String::new(), &mut paths);
        found.extend(paths.into_iter().map(|path| (line_of(code, at), path)));
    }
    found
}

/// Reads one path, or a group of them, at byte `at`; returns where it ends.
fn expand(code: &str, mut at: usize, mut path: String, paths: &mut Vec<String>) -> usize {
    loop {
        at += blanks(&code[at..]);
        let rest = &code[at..];
        if rest.starts_with('{') {
            at += 1;
            while !code[at..].starts_with('}') {
                at = expand(code, at, path.clone(), paths);
                at += code[at..].find([',', '}']).expect("the code compiles");
                at += usize::from(code[at..].starts_with(','));
                at += blanks(&code[at..]);
            }
            return at + 1;
        }
        let name = rest.bytes().take_while(|&byte| is_name(byte)).count();
        if name > 0 && &rest[..name] != "self" {
            let separator = if path.is_empty() { "" } else { "::" };
            path = format!("{path}{separator}{}", &rest[..name]);
        }
        at += name;
        let more = code[at..].trim_start().strip_prefix("::");
        match more.filter(|more| more.starts_with(|next: char| next == '{' || next.is_alphabetic()))
        {
            Some(more) => at = code.len() - more.len(),
            None => break,
        }
    }
    paths.push(path);
    at
}

fn blanks(text: &str) -> usize {
    text.len() - text.trim_start().len()
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Where the item at byte `start` ends: behind the brace that closes its body, or its semicolon.
pub(super) fn item_end(code: &str, start: usize) -> usize {
    let mut depth = 0_usize;
    for (at, byte) in code.bytes().enumerate().skip(start) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && matches!(byte, b'}' | b';') {
            return at + 1;
        }
    }
    code.len()
}

/// Tells the code of a file from its comments; literals are neither.
fn split(text: &str) -> (String, String) {
    let (mut code, mut comments) = (String::new(), String::new());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after_name = code.bytes().next_back().is_some_and(is_name);
        let (len, is_code, is_comment) = if rest.starts_with("//") {
            (rest.find('\n').unwrap_or(rest.len()), false, true)
        } else if rest.starts_with("/*") {
            (block_comment(rest), false, true)
        } else if let Some(len) = raw_string(rest).filter(|_| !after_name) {
            (len, false, false)
        } else if let Some(len) = quoted(rest) {
            (len, false, false)
        } else {
            (first.len_utf8(), true, false)
        };
        let (piece, next) = rest.split_at(len);
        code += &if is_code { piece.to_owned() } else { blank(piece) };
        comments += &if is_comment { piece.to_owned() } else { blank(piece) };
        rest = next;
    }
    (code, comments)
}

fn blank(text: &str) -> String {
    text.chars().map(|char| if char == '\n' { '\n' } else { ' ' }).collect()
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn raw_string(text: &str) -> Option<usize> {
    let prefix = ["r", "br", "cr"].into_iter().find(|prefix| {
        let rest = text.strip_prefix(prefix).map(|rest| rest.trim_start_matches('#'));
        rest.is_some_and(|rest| rest.starts_with('"'))
    })?;
    let marks = text[prefix.len()..].bytes().take_while(|&byte| byte == b'#').count();
    let open = prefix.len() + marks + 1;
    let close = format!("\"{}", "#".repeat(marks));
    Some(open + text[open..].find(&close)? + close.len())
}

/// The length of the string or character at the start of `text`; a lifetime is neither.
fn quoted(text: &str) -> Option<usize> {
    let quote = text.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    let mut chars = text.char_indices().skip(1);
    if quote == '\'' && !text.starts_with("'\\") {
        return chars.nth(1).filter(|(_, char)| *char == '\'').map(|(at, _)| at + 1);
    }
    while let Some((at, char)) = chars.next() {
        if char == quote {
            return Some(at + 1);
        }
        if char == '\\' {
            chars.next();
        }
    }
    None
}

#[test]
fn code_comments_and_literals_are_told_apart() {
    let text = "let a = 'x'; // one \"two\"\nf(\"thr\\\"ee\", r#\"fo\"ur\"#, b'\\'', &'static s) \
                /* five /* six */ \n */ + g::<'a>();";
    let source = Source::new("src/a.rs".to_owned(), text.to_owned());
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(words(&source.code), "let a = ; f( , , b , &'static s) + g::<'a>();");
    assert_eq!(words(&source.comments), "// one \"two\" /* five /* six */ */");
    assert_eq!(source.code.lines().count(), 3);
}

#[test]
fn tests_and_functions_are_found() {
    let text = "fn a([x; 2]: &[u8; 2]) {\n    if b {\n    }\n}\n#[cfg(test)]\nmod tests {\n    \
                fn c();\n}\npub const fn d() {}\n";
    let source = Source::new("src/a.rs".to_owned(), text.to_owned());
    let functions = source.functions();
    let lengths: Vec<_> = functions.iter().map(|found| (found.line, found.lines)).collect();
    assert_eq!(lengths, [(1, 4), (7, 1), (9, 1)]);
    assert!(!source.shipped().contains("fn c"));
    assert!(source.shipped().contains("fn d"));
}

#[test]
fn paths_are_written_out() {
    let code = "use std::{fmt, io::{self, Read as R}, net::*};\nx(std::io::stdin(), mystd::a);";
    let found: Vec<_> = paths(code, "std").into_iter().map(|(_, path)| path).collect();
    assert_eq!(found, ["std::fmt", "std::io", "std::io::Read", "std::net", "std::io::stdin"]);
}
