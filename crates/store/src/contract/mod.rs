//! What every implementation of [`Store`] promises, as one test: [`check`] panics where a promise is broken.
//!
//! It wants a new, empty store and a runtime of several threads, so that callers really meet.

mod configuration;
mod crls;
mod pendings;
mod people;
mod records;
mod samples;
mod sessions;
mod tokens;

use crate::{Store, StoreError};
use narthex_model::UnixSeconds;
use std::sync::Arc;

/// An instant for the tests: 2023-11-14T22:13:20Z.
const NOW: UnixSeconds = UnixSeconds(1_700_000_000);

/// Puts `store` to the test.
///
/// # Errors
/// The first call that failed although it should not.
pub async fn check(store: Arc<dyn Store>) -> Result<(), StoreError> {
    let it = store.as_ref();
    it.health().await?;
    assert_eq!(it.account_id().await?, it.account_id().await?, "the account keeps its id");
    configuration::what_is_committed_is_loaded(it).await?;
    configuration::a_stale_change_is_refused_whole(it).await?;
    configuration::of_many_writers_at_one_revision_one_wins(&store).await?;
    configuration::the_audit_names_every_revision(it).await?;
    tokens::keys_come_back_as_they_were(it).await?;
    tokens::api_tokens_are_found_by_their_hash(it).await?;
    crls::lists_are_kept_as_long_as_their_authority(it).await?;
    people::an_address_keeps_its_id_until_it_is_deleted(it).await?;
    people::a_user_made_ahead_is_found_by_the_login(it).await?;
    people::many_first_logins_make_one_user(&store).await?;
    people::users_are_found_by_what_people_type(it).await?;
    sessions::sessions_live_until_their_last_token(it).await?;
    sessions::an_ended_session_stays_ended(it).await?;
    sessions::revoking_a_user_ends_what_began_before(it).await?;
    sessions::every_session_is_ended_at_once(it).await?;
    sessions::revocations_are_kept_together(it).await?;
    sessions::the_later_revocation_wins(it).await?;
    pendings::a_handle_opens_its_own_kind_until_it_expires(it).await?;
    pendings::of_sixteen_takers_one_wins(&store).await?;
    pendings::tries_are_counted_exactly(&store).await?;
    records::records_are_found_by_every_filter(it).await?;
    records::spilled_records_come_with_their_mark(it).await?;
    records::traffic_adds_up_by_the_hour(it).await?;
    records::the_last_use_of_a_service_token_is_noted(it).await?;
    records::many_writers_make_one_chain(&store).await?;
    records::what_is_old_is_forgotten_from_the_beginning(it).await?;
    sessions::what_has_expired_is_forgotten(it).await
}

/// Runs `call` for 0 to `times` - 1 at once and answers what came out, in any order.
async fn at_once<T, F>(times: u8, call: impl Fn(u8) -> F) -> Result<Vec<T>, StoreError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, StoreError>> + Send + 'static,
{
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..times {
        tasks.spawn(call(n));
    }
    tasks.join_all().await.into_iter().collect()
}
