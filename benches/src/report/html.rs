use super::plot::{self, Series};
use super::stats::Ratio;
use super::{Report, ScenarioReport, table, text};

/// The report as one self-contained page.
pub(crate) fn render(report: &Report) -> String {
    let mut body = format!(
        "<header>\n<h1>{} <small>{}</small></h1>\n<p>{}</p>\n{}</header>\n",
        escape(report.header.program),
        escape(report.header.version),
        escape(&report.header.machine.summary()),
        list(&report.header.settings, "settings"),
    );
    let verdicts: Vec<String> = report.scenarios.iter().filter_map(verdict).collect();
    if !verdicts.is_empty() {
        body.push_str(&format!("<ul class=\"verdicts\">\n{}</ul>\n", verdicts.concat()));
    }
    body.push_str(&table_of(&table::rows(report)));
    body.push_str(&list(&report.notes, "notes"));
    for scenario in &report.scenarios {
        body.push_str(&section(scenario));
    }
    body.push_str(&format!(
        "<footer>\n<p>Latency by percentile, all rounds together; both axes are logarithmic. The \
         table has medians over the rounds.</p>\n<p>To repeat:</p>\n<pre>{}</pre>\n</footer>\n",
        escape(&report.header.command)
    ));
    document(report.header.program, "", &body)
}

const STYLE: &str = include_str!("style.css");

/// A page around `body`. `style` is added to the common style, for a body of the class
/// `compared`.
pub(crate) fn document(title: &str, style: &str, body: &str) -> String {
    let class = if style.is_empty() { "" } else { " class=\"compared\"" };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{}</title>\n<style>\n{STYLE}{style}</style>\n</head>\n<body{class}>\n{body}\
         </body>\n</html>\n",
        escape(title)
    )
}

fn section(scenario: &ScenarioReport) -> String {
    let server = Series {
        name: if scenario.floor.is_some() { "eventwire" } else { "server" },
        class: "server",
        curve: &scenario.server.percentiles,
    };
    let floor = scenario.floor.as_ref().map(|floor| Series {
        name: "raw TCP floor",
        class: "floor",
        curve: &floor.percentiles,
    });
    let series: Vec<Series<'_>> = floor.into_iter().chain([server]).collect();
    let judged = scenario.server.last_receiver_ns.unwrap_or(scenario.server.latency_ns);
    let whose = if scenario.receivers.is_some() { " to the last receiver" } else { "" };
    format!(
        "<section>\n<h2>{}</h2>\n<p class=\"facts\">{}{}</p>\n{}</section>\n",
        escape(&scenario.title),
        fact(&text::time(judged.p50), &format!("p50{whose}"), scenario.median_ratio,),
        fact(
            &text::count(scenario.server.messages_per_second),
            "messages/s",
            scenario.throughput_ratio,
        ),
        plot::render(&series),
    )
}

fn fact(value: &str, what: &str, ratio: Option<Ratio>) -> String {
    let ratio = ratio.map_or_else(String::new, |ratio| {
        let Ratio { median, lowest, highest, .. } = ratio;
        format!(", {median:.3} of the floor ({lowest:.3} to {highest:.3})")
    });
    format!("<span><b>{value}</b> {what}{ratio}</span>")
}

fn verdict(scenario: &ScenarioReport) -> Option<String> {
    let class = if scenario.goal_reached? { "met" } else { "missed" };
    let text = escape(&table::verdict(scenario)?);
    Some(format!("<li class=\"{class}\">{text}</li>\n"))
}

pub(crate) fn table_of(rows: &[Vec<String>]) -> String {
    let mut html = String::from("<div class=\"wide\">\n<table>\n");
    for (index, row) in rows.iter().enumerate() {
        let (cell, scope) = if index == 0 { ("th", "col") } else { ("td", "row") };
        html.push_str("<tr>");
        for (column, text) in row.iter().enumerate() {
            let text = escape(text);
            if index == 0 || column == 0 {
                html.push_str(&format!("<th scope=\"{scope}\">{text}</th>"));
            } else {
                html.push_str(&format!("<{cell}>{text}</{cell}>"));
            }
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</table>\n</div>\n");
    html
}

pub(crate) fn list(lines: &[String], class: &str) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let items: Vec<String> =
        lines.iter().map(|line| format!("<li>{}</li>\n", escape(line))).collect();
    format!("<ul class=\"{class}\">\n{}</ul>\n", items.concat())
}

pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(escape("<a href=\"&\">"), "&lt;a href=&quot;&amp;&quot;&gt;");
    }
}
