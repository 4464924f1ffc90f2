//! What `CF_Authorization` holds on an application's host: a person's or a machine's token.

use crate::members::Members;
use crate::standing::{Expected, Standing};
use crate::{MachineToken, PersonToken, TokenError};
use narthex_model::{AudTag, UnixSeconds};

/// A verified token of type `app`.
#[derive(Clone, Debug, PartialEq)]
pub enum AppToken {
    /// Somebody logged in.
    Person(PersonToken),
    /// A service token or a client certificate.
    Machine(MachineToken),
}

impl AppToken {
    /// Reads claims whose signature has been checked. A machine's `sub` is empty, a person's is a UUID.
    pub(crate) fn read(mut members: Members, expected: &Expected<'_>) -> Result<Self, TokenError> {
        let standing = Standing::of(&mut members, expected)?;
        let sub = members.text("sub")?;
        if sub.is_empty() {
            MachineToken::read(members, standing).map(Self::Machine)
        } else {
            PersonToken::read(members, standing, sub).map(Self::Person)
        }
    }

    /// The application it was minted for.
    #[must_use]
    pub fn aud(&self) -> &AudTag {
        match self {
            Self::Person(token) => &token.aud,
            Self::Machine(token) => &token.aud,
        }
    }

    /// When it was issued.
    #[must_use]
    pub fn iat(&self) -> UnixSeconds {
        match self {
            Self::Person(token) => token.iat,
            Self::Machine(token) => token.iat,
        }
    }

    /// From this instant on it is refused.
    #[must_use]
    pub fn exp(&self) -> UnixSeconds {
        match self {
            Self::Person(token) => token.exp,
            Self::Machine(token) => token.exp,
        }
    }
}
