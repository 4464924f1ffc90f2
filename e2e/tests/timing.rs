//! Whether the time of a comparison tells how much of a secret was guessed (security C13, L7): Welch's t-test over 100,000
//! samples of two kinds of guesses, one of them right in its first half, the other wrong from its first character. Of each
//! kind there are thousands: what a guess costs by itself (its hash has more or fewer small digits) is known to who makes it.
//!
//! A test suite must not hang on a clock, so these are asked for by name: `make timing`. They mean nothing without
//! optimization, and little on a machine that does something else meanwhile.

#![expect(clippy::unwrap_used, reason = "what fails here fails a test")]

use bytes::Bytes;
use http::{Request, StatusCode};
use narthex_api::{Api, ApiParts, Caller, Desk, Standing, sha256};
use narthex_idp::{Fence, PendingPin, Pin};
use narthex_model::{
    Account, AccountId, Clock, Configuration, MasterKey, Organization, Premises, RayId, Secret,
    SecretHash, UnixSeconds,
};
use narthex_snapshot::{Live, Materials, Snapshot};
use narthex_store::{Change, OwedRevocations, SqliteStore, Store};
use narthex_token::{Binding, KeyRing, PersonToken, SigningKey};
use serde_json::json;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

const SAMPLES: usize = 100_000;
const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

/// Beyond this a difference is no chance (security L7).
const SIGNIFICANT: f64 = 4.5;

/// Which kind of guess comes next; not in turns, so that whatever has a rhythm favours neither.
struct Coin {
    state: u64,
}

impl Coin {
    fn new() -> Self {
        Self { state: RandomState::new().build_hasher().finish() | 1 }
    }

    /// xorshift64 (Marsaglia, 2003): good enough for a shuffle.
    fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state >> 16
    }

    fn toss(&mut self) -> bool {
        self.next() % 2 == 1
    }
}

