//! Reading `Cookie` fields (RFC 6265 §4.2): bounded, without allocation, byte-exact for what is passed on.

/// Pairs read in one request, over all its `Cookie` fields; the rest is not looked at (security §3).
pub const MAX_COOKIES: usize = 100;

/// `CF_Authorization` values tried in one request (security §3).
pub const MAX_CANDIDATES: usize = 8;

/// How much of a request's cookies is looked at, for those who let it be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Pairs read, over all `Cookie` fields: [`MAX_COOKIES`] by default.
    pub pairs: usize,
    /// Values of one of our cookies that are tried: [`MAX_CANDIDATES`] by default.
    pub candidates: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { pairs: MAX_COOKIES, candidates: MAX_CANDIDATES }
    }
}

/// The application token's cookie on an application's host, the global session's on the team domain.
pub const AUTHORIZATION: &str = "CF_Authorization";
/// The cookie that must come with a bound token.
pub const BINDING: &str = "CF_Binding";
/// What the name of its companion begins with; what tells its application and path follows. A browser takes a cookie of such a name
/// from the very host alone, so that no sibling can plant one (security C2). An extension of ours.
pub const BINDING_COMPANION: &str = "__Host-CF_Binding-";
/// The cookie that ties a login to the browser that began it, on an application's host.
pub const APP_SESSION: &str = "CF_AppSession";
/// The same on the team domain.
pub const SESSION: &str = "CF_Session";

/// The cookie by which a browser finds a form that was kept for it, on an application's host. An extension of ours.
pub const FORM: &str = "CF_Form";
/// Whose session this browser had at an application, in hexadecimal digits; it outlives the session. An extension of
/// ours.
pub const PERSON: &str = "CF_Person";

/// One pair as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair<'a> {
    /// The name, without the white space around it.
    pub name: &'a [u8],
    /// The value, without the white space around it; quotes belong to it. Empty when there was no `=`.
    pub value: &'a [u8],
    /// The whole pair, without the white space around it.
    pub raw: &'a [u8],
}

impl<'a> Pair<'a> {
    fn of(raw: &'a [u8]) -> Self {
        let raw = trim(raw);
        match memchr::memchr(b'=', raw) {
            Some(at) => Self { name: trim(&raw[..at]), value: trim(&raw[at + 1..]), raw },
            None => Self { name: raw, value: &[], raw },
        }
    }
}

/// All pairs of the `Cookie` fields of a request (HTTP/2 sends several), in the order they were sent.
pub fn pairs<'a>(fields: impl IntoIterator<Item = &'a [u8]>) -> impl Iterator<Item = Pair<'a>> {
    fields.into_iter().flat_map(split).map(Pair::of)
}

/// The values of the cookies called `name` among the first [`MAX_COOKIES`], in the order they were sent.
/// Values that are not visible ASCII are left out: none of ours is such.
pub fn named<'a>(
    fields: impl IntoIterator<Item = &'a [u8]>,
    name: &'static str,
) -> impl Iterator<Item = &'a str> {
    named_within(fields, name, MAX_COOKIES)
}

fn named_within<'a>(
    fields: impl IntoIterator<Item = &'a [u8]>,
    name: &'static str,
    most: usize,
) -> impl Iterator<Item = &'a str> {
    let ours = pairs(fields).take(most).filter(move |pair| pair.name == name.as_bytes());
    ours.filter(|pair| pair.value.iter().all(u8::is_ascii_graphic))
        .filter_map(|pair| std::str::from_utf8(pair.value).ok())
}

/// The values that stand both in a `CF_Binding` and in a companion of it, at most [`MAX_CANDIDATES`]. `fields` gives the
/// `Cookie` fields of one request each time it is called.
pub fn bindings<'a, I: Iterator<Item = &'a [u8]>>(
    fields: impl Fn() -> I,
) -> impl Iterator<Item = &'a str> {
    bindings_within(fields, Limits::default())
}

