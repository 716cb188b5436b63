use super::{markdown, page, terminal};
use crate::results::Results;

/// Two comparisons. The engine is the first of `a` and within the noise in `b`, in which a peer
/// failed.
fn example() -> Results {
    serde_json::from_str(include_str!("example.json")).unwrap()
}

fn assert_parts(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part} in\n{text}");
    }
}

#[test]
fn several_comparisons_are_one_markdown_table() {
    let table = "\
| scenario  | figure   |          eventwire |           peer |              slow |  floor |    A/A |
|-----------|----------|-------------------:|---------------:|------------------:|-------:|-------:|
| a × 1,000 | CPU/echo | **110 ns** (×1.10) | 150 ns (×1.50) | 1.00 ms (×10,000) | 100 ns | ± 10 % |
| b × 1,000 | CPU/echo |     105 ns (×1.05) | 100 ns (×1.00) |                 – | 100 ns | ± 10 % |

- b × 1,000: slow failed: gone
";
    let engine = "| a × 1,000 | eventwire        |  110 ns (100 ns–120 ns, ×1.10) |       53 % |";
    let mode = "| a × 1,000 | eventwire (busy) |                50.0 ns (×0.50) |       53 % |";
    let parts = ["# A comparison\n", "## Round trips\n", table, engine, mode];
    assert_parts(&markdown(&example()), &parts);
}

#[test]
fn the_terminal_shows_all_figures_of_all_entrants() {
    let text = terminal(&example());
    let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
    let parts = [
        "\n Some Processor, 2 CPUs, virtual machine, linux 6, load average 0.50 before the run\n",
        "\n eventwire 110 ns* (100 ns–120 ns, ×1.10) 53 %\n",
        "\n floor 100 ns (90.0 ns–110 ns) 53 %\n",
        "\n peer 100 ns (×1.00) 53 %\n",
        "\nTargets\n a × 1,000: CPU/echo of eventwire to floor: 1.10 (1.09 to 1.11), \
         target at most 1.25: reached\n",
        "\nNotes\n a note\n",
    ];
    assert_parts(&words.join(" "), &parts);
}

#[test]
fn figures_in_doubt_are_not_marked() {
    let mut results = example();
    results.scenarios[0].doubt = Some("not measurable here".to_owned());
    for (text, mark) in [
        (terminal(&results), "ns*"),
        (markdown(&results), "**"),
        (page(&results), "class=\"best\""),
    ] {
        assert!(!text.contains(mark), "{text}");
        assert_parts(&text, &["not measurable here", "110 ns", "1.25: uncertain"]);
    }
}

#[test]
fn the_page_has_every_figure_and_needs_nothing_else() {
    let html = page(&example());
    let parts = [
        "<td class=\"best\">110 ns<small> (×1.10)</small>",
        "<td class=\"best\">110 ns<small> (100 ns–120 ns, ×1.10)</small><b style=\"width: 22.0%;",
        "<td>53 %<small></small></td>",
        "50.0 ns",
        "slow failed: gone",
        "prefers-color-scheme: dark",
    ];
    assert_parts(&html, &parts);
    assert_eq!(html.matches("<svg ").count(), 2);
    for part in ["<script", "<link", " src=", " href=", "url(", "@import", "\"#000000\""] {
        assert!(!html.contains(part), "{part} in {html}");
    }
}

#[test]
fn text_cannot_become_markup() {
    let mut results = example();
    results.scenarios[0].title = "<b>|*x*\u{1b}[31m\n".to_owned();
    results.scenarios[1].entrants[1].name = "<i>".to_owned();
    assert!(!terminal(&results).contains('\u{1b}'));
    assert_parts(&markdown(&results), &["| \\<b\\>\\|\\*x\\* \\[31m  | CPU"]);
    let html = page(&results);
    assert!(!html.contains("<b>") && !html.contains("<i>"), "{html}");
    assert_parts(&html, &["&lt;b&gt;|*x*", "&lt;i&gt;"]);
}
