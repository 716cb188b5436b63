//! Where results go: standard output, and the files that are asked for.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;

use crate::display;
use crate::error::Error;
use crate::results::{FORMAT, Results};

#[derive(Args, Clone, Debug, Default)]
pub(crate) struct FileArgs {
    /// Write the figures to FILE as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write a page with the tables and the latency plots to FILE
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write the tables to FILE as Markdown
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

/// Show results that were written as JSON before, in other forms too
#[derive(Args, Debug)]
pub(crate) struct ShowArgs {
    /// The JSON file
    results: PathBuf,
    #[command(flatten)]
    files: FileArgs,
}

impl ShowArgs {
    pub(crate) fn show(&self) -> Result<(), Error> {
        let cannot_read = format!("cannot read {}", self.results.display());
        let text = fs::read(&self.results).map_err(Error::system(cannot_read.clone()))?;
        let format: Format = serde_json::from_slice(&text)
            .map_err(|error| Error::Settings(format!("{cannot_read}: {error}")))?;
        if format.format != FORMAT {
            let known = format!("its format is {}, known is {FORMAT}", format.format);
            return Err(Error::Settings(format!("{cannot_read}: {known}")));
        }
        let results = serde_json::from_slice(&text)
            .map_err(|error| Error::Settings(format!("{cannot_read}: {error}")))?;
        self.files.create()?.publish(&results)
    }
}

/// What every version of the JSON form has.
#[derive(Deserialize)]
struct Format {
    format: u32,
}

/// The files, created before the measurement, so that errors are noticed early.
#[derive(Debug)]
pub(crate) struct Files(Vec<(PathBuf, File, Form)>);

/// Writes results in one form.
type Form = fn(&Results) -> String;

impl FileArgs {
    pub(crate) fn create(&self) -> Result<Files, Error> {
        let forms: [(&Option<PathBuf>, Form); 3] =
            [(&self.json, json), (&self.html, display::page), (&self.markdown, display::markdown)];
        let files = forms.into_iter().filter_map(|(path, form)| Some((path.clone()?, form)));
        let created = files.map(|(path, form)| match File::create(&path) {
            Ok(file) => Ok((path, file, form)),
            Err(error) => Err(Error::system(cannot_write(&path))(error)),
        });
        created.collect::<Result<_, _>>().map(Files)
    }
}

impl Files {
    /// Prints the tables, and writes the files.
    pub(crate) fn publish(self, results: &Results) -> Result<(), Error> {
        print(&display::terminal(results))?;
        for (path, mut file, form) in self.0 {
            file.write_all(form(results).as_bytes()).map_err(Error::system(cannot_write(&path)))?;
        }
        Ok(())
    }
}

/// Writes to standard output at once.
pub(crate) fn print(text: &str) -> Result<(), Error> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
        .map_err(Error::system("cannot write to standard output"))
}

fn json(results: &Results) -> String {
    let text = serde_json::to_string_pretty(results);
    text.expect("all keys are strings, and no type refuses to be written") + "\n"
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write {}", path.display())
}
