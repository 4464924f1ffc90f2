//! What is left in memory of a key that has been retired (security L8).
//!
//! The test looks through the memory of its own process, which Linux shows as a file. What it looks for it keeps only in a
//! disguise, or it would find itself.
#![cfg(target_os = "linux")]

use crate::gateway::Gateway;
use http::Method;
use narthex_token::OVERLAP_SECONDS;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;

/// Bytes to look for, in either order (big numbers lie in memory with their last byte first); inverted.
struct Needle {
    name: &'static str,
    forwards: Vec<u8>,
    backwards: Vec<u8>,
}

impl Needle {
    fn of(name: &'static str, secret: &[u8]) -> Self {
        let forwards: Vec<u8> = secret.iter().map(|byte| !byte).collect();
        let backwards = forwards.iter().rev().copied().collect();
        Self { name, forwards, backwards }
    }

    fn is_at(&self, memory: &[u8]) -> bool {
        let is = |hidden: &[u8]| {
            memory.len() >= hidden.len()
                && memory.iter().zip(hidden).all(|(byte, not)| *byte == !not)
        };
        is(&self.forwards) || is(&self.backwards)
    }
}

/// The private numbers in a PKCS #8 key of RSA-2048: the middle of the exponent d, and of the primes p and q.
fn private_numbers(pkcs8: &[u8]) -> [Needle; 3] {
    // RFC 8017 A.1.2: version, n, e, d, p, q and so on; each a DER INTEGER. Behind 26 bytes of wrapping (RFC 5208).
    let mut rest = &pkcs8[26..];
    assert_eq!(rest[0], 0x30, "a sequence");
    rest = &rest[4..];
    let mut integers = std::iter::from_fn(|| {
        let (length, head) = match rest.get(1)? {
            0x82 => (usize::from(rest[2]) << 8 | usize::from(rest[3]), 4),
            0x81 => (usize::from(rest[2]), 3),
            short => (usize::from(*short), 2),
        };
        let (integer, after) = rest[head..].split_at(length);
        rest = after;
        Some(integer)
    });
    let _version_n_e = [integers.next(), integers.next(), integers.next()];
    ["d", "p", "q"].map(|name| {
        let number = integers.next().unwrap();
        assert!(number.len() >= 128, "{name}");
        Needle::of(name, &number[40..80])
    })
}

/// The names of the needles that are somewhere in this process's memory.
fn found(needles: &[Needle]) -> Vec<&'static str> {
    const CHUNK: usize = 1 << 20;
    let memory = File::open("/proc/self/mem").unwrap();
    let mut first = [false; 256]; // whether a needle begins with this byte: one look for most of what is there
    for needle in needles {
        first[usize::from(!needle.forwards[0])] = true;
        first[usize::from(!needle.backwards[0])] = true;
    }
    let mut found = Vec::new();
    let mut chunk = vec![0; CHUNK + 64];
    for line in BufReader::new(File::open("/proc/self/maps").unwrap()).lines() {
        let line = line.unwrap();
        let mut parts = line.split_whitespace();
        let (range, rights) = (parts.next().unwrap(), parts.next().unwrap());
        let file = parts.nth(3).unwrap_or("");
        if !rights.starts_with("rw") || file.starts_with("[v") {
            continue;
        }
        let (from, to) = range.split_once('-').unwrap();
        let [mut at, end] = [from, to].map(|hex| u64::from_str_radix(hex, 16).unwrap());
        while at < end {
            // Where a mapping has gone meanwhile there is nothing to read.
            let Ok(read @ 1..) = memory.read_at(&mut chunk, at) else { break };
            for (start, byte) in chunk[..read].iter().enumerate() {
                if !first[usize::from(*byte)] {
                    continue;
                }
                for needle in needles {
                    if needle.is_at(&chunk[start..read]) && !found.contains(&needle.name) {
                        found.push(needle.name);
                    }
                }
            }
            at += CHUNK as u64;
        }
    }
    chunk.fill(0); // a copy of everything, the needles too
    found.sort_unstable();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn l8_a_retired_key_is_nowhere_in_memory() {
    let gateway = Gateway::new().await;
    gateway.desk.tick(gateway.clock.now()).await.unwrap();
    // The key that was made last is known to this gateway alone; the first one is shared by all tests.
    let kid = {
        gateway.clock.advance(60);
        gateway.result(Method::POST, "{A}/access/keys/rotate", "", 200).await;
        gateway.live.snapshot.load().keys.signer_kid().clone()
    };
    let needles = {
        let kept = gateway.store.load_keys().await.unwrap();
        private_numbers(&kept.iter().find(|key| key.kid == kid).unwrap().pkcs8)
    };
    let in_use = tokio::task::spawn_blocking(move || (found(&needles), needles));
    let (in_use, needles) = in_use.await.unwrap();
    assert_eq!(
        in_use,
        ["d", "p", "q"],
        "a key in use is found, or this test would find nothing ever"
    );

    gateway.clock.advance(60);
    gateway.result(Method::POST, "{A}/access/keys/rotate", "", 200).await;
    gateway.clock.advance(OVERLAP_SECONDS);
    gateway.desk.tick(gateway.clock.now()).await.unwrap();
    assert!(gateway.store.load_keys().await.unwrap().iter().all(|key| key.kid != kid), "retired");
    let left = tokio::task::spawn_blocking(move || found(&needles)).await.unwrap();
    assert!(left.is_empty(), "{left:?} of a retired key can still be read");
}
