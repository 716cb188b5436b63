//! Public items that only a feature has.

use super::source::Source;

/// Public items behind a feature whose documentation does not name it: their lines and features.
pub(super) fn silent_about_their_feature(source: &Source) -> Vec<(usize, String)> {
    let lines: Vec<&str> = source.text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let feature = line.trim().strip_prefix("#[cfg(feature = \"");
        let Some(feature) = feature.and_then(|rest| rest.strip_suffix("\")]")) else {
            continue;
        };
        let item = lines[at + 1..].iter().find(|line| !line.trim().starts_with("#["));
        let is_documented =
            |line: &&str| line.trim().starts_with("pub ") && !line.contains(" use ");
        if !item.is_some_and(is_documented) {
            continue;
        }
        let docs = lines[..at].iter().rev().take_while(|line| line.trim().starts_with("///"));
        let named = format!("feature `{feature}`");
        if !docs.into_iter().any(|line| line.contains(&named)) {
            found.push((at + 1, feature.to_owned()));
        }
    }
    found
}

#[test]
fn items_that_do_not_name_their_feature_are_found() {
    let text = "/// Needs the feature `a`.\n#[cfg(feature = \"a\")]\npub fn a() {}\n\
                /// Says nothing.\n#[cfg(feature = \"b\")]\n#[must_use]\npub fn b() {}\n\
                #[cfg(feature = \"c\")]\npub use c::C;\n#[cfg(feature = \"d\")]\nfn d() {}\n";
    let source = Source::new("src/a.rs".to_owned(), text.to_owned());
    assert_eq!(silent_about_their_feature(&source), [(5, "b".to_owned())]);
}
