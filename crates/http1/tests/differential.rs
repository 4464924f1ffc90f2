//! The same answers, read by this crate and by hyper's client: whatever we accept, hyper reads in the same way.
//! The reverse does not hold: hyper is more lenient with lengths.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

mod reading;

use http::Method;
use proptest::prelude::*;
use reading::{compare, ours};

const ANSWERS: &[&str] = &[
    "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n3;a=b\r\nyou\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: a\r\n\r\n5\r\nhello\r\n0\r\na: b\r\n\r\n",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
    "HTTP/1.1 204 No Content\r\ndate: now\r\n\r\n",
    "HTTP/1.1 304 Not Modified\r\ncontent-length: 3\r\n\r\n",
    "HTTP/1.1 200 OK\r\nset-cookie: a=b\r\nset-cookie: c=d\r\n\r\nuntil the end",
    "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi",
];

#[test]
fn sound_answers_are_read_by_both() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for sent in ANSWERS {
        for step in [1, 3, 1000] {
            let read = runtime.block_on(ours(&Method::GET, sent.as_bytes(), step));
            read.expect(sent);
            compare(&Method::GET, sent.as_bytes(), step);
        }
    }
}

/// Changes to a sound answer: what a byte becomes, what is put in, what is left out.
#[derive(Clone, Debug)]
enum Damage {
    Byte(u8),
    Insert(&'static str),
    Remove(usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let inserts = [
        "\r\n",
        "\n",
        "\r",
        " ",
        "\t",
        "\0",
        ":",
        ";",
        "0",
        "5",
        "f",
        "+",
        "-",
        "\u{e9}",
        "content-length: 5\r\n",
        "content-length: 6\r\n",
        "transfer-encoding: chunked\r\n",
        "connection: close\r\n",
        "\r\n ",
        ", 5",
        "HTTP/1.1 103 \r\n\r\n",
        "0\r\n\r\n",
    ];
    prop_oneof![
        any::<u8>().prop_map(Damage::Byte),
        prop::sample::select(inserts.to_vec()).prop_map(Damage::Insert),
        (1_usize..9).prop_map(Damage::Remove),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn damaged_answers_are_never_read_otherwise_than_by_hyper(
        which in 0..ANSWERS.len(),
        damages in prop::collection::vec((any::<prop::sample::Index>(), damage()), 1..4),
        head in any::<bool>(),
        step in 1_usize..60,
    ) {
        let mut sent = ANSWERS[which].as_bytes().to_vec();
        for (at, damage) in damages {
            let at = at.index(sent.len().max(1)).min(sent.len());
            match damage {
                Damage::Byte(byte) => if let Some(old) = sent.get_mut(at) { *old = byte },
                Damage::Insert(text) => { sent.splice(at..at, text.bytes()); }
                Damage::Remove(count) => { sent.drain(at..(at + count).min(sent.len())); }
            }
        }
        let method = if head { Method::HEAD } else { Method::GET };
        compare(&method, &sent, step);
    }
}
