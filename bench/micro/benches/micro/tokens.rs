//! Tokens: the check of a request whose token is known to this core, the opening of one that is not, and minting.

use divan::{Bencher, black_box};
use narthex_bench::{KEYS, NOW, compiled, configuration, materials, token};
use narthex_policy::{CertificateFact, Facts, Outcome};
use narthex_proxy::measured::Bearers;
use narthex_snapshot::Live;
use narthex_token::cookie;

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

/// The whole check of a known token: found among the cookies, remembered, in force, its session known, let in by the policy.
/// Connections that ask again with the same cookies do not even do that.
#[divan::bench]
fn check_known(bencher: Bencher<'_, '_>) {
    let token = token(1);
    let live = Live::new(compiled(&materials(9000), &configuration(10)));
    live.sessions.insert(narthex_bench::session(&token));
    let snapshot = live.snapshot.load_full();
    let app = snapshot.app_by_aud(&token.aud).expect("an application");
    let jwt = KEYS.mint(&token);
    let field = format!("first=1; CF_Authorization={jwt}; last=2").into_bytes();
    let bearers = Bearers::new(1_000);
    assert!(bearers.open(&jwt, &KEYS, NOW).is_some());
    let check = || {
        let jwt = cookie::token_candidates([black_box(&field[..])]).next()?;
        let bearer = bearers.get(jwt).filter(|bearer| bearer.is_in_force(&live, NOW))?;
        let session = bearer.session(&live)?;
        let facts = Facts {
            ip: session.identity.ip,
            country: None,
            service_token: None,
            certificate: CertificateFact::Absent,
            person: bearer.person(Some(&session)),
        };
        Some(app.policies.after_login(&facts))
    };
    assert!(matches!(check(), Some(Outcome::Admit(_))));
    bencher.bench_local(check);
}
