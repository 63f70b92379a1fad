//! Seeded randomness: the same seed gives the same numbers, on every machine and in every release.

use std::time::Duration;

use dgen_backend::env::Env;

/// The variable that replays a seeded test.
pub const SEED_VARIABLE: &str = "DGEN_SEED";

/// A generator of numbers that look random and follow from their seed.
///
/// The algorithm is SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators", OOPSLA 2014). It is written out here because a seed in a bug report must mean the
/// same run for years, and a dependency may change its algorithm in a minor release.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The generator that starts at `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`.
    ///
    /// # Panics
    /// If `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        assert!(bound > 0, "no number is below 0");
        // Not quite even, by less than one part in 2^32 for the bounds of a test.
        (self.next_u64() % bound as u64) as usize
    }

    /// True in `share` of all cases: 0.0 for never, 1.0 for always.
    pub fn chance(&mut self, share: f64) -> bool {
        // The upper 53 bits are a float from 0, included, to 1, excluded.
        ((self.next_u64() >> 11) as f64) < share * (1_u64 << 53) as f64
    }

    /// A random part of `max`.
    pub fn duration(&mut self, max: Duration) -> Duration {
        let nanos = u64::try_from(max.as_nanos()).unwrap_or(u64::MAX - 1);
        Duration::from_nanos(self.next_u64() % (nanos + 1))
    }

    /// A generator of its own, for another task.
    #[must_use]
    pub fn split(&mut self) -> Self {
        Self(self.next_u64())
    }

    /// Fills `buffer`.
    pub fn fill(&mut self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            chunk.copy_from_slice(&self.next_u64().to_le_bytes()[..chunk.len()]);
        }
    }
}

/// The seed of a run: the one in `DGEN_SEED`, decimal or `0x` and hexadecimal, else a new one.
///
/// # Panics
/// If `DGEN_SEED` is set and is no number.
#[must_use]
pub fn seed_from_env() -> u64 {
    let Ok(text) = std::env::var(SEED_VARIABLE) else {
        return u64::from_le_bytes(Env::system().random());
    };
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.unwrap_or_else(|error| panic!("{SEED_VARIABLE}={text} is no seed: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first numbers of the published algorithm from seed 1234567.
    #[test]
    fn a_seed_means_the_same_numbers_for_ever() {
        let mut random = Random::new(1_234_567);
        assert_eq!(random.next_u64(), 6_457_827_717_110_365_317);
        assert_eq!(random.next_u64(), 3_203_168_211_198_807_973);
        assert_eq!(random.next_u64(), 9_817_491_932_198_370_423);
    }

    #[test]
    fn chance_keeps_its_ends() {
        let mut random = Random::new(7);
        assert!((0..1_000).all(|_| !random.chance(0.0)));
        assert!((0..1_000).all(|_| random.chance(1.0)));
    }
}
