//! A revocation list. The input is its signed part (`TBSCertList`, RFC 5280 §5.1), under a good signature, or a whole list.

use super::pki::CA;
use super::team::NOW;
use crate::Target;
use narthex_cert::{DeltaList, Member, RevocationList, Trust};
use std::sync::{Arc, LazyLock};

pub(crate) const TARGET: Target =
    Target { name: "revocation_list", run, words: &["\u{1}", "\u{8}", "\u{ff}"], rounds: 8_000 };

/// A full list and a delta to merge with.
static FULL: LazyLock<RevocationList> = LazyLock::new(|| {
    let seeds = crate::seeds::of("revocation_list");
    let seed = &seeds.iter().find(|(name, _)| name == "full.der").unwrap().1;
    RevocationList::open(&CA.sign(seed), &CA.authority).unwrap()
});

fn run(data: &[u8]) {
    assert!(RevocationList::open(data, &CA.authority).is_err(), "a list that the CA never signed");
    assert!(DeltaList::open(data, &CA.authority).is_err(), "a delta that the CA never signed");
    let signed = CA.sign(data);
    let list = RevocationList::open(&signed, &CA.authority);
    let delta = DeltaList::open(&signed, &CA.authority);
    assert!(list.is_err() || delta.is_err(), "a list is full or a delta, not both");

    if let Ok(list) = list {
        assert_eq!(list.issuer(), CA.certificate.subject());
        assert!(list.len() <= data.len() / 5, "every entry takes room in the list");
        assert!(list.number().is_none_or(|number| number.bytes().all(|b| b.is_ascii_hexdigit())));
        let late = list.next_update().is_some_and(|next| next < NOW);
        assert_eq!(list.is_overdue(NOW), late);
        let mut member = Member::new(Arc::new(CA.authority.clone()));
        member.lists = vec![Arc::new(list.clone())];
        Trust::compile(vec![member]).expect("a list of its own CA fits");
        // What takes the place of a list is never older than it.
        if list.after(&FULL).is_ok() {
            assert!(list.this_update() >= FULL.this_update());
        }
    }
    if let Ok(delta) = delta
        && let Ok(merged) = FULL.with_delta(&delta)
    {
        assert_eq!(merged.issuer(), FULL.issuer());
        assert!(merged.this_update() >= FULL.this_update(), "a delta never leads back in time");
    }
}
