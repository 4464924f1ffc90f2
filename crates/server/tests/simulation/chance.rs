//! Random numbers that are the same for the same seed (SplitMix64, <https://prng.di.unimi.it/splitmix64.c>).

pub(crate) struct Chance(std::cell::Cell<u64>);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(std::cell::Cell::new(seed))
    }

    /// A number below `end`.
    pub(crate) fn below(&self, end: usize) -> usize {
        self.0.set(self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        let mut mixed = self.0.get();
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % end.max(1) as u64).unwrap()
    }

    pub(crate) fn percent(&self, chance: usize) -> bool {
        self.below(100) < chance
    }
}