/// As [`bindings`], with limits of the caller's.
pub fn bindings_within<'a, I: Iterator<Item = &'a [u8]>>(
    fields: impl Fn() -> I,
    limits: Limits,
) -> impl Iterator<Item = &'a str> {
    let bindings = named_within(fields(), BINDING, limits.pairs).take(limits.candidates);
    bindings.filter(move |value| {
        let mut companions = pairs(fields())
            .take(limits.pairs)
            .filter(|pair| pair.name.starts_with(BINDING_COMPANION.as_bytes()));
        companions.any(|companion| companion.value == value.as_bytes())
    })
}

/// The `CF_Authorization` values to try, at most [`MAX_CANDIDATES`]: path applications and cookies planted by a
/// sibling host make several, and the one whose `aud` fits counts (access-protocol §4.5).
pub fn token_candidates<'a>(
    fields: impl IntoIterator<Item = &'a [u8]>,
) -> impl Iterator<Item = &'a str> {
    token_candidates_within(fields, Limits::default())
}

/// As [`token_candidates`], with limits of the caller's.
pub fn token_candidates_within<'a>(
    fields: impl IntoIterator<Item = &'a [u8]>,
    limits: Limits,
) -> impl Iterator<Item = &'a str> {
    named_within(fields, AUTHORIZATION, limits.pairs).take(limits.candidates)
}

/// Appends to `out` the `Cookie` field for the origin: every pair as it was sent, without `CF_Binding`, its companion
/// and `CF_AppSession`, and with `token` as the only `CF_Authorization` (access-protocol §6.1, §6.2).
///
/// Without a `token` what the client sent as `CF_Authorization` stays: the origin has to verify it anyhow.
/// Nothing is appended when no cookie is left.
pub fn write_for_origin<'a>(
    fields: impl IntoIterator<Item = &'a [u8]>,
    token: Option<&str>,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    let mut append = |parts: [&[u8]; 3]| {
        if out.len() > start {
            out.extend_from_slice(b"; ");
        }
        parts.iter().for_each(|part| out.extend_from_slice(part));
    };
    for pair in pairs(fields).filter(|pair| !pair.raw.is_empty()) {
        let replaced = token.is_some() && pair.name == AUTHORIZATION.as_bytes();
        let ours = pair.name == BINDING.as_bytes()
            || pair.name == APP_SESSION.as_bytes()
            || pair.name.starts_with(BINDING_COMPANION.as_bytes());
        if !replaced && !ours {
            append([pair.raw, b"", b""]);
        }
    }
    if let Some(token) = token {
        append([AUTHORIZATION.as_bytes(), b"=", token.as_bytes()]);
    }
}

/// The pieces of `field` between semicolons.
fn split(field: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    let ends = memchr::memchr_iter(b';', field).chain(std::iter::once(field.len()));
    ends.map(move |end| {
        let piece = &field[start..end];
        start = end + 1;
        piece
    })
}

