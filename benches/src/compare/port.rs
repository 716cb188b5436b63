//! Finds the process of this machine that listens on a port.

use std::fs;
use std::path::Path;

/// The process that listens on TCP port `port`. The system shows only processes of the same user.
pub(crate) fn listener(port: u16) -> Option<u32> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let inodes: Vec<u64> = tables
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listening(&table, port))
        .collect();
    let sockets: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    if sockets.is_empty() {
        return None;
    }
    let processes = fs::read_dir("/proc").ok()?.flatten().filter_map(|entry| {
        let process = entry.file_name().to_str()?.parse().ok()?;
        holds(&entry.path().join("fd"), &sockets).then_some(process)
    });
    // If several share the socket, as a parent and its children, the last one started serves.
    processes.max()
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
    fn sockets_that_listen_on_the_port_are_found() {
        let table = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:2329 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 71 1 0
   1: 0100007F:2329 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 72 1 0
   2: 0100007F:232A 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 73 1 0
";
        assert_eq!(listening(table, 9001), [71]);
        assert_eq!(listening(table, 9003), [0; 0]);
    }

    #[test]
    fn this_process_is_found_by_its_port() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        if let Some(found) = listener(port) {
            assert_eq!(found, std::process::id());
        }
        drop(socket);
    }
}
