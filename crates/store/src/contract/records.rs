//! Access records and traffic.

use super::samples::{APP, email, record};
use super::{NOW, at_once};
use crate::{
    Direction, EmailMatch, Intact, Is, RecordFilter, SpillMark, Store, StoreError, Term,
    TrafficFilter,
};
use narthex_model::{
    AccessRecord, Action, AppId, ClientId, PolicyId, RayId, Timestamp, TrafficCount, TrafficKey,
    UserId, Verdict,
};
use std::sync::Arc;

fn app() -> AppId {
    APP.parse().expect("the sample is valid")
}

/// A login, a refusal of somebody else, a robot and a logout, in this order.
fn story() -> [AccessRecord; 4] {
    let login = AccessRecord { user: Some(UserId::random()), ..record(NOW) };
    let refusal = AccessRecord {
        action: Action::Request,
        verdict: Verdict::Refused,
        app: Some(AppId::random()),
        user_email: Some(email("mallory_x@example.net")),
        country: "DE".parse().ok(),
        connection: "onetimepin".to_owned(),
        ..record(NOW.plus(1))
    };
    let robot = AccessRecord {
        action: Action::FirstUse,
        user_email: None,
        service_token: Some(ClientId::random()),
        connection: "nonidentity".to_owned(),
        country: None,
        ..record(NOW.plus(2))
    };
    let logout = AccessRecord { action: Action::Logout, app: None, ..record(NOW.plus(2)) };
    [login, refusal, robot, logout]
}

pub(super) async fn records_are_found_by_every_filter(store: &dyn Store) -> Result<(), StoreError> {
    store.append_records(&[]).await?;
    let story = story();
    store.append_records(&story[..1]).await?;
    store.append_records(&story[1..]).await?;
    let all = RecordFilter { direction: Direction::Asc, ..RecordFilter::default() };
    let text = |raw: &str| raw.to_owned();
    let user = story[0].user.expect("the first has one");
    let ray = story[1].ray_id.clone();
    let robot = story[2].service_token.clone();
    let country = |raw: &str| raw.parse().expect("the sample is valid");
    let cases: Vec<(RecordFilter, &[usize])> = vec![
        (all.clone(), &[0, 1, 2, 3]),
        (RecordFilter::default(), &[3, 2, 1, 0]),
        (RecordFilter { since: Some(NOW.plus(1)), ..all.clone() }, &[1, 2, 3]),
        (RecordFilter { until: Some(NOW.plus(1)), ..all.clone() }, &[0, 1]),
        (RecordFilter { limit: 2, ..all.clone() }, &[0, 1]),
        (RecordFilter { limit: 2, offset: 3, ..all.clone() }, &[3]),
        (RecordFilter { offset: 4, ..all.clone() }, &[]),
        (RecordFilter { allowed: Some(false), ..all.clone() }, &[1]),
        (RecordFilter { allowed: Some(true), ..all.clone() }, &[0, 2, 3]),
        (
            RecordFilter { email: Some(EmailMatch::Exact(text("AOI@example.com"))), ..all.clone() },
            &[0, 3],
        ),
        (RecordFilter { email: Some(EmailMatch::Exact(text("example.com"))), ..all.clone() }, &[]),
        (
            RecordFilter {
                email: Some(EmailMatch::NotExact(text("aoi@example.com"))),
                ..all.clone()
            },
            &[1, 2],
        ),
        (
            RecordFilter { email: Some(EmailMatch::Contains(text("@Example.net"))), ..all.clone() },
            &[1],
        ),
        (RecordFilter { email: Some(EmailMatch::Contains(text("mallory%"))), ..all.clone() }, &[]),
        (RecordFilter { email: Some(EmailMatch::Contains(text("y_x"))), ..all.clone() }, &[1]),
        (RecordFilter { email: Some(EmailMatch::Contains(text("o_@"))), ..all.clone() }, &[]),
        (
            RecordFilter { email: Some(EmailMatch::NotContains(text("example"))), ..all.clone() },
            &[2],
        ),
        (RecordFilter { app: Some(Is::Equal(app())), ..all.clone() }, &[0, 2]),
        (RecordFilter { app: Some(Is::Not(app())), ..all.clone() }, &[1, 3]),
        (RecordFilter { ray_id: Some(Is::Equal(ray.clone())), ..all.clone() }, &[1]),
        (RecordFilter { ray_id: Some(Is::Not(ray)), ..all.clone() }, &[0, 2, 3]),
        (RecordFilter { ray_id: Some(Is::Equal(RayId::random())), ..all.clone() }, &[]),
        (RecordFilter { user: Some(Is::Equal(user)), ..all.clone() }, &[0]),
        (RecordFilter { user: Some(Is::Not(user)), ..all.clone() }, &[1, 2, 3]),
        (RecordFilter { service_token: robot, ..all.clone() }, &[2]),
        (RecordFilter { country: Some(Is::Equal(country("JP"))), ..all.clone() }, &[0, 3]),
        (RecordFilter { country: Some(Is::Not(country("JP"))), ..all.clone() }, &[1, 2]),
        (RecordFilter { idp: Some(Is::Equal(text("onetimepin"))), ..all.clone() }, &[1]),
        (RecordFilter { idp: Some(Is::Not(text("oidc"))), ..all.clone() }, &[1, 2]),
        (RecordFilter { non_identity: Some(true), ..all.clone() }, &[2]),
        (RecordFilter { non_identity: Some(false), ..all.clone() }, &[0, 1, 3]),
        (RecordFilter { actions: vec![Action::Login, Action::Logout], ..all.clone() }, &[0, 3]),
        (RecordFilter { actions: vec![Action::Revoke], ..all.clone() }, &[]),
        (RecordFilter { actions: vec![Action::Login], allowed: Some(false), ..all.clone() }, &[]),
    ];
    for (filter, want) in cases {
        let whole = RecordFilter { limit: 100, offset: 0, ..filter.clone() };
        let number = store.records(&whole).await?.len() as u64;
        assert_eq!(store.number_of_records(&filter).await?, number, "{filter:?}");
        let want: Vec<_> = want.iter().map(|&n| story[n].clone()).collect();
        assert_eq!(store.records(&filter).await?, want, "{filter:?}");
    }
    Ok(())
}

