//! Tokens: minted, and opened for the first time, which is what a request costs whose token this core has not seen.

use divan::{Bencher, black_box};
use narthex_model::{AudTag, UnixSeconds, UserId};
use narthex_token::{KeyRing, PersonToken, SigningKey};
use std::sync::{Arc, LazyLock};

const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

static RING: LazyLock<KeyRing> = LazyLock::new(|| {
    let team = "access.example.com".parse().expect("a team domain");
    KeyRing::of(vec![Arc::new(SigningKey::generate(NOW, NOW))], &team, NOW).expect("a key ring")
});

fn person() -> PersonToken {
    PersonToken {
        aud: AudTag::random(),
        email: "ann@example.com".parse().expect("an address"),
        sub: UserId::random(),
        identity_nonce: narthex_model::IdentityNonce::random(),
        country: None,
        custom: serde_json::Map::new(),
        iat: NOW,
        exp: UnixSeconds(NOW.0 + 86_400),
        binding: None,
    }
}

#[divan::bench]
fn mint(bencher: Bencher<'_, '_>) {
    let claims = person();
    bencher.bench(|| RING.mint_person(black_box(&claims)));
}

#[divan::bench]
fn open_unseen(bencher: Bencher<'_, '_>) {
    let jwt = RING.mint(&person());
    assert!(RING.open_any_app(&jwt, NOW).is_ok());
    bencher.bench(|| RING.open_any_app(black_box(&jwt), NOW).is_ok());
}

#[divan::bench]
fn refuse_forged(bencher: Bencher<'_, '_>) {
    let jwt = RING.mint(&person());
    let (message, signature) = jwt.rsplit_once('.').expect("a signature");
    let other = RING.mint(&person());
    let (_, others) = other.rsplit_once('.').expect("a signature");
    assert_ne!(signature, others);
    let forged = format!("{message}.{others}");
    assert!(RING.open_any_app(&forged, NOW).is_err());
    bencher.bench(|| RING.open_any_app(black_box(&forged), NOW).is_err());
}

#[divan::bench]
fn refuse_garbage(bencher: Bencher<'_, '_>) {
    let garbage = "a.b.c".repeat(180);
    assert!(RING.open_any_app(&garbage, NOW).is_err());
    bencher.bench(|| RING.open_any_app(black_box(&garbage), NOW).is_err());
}