/// Without spaces and tabs at either end.
fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates<'a>(fields: &[&'a str]) -> Vec<&'a str> {
        token_candidates(fields.iter().map(|field| field.as_bytes())).collect()
    }

    #[test]
    fn every_candidate_is_found_and_nothing_else() {
        for (fields, want) in [
            (&["CF_Authorization=a.b.c"][..], &["a.b.c"][..]),
            (&["x=1; CF_Authorization=a; y=2; CF_Authorization=b"], &["a", "b"]),
            (&["x=1", "CF_Authorization=a", "CF_Authorization=b"], &["a", "b"]),
            (&["x=1;CF_Authorization=a;y"], &["a"]),
            (&["  CF_Authorization \t=\t a  ;"], &["a"]),
            (&["CF_Authorization=a=b="], &["a=b="]),
            (&["CF_Authorization=\"a\""], &["\"a\""]),
            (&["CF_Authorization"], &[""]),
            (&["CF_Authorization="], &[""]),
            (&[], &[]),
            (&["", ";", ";;; ;", "=", "=a"], &[]),
            (
                &[
                    "cf_authorization=a; CF_AUTHORIZATION=b; CF_Authorization2=c; xCF_Authorization=d",
                ],
                &[],
            ),
            (&["x=\"CF_Authorization=a\"; y=CF_Authorization=b"], &[]),
            (&["$Version=1; $Path=/; CF_Authorization=a"], &["a"]),
            (&["CF_Authorization=a b; CF_Authorization=é; CF_Authorization=\u{1}"], &[]),
            (&["CF_Authorization=a,CF_Authorization=b"], &["a,CF_Authorization=b"]),
        ] {
            assert_eq!(candidates(fields), want, "{fields:?}");
        }
        let bytes: &[u8] = b"a=\xff\xfe; \x00=\x00; CF_Authorization=ok; CF_Authorization=\xff";
        assert_eq!(token_candidates([bytes]).collect::<Vec<_>>(), ["ok"]);
    }

    #[test]
    fn a_binding_counts_with_its_companion_alone() {
        for (fields, want) in [
            (&["CF_Binding=a; __Host-CF_Binding-0f=a"][..], &["a"][..]),
            (&["__Host-CF_Binding-0f=a", "x=1; CF_Binding=a"], &["a"]),
            (&["CF_Binding=a; CF_Binding=b; __Host-CF_Binding-1=b; __Host-CF_Binding-0=x"], &["b"]),
            (&["CF_Binding=a"], &[]),
            (&["__Host-CF_Binding-0f=a"], &[]),
            (&["CF_Binding=a; __Host-CF_Binding-0f=b"], &[]),
            (
                &["CF_Binding=a; CF_Binding-0f=a; __host-cf_binding-0f=a; x__Host-CF_Binding-=a"],
                &[],
            ),
        ] {
            let found: Vec<_> = bindings(|| fields.iter().map(|field| field.as_bytes())).collect();
            assert_eq!(found, want, "{fields:?}");
        }
        let late = format!("CF_Binding=a; {}__Host-CF_Binding-0f=a", "x=1; ".repeat(MAX_COOKIES));
        assert_eq!(bindings(|| [late.as_bytes()].into_iter()).count(), 0, "bounded");
    }

    #[test]
    fn what_is_read_is_bounded() {
        let many = "CF_Authorization=a; ".repeat(500);
        assert_eq!(candidates(&[&many]).len(), MAX_CANDIDATES);
        let behind = |before: usize| format!("{}CF_Authorization=a", "x=1; ".repeat(before));
        assert_eq!(candidates(&[&behind(MAX_COOKIES - 1)]), ["a"]);
        assert!(candidates(&[&behind(MAX_COOKIES)]).is_empty());
        assert!(
            candidates(&[&";".repeat(100), "CF_Authorization=a"]).is_empty(),
            "empty ones count"
        );
    }

    #[test]
    fn the_origin_gets_one_token_and_the_rest_as_it_was() {
        let origin = |fields: &[&str], token| {
            let mut out = Vec::new();
            write_for_origin(fields.iter().map(|f| f.as_bytes()), token, &mut out);
            String::from_utf8(out).unwrap()
        };
        let sent = "a=1;  b = \"x y\" ; CF_Binding=s; __Host-CF_Binding-0f=s; CF_AppSession=n; flag; CF_Authorization=old; é=ü";
        let kept = "a=1; b = \"x y\"; flag";
        assert_eq!(origin(&[sent], Some("new")), format!("{kept}; é=ü; CF_Authorization=new"));
        assert_eq!(origin(&[sent], None), format!("{kept}; CF_Authorization=old; é=ü"));
        assert_eq!(origin(&["a=1", "b=2"], None), "a=1; b=2");
        assert_eq!(origin(&[], Some("new")), "CF_Authorization=new");
        assert_eq!(origin(&["CF_Binding=s; ;"], None), "");
        let late = format!("{}CF_Binding=s", "x=1; ".repeat(500));
        assert!(!origin(&[&late], None).contains("CF_Binding"), "removed wherever it stands");
    }
}
