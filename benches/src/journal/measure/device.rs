//! The device: what a synchronisation takes by itself.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use super::Setting;
use super::folder::Folder;
use crate::error::Error;
use crate::load::{Latencies, no_latencies};

const BLOCK: [u8; 4096] = [1; 4096];

/// The blocks of the file, which are written in turn: a write-ahead log is written again and again,
/// too.
const BLOCKS: u64 = 1024;

/// Writes 4 KiB and synchronises them, one after the other.
pub(super) fn measure(setting: &Setting, time: Duration) -> Result<Latencies, Error> {
    let folder = Folder::create(&setting.directory)?;
    let synchronise = || -> io::Result<Latencies> {
        let file = File::create(folder.file("blocks"))?;
        for block in 0..BLOCKS {
            file.write_all_at(&BLOCK, block * BLOCK.len() as u64)?;
        }
        file.sync_all()?;
        let mut latencies = no_latencies();
        let until = Instant::now() + time;
        while latencies.is_empty() || Instant::now() < until {
            let start = Instant::now();
            file.write_all_at(&BLOCK, latencies.len() % BLOCKS * BLOCK.len() as u64)?;
            file.sync_data()?;
            latencies.saturating_record(start.elapsed().as_nanos() as u64);
        }
        Ok(latencies)
    };
    synchronise().map_err(Error::system("cannot write and synchronise a file"))
}
