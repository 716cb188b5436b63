//! The compressors and decompressors that all connections share.

use std::fmt;

use flate2::{Compress, Compression as Level, Decompress, FlushCompress};

use super::Setting;
use super::inflation::FLUSH_TAIL;

/// Compressors and decompressors. Each serves all connections, one message at a time.
#[derive(Default)]
pub(in crate::proto) struct Codecs {
    pub(super) decompressor: Option<Decompress>,
    pub(super) compressors: Vec<SharedCompressor>,
    /// How many bytes were decompressed.
    pub(in crate::proto) inflated: u64,
    /// How often the decompressor was called.
    pub(in crate::proto) calls: u64,
    /// How many messages were compressed.
    pub(in crate::proto) compressions: u64,
}

/// The compressor for one level and window.
pub(super) struct SharedCompressor {
    level: u8,
    window: u8,
    codec: Compress,
}

impl Codecs {
    /// Compresses a message without context into `out`, which is cleared. Returns whether it came
    /// out shorter.
    pub(in crate::proto) fn compress(
        &mut self,
        setting: Setting,
        message: &[u8],
        out: &mut Vec<u8>,
    ) -> bool {
        let Setting { level, window, .. } = setting;
        let known = self.compressors.iter().position(|it| (it.level, it.window) == (level, window));
        let index = known.unwrap_or_else(|| {
            let codec = compressor(setting);
            self.compressors.push(SharedCompressor { level, window, codec });
            self.compressors.len() - 1
        });
        self.compressions += 1;
        let compressor = &mut self.compressors[index].codec;
        compressor.reset();
        compress(compressor, message, out)
    }
}

pub(super) fn compressor(setting: Setting) -> Compress {
    Compress::new_with_window_bits(Level::new(setting.level.into()), false, setting.window)
}

/// Compresses a message into `out`, which is cleared. Returns whether it came out shorter. If not,
/// the caller must reset `compressor`.
pub(super) fn compress(compressor: &mut Compress, message: &[u8], out: &mut Vec<u8>) -> bool {
    // A result that does not fit into this is no shorter.
    out.clear();
    out.resize(message.len() + FLUSH_TAIL.len(), 0);
    let (before_in, before_out) = (compressor.total_in(), compressor.total_out());
    let compressed = compressor.compress(message, out, FlushCompress::Sync);
    let taken = (compressor.total_in() - before_in) as usize;
    let made = (compressor.total_out() - before_out) as usize;
    // If the output is full, some of it may be missing (RFC 7692 §7.2.1).
    if compressed.is_err() || taken < message.len() || made == out.len() {
        return false;
    }
    out.truncate(made);
    let is_whole = out.ends_with(&FLUSH_TAIL);
    out.truncate(made.saturating_sub(FLUSH_TAIL.len()));
    is_whole
}

impl fmt::Debug for Codecs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Codecs")
            .field("inflated", &self.inflated)
            .field("calls", &self.calls)
            .finish_non_exhaustive()
    }
}
