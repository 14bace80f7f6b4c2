//! Random changes of bytes, for machines without a fuzzer: what `cargo test` has in place of libFuzzer.

/// Numbers at which things change.
const EDGES: &[u8] = &[0, 1, 2, 12, 28, 41, 63, 64, 0x7f, 0x80, 0xc0, 0xff];

/// The most changes of one input.
const CHANGES: usize = 6;

/// Makes new inputs of old ones; the same seed makes the same ones.
pub struct Mutator {
    /// The inputs to begin with.
    corpus: Vec<Vec<u8>>,
    /// The longest input. Unit: bytes.
    longest: usize,
    /// Choices.
    rng: fastrand::Rng,
}

impl Mutator {
    /// A mutator of these inputs.
    #[must_use]
    pub fn new(corpus: Vec<Vec<u8>>, longest: usize, seed: u64) -> Self {
        Self { corpus, longest, rng: fastrand::Rng::with_seed(seed) }
    }

    /// A new input.
    #[must_use]
    pub fn mutant(&mut self) -> Vec<u8> {
        let mut bytes = self.pick();
        for _ in 0..self.rng.usize(1..=CHANGES) {
            self.change(&mut bytes);
        }
        bytes.truncate(self.longest);
        bytes
    }

    /// One of the inputs to begin with.
    fn pick(&mut self) -> Vec<u8> {
        self.rng.choice(&self.corpus).cloned().unwrap_or_default()
    }

    /// A place in bytes, their end included.
    fn place(&mut self, bytes: &[u8]) -> usize {
        self.rng.usize(..=bytes.len())
    }

    /// A stretch of bytes.
    fn stretch(&mut self, bytes: &[u8]) -> std::ops::Range<usize> {
        let from = self.place(bytes);
        let length = self.rng.usize(..=(bytes.len() - from).min(32));
        from..from + length
    }

    /// One change.
    fn change(&mut self, bytes: &mut Vec<u8>) {
        let at = self.place(bytes);
        match self.rng.u8(..9) {
            0 | 1 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << self.rng.u8(..8);
                }
            }
            2 => {
                let edge = self.rng.choice(EDGES).copied().unwrap_or_default();
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = edge;
                }
            }
            3 => bytes.insert(at, self.rng.u8(..)),
            4 => {
                let stretch = self.stretch(bytes);
                bytes.drain(stretch);
            }
            5 => {
                let stretch = self.stretch(bytes);
                let copy = bytes.get(stretch).unwrap_or_default().to_vec();
                bytes.splice(at..at, copy);
            }
            6 => {
                // The front of this one and the end of another.
                let other = self.pick();
                let from = self.place(&other);
                bytes.truncate(at);
                bytes.extend_from_slice(other.get(from..).unwrap_or_default());
            }
            7 => bytes.truncate(at),
            _ => {
                let other = self.pick();
                let stretch = self.stretch(&other);
                bytes.splice(at..at, other.get(stretch).unwrap_or_default().iter().copied());
            }
        }
    }
}
