//! Ray IDs: one for every request, cheap and not guessable from one another.

use narthex_model::RayId;
use std::cell::Cell;

/// Makes the Ray IDs of one core.
pub(crate) struct Rays {
    keys: [u64; 2],
    count: Cell<u64>,
}

impl Rays {
    pub(crate) fn new() -> Self {
        let mut bytes = [[0; 8]; 2];
        for half in &mut bytes {
            aws_lc_rs::rand::fill(half).expect("the system's random generator answers");
        }
        Self { keys: bytes.map(u64::from_le_bytes), count: Cell::new(0) }
    }

    /// The next one. A counter goes through a keyed permutation, so that within 2⁶⁴ requests none comes twice.
    pub(crate) fn next(&self) -> RayId {
        self.count.set(self.count.get().wrapping_add(1));
        let [first, second] = self.keys;
        let number = mix(mix(self.count.get() ^ first).wrapping_add(second));
        let mut digits = [0; 16];
        for (place, digit) in digits.iter_mut().rev().enumerate() {
            let nibble = (number >> (4 * place)) & 15;
            *digit = b"0123456789abcdef"[usize::try_from(nibble).unwrap_or(0)];
        }
        let text = std::str::from_utf8(&digits).unwrap_or_default();
        text.parse().expect("sixteen lowercase hexadecimal digits")
    }
}

/// The finaliser of SplitMix64: a permutation of 64 bits that spreads every bit over all.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rays_differ_within_and_between_cores() {
        let (one, other) = (Rays::new(), Rays::new());
        let mut rays: Vec<String> = (0..1000).map(|_| one.next().as_str().to_owned()).collect();
        rays.push(other.next().as_str().to_owned());
        rays.sort_unstable();
        rays.dedup();
        assert_eq!(rays.len(), 1001);
        assert_eq!(mix(0x9e37_79b9_7f4a_7c15), 0xe220_a839_7b1d_cdaf); // SplitMix64's first output for seed 0
    }
}
