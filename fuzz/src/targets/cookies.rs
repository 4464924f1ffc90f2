//! `Cookie` fields, a line each.

use crate::Target;
use narthex_token::cookie::{self, MAX_CANDIDATES, MAX_COOKIES};

pub(crate) const TARGET: Target = Target {
    name: "cookies",
    run,
    words: &[
        "CF_Authorization",
        "CF_Authorization=",
        "cf_authorization=",
        "CF_Binding=",
        "CF_AppSession=",
        "__Host-CF_Binding-",
        "__Host-CF_Authorization=",
        "=",
        "==",
        ";",
        "; ",
        ";;",
        "\n",
        "\t",
        " ",
        "\"",
        ",",
        "\u{a0}",
        "$Version=1",
        "a=b",
    ],
    rounds: 40_000,
};

const TOKEN: &str = "eyJ.eyJ.sig";

fn run(data: &[u8]) {
    let fields: Vec<&[u8]> = data.split(|byte| *byte == b'\n').collect();
    let sent = || fields.iter().copied();

    for pair in cookie::pairs(sent()) {
        for part in [pair.name, pair.value, pair.raw] {
            assert!(!part.starts_with(b" ") && !part.ends_with(b"\t"), "{pair:?}");
            assert!(!part.contains(&b';'), "{pair:?}");
        }
        assert!(!pair.name.contains(&b'='), "{pair:?}");
    }
    let pairs = cookie::pairs(sent()).count();
    let candidates: Vec<&str> = cookie::token_candidates(sent()).collect();
    assert!(candidates.len() <= MAX_CANDIDATES.min(pairs));
    assert!(cookie::named(sent(), "a").count() <= MAX_COOKIES);
    for candidate in &candidates {
        assert!(candidate.bytes().all(|byte| byte.is_ascii_graphic()), "{candidate:?}");
        assert!(sent().any(|field| contains(field, candidate.as_bytes())), "{candidate:?}");
    }
    // A binding counts only when two cookies of different names say it.
    for binding in cookie::bindings(sent) {
        let of = |name: &[u8]| name == b"CF_Binding" || name.starts_with(b"__Host-CF_Binding-");
        let twice = cookie::pairs(sent()).filter(|p| of(p.name) && p.value == binding.as_bytes());
        assert!(twice.count() >= 2, "{binding:?}");
    }
    for token in [None, Some(TOKEN)] {
        for_origin(&fields, token);
    }
}

/// What the origin gets: everybody else's cookies as they were, of ours the token at most.
fn for_origin(fields: &[&[u8]], token: Option<&str>) {
    let mut out = b"before".to_vec();
    cookie::write_for_origin(fields.iter().copied(), token, &mut out);
    let written = out.strip_prefix(b"before").expect("what stood there stays");

    let ours = |name: &[u8]| {
        name == b"CF_Binding" || name == b"CF_AppSession" || name.starts_with(b"__Host-CF_Binding-")
    };
    let foreign = |name: &[u8]| !ours(name) && (token.is_none() || name != b"CF_Authorization");
    let kept = |fields: &mut dyn Iterator<Item = &[u8]>| -> Vec<Vec<u8>> {
        let pairs = fields.flat_map(|field| cookie::pairs([field])).filter(|p| !p.raw.is_empty());
        pairs.filter(|pair| foreign(pair.name)).map(|pair| pair.raw.to_vec()).collect()
    };
    assert_eq!(kept(&mut [written].into_iter()), kept(&mut fields.iter().copied()));
    for pair in cookie::pairs([written]) {
        assert!(!ours(pair.name), "{pair:?}");
    }
    if let Some(token) = token {
        let tokens: Vec<_> =
            cookie::pairs([written]).filter(|p| p.name == b"CF_Authorization").collect();
        assert_eq!(tokens.len(), 1, "{}", written.escape_ascii());
        assert_eq!(tokens[0].value, token.as_bytes());
    }
    let mut again = Vec::new();
    cookie::write_for_origin([written], token, &mut again);
    assert_eq!(
        again.escape_ascii().to_string(),
        written.escape_ascii().to_string(),
        "once is enough"
    );
}

fn contains(field: &[u8], part: &[u8]) -> bool {
    part.is_empty() || field.windows(part.len()).any(|window| window == part)
}
