//! A process of this machine, by its number.

use std::fs;
use std::path::Path;

use super::CpuClock;

/// A process. It may have ended: what is asked is then unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process(pub(crate) u32);

impl Process {
    /// The process that listens on TCP port `port`. The system shows only processes of the same
    /// user.
    pub(crate) fn listening(port: u16) -> Option<Self> {
        let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
        let tables = tables.iter().filter_map(|table| fs::read_to_string(table).ok());
        let inodes = tables.flat_map(|table| listening(&table, port));
        let sockets: Vec<String> = inodes.map(|inode| format!("socket:[{inode}]")).collect();
        if sockets.is_empty() {
            return None;
        }
        let processes = fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| {
            let process = entry.file_name().to_str()?.parse().ok()?;
            holds(&entry.path().join("fd"), &sockets).then_some(process)
        });
        // If several share the socket, as a parent and its children, the last one started serves.
        processes.max().map(Self)
    }

    /// Its first child.
    pub(crate) fn child(self) -> Option<Self> {
        let Self(id) = self;
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok().map(Self)
    }

    pub(crate) fn cpu(self) -> CpuClock {
        CpuClock::of_process(self.0)
    }

    /// Bytes of memory that it uses, without mapped files.
    pub(crate) fn memory(self) -> Option<u64> {
        let kibibytes: u64 = self.status("RssAnon:")?.strip_suffix(" kB")?.parse().ok()?;
        Some(kibibytes * 1024)
    }

    /// The CPUs that it may run on, as the system writes them.
    pub(crate) fn allowed_cpus(self) -> Option<String> {
        self.status("Cpus_allowed_list:")
    }

    fn status(self, field: &str) -> Option<String> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).ok()?;
        let value = status.lines().find_map(|line| line.strip_prefix(field))?;
        Some(value.trim().to_owned())
    }
}

/// The inodes of the sockets that listen on `port`, from a table of the kernel.
fn listening(table: &str, port: u16) -> Vec<u64> {
    const LISTEN: &str = "0A";
    let inode = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
        let (_, local) = local.rsplit_once(':')?;
        let found = *state == LISTEN && u16::from_str_radix(local, 16) == Ok(port);
        found.then(|| inode.parse().ok()).flatten()
    };
    table.lines().filter_map(inode).collect()
}

/// Whether one of the files in a process's folder of open files is one of `sockets`.
fn holds(folder: &Path, sockets: &[String]) -> bool {
    let Ok(files) = fs::read_dir(folder) else {
        return false;
    };
    files.flatten().any(|file| {
        let target = fs::read_link(file.path()).ok();
        target.is_some_and(|target| sockets.iter().any(|socket| target == Path::new(socket)))
    })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_process_that_listens_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(Process::listening(port), Some(Process(std::process::id())));
        drop(listener);
        assert_eq!(Process::listening(port), None);
    }

    #[test]
    fn its_memory_and_its_cpus_are_known() {
        let own = Process(std::process::id());
        assert!(own.memory().unwrap() > 0);
        assert!(!own.allowed_cpus().unwrap().is_empty());
        assert_eq!(Process(0).memory(), None);
    }
}
