//! Results as lines of text: on a terminal, and as Markdown.

use comfy_table::presets::{ASCII_MARKDOWN, NOTHING};
use comfy_table::{CellAlignment, TableComponent};

use super::document::{Block, Form, blocks};
use super::table::Table;
use crate::results::Results;

/// The tables as text.
pub(crate) fn terminal(results: &Results) -> String {
    let form = Form { mark: "*", has_matrix: false, has_all_tables: true };
    let shown = blocks(results, form).into_iter().map(|block| match block {
        Block::Title(1, title) => format!("{}\n", plain(title)),
        Block::Title(_, title) => format!("\n{}\n", plain(title)),
        Block::List(lines) => lines.iter().map(|line| format!("  {}\n", plain(line))).collect(),
        Block::Command(command) => format!("  to repeat: {}\n", plain(command)),
        Block::Table(table) => {
            let mut lines = laid_out(&table, NOTHING, ["", "*"], plain);
            lines.set_style(TableComponent::HeaderLines, '─');
            lines.set_style(TableComponent::MiddleHeaderIntersections, '─');
            lines.trim_fmt() + "\n"
        }
        Block::Plot(_) => String::new(),
    });
    shown.collect()
}

/// The tables as Markdown.
pub(crate) fn markdown(results: &Results) -> String {
    let form = Form { mark: "bold", has_matrix: true, has_all_tables: false };
    let shown = blocks(results, form).into_iter().map(|block| match block {
        Block::Title(level, title) => {
            format!("{} {}\n\n", "#".repeat(level.into()), escaped(title))
        }
        Block::List(lines) if lines.is_empty() => String::new(),
        Block::List(lines) => {
            let lines = lines.iter().map(|line| format!("- {}\n", escaped(line)));
            lines.collect::<String>() + "\n"
        }
        Block::Command(command) => format!("To repeat:\n\n    {}\n\n", plain(command)),
        Block::Table(table) => {
            let text = laid_out(&table, ASCII_MARKDOWN, ["**", "**"], escaped).trim_fmt();
            let mut lines: Vec<&str> = text.lines().collect();
            let rule = aligned_right(lines[1], table.text_columns);
            lines[1] = &rule;
            lines.join("\n") + "\n\n"
        }
        Block::Plot(_) => String::new(),
    });
    shown.collect::<String>().trim_end().to_owned() + "\n"
}

/// A table with text to the left and figures to the right, and with marks around the best figures.
/// Its lines are as long as they need to be, so they are the same everywhere.
fn laid_out(
    table: &Table,
    preset: &str,
    marks: [&str; 2],
    text: fn(&str) -> String,
) -> comfy_table::Table {
    let mut lines = comfy_table::Table::new();
    lines.load_preset(preset).set_header(table.head.iter().map(|title| text(title)));
    lines.add_rows(table.rows.iter().map(|row| {
        row.iter().map(|cell| {
            let [before, after] = if cell.is_first { marks } else { [""; 2] };
            format!("{before}{}{after}{}", text(&cell.text), text(&cell.note))
        })
    }));
    for column in lines.column_iter_mut().skip(table.text_columns) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    lines
}

/// The rule below the head of a table. The crate aligns figures to the right, but does not ask
/// Markdown to do so.
fn aligned_right(rule: &str, text_columns: usize) -> String {
    let end = rule.match_indices('|').nth(text_columns).map_or(0, |(bar, _)| bar + 1);
    format!("{}{}", &rule[..end], rule[end..].replace("-|", ":|"))
}

/// One line, without what a terminal would obey.
fn plain(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// Escapes Markdown, so that text is shown as it is.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in plain(text).chars() {
        if r"\`*_[]<>#|~&".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}
