//! Which file imports from which.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Source, occurrences, paths};

/// The files of the library, by their modules, and what each imports.
pub(super) struct Imports {
    files: BTreeMap<Vec<String>, String>,
    /// What a module passes on: names, and the paths that they stand for.
    passed_on: BTreeMap<Vec<String>, BTreeMap<String, Vec<String>>>,
    edges: BTreeMap<String, BTreeSet<String>>,
}

impl Imports {
    pub(super) fn of(sources: &[Source]) -> Self {
        let module = |source: &Source| -> Vec<String> {
            source.module().into_iter().map(str::to_owned).collect()
        };
        let shipped = || sources.iter().filter(|source| !source.is_test());
        let files = shipped().map(|source| (module(source), source.path.clone())).collect();
        let mut imports = Self { files, passed_on: BTreeMap::new(), edges: BTreeMap::new() };
        for source in shipped() {
            let names = imports.public_uses(&source.shipped(), &module(source));
            imports.passed_on.insert(module(source), names);
        }
        for source in shipped() {
            let (code, from) = (source.shipped(), module(source));
            // What is passed on is nothing that the file itself needs.
            let code = without_public_uses(&code).replace("pub(in crate", "pub(in ");
            let roots = ["crate", "super", "self"].map(|root| paths(&code, root));
            let found = roots.into_iter().flatten();
            let targets = found.filter_map(|(_, path)| imports.target(&path, &from));
            let targets = targets.filter(|target| *target != source.path).collect();
            imports.edges.insert(source.path.clone(), targets);
        }
        imports
    }

    /// Groups of files that import each other, directly or through others of the group.
    pub(super) fn circles(&self) -> Vec<Vec<&str>> {
        let reach: BTreeMap<&str, BTreeSet<&str>> =
            self.edges.keys().map(|file| (file.as_str(), self.reached_from(file))).collect();
        let mut groups = BTreeSet::new();
        for (file, reached) in &reach {
            if reached.contains(file) {
                let group = reached.iter().filter(|other| reach[**other].contains(file));
                groups.insert(group.copied().collect::<Vec<_>>());
            }
        }
        groups.into_iter().collect()
    }

    fn reached_from(&self, file: &str) -> BTreeSet<&str> {
        let (mut reached, mut open) = (BTreeSet::new(), vec![file]);
        while let Some(file) = open.pop() {
            for target in &self.edges[file] {
                if reached.insert(target.as_str()) {
                    open.push(target);
                }
            }
        }
        reached
    }

    /// The names that a file passes on.
    fn public_uses(&self, code: &str, from: &[String]) -> BTreeMap<String, Vec<String>> {
        let mut names = BTreeMap::new();
        for statement in public_uses(code) {
            let tree = statement.split_once("use ").map_or("", |(_, tree)| tree);
            let root = tree.split("::").next().unwrap_or_default().trim();
            for (_, path) in paths(tree, root) {
                let path = self.absolute(&path, from);
                names.extend(path.last().cloned().map(|name| (name, path.clone())));
            }
        }
        names
    }

    /// The file in which `path` is defined, as the module `from` names it.
    fn target(&self, path: &str, from: &[String]) -> Option<String> {
        self.definition(self.absolute(path, from), 0)
    }

    fn definition(&self, path: Vec<String>, depth: usize) -> Option<String> {
        let known = (0..=path.len()).rev().find(|&len| self.files.contains_key(&path[..len]))?;
        let passed_on = self.passed_on.get(&path[..known])?;
        let next = path.get(known).and_then(|name| passed_on.get(name));
        match next.filter(|_| depth < 10) {
            Some(next) => {
                let rest = path[known + 1..].iter().cloned();
                self.definition(next.iter().cloned().chain(rest).collect(), depth + 1)
            }
            None => self.files.get(&path[..known]).cloned(),
        }
    }

    /// `path` from the crate's root on.
    fn absolute(&self, path: &str, from: &[String]) -> Vec<String> {
        let mut parts: Vec<String> = path.split("::").map(str::to_owned).collect();
        let mut base = from.to_vec();
        match parts[0].as_str() {
            "crate" => base.clear(),
            "self" => {}
            "super" => {
                while parts.first().is_some_and(|part| part == "super") {
                    parts.remove(0);
                    base.pop();
                }
                return [base, parts].concat();
            }
            // A module below this one, or another crate.
            _ => return [base, parts].concat(),
        }
        parts.remove(0);
        [base, parts].concat()
    }
}

/// The statements that pass names on.
fn public_uses(code: &str) -> Vec<&str> {
    let starts = ["pub use ", "pub(crate) use ", "pub(super) use "];
    let found = starts.iter().flat_map(|start| occurrences(code, start));
    found.map(|at| code[at..].split_once(';').map_or("", |(statement, _)| statement)).collect()
}

fn without_public_uses(code: &str) -> String {
    public_uses(code).into_iter().fold(code.to_owned(), |code, used| code.replace(used, ""))
}

#[test]
fn circles_are_found_through_what_is_passed_on() {
    let source = |path: &str, text: &str| Source::new(path.to_owned(), text.to_owned());
    let sources = [
        source("src/lib.rs", "mod a; mod b;\npub use b::One;"),
        source("src/a/mod.rs", "mod low; mod high;\npub(crate) use high::High;"),
        source("src/a/low.rs", "use super::High;\npub(crate) struct Low(High);"),
        source("src/a/high.rs", "use crate::a::low::Low;\npub(crate) struct High;"),
        source("src/b.rs", "use crate::a::{High};\n#[cfg(test)]\nmod tests {\n use crate::b;\n}\n"),
    ];
    assert_eq!(Imports::of(&sources).circles(), [["src/a/high.rs", "src/a/low.rs"]]);
}
