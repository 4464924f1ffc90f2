//! An origin's keys: fetched once for however many ask, kept while the team domain is away, never fetched too often.

use crate::forge::{NOW, Team, aud, machine, person};
use async_trait::async_trait;
use http::{HeaderMap, HeaderValue};
use narthex_model::{AudTag, Clock, TeamDomain};
use narthex_token::origin::{
    FRESH_SECONDS, FetchCerts, FetchError, Refusal, SECONDS_AFTER_A_FAILURE,
    SECONDS_BETWEEN_FETCHES, Verifier,
};
use narthex_token::{AppToken, KeyRing, MAX_CERTS_BYTES, TokenError};
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::task::{Context, Poll, Waker};
use tokio::sync::Semaphore;

/// The team of these tests, and a second key of its own.
pub(crate) static TEAM: LazyLock<Team> = LazyLock::new(Team::new);
static NEXT: LazyLock<Team> = LazyLock::new(Team::new);

/// What the team domain does when it is asked for its keys.
#[derive(Clone)]
pub(crate) enum Answer {
    Certs(Vec<u8>),
    Down,
    Silent,
    Panic,
}

/// A team domain that does as it is told, and counts.
pub(crate) struct Script {
    answer: Mutex<Answer>,
    asked: AtomicUsize,
    /// A call waits for a permit, and gives it back.
    gate: Semaphore,
}

impl Script {
    pub(crate) fn answering(answer: Answer) -> Arc<Self> {
        let gate = Semaphore::new(1);
        Arc::new(Self { answer: Mutex::new(answer), asked: AtomicUsize::new(0), gate })
    }

    pub(crate) fn publishing(teams: &[&Team]) -> Arc<Self> {
        Self::answering(certs(teams))
    }

    fn now_answers(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    /// How often it was asked since the last time.
    pub(crate) fn asked(&self) -> usize {
        self.asked.swap(0, Ordering::SeqCst)
    }
}

/// The document with the keys of all these.
fn certs(teams: &[&Team]) -> Answer {
    let keys = teams.iter().map(|team| Arc::clone(&team.key)).collect();
    let ring = KeyRing::of(keys, &teams[0].domain, NOW).unwrap();
    Answer::Certs(ring.certs_json().into())
}

pub(crate) struct Source(pub(crate) Arc<Script>);

#[async_trait]
impl FetchCerts for Source {
    async fn fetch(&self) -> Result<Vec<u8>, FetchError> {
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        let _permit = self.0.gate.acquire().await.unwrap();
        let answer = self.0.answer.lock().unwrap().clone();
        match answer {
            Answer::Certs(body) => Ok(body),
            Answer::Down => Err(FetchError::Unreachable("connection refused".to_owned())),
            Answer::Silent => std::future::pending().await,
            Answer::Panic => panic!("as the script wants it"),
        }
    }
}

pub(crate) fn verifier(script: &Arc<Script>) -> (Verifier, Clock) {
    let clock = Clock::manual(NOW);
    let verifier =
        Verifier::at(clock.clone(), TEAM.domain.clone(), aud(), Source(Arc::clone(script)));
    (verifier, clock)
}

pub(crate) fn with_header(jwt: &str) -> HeaderMap {
    let value = HeaderValue::from_bytes(jwt.as_bytes()).unwrap();
    [(http::HeaderName::from_static("cf-access-jwt-assertion"), value)].into_iter().collect()
}

/// A token of this team that outlives these tests.
fn token(team: &Team) -> HeaderMap {
    let mut token = person();
    token.exp = NOW.plus(1_000_000);
    with_header(&team.ring.mint(&token))
}

/// A token signed by a key that nobody has published; each time another key.
fn stranger(number: usize) -> HeaderMap {
    let kid = format!("{number:064x}");
    let header = TEAM.header().replace(TEAM.key.kid().as_str(), &kid);
    let signed = TEAM.ring.mint(&person());
    let rest = signed.split_once('.').unwrap().1;
    with_header(&format!("{}.{rest}", crate::forge::encode(header)))
}

fn unknown(verdict: &Result<AppToken, Refusal>) -> bool {
    matches!(verdict, Err(Refusal::Token(TokenError::UnknownKey { .. })))
}

/// Lets a fetch that was begun beside a request come to its end.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn keys_are_fetched_once_and_kept() {
    let script = Script::publishing(&[&TEAM]);
    let (verifier, clock) = verifier(&script);
    assert!(verifier.verify(&HeaderMap::new()).await.is_err());
    assert!(verifier.verify(&with_header("a.b.c")).await.is_err());
    assert_eq!(script.asked(), 0, "what names no key needs none");
    let machine = with_header(&TEAM.ring.mint(&machine()));
    for _ in 0..3 {
        assert!(matches!(verifier.verify(&token(&TEAM)).await, Ok(AppToken::Person(_))));
        assert!(matches!(verifier.verify(&machine).await, Ok(AppToken::Machine(_))));
    }
    clock.advance(FRESH_SECONDS - 1);
    assert!(verifier.verify(&token(&TEAM)).await.is_ok());
    settle().await;
    assert_eq!(script.asked(), 1);
    assert!(verifier.clone().verify(&token(&TEAM)).await.is_ok(), "a clone shares the keys");
    assert_eq!(script.asked(), 0);
}

