//! Which users and records a listing asks for (api/README "Pagination").

use narthex_model::{Action, AppId, ClientId, CountryCode, RayId, UnixSeconds, UserId};

/// One page, and how many there are in all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing<T> {
    /// The page; empty past the end.
    pub items: Vec<T>,
    /// How many match on all pages together.
    pub total: u64,
}

/// Which users: those that fulfil every condition, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UserFilter {
    /// The whole address, in any case.
    pub email: Option<String>,
    /// The whole name, in any case of ASCII letters.
    pub name: Option<String>,
    /// Part of the name or of the address, in any case of ASCII letters.
    pub search: Option<String>,
    /// How many at most; `None`: all.
    pub limit: Option<u32>,
    /// How many to leave out at the start.
    pub offset: u64,
}

/// Oldest or youngest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Youngest first.
    #[default]
    Desc,
    /// Oldest first.
    Asc,
}

/// `eq` or `neq` of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Is<T> {
    /// Equal to this. What is absent equals nothing.
    Equal(T),
    /// Anything else, or absent.
    Not(T),
}

/// How an address is compared; letters count in any case, as addresses are kept in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EmailMatch {
    /// The whole address: `emailOp=eq`, or `email_exact=true`.
    Exact(String),
    /// Any other address, or none.
    NotExact(String),
    /// Part of the address: `emailOp=contains`, or no switch at all.
    Contains(String),
    /// The text is no part of the address, or there is none: `emailOp=neq`.
    NotContains(String),
}

/// What of records may be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// What is from before this instant.
    pub before: UnixSeconds,
    /// The present, to tell what claims to be from the future.
    pub now: UnixSeconds,
}

/// Which access records: those that fulfil every condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordFilter {
    /// At this instant or later.
    pub since: Option<UnixSeconds>,
    /// At this instant or earlier.
    pub until: Option<UnixSeconds>,
    /// The order.
    pub direction: Direction,
    /// How many at most.
    pub limit: u32,
    /// How many to leave out at the start: `(page - 1) * per_page`.
    pub offset: u64,
    /// The person's address.
    pub email: Option<EmailMatch>,
    /// Admitted (`true`) or refused.
    pub allowed: Option<bool>,
    /// The application.
    pub app: Option<Is<AppId>>,
    /// The request.
    pub ray_id: Option<Is<RayId>>,
    /// The person.
    pub user: Option<Is<UserId>>,
    /// The service token.
    pub service_token: Option<ClientId>,
    /// The client's country.
    pub country: Option<Is<CountryCode>>,
    /// The identity provider, by its id or its type.
    pub idp: Option<Is<String>>,
    /// Whether nobody logged in (service token, certificate, bypass).
    pub non_identity: Option<bool>,
    /// What was attempted: one of these; empty: anything.
    pub actions: Vec<Action>,
}

impl Default for RecordFilter {
    /// The 25 youngest, as the API answers without parameters.
    fn default() -> Self {
        Self {
            since: None,
            until: None,
            direction: Direction::Desc,
            limit: 25,
            offset: 0,
            email: None,
            allowed: None,
            app: None,
            ray_id: None,
            user: None,
            service_token: None,
            country: None,
            idp: None,
            non_identity: None,
            actions: Vec::new(),
        }
    }
}

/// Which traffic counts: those that fulfil every condition, youngest hour first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrafficFilter {
    /// In the hour of this instant or later.
    pub since: Option<UnixSeconds>,
    /// In the hour of this instant or earlier.
    pub until: Option<UnixSeconds>,
    /// The application.
    pub app: Option<AppId>,
    /// The caller, as in `TrafficKey`.
    pub caller: Option<String>,
    /// How many at most; `None`: all.
    pub limit: Option<u32>,
    /// How many to leave out at the start.
    pub offset: u64,
}
