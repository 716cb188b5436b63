use std::path::{Path, PathBuf};
use std::{env, fs, process};

/// A folder for the files of one test, which removes it at its end.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Creates a folder. Each test has a name of its own.
    pub(crate) fn new(name: &str) -> Self {
        let path = env::temp_dir().join(format!("eventwire-{name}-{}", process::id()));
        fs::create_dir_all(&path).expect("a folder for the test");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // If it stays, the next test of that process's id takes it anyway.
        let _ = fs::remove_dir_all(&self.0);
    }
}
