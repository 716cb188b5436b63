//! The shapes of types and functions: how many methods, parameters and booleans they have.

use std::collections::BTreeMap;

use super::source::{Source, item_end, line_of, occurrences};

/// How many methods each type has, in all its own `impl` blocks of these sources together. Types
/// of two layers may have the same name.
pub(super) fn methods(sources: &[Source]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for source in sources {
        let (code, layer) = (source.shipped(), source.module().first().copied().unwrap_or("lib"));
        for at in occurrences(&code, "impl").into_iter().filter(|at| begins_line(&code, *at)) {
            let block = &code[at..item_end(&code, at)];
            let Some((head, body)) = block.split_once('{') else { continue };
            let head = head["impl".len()..].trim_start();
            // A trait's methods are the trait's.
            if !occurrences(head, "for ").is_empty() {
                continue;
            }
            let name = name(&head[generics(head)..]);
            let methods = body.lines().filter(|line| is_method(line)).count();
            *counts.entry(format!("{layer}::{name}")).or_default() += methods;
        }
    }
    counts
}

/// The functions with more than `most` parameters, `self` included: their lines and numbers.
pub(super) fn long_parameter_lists(source: &Source, most: usize) -> Vec<(usize, usize)> {
    let code = source.shipped();
    let mut found = Vec::new();
    for at in occurrences(&code, "fn ") {
        let rest = &code[at + "fn ".len()..];
        let name = rest.find(['(', '<']).unwrap_or(rest.len());
        let open = name + generics(&rest[name..]);
        if !rest[open..].starts_with('(') {
            continue;
        }
        let count = elements(&rest[open + 1..]);
        if count > most {
            found.push((line_of(&code, at), count));
        }
    }
    found
}

/// The structs with more than `most` booleans: their lines and numbers.
pub(super) fn flag_heaps(source: &Source, most: usize) -> Vec<(usize, usize)> {
    let code = source.shipped();
    let structs = occurrences(&code, "struct ").into_iter();
    let counted = structs.map(|at| {
        let fields = &code[at..item_end(&code, at)];
        (line_of(&code, at), fields.matches(": bool").count())
    });
    counted.filter(|(_, count)| *count > most).collect()
}

fn begins_line(code: &str, at: usize) -> bool {
    code[..at].is_empty() || code[..at].ends_with('\n')
}

/// Whether a line of a formatted `impl` block begins a method.
fn is_method(line: &str) -> bool {
    let Some(line) = line.strip_prefix("    ").filter(|line| !line.starts_with(' ')) else {
        return false;
    };
    !occurrences(line, "fn ").is_empty()
}

/// The length of the generic parameters that `code` begins with.
fn generics(code: &str) -> usize {
    if !code.starts_with('<') {
        return 0;
    }
    let mut depth = 0;
    for (at, byte) in code.bytes().enumerate() {
        let is_arrow = code[..at].ends_with(['-', '=']);
        match byte {
            b'<' => depth += 1,
            b'>' if !is_arrow => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    code.len()
}

/// The last name of the path that `code` begins with.
fn name(code: &str) -> &str {
    let code = code.trim_start();
    let path = code.find(|char: char| !char.is_alphanumeric() && !"_:".contains(char));
    let path = &code[..path.unwrap_or(code.len())];
    path.rsplit("::").next().unwrap_or(path)
}

/// How many elements a list has whose opening parenthesis is just before `code`.
fn elements(code: &str) -> usize {
    let (mut depth, mut count, mut is_empty) = (0_usize, 0, true);
    for (at, char) in code.char_indices() {
        let is_arrow = code[..at].ends_with(['-', '=']);
        match char {
            ')' if depth == 0 => break,
            ',' if depth == 0 => {
                count += usize::from(!is_empty);
                is_empty = true;
                continue;
            }
            '(' | '[' | '{' | '<' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            '>' if !is_arrow => depth -= 1,
            _ => {}
        }
        is_empty &= char.is_whitespace();
    }
    count + usize::from(!is_empty)
}

#[test]
fn methods_parameters_and_booleans_are_counted() {
    let text = concat!(
        "impl<T: Fn() -> u8> a::Big<T> {\n    pub fn one(&self) {\n        fn no() {}\n    }\n",
        "    const fn two<F: Fn(u8, u8)>(\n        &self,\n        f: F,\n",
        "        (a, b): (u8, u8),\n    ) {\n    }\n}\n",
        "impl Display for Big<u8> {\n    fn fmt(&self) {}\n}\n",
        "struct Flags {\n    a: bool,\n    pub b: bool,\n    c: Vec<bool>,\n}\n",
    );
    let sources = [Source::new("src/a.rs".to_owned(), text.to_owned())];
    assert_eq!(methods(&sources), BTreeMap::from([("a::Big".to_owned(), 2)]));
    assert_eq!(long_parameter_lists(&sources[0], 2), [(5, 3)]);
    assert_eq!(flag_heaps(&sources[0], 1), [(15, 2)]);
    assert_eq!(flag_heaps(&sources[0], 2), []);
}
