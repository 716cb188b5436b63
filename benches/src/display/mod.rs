//! What shows results: on a terminal, as Markdown, as a page.

use crate::results::Results;

/// The tables as text.
pub(crate) fn terminal(results: &Results) -> String {
    format!("{}\n", results.title)
}

/// The tables as Markdown.
pub(crate) fn markdown(results: &Results) -> String {
    format!("# {}\n", results.title)
}

/// One self-contained page.
pub(crate) fn page(results: &Results) -> String {
    format!("<title>{}</title>\n", results.title)
}
