use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::Error;

/// A folder for the files of one measurement, removed at its end.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Creates it in `directory`.
    pub(super) fn create(directory: &Path) -> Result<Self, Error> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!("eventwire-bench-{}-{number}", std::process::id()));
        let what = format!("cannot create {}", path.display());
        fs::create_dir(&path).map_err(Error::system(what))?;
        Ok(Self(path))
    }

    /// The path of a file in it.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What remains is in a folder for temporary files, or one that the caller has named.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The type of the file system at `path`, if the system says which.
pub(super) fn file_system(path: &Path) -> Option<String> {
    let path = path.canonicalize().ok()?;
    file_system_in(&fs::read_to_string("/proc/self/mounts").ok()?, &path)
}

/// The type of the innermost mount that contains the path, the latest one of that place.
fn file_system_in(mounts: &str, path: &Path) -> Option<String> {
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        Some((Path::new(words.next()?), words.next()?))
    });
    let around = mounts.filter(|(place, _)| path.starts_with(place));
    let innermost = around.max_by_key(|(place, _)| place.components().count());
    innermost.map(|(_, name)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_mount_names_the_file_system() {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/b /tmp/disk xfs rw 0 0\n";
        let of = |path: &str| file_system_in(mounts, Path::new(path));
        assert_eq!(of("/home").as_deref(), Some("ext4"));
        assert_eq!(of("/tmp/x").as_deref(), Some("tmpfs"));
        assert_eq!(of("/tmp/disk/x").as_deref(), Some("xfs"));
        assert_eq!(file_system_in("", Path::new("/")), None);
    }
}