pub(super) async fn spilled_records_come_with_their_mark(
    store: &dyn Store,
) -> Result<(), StoreError> {
    assert_eq!(store.spill_mark().await?, None);
    let Intact::Yes(before) = store.verify_audit().await? else { panic!("broken") };
    let spilled = [record(NOW.plus(60)), record(NOW.plus(61))];
    for (file, lines) in [("one", 2), ("two", 1), ("two", 7)] {
        let mark = SpillMark { file: file.to_owned(), lines };
        store.append_spilled(&spilled, &mark).await?;
        assert_eq!(store.spill_mark().await?, Some(mark));
    }
    let mark = SpillMark { file: "two".to_owned(), lines: 9 };
    store.append_spilled(&[], &mark).await?; // lines that could not be read
    assert_eq!(store.spill_mark().await?, Some(mark));
    assert_eq!(store.verify_audit().await?, Intact::Yes(before + 6));
    Ok(())
}

pub(super) async fn traffic_adds_up_by_the_hour(store: &dyn Store) -> Result<(), StoreError> {
    let hour = NOW.plus(-800); // 22:00:00
    let key = |caller: &str, policy| TrafficKey {
        app: app(),
        caller: caller.to_owned(),
        policy,
        network: "203.0.113.0/24".to_owned(),
        country: "JP".parse().ok(),
    };
    let count = |key: &TrafficKey, requests, first, last| TrafficCount {
        key: key.clone(),
        requests,
        first: Timestamp(hour.plus(first)),
        last: Timestamp(hour.plus(last)),
    };
    let (one, bypass) = (key("one", Some(PolicyId::random())), key("", None));
    store.fold_traffic(&[]).await?;
    store.fold_traffic(&[count(&one, 3, 60, 90), count(&bypass, 1, 70, 70)]).await?;
    store.fold_traffic(&[count(&one, 4, 120, 150), count(&one, 2, 30, 100)]).await?;
    store.fold_traffic(&[count(&one, 5, 3_590, 3_601)]).await?;
    let next = count(&one, 5, 3_590, 3_601);
    let (first, other) = (count(&one, 9, 30, 150), count(&bypass, 1, 70, 70));
    let all = TrafficFilter::default();
    for (filter, want) in [
        (all.clone(), vec![next.clone(), other.clone(), first.clone()]),
        (TrafficFilter { since: Some(hour.plus(3_700)), ..all.clone() }, vec![next.clone()]),
        (TrafficFilter { until: Some(hour), ..all.clone() }, vec![other.clone(), first.clone()]),
        (TrafficFilter { caller: Some(String::new()), ..all.clone() }, vec![other.clone()]),
        (TrafficFilter { app: Some(AppId::random()), ..all.clone() }, vec![]),
        (TrafficFilter { limit: Some(1), offset: 1, ..all }, vec![other]),
    ] {
        assert_eq!(store.traffic(&filter).await?, want, "{filter:?}");
    }
    Ok(())
}

