//! The device: what a synchronisation takes by itself.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::Setting;
use super::folder::Folder;
use super::paced::Paced;
use crate::error::Error;
use crate::load::Latencies;

const BLOCK: [u8; 4096] = [1; 4096];

/// The blocks of the file, which are written in turn: a write-ahead log is written again and again,
/// too.
const BLOCKS: u64 = 1024;

/// Writes 4 KiB and synchronises them, again and again.
pub(super) fn measure(setting: &Setting, paced: Paced) -> Result<Latencies, Error> {
    let what = "cannot write and synchronise a file";
    let folder = Folder::create(&setting.directory)?;
    let file = prepare(&folder).map_err(Error::system(what))?;
    let mut block = 0;
    paced.measure(|| {
        block = (block + 1) % BLOCKS;
        let written = file.write_all_at(&BLOCK, block * BLOCK.len() as u64);
        written.and_then(|()| file.sync_data()).map_err(Error::system(what))
    })
}

fn prepare(folder: &Folder) -> io::Result<File> {
    let file = File::create(folder.file("blocks"))?;
    for block in 0..BLOCKS {
        file.write_all_at(&BLOCK, block * BLOCK.len() as u64)?;
    }
    file.sync_all()?;
    Ok(file)
}
