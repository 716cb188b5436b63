//! What shows results: on a terminal, as Markdown, as a page. It depends on `results` alone.

mod document;
mod page;
mod plot;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod units;
mod words;

pub(crate) use page::page;
pub(crate) use text::{markdown, terminal};
