//! What the seed decides in a workload, apart from what it decides in the network.

/// `SplitMix64` (Steele, Lea and Flood, 2014).
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed ^ 0x5eed_a5ce_ed0f_7e57)
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `count`, or 0.
    pub(super) fn below(&mut self, count: usize) -> usize {
        (self.next() % count.max(1) as u64) as usize
    }

    /// A number from `least` to `most`.
    pub(super) fn between(&mut self, least: usize, most: usize) -> usize {
        least + self.below(most - least + 1)
    }

    /// Whether something happens that happens in so many of a hundred cases.
    pub(super) fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    pub(super) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// A length up to `most`: mostly short, now and then at a boundary of the frame format.
    pub(super) fn len(&mut self, most: usize) -> usize {
        let drawn = match self.below(10) {
            0 => self.pick(&[0, 1, 125, 126, 127, 4095, 4096, 16_383, 16_384, 65_535, 65_536]),
            1..=6 => self.below(300),
            7 | 8 => self.below(9_000),
            _ => self.below(most + 1),
        };
        drawn.min(most)
    }

    pub(super) fn payload(&mut self, len: usize) -> Payload {
        if self.percent(40) {
            let first = self.below(26);
            let letters = (0..len).map(|at| b'a' + ((first + at * 7 + at / 26) % 26) as u8);
            return Payload::Text(String::from_utf8(letters.collect()).expect("letters"));
        }
        let mut bytes = Vec::with_capacity(len + 8);
        while bytes.len() < len {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(len);
        Payload::Binary(bytes)
    }

    /// Cuts `bytes` into up to `most` pieces.
    pub(super) fn cut(&mut self, mut bytes: &[u8], most: usize) -> Vec<Vec<u8>> {
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

/// A message that owns its payload.
pub(super) enum Payload {
    Text(String),
    Binary(Vec<u8>),
}

impl Payload {
    /// Makes it another than that of every other broadcast.
    pub(super) fn make_unique(&mut self, topic: eventwire::TopicId, number: u64) {
        let mark = format!("{topic:?} {number}");
        match self {
            Self::Text(text) => text.push_str(&mark),
            Self::Binary(bytes) => bytes.extend_from_slice(mark.as_bytes()),
        }
    }

    pub(super) fn message(&self) -> eventwire::Message<'_> {
        match self {
            Self::Text(text) => text.into(),
            Self::Binary(bytes) => bytes.into(),
        }
    }
}
