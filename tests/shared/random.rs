//! The one source of random numbers in tests, simulations and fuzz targets. A seed decides
//! everything that is drawn.

/// `SplitMix64` (Steele, Lea and Flood, 2014).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The simulated network draws from the same seed: the constant makes the two differ.
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed ^ 0x5eed_a5ce_ed0f_7e57)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `count`; 0 if `count` is 0.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        (self.next() % count.max(1) as u64) as usize
    }

    /// A number from `least` to `most`.
    pub(crate) fn between(&mut self, least: usize, most: usize) -> usize {
        least + self.below(most - least + 1)
    }

    /// True in `chance` of a hundred cases.
    pub(crate) fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// A length up to `most`: mostly short, sometimes at a boundary of the frame format.
    pub(crate) fn len(&mut self, most: usize) -> usize {
        let drawn = match self.below(10) {
            0 => self.pick(&[0, 1, 125, 126, 127, 4095, 4096, 16_383, 16_384, 65_535, 65_536]),
            1..=6 => self.below(300),
            7 | 8 => self.below(9_000),
            _ => self.below(most + 1),
        };
        drawn.min(most)
    }

    /// Random bytes, `len` of them.
    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len + 8);
        while bytes.len() < len {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(len);
        bytes
    }

    /// Cuts `bytes` into up to `most` pieces.
    pub(crate) fn cut(&mut self, mut bytes: &[u8], most: usize) -> Vec<Vec<u8>> {
        let mut pieces = Vec::new();
        while pieces.len() + 1 < most && bytes.len() > 1 {
            let (piece, rest) = bytes.split_at(self.between(1, bytes.len() - 1));
            pieces.push(piece.to_vec());
            bytes = rest;
        }
        pieces.push(bytes.to_vec());
        pieces
    }
}
