//! Randomness that is a function of a seed (splitmix64). Every consumer has a stream of its own, so that one that draws
//! more than before does not change what the others draw.
//!
//! Deliberately absent: the system's randomness, floating point.

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The stream of the consumer with that name.
    #[must_use]
    pub fn stream(seed: u64, consumer: &str) -> Self {
        let mut name = 0xcbf2_9ce4_8422_2325_u64;
        for byte in consumer.bytes() {
            name = (name ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        Self(Self(seed).draw() ^ name)
    }

    /// The next 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound.max(1)
    }

    /// An index into something of that length.
    pub fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).expect("invariant: below a usize")
    }

    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of them, if there is any.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.index(from.len()))
    }

    /// The `n`th of something that knows its length, if there is any: for maps, which have no index.
    pub fn nth<T>(&mut self, mut from: impl ExactSizeIterator<Item = T>) -> Option<T> {
        let at = self.index(from.len());
        from.nth(at)
    }

    /// A number whose size, not value, is even: as often below ten as between a thousand and ten thousand.
    pub fn spread(&mut self, decades: u64) -> u64 {
        let bound = 10_u64.pow(u32::try_from(self.below(decades) + 1).unwrap_or(1));
        self.below(bound)
    }
}