#[tokio::test]
async fn a_new_key_is_found_and_the_old_one_stays_good() {
    let script = Script::publishing(&[&TEAM]);
    let (verifier, clock) = verifier(&script);
    assert!(verifier.verify(&token(&TEAM)).await.is_ok());
    script.now_answers(certs(&[&NEXT, &TEAM]));
    clock.advance(SECONDS_BETWEEN_FETCHES - 1);
    assert!(unknown(&verifier.verify(&token(&NEXT)).await), "too soon to ask again");
    assert_eq!(script.asked(), 1);
    clock.advance(1);
    assert!(verifier.verify(&token(&TEAM)).await.is_ok());
    assert_eq!(script.asked(), 0, "the old key is no reason to ask");
    assert!(verifier.verify(&token(&NEXT)).await.is_ok());
    assert!(verifier.verify(&token(&TEAM)).await.is_ok());
    assert_eq!(script.asked(), 1);
}

#[tokio::test]
async fn a_withdrawn_key_goes_when_the_keys_have_grown_old() {
    let script = Script::publishing(&[&TEAM, &NEXT]);
    let (verifier, clock) = verifier(&script);
    assert!(verifier.verify(&token(&TEAM)).await.is_ok());
    script.now_answers(certs(&[&NEXT]));
    clock.advance(FRESH_SECONDS - 1);
    assert!(verifier.verify(&token(&NEXT)).await.is_ok());
    settle().await;
    assert_eq!(script.asked(), 1);
    clock.advance(1);
    assert!(verifier.verify(&token(&NEXT)).await.is_ok(), "who finds them old does not wait");
    settle().await;
    assert_eq!(script.asked(), 1);
    assert!(unknown(&verifier.verify(&token(&TEAM)).await));
    assert!(verifier.verify(&token(&NEXT)).await.is_ok());
    assert_eq!(script.asked(), 0);
}

/// Begins to verify, as far as it goes without waiting.
fn begun(future: &mut (impl Future + Unpin)) -> bool {
    matches!(pin!(future).poll(&mut Context::from_waker(Waker::noop())), Poll::Pending)
}

#[tokio::test]
async fn a_flood_of_unknown_keys_is_one_fetch_for_each_interval() {
    let script = Script::publishing(&[&TEAM]);
    let (verifier, clock) = verifier(&script);
    for round in 0..3 {
        let closed = script.gate.acquire().await.unwrap();
        let headers: Vec<HeaderMap> = (0..1000).map(|at| stranger(round * 1000 + at)).collect();
        let mut waiting: Vec<_> =
            headers.iter().map(|one| Box::pin(verifier.verify(one))).collect();
        assert!(waiting.iter_mut().all(begun), "all wait for the one fetch");
        settle().await;
        assert_eq!(script.asked(), 1, "round {round}");
        drop(closed);
        for one in waiting {
            assert!(unknown(&one.await));
        }
        for at in 0..1000 {
            assert!(unknown(&verifier.verify(&stranger(at)).await));
        }
        assert!(verifier.verify(&token(&TEAM)).await.is_ok());
        assert_eq!(script.asked(), 0, "and none until the interval is over");
        clock.advance(SECONDS_BETWEEN_FETCHES);
    }
}

#[tokio::test]
async fn who_waits_for_a_key_gets_it_from_a_fetch_that_another_began() {
    let script = Script::publishing(&[&TEAM]);
    let (verifier, _) = verifier(&script);
    let closed = script.gate.acquire().await.unwrap();
    let good = token(&TEAM);
    let (stranger, mut first) = (stranger(1), Box::pin(verifier.verify(&good)));
    assert!(begun(&mut first));
    let mut second = Box::pin(verifier.verify(&stranger));
    let mut third = Box::pin(verifier.verify(&good));
    assert!(begun(&mut second) && begun(&mut third));
    drop(first); // its client hangs up
    drop(closed);
    assert!(unknown(&second.await));
    assert!(third.await.is_ok());
    assert_eq!(script.asked(), 1, "the fetch outlived the request that began it");
}

