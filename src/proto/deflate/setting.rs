/// How sent messages are compressed. Connections with the same setting can get the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    pub(super) level: u8,
    pub(super) window: u8,
    pub(in crate::proto) min_size: usize,
}

impl Setting {
    /// Messages shorter than this are sent as they are.
    pub(crate) const fn min_size(self) -> usize {
        self.min_size
    }
}
