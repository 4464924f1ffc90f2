//! Tokens: minted, and opened for the first time, which is what a request costs whose token this core has not seen.

use divan::{Bencher, black_box};
use narthex_bench::{KEYS, NOW, token};

#[divan::bench]
fn mint(bencher: Bencher<'_, '_>) {
    let claims = token(1);
    bencher.bench(|| KEYS.mint_person(black_box(&claims)));
}

#[divan::bench]
fn open_unseen(bencher: Bencher<'_, '_>) {
    let jwt = KEYS.mint(&token(1));
    assert!(KEYS.open_any_app(&jwt, NOW).is_ok());
    bencher.bench(|| KEYS.open_any_app(black_box(&jwt), NOW).is_ok());
}

#[divan::bench]
fn refuse_forged(bencher: Bencher<'_, '_>) {
    let jwt = KEYS.mint(&token(1));
    let (message, signature) = jwt.rsplit_once('.').expect("a signature");
    let other = KEYS.mint(&token(1));
    let (_, others) = other.rsplit_once('.').expect("a signature");
    assert_ne!(signature, others);
    let forged = format!("{message}.{others}");
    assert!(KEYS.open_any_app(&forged, NOW).is_err());
    bencher.bench(|| KEYS.open_any_app(black_box(&forged), NOW).is_err());
}

#[divan::bench]
fn refuse_garbage(bencher: Bencher<'_, '_>) {
    let garbage = "a.b.c".repeat(180);
    assert!(KEYS.open_any_app(&garbage, NOW).is_err());
    bencher.bench(|| KEYS.open_any_app(black_box(&garbage), NOW).is_err());
}
