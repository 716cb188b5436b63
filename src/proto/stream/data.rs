use crate::proto::BufferPool;

/// Up to this length, storage from the pool is used: it is of about this size. Storage with as much
/// more capacity than it needs is given back.
const POOLED_BYTES_MAX: usize = 4 * 1024;

/// Input that is lent to the application: where it was received, or behind what was kept.
#[derive(Debug)]
pub(crate) enum Data<'a> {
    Received(&'a [u8]),
    Kept(Vec<u8>),
}

impl<'a> Data<'a> {
    /// What was kept, and `received` behind it.
    #[inline]
    pub(crate) fn new(mut kept: Vec<u8>, received: &'a [u8]) -> Self {
        if kept.is_empty() {
            return Self::Received(received);
        }
        kept.extend_from_slice(received);
        Self::Kept(kept)
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Received(received) => received,
            Self::Kept(kept) => kept,
        }
    }

    /// Storage with all but the first `used` bytes, and little more capacity than it needs.
    pub(super) fn into_rest(self, used: usize, pool: &mut BufferPool) -> Vec<u8> {
        match self {
            Self::Kept(mut kept)
                if kept.capacity() <= 2 * (kept.len() - used) + POOLED_BYTES_MAX =>
            {
                kept.drain(..used);
                kept
            }
            Self::Received(received) => copy(&received[used..], pool),
            Self::Kept(kept) => {
                let rest = copy(&kept[used..], pool);
                pool.give(kept);
                rest
            }
        }
    }

    pub(super) fn give_back(self, pool: &mut BufferPool) {
        if let Self::Kept(kept) = self {
            pool.give(kept);
        }
    }
}

/// Storage with a copy of `rest` and nothing else.
fn copy(rest: &[u8], pool: &mut BufferPool) -> Vec<u8> {
    if rest.len() > POOLED_BYTES_MAX {
        return rest.to_vec();
    }
    let mut storage = pool.copy(rest);
    storage.truncate(rest.len());
    storage
}
