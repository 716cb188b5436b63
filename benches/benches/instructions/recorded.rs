//! The figures that this repository stands by.

use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

/// What a figure may differ by, in a hundred.
const TOLERANCE: f64 = 2.0;

/// Figures with the tools that they are of.
pub(crate) struct Recorded {
    tools: String,
    figures: Vec<(String, f64)>,
}

impl Recorded {
    /// No figures yet, of these tools.
    pub(crate) fn new() -> Self {
        Self { tools: tools(), figures: Vec::new() }
    }

    /// Those that are kept beside this file.
    pub(crate) fn read() -> Self {
        let text = fs::read_to_string(path()).unwrap_or_default();
        let mut lines = text.lines();
        let tools = lines.next().unwrap_or_default().to_owned();
        let figure = |line: &str| {
            let (name, count) = line.rsplit_once(' ')?;
            Some((name.trim().to_owned(), count.parse().ok()?))
        };
        Self { tools, figures: lines.filter_map(figure).collect() }
    }

    pub(crate) fn write(&self) {
        let lines = self.figures.iter().map(|(name, count)| format!("{name} {count:.1}\n"));
        let text = format!("{}\n{}", self.tools, lines.collect::<String>());
        fs::write(path(), text).expect("the file of figures can be written");
    }

    pub(crate) fn add(&mut self, name: &str, count: f64) {
        self.figures.push((name.to_owned(), count));
    }

    /// What is recorded of that name, and by how many in a hundred `count` is above it.
    fn change(&self, name: &str, count: f64) -> Option<(f64, f64)> {
        let (_, recorded) = self.figures.iter().find(|(known, _)| known == name)?;
        Some((*recorded, (count / recorded - 1.0) * 100.0))
    }

    /// A figure beside the recorded one, for people.
    pub(crate) fn compare(&self, name: &str, count: f64) -> String {
        let recorded = match self.change(name, count) {
            Some((recorded, change)) => format!("recorded {recorded:>10.1}  {change:+.1} %"),
            None => "not recorded".to_owned(),
        };
        format!("{count:>10.1}  {recorded}")
    }

    /// Whether `count` is above what is recorded of that name by more than is tolerated.
    pub(crate) fn is_exceeded(&self, name: &str, count: f64) -> bool {
        self.change(name, count).is_some_and(|(_, change)| change > TOLERANCE)
    }

    /// Whether `counted` is as good as what is recorded here.
    pub(crate) fn allows(&self, counted: &Self) -> Result<(), String> {
        if self.tools != counted.tools {
            println!("recorded of {}, so nothing is compared", self.tools);
            return Ok(());
        }
        for (name, count) in &counted.figures {
            let Some((_, change)) = self.change(name, *count) else {
                return Err(format!("{name} is not recorded: run with -- --record"));
            };
            if change > TOLERANCE {
                return Err(format!("{name} takes {change:.1} % more instructions than recorded"));
            }
            if change < -TOLERANCE {
                println!("{name} got better: record it, with -- --record");
            }
        }
        Ok(())
    }
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/instructions/recorded.txt")
}

/// What the figures depend on beside the code: the compiler, as far as it can be told from outside,
/// the C library that copies bytes, and what counts.
fn tools() -> String {
    let rustc = env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    let versions = [&rustc, "ldd", "valgrind"].map(|tool| {
        let output = Command::new(tool).arg("--version").output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        text.unwrap_or_default().lines().next().unwrap_or_default().trim().to_owned()
    });
    let flags = if cfg!(target_feature = "avx2") { ", with AVX2" } else { "" };
    format!("{}{flags}", versions.join(", "))
}