pub(super) async fn the_last_use_of_a_service_token_is_noted(
    store: &dyn Store,
) -> Result<(), StoreError> {
    let (robot, other) = (ClientId::random(), ClientId::random());
    let person = UserId::random().to_string();
    let count = |caller: &str, last| TrafficCount {
        key: TrafficKey {
            app: AppId::random(),
            caller: caller.to_owned(),
            policy: None,
            network: String::new(),
            country: None,
        },
        requests: 1,
        first: Timestamp(NOW),
        last: Timestamp(NOW.plus(last)),
    };
    let robot_at = |last| count(robot.as_str(), last);
    store.fold_traffic(&[robot_at(70), robot_at(60), count(&person, 80), count("", 90)]).await?;
    store.fold_traffic(&[robot_at(50), count(other.as_str(), 10)]).await?;
    let at = |last| Timestamp(NOW.plus(last));
    let want = [(robot, at(70)), (other.clone(), at(10))].into_iter().collect();
    assert_eq!(store.service_tokens_seen().await?, want, "the latest of each, and no person");
    let kept = [other.clone(), ClientId::random()].into_iter().collect();
    assert_eq!(store.forget_service_tokens_seen(&kept).await?, 1);
    let want = [(other, at(10))].into_iter().collect();
    assert_eq!(store.service_tokens_seen().await?, want);
    assert_eq!(store.forget_service_tokens_seen(&kept).await?, 0);
    Ok(())
}

/// Empties the store of its records.
pub(super) async fn what_is_old_is_forgotten_from_the_beginning(
    store: &dyn Store,
) -> Result<(), StoreError> {
    let Intact::Yes(before) = store.verify_audit().await? else { panic!("broken") };
    let at = |seconds: i64| NOW.plus(10_000 + seconds);
    // Written in this order: one under a clock that was wrong, and one that had been spilled.
    for seconds in [0, 10, 9_999_999, 20, 15, 30] {
        store.append_records(&[record(at(seconds))]).await?;
    }
    let term = |before| Term { before: at(before), now: at(1_000) };
    let all =
        RecordFilter { since: Some(at(0)), direction: Direction::Asc, ..RecordFilter::default() };
    let left = async || -> Result<Vec<i64>, StoreError> {
        let records = store.records(&RecordFilter { limit: 100, ..all.clone() }).await?;
        Ok(records.iter().map(|record| record.created_at.0.since(at(0))).collect())
    };
    while store.prune_records(term(0), 3).await? > 0 {}
    assert_eq!(left().await?, [0, 10, 15, 20, 30, 9_999_999], "what is younger stays");
    assert_eq!(store.traffic(&TrafficFilter::default()).await?, [], "whole hours of traffic went");
    assert_eq!(store.prune_records(term(11), 2).await?, 2, "at most so many");
    assert_eq!(store.prune_records(term(11), 2).await?, 1, "the wrong clock keeps nothing");
    assert_eq!(store.prune_records(term(11), 2).await?, 0);
    assert_eq!(left().await?, [15, 20, 30]);
    let Intact::Yes(after) = store.verify_audit().await? else { panic!("broken") };
    assert!(
        after < before,
        "the trail of the configuration stays, and three records: {before} {after}"
    );
    store.append_records(&[record(at(40))]).await?;
    assert_eq!(store.verify_audit().await?, Intact::Yes(after + 1), "the chain goes on");
    while store.prune_records(term(1_000), 100).await? > 0 {}
    assert_eq!(left().await?, [0_i64; 0]);
    assert_eq!(store.verify_audit().await?, Intact::Yes(after - 3));
    store.append_records(&[record(at(50))]).await?;
    assert_eq!(store.verify_audit().await?, Intact::Yes(after - 2), "and on, when it was empty");
    Ok(())
}

pub(super) async fn many_writers_make_one_chain(store: &Arc<dyn Store>) -> Result<(), StoreError> {
    let Intact::Yes(before) = store.verify_audit().await? else { panic!("broken") };
    let written = at_once(8, |n| {
        let store = Arc::clone(store);
        let batch: Vec<_> = (0..n).map(|_| record(NOW.plus(50))).collect();
        async move { store.append_records(&batch).await }
    });
    written.await?;
    assert_eq!(store.verify_audit().await?, Intact::Yes(before + 28));
    Ok(())
}