#[tokio::test]
async fn without_keys_nobody_enters_until_the_team_domain_is_back() {
    for down in [
        Answer::Down,
        Answer::Panic,
        Answer::Certs(b"<html>".to_vec()),
        Answer::Certs(br#"{"keys":[]}"#.to_vec()),
        Answer::Certs(vec![b' '; MAX_CERTS_BYTES + 1]),
    ] {
        let script = Script::answering(down);
        let (verifier, clock) = verifier(&script);
        for _ in 0..3 {
            assert_eq!(verifier.verify(&token(&TEAM)).await, Err(Refusal::NoKeys));
        }
        clock.advance(SECONDS_AFTER_A_FAILURE - 1);
        script.now_answers(certs(&[&TEAM]));
        assert_eq!(verifier.verify(&token(&TEAM)).await, Err(Refusal::NoKeys));
        assert_eq!(script.asked(), 1, "it is left in peace for a moment");
        clock.advance(1);
        assert!(verifier.verify(&token(&TEAM)).await.is_ok());
        assert_eq!(script.asked(), 1);
    }
}

#[tokio::test]
async fn keys_that_are_known_stay_while_the_team_domain_is_away() {
    let script = Script::publishing(&[&TEAM]);
    let (verifier, clock) = verifier(&script);
    assert!(verifier.verify(&token(&TEAM)).await.is_ok());
    script.now_answers(Answer::Down);
    for _ in 0..5 {
        clock.advance(FRESH_SECONDS * 20);
        script.asked();
        assert!(verifier.verify(&token(&TEAM)).await.is_ok());
        assert_eq!(verifier.verify(&token(&NEXT)).await, Err(Refusal::NoKeys), "who knows");
        assert_eq!(script.asked(), 1, "the two shared one attempt");
    }
    script.now_answers(certs(&[&NEXT, &TEAM]));
    clock.advance(SECONDS_AFTER_A_FAILURE);
    assert!(verifier.verify(&token(&NEXT)).await.is_ok());
    assert!(verifier.verify(&token(&TEAM)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_team_domain_that_says_nothing_is_not_waited_for_longer_than_the_limit() {
    let script = Script::answering(Answer::Silent);
    let (verifier, clock) = verifier(&script);
    let before = tokio::time::Instant::now();
    assert_eq!(verifier.verify(&token(&TEAM)).await, Err(Refusal::NoKeys));
    assert_eq!(before.elapsed().as_secs(), narthex_token::origin::FETCH_SECONDS);
    script.now_answers(certs(&[&TEAM]));
    clock.advance(SECONDS_AFTER_A_FAILURE);
    assert!(verifier.verify(&token(&TEAM)).await.is_ok());
}

#[tokio::test]
async fn a_clock_that_is_set_back_holds_nothing_up() {
    let script = Script::publishing(&[&TEAM]);
    let (verifier, clock) = verifier(&script);
    assert!(verifier.verify(&token(&TEAM)).await.is_ok());
    script.now_answers(certs(&[&NEXT, &TEAM]));
    clock.advance(-30); // tokens may come from a minute ahead
    assert!(verifier.verify(&token(&NEXT)).await.is_ok());
    assert_eq!(script.asked(), 2);
}

#[tokio::test]
async fn another_team_and_another_application_are_not_this_one() {
    let other: TeamDomain = "access.example.org".parse().unwrap();
    let foreign: AudTag = crate::forge::kid('f').as_str().parse().unwrap();
    for (name, domain, audience, want) in [
        ("ours", &TEAM.domain, aud(), Ok(())),
        ("another team with our keys", &other, aud(), Err(TokenError::Issuer)),
        ("another application", &TEAM.domain, foreign.clone(), Err(TokenError::Audience)),
    ] {
        let source = Source(Script::publishing(&[&TEAM]));
        let verifier = Verifier::at(Clock::manual(NOW), domain.clone(), audience, source);
        let verdict = verifier.verify(&token(&TEAM)).await.map(drop);
        assert_eq!(verdict, want.map_err(Refusal::Token), "{name}");
        assert_eq!(
            verifier.or_for(aud()).verify(&token(&TEAM)).await.is_ok(),
            *domain == TEAM.domain,
            "{name}, and ours too"
        );
    }
}
