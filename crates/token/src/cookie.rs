//! Reading `Cookie` fields (RFC 6265 §4.2): bounded, without allocation, byte-exact for what is passed on.
//!
//! The first [`MAX_COOKIES`] pairs of a request are read, over all its `Cookie` fields (HTTP/2 sends several).
#![expect(clippy::unimplemented, reason = "the interface comes first; the bodies follow")]

/// Pairs read in one request; the rest is not looked at (security §3).
pub const MAX_COOKIES: usize = 100;

/// `CF_Authorization` values tried in one request (security §3).
pub const MAX_CANDIDATES: usize = 8;

/// The application token's cookie on an application's host, the global session's on the team domain.
pub const AUTHORIZATION: &str = "CF_Authorization";
/// The cookie that must come with a bound token.
pub const BINDING: &str = "CF_Binding";
/// The cookie that ties a login to the browser that began it, on an application's host.
pub const APP_SESSION: &str = "CF_AppSession";
/// The same on the team domain.
pub const SESSION: &str = "CF_Session";

/// One pair as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair<'a> {
    /// The name, surrounding white space removed.
    pub name: &'a [u8],
    /// The value, surrounding white space removed; quotes belong to it. Empty when there was no `=`.
    pub value: &'a [u8],
    /// The pair as it was sent, between the semicolons.
    pub raw: &'a [u8],
}

/// The pairs of all `Cookie` fields of a request, at most [`MAX_COOKIES`].
pub fn pairs<'a>(fields: impl IntoIterator<Item = &'a [u8]>) -> impl Iterator<Item = Pair<'a>> {
    let _ = fields.into_iter();
    std::iter::empty()
}

/// The values of all cookies called `name`, in the order they were sent; what is not visible ASCII is left out.
pub fn named<'a>(
    fields: impl IntoIterator<Item = &'a [u8]>,
    name: &str,
) -> impl Iterator<Item = &'a str> {
    let _ = (fields.into_iter(), name);
    std::iter::empty()
}

/// The `CF_Authorization` values to try, at most [`MAX_CANDIDATES`]: path applications and cookies planted by a
/// sibling host make several, and the one whose `aud` fits counts (access-protocol §4.5).
pub fn token_candidates<'a>(
    fields: impl IntoIterator<Item = &'a [u8]>,
) -> impl Iterator<Item = &'a str> {
    let _ = fields.into_iter();
    std::iter::empty()
}

/// Writes the `Cookie` field for the origin into `out`: every pair as it was sent, except `CF_Authorization`,
/// `CF_Binding` and `CF_AppSession`, then `CF_Authorization` with `token` when there is one.
/// `out` stays empty when no cookie is left.
pub fn write_for_origin<'a>(
    fields: impl IntoIterator<Item = &'a [u8]>,
    token: Option<&str>,
    out: &mut Vec<u8>,
) {
    let _ = (fields.into_iter(), token, out);
    unimplemented!()
}
