//! The figures that this repository stands by.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

/// What a figure may differ by, in a hundred.
const TOLERANCE: f64 = 2.0;

/// Figures with the compiler that they are of.
#[derive(Debug)]
pub(crate) struct Recorded {
    compiler: String,
    figures: Vec<(String, f64)>,
}

impl Recorded {
    /// No figures yet, of this compiler.
    pub(crate) fn new() -> Self {
        Self { compiler: compiler(), figures: Vec::new() }
    }

    /// Those that are kept beside this file.
    pub(crate) fn read() -> Self {
        let text = fs::read_to_string(path()).unwrap_or_default();
        let mut lines = text.lines();
        let compiler = lines.next().unwrap_or_default().to_owned();
        let figure = |line: &str| {
            let (name, count) = line.rsplit_once(' ')?;
            Some((name.trim().to_owned(), count.parse().ok()?))
        };
        Self { compiler, figures: lines.filter_map(figure).collect() }
    }

    pub(crate) fn write(&self) {
        let mut text = format!("{}\n", self.compiler);
        for (name, count) in &self.figures {
            writeln!(text, "{name} {count:.1}").expect("a string takes everything");
        }
        fs::write(path(), text).expect("the file of figures can be written");
    }

    pub(crate) fn add(&mut self, name: &str, count: f64) {
        self.figures.push((name.to_owned(), count));
    }

    fn of(&self, name: &str) -> Option<f64> {
        self.figures.iter().find(|(known, _)| known == name).map(|&(_, count)| count)
    }

    /// A figure beside the recorded one, for people.
    pub(crate) fn compare(&self, name: &str, count: f64) -> String {
        match self.of(name) {
            Some(recorded) => {
                let change = (count / recorded - 1.0) * 100.0;
                format!("{count:>10.1}  recorded {recorded:>10.1}  {change:+.1} %")
            }
            None => format!("{count:>10.1}  not recorded"),
        }
    }

    /// Whether `counted` is as good as what is recorded here.
    pub(crate) fn allows(&self, counted: &Self) -> Result<(), String> {
        if self.compiler != counted.compiler {
            println!("recorded of {}, so nothing is compared", self.compiler);
            return Ok(());
        }
        for (name, count) in &counted.figures {
            let Some(recorded) = self.of(name) else {
                return Err(format!("{name} is not recorded: run with -- --record"));
            };
            let change = (count / recorded - 1.0) * 100.0;
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

/// The compiler that builds this, as far as it can be told from outside.
fn compiler() -> String {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output();
    let version = version.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let flags = if cfg!(target_feature = "avx2") { " with AVX2" } else { "" };
    format!("{}{flags}", version.unwrap_or_default())
}
