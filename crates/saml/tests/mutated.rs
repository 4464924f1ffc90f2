//! Genuine responses with something changed at random: never a panic, and never accepted with other values.

mod forge;

use std::sync::LazyLock;

use forge::{PROVIDER, Plan, Scene, assertion, genuine, response, sign, unsigned};
use narthex_saml::{Assertion, Refusal};
use proptest::prelude::*;

static DOCUMENTS: LazyLock<[String; 3]> = LazyLock::new(|| {
    let plan = Plan::default();
    let around = sign(&response(&unsigned(&assertion())), &plan);
    [genuine(), around, sign(&response(&sign(&assertion(), &plan)), &plan)]
});

static HONEST: LazyLock<Assertion> =
    LazyLock::new(|| Scene::default().consume(&genuine()).expect("the honest response is good"));

/// Refused, or read as if nothing had been changed.
fn unharmed(verdict: &Result<Assertion, Refusal>) -> bool {
    verdict.as_ref().map_or(true, |read| *read == *HONEST)
}

#[test]
fn no_flipped_bit_changes_what_is_read() {
    let scene = Scene::default();
    for document in DOCUMENTS.iter() {
        let (mut tried, mut refused) = (0, 0);
        // Every third byte is enough to meet every part of the document.
        for at in (0..document.len()).step_by(3) {
            let mut bytes = document.clone().into_bytes();
            bytes[at] ^= 1 << (at % 7);
            tried += 1;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            let verdict = scene.consume(&changed);
            assert!(unharmed(&verdict), "{at}: {changed}");
            refused += usize::from(verdict.is_err());
        }
        // Only the parts that no signature covers may be written differently.
        assert!(refused * 10 > tried * 7, "{refused} of {tried}");
    }
}

/// One change to a document: a piece of it copied, moved or cut out, or a fragment that attacks are made of put in.
#[derive(Clone, Debug)]
enum Change {
    Copy { from: usize, length: usize, to: usize },
    Cut { from: usize, length: usize },
    Element { nth: usize, before: usize },
    Insert { fragment: &'static str, at: usize },
}

const FRAGMENTS: &[&str] = &[
    "<!-- -->",
    "<?x?>",
    "<![CDATA[x]]>",
    "&amp;",
    "&#13;",
    "<saml:Assertion>",
    "</saml:Assertion>",
    "<ds:Object>",
    "<saml:Advice/>",
    "<samlp:Extensions/>",
    " ID=\"_assertion-1\"",
    " xmlns=\"urn:x\"",
    " xmlns:saml=\"urn:x\"",
    "eve@example.com",
    "\u{0}",
    "\u{feff}",
    "<saml:NameID>eve@example.com</saml:NameID>",
    "\"",
    "'",
    "<",
    ">",
    "]]>",
];

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (0..8192_usize, 1..2048_usize, 0..8192_usize).prop_map(|(from, length, to)| Change::Copy {
            from,
            length,
            to
        }),
        (0..8192_usize, 1..2048_usize).prop_map(|(from, length)| Change::Cut { from, length }),
        (0..64_usize, 0..64_usize).prop_map(|(nth, before)| Change::Element { nth, before }),
        (prop::sample::select(FRAGMENTS), 0..8192_usize)
            .prop_map(|(fragment, at)| Change::Insert { fragment, at }),
    ]
}

/// The document with the change made; every offset is taken into its length.
fn changed(document: &str, change: &Change) -> String {
    let place = |offset: usize| offset % (document.len() + 1);
    match *change {
        Change::Copy { from, length, to } => {
            let from = place(from);
            let piece = &document[from..document.len().min(from + length)];
            let (before, after) = document.split_at(place(to));
            format!("{before}{piece}{after}")
        }
        Change::Cut { from, length } => {
            let from = place(from);
            let end = document.len().min(from + length);
            format!("{}{}", &document[..from], &document[end..])
        }
        Change::Element { nth, before } => {
            let starts: Vec<usize> = document.match_indices('<').map(|(at, _)| at).collect();
            let at = starts[nth % starts.len()];
            let name = document[at + 1..].split([' ', '>']).next().unwrap_or_default();
            let close = format!("</{name}>");
            let end = document[at..].find(&close).map_or(at, |end| at + end + close.len());
            let to = starts[before % starts.len()];
            format!("{}{}{}", &document[..to], &document[at..end], &document[to..])
        }
        Change::Insert { fragment, at } => {
            let (before, after) = document.split_at(place(at));
            format!("{before}{fragment}{after}")
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_moved_copied_or_added_piece_changes_what_is_read(
        which in 0..3_usize,
        changes in prop::collection::vec(change(), 1..4),
    ) {
        let mut document = DOCUMENTS[which].clone();
        for change in &changes {
            if document.is_ascii() {
                document = changed(&document, change);
            }
        }
        prop_assert!(unharmed(&Scene::default().consume(&document)), "{document}");
    }

    #[test]
    fn no_field_is_too_odd(field in "\\PC{0,200}") {
        prop_assert!(Scene::default().consume_field(&field).is_err());
    }

    #[test]
    fn no_certificate_is_too_odd(
        at in 0..1000_usize,
        bit in 0..8_u32,
        cut in 0..1000_usize,
    ) {
        let mut der = PROVIDER.certificate().der().to_vec();
        let place = at % der.len();
        der[place] ^= 1 << bit;
        let _ = narthex_saml::Certificate::from_der(&der);
        der.truncate(cut);
        prop_assert!(cut >= PROVIDER.certificate().der().len() || narthex_saml::Certificate::from_der(&der).is_err());
    }
}
