//! Inputs made from other inputs: at random, but the same for the same number.
//!
//! The damage is done to bytes, to words, to the members of a JSON document or to the elements of a DER structure, so
//! that what comes out is often well formed and reaches the code behind the first check.

mod der;
mod json;

pub(crate) use der::tlv;

use crate::Target;

/// Random numbers that begin with a given one (SplitMix64, <https://prng.di.unimi.it/splitmix64.c>).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence that this number stands for.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 when `end` is 0.
    pub fn below(&mut self, end: usize) -> usize {
        let end = end.max(1) as u64;
        usize::try_from(self.number() % end).unwrap()
    }

    /// Whether something of this chance in a hundred happens.
    pub fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    /// One of several.
    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }
}

/// Longer inputs are not made.
const LONGEST: usize = 64 * 1024;

/// Bytes that have a meaning in many languages.
const BYTES: &[u8] = b"\0\t\n\r \"#%&'()*+,-./09:;<=>?@AZ[\\]_az{|}~\x7f\x80\xc0\xff";

/// A new input: a seed with one to four damages.
#[must_use]
pub fn input(random: &mut Random, target: &Target, seeds: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut input = random.pick(seeds).1.clone();
    for _ in 0..=random.below(4) {
        input = match random.below(4) {
            0 | 1 => structured(random, target, &input),
            2 => words(random, target, input),
            _ => bytes(random, input, &random.clone().pick(seeds).1),
        };
        input.truncate(LONGEST);
    }
    input
}

/// Damages a document without breaking its form, if it has one that is known here.
fn structured(random: &mut Random, target: &Target, input: &[u8]) -> Vec<u8> {
    if let Some(damaged) = der::damage(random, input) {
        return damaged;
    }
    // A head of lines may stand before the document.
    let start = input.iter().position(|byte| matches!(byte, b'{' | b'[')).unwrap_or(input.len());
    let (head, document) = input.split_at(start);
    match json::damage(random, target.words, document) {
        Some(damaged) => [head, &damaged].concat(),
        None => words(random, target, input.to_vec()),
    }
}

/// Puts a word in, in place of nothing or of another piece of text.
fn words(random: &mut Random, target: &Target, mut input: Vec<u8>) -> Vec<u8> {
    if target.words.is_empty() {
        return bytes(random, input, &[]);
    }
    let word = random.pick(target.words).as_bytes();
    let at = border(random, &input);
    let end = if random.percent(50) {
        at
    } else {
        border(random, &input).clamp(at, at.saturating_add(24))
    };
    let end = end.clamp(at, input.len());
    input.splice(at..end, word.iter().copied());
    input
}

/// A place where a word ends or begins, or any place.
fn border(random: &mut Random, input: &[u8]) -> usize {
    let at = random.below(input.len() + 1);
    if random.percent(30) {
        return at;
    }
    let other = |pair: &[u8]| pair[0].is_ascii_alphanumeric() != pair[1].is_ascii_alphanumeric();
    let found = input.get(at..).and_then(|rest| rest.windows(2).position(other));
    found.map_or(at, |steps| at + steps + 1)
}

fn bytes(random: &mut Random, mut input: Vec<u8>, other: &[u8]) -> Vec<u8> {
    let at = random.below(input.len() + 1);
    let end = (at + 1 + random.below(8)).min(input.len());
    match random.below(7) {
        0 if at < input.len() => input[at] ^= 1 << random.below(8),
        1 if at < input.len() => input[at] = *random.pick(BYTES),
        2 => input.insert(at, *random.pick(BYTES)),
        3 => drop(input.drain(at.min(end)..end)),
        4 => {
            let copy = input[at.min(end)..end].to_vec();
            input.splice(at..at, copy);
        }
        5 => {
            let from = random.below(other.len());
            let to = (from + random.below(40)).min(other.len());
            input.splice(at..at, other[from.min(to)..to].iter().copied());
        }
        _ => {
            let copy = input[at..].to_vec();
            (0..random.below(12))
                .for_each(|_| input.extend_from_slice(&copy[..copy.len().min(400)]));
        }
    }
    input
}
