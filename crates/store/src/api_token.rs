//! API tokens: what administrators and their programs present to the administration API.

use narthex_model::{ApiTokenId, Timestamp, UnixSeconds};
use std::fmt;

/// A token of the administration API. The token itself is shown once; only its SHA-256 is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiToken {
    /// Its id, which is not the token.
    pub id: ApiTokenId,
    /// A name for people.
    pub name: String,
    /// SHA-256 of the token. The token is 128 random bits or more, so a fast hash is enough.
    pub hash: [u8; 32],
    /// When it was made.
    pub created_at: Timestamp,
    /// The first instant at which it works; `None`: at once.
    pub not_before: Option<Timestamp>,
    /// The first instant at which it no longer works; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// Switched off and kept.
    pub disabled: bool,
    /// It may read everything and change nothing.
    pub read_only: bool,
}

impl ApiToken {
    /// Whether the token works at `now`.
    #[must_use]
    pub fn is_live(&self, now: UnixSeconds) -> bool {
        !self.disabled
            && self.not_before.is_none_or(|at| at.0 <= now)
            && self.expires_at.is_none_or(|at| now < at.0)
    }
}

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiToken")
            .field("id", &self.id)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_works_between_its_two_instants() {
        let at = |seconds| Some(Timestamp(UnixSeconds(seconds)));
        let token = ApiToken {
            id: ApiTokenId::random(),
            name: "terraform".to_owned(),
            hash: [7; 32],
            created_at: Timestamp::default(),
            not_before: at(10),
            expires_at: at(20),
            disabled: false,
            read_only: false,
        };
        for (now, live) in [(9, false), (10, true), (19, true), (20, false)] {
            assert_eq!(token.is_live(UnixSeconds(now)), live, "{now}");
        }
        assert!(!ApiToken { disabled: true, ..token.clone() }.is_live(UnixSeconds(15)));
        assert!(!format!("{token:?}").contains("hash"), "{token:?}");
    }
}