/// Count, mean and variance of durations in nanoseconds.
fn moments(samples: &[f64]) -> (f64, f64, f64) {
    let count = samples.len() as f64;
    let mean = samples.iter().sum::<f64>() / count;
    let variance =
        samples.iter().map(|sample| (sample - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (count, mean, variance)
}

/// Welch's t for what `attempt` takes with near guesses and with far ones. What an interruption has made long (the
/// slowest twentieth of all) is left out of both, as is the warm-up.
///
/// `guess` writes a guess of either kind to one and the same place before the clock starts: where it came from must not
/// count.
fn t(
    name: &str,
    mut guess: impl FnMut(bool, &mut String),
    mut attempt: impl FnMut(bool, &str),
) -> f64 {
    let mut guessed = String::with_capacity(128);
    for warm_up in 0..SAMPLES / 20 {
        guess(warm_up % 2 == 0, &mut guessed);
        attempt(warm_up % 2 == 0, &guessed);
    }
    let mut coin = Coin::new();
    let mut samples = [Vec::with_capacity(SAMPLES), Vec::with_capacity(SAMPLES)];
    while samples.iter().any(|kind| kind.len() < SAMPLES) {
        let near = coin.toss();
        guess(near, &mut guessed);
        let began = Instant::now();
        attempt(near, black_box(&guessed));
        let nanoseconds = began.elapsed().as_nanos() as f64;
        samples[usize::from(near)].push(nanoseconds);
    }
    let mut all = samples.concat();
    all.sort_by(f64::total_cmp);
    let longest = all[all.len() * 19 / 20];
    for kind in &mut samples {
        kind.retain(|sample| *sample <= longest);
    }
    let [(far_count, far, far_variance), (near_count, near, near_variance)] =
        [moments(&samples[0]), moments(&samples[1])];
    let t = (near - far) / (far_variance / far_count + near_variance / near_count).sqrt();
    println!("{name}: far {far:.2} ns, near {near:.2} ns, t = {t:.2}");
    t
}

/// Guesses of the secret's length: wrong from the first character on, and right in the first half.
struct Guesses {
    kinds: [Vec<String>; 2],
    at: usize,
}

impl Guesses {
    fn of(secret: &str) -> Self {
        let mut coin = Coin::new();
        let half = secret.len() / 2;
        let mut guess = |right: usize| {
            let mut guess = secret.as_bytes()[..right].to_vec();
            for known in &secret.as_bytes()[right..] {
                let digit = b'0' + u8::try_from(coin.next() % 10).unwrap();
                let wrong_at_once = guess.len() == right && digit == *known;
                guess.push(if wrong_at_once { b'0' + (digit - b'0' + 1) % 10 } else { digit });
            }
            String::from_utf8(guess).unwrap()
        };
        let kinds = [0, half].map(|right| (0..4096).map(|_| guess(right)).collect());
        Self { kinds, at: 0 }
    }

    /// Writes the next one of a kind.
    fn write(&mut self, near: bool, guess: &mut String) {
        self.at = (self.at + 1) % 4096;
        guess.clear();
        guess.push_str(&self.kinds[usize::from(near)][self.at]);
    }
}

fn assert_even(name: &str, t: f64) {
    assert!(t.abs() < SIGNIFICANT, "{name}: the time tells something, t = {t:.2}");
}

/// Without this, the silence of the others would say nothing.
#[test]
#[ignore = "measures time: make timing"]
fn a_comparison_that_stops_at_the_first_difference_is_seen() {
    let secret = Secret::random();
    let mut guesses = Guesses::of(secret.expose());
    let leaky =
        |guess: &str| guess.bytes().zip(secret.expose().bytes()).all(|(a, b)| black_box(a) == b);
    let t = t(
        "a comparison that leaks",
        |near, guess| guesses.write(near, guess),
        |_, guess| {
            black_box(leaky(guess));
        },
    );
    assert!(t > SIGNIFICANT, "t = {t:.2}");
}

#[test]
#[ignore = "measures time: make timing"]
fn l7_a_service_tokens_secret() {
    let secret = Secret::random();
    let (hash, mut guesses) = (SecretHash::of(secret.expose()), Guesses::of(secret.expose()));
    assert!(hash.matches(secret.expose()));
    let t = t(
        "the secret of a service token",
        |near, guess| guesses.write(near, guess),
        |_, guess| {
            assert!(!black_box(hash.matches(guess)));
        },
    );
    assert_even("the secret of a service token", t);
}

#[test]
#[ignore = "measures time: make timing"]
fn c13_l7_a_one_time_pin() {
    let pin = Pin::random();
    let pending = PendingPin::new(&pin, "handle", "ann@example.com".parse().unwrap(), NOW);
    let mut guesses = Guesses::of(pin.expose());
    assert!(pending.check("handle", pin.expose(), NOW).is_ok());
    let t = t(
        "a one-time PIN",
        |near, guess| guesses.write(near, guess),
        |_, guess| {
            assert!(black_box(pending.check("handle", guess, NOW)).is_err());
        },
    );
    assert_even("a one-time PIN", t);
}

/// An address that gets no mail costs what one with a mail costs (C13).
#[test]
#[ignore = "measures time: make timing"]
fn c13_a_pin_that_was_never_sent() {
    let kept = [
        PendingPin::decoy("handle", "eve@example.com".parse().unwrap(), NOW),
        PendingPin::new(&Pin::random(), "handle", "ann@example.com".parse().unwrap(), NOW),
    ];
    let t = t(
        "a PIN that was sent, and one that was not",
        |_, guess| guess.replace_range(.., "x"),
        |sent, guess| {
            assert!(black_box(kept[usize::from(sent)].check("handle", guess, NOW)).is_err());
        },
    );
    assert_even("a PIN that was sent, and one that was not", t);
}

#[test]
#[ignore = "measures time: make timing"]
fn l7_a_binding_cookie() {
    let binding = Binding::random();
    let token = PersonToken {
        aud: narthex_model::AudTag::random(),
        email: "ann@example.com".parse().unwrap(),
        sub: narthex_model::UserId::random(),
        identity_nonce: narthex_model::IdentityNonce::random(),
        country: None,
        custom: Default::default(),
        iat: NOW,
        exp: NOW.plus(60),
        binding: Some(binding.hash()),
    };
    let mut guesses = Guesses::of(binding.as_str());
    assert!(token.is_bound_to(Some(binding.as_str())));
    let t = t(
        "a binding cookie",
        |near, guess| guesses.write(near, guess),
        |_, guess| {
            assert!(!black_box(token.is_bound_to(Some(guess))));
        },
    );
    assert_even("a binding cookie", t);
}

/// Through the whole door of the API: the token of the settings, guessed near and far.
#[test]
#[ignore = "measures time: make timing"]
fn l7_the_administrators_token() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let secret = Secret::random();
    let (api, _directory) = runtime.block_on(api(secret.expose()));
    let caller = Caller { ip: "192.0.2.7".parse().unwrap(), ray: RayId::random() };
    let ask = |token: &str| {
        let request = Request::get("/client/v4/accounts");
        let request = request.header("authorization", format!("Bearer {token}"));
        let answer = api.answer(caller.clone(), request.body(Bytes::new()).unwrap());
        runtime.block_on(answer).status()
    };
    assert_eq!(ask(secret.expose()), StatusCode::OK);
    let mut guesses = Guesses::of(secret.expose());
    let t = t(
        "the administrator's token",
        |near, guess| guesses.write(near, guess),
        |_, guess| {
            assert_eq!(ask(guess), StatusCode::UNAUTHORIZED);
        },
    );
    assert_even("the administrator's token", t);
}

async fn api(token: &str) -> (Api, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let master = Arc::new(MasterKey::generate().0);
    let store = SqliteStore::open(&directory.path().join("narthex.db"), master).await.unwrap();
    let store: Arc<dyn Store> = Arc::new(store);
    let organization: Organization = serde_json::from_value(json!({
        "name": "acme", "auth_domain": "access.example.com", "aud": narthex_model::AudTag::random(),
        "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
    }))
    .unwrap();
    let configuration =
        Configuration { organization: Some(Arc::new(organization)), ..Default::default() };
    let (revision, empty) = store.load().await.unwrap();
    let first = narthex_api::by_itself("start", "make the organization", NOW);
    let changes = Change::between(&empty, &configuration);
    let revision = store.commit(revision, &changes, &first).await.unwrap();
    let team = "access.example.com".parse().unwrap();
    let key = Arc::new(SigningKey::generate(NOW, NOW));
    let keys = Arc::new(KeyRing::of(vec![key.clone()], &team, NOW).unwrap());
    let premises = Arc::new(Premises {
        account: Account { id: AccountId::random(), name: "acme".to_owned() },
        zones: Vec::new(),
        team,
        admin: None,
        ingress: Vec::new(),
    });
    let materials =
        Materials { premises, keys, countries: None, revocation_lists: Default::default() };
    let snapshot = Snapshot::compile(&materials, &configuration, revision).unwrap();
    let live = Arc::new(Live::new(snapshot));
    let standing = Standing { revision, configuration };
    let desk = Desk::new(live.clone(), store.clone(), materials, vec![key], standing);
    let (records, _later) = tokio::sync::mpsc::channel(1);
    let api = Api::new(ApiParts {
        live,
        most_entries: narthex_api::MOST_ENTRIES,
        revocations: Arc::new(OwedRevocations::to(store.clone())),
        records,
        store,
        desk: Arc::new(desk),
        clock: Clock::manual(NOW),
        fence: Fence::default(),
        bootstrap_token: Some(sha256(token)),
    });
    (api, directory)
}
