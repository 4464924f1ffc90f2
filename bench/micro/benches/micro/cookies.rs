//! Cookies: the token found among them. What is written for an origin is a part of `headers`.

use divan::{Bencher, black_box};
use narthex_token::cookie;

/// A browser's `Cookie` field with the token among `others` other cookies.
fn field(others: usize) -> Vec<u8> {
    let token =
        format!("CF_Authorization={}.{}.{}", "e".repeat(60), "y".repeat(500), "s".repeat(342));
    let mut pairs: Vec<String> =
        (0..others).map(|n| format!("cookie{n}={}", "v".repeat(24))).collect();
    pairs.insert(others / 2, token);
    pairs.push("CF_AppSession=0123456789abcdef".to_owned());
    pairs.join("; ").into_bytes()
}

#[divan::bench(args = [0, 10, 40])]
fn find_token(bencher: Bencher<'_, '_>, others: usize) {
    let field = field(others);
    assert_eq!(cookie::token_candidates([&field[..]]).count(), 1);
    bencher.bench(|| cookie::token_candidates([black_box(&field[..])]).next().map(str::len));
}
