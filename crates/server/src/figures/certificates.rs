//! Client certificates and their authorities: what expires soon, and lists that are late.

use crate::metrics::Page;
use narthex_api::EXPIRES_SOON_SECONDS;
use narthex_model::{ClientCertificateStatus, Configuration, Timestamp, UnixSeconds};
use narthex_snapshot::{OcspCounts, Snapshot};
use std::fmt;

/// Authorities by what is left of them, and issued certificates that are active.
#[derive(Default)]
struct Ages {
    sound: i64,
    soon: i64,
    over: i64,
}

impl Ages {
    fn of(ends: impl Iterator<Item = Timestamp>, now: UnixSeconds) -> Self {
        let mut ages = Self::default();
        for end in ends {
            match end.0.since(now) {
                ..=0 => ages.over += 1,
                1..EXPIRES_SOON_SECONDS => ages.soon += 1,
                EXPIRES_SOON_SECONDS.. => ages.sound += 1,
            }
        }
        ages
    }
}

/// What the configuration holds, by when it ends.
pub(super) fn write(
    page: &mut Page<'_>,
    configuration: &Configuration,
    now: UnixSeconds,
) -> fmt::Result {
    let authorities = configuration.certificate_authorities.values().map(|it| it.expires_on);
    let issued = configuration.client_certificates.values();
    let issued = issued.filter(|it| it.status == ClientCertificateStatus::Active);
    for (name, help, ages) in [
        (
            "certificate_authorities",
            "Authorities of client certificates by when they end; soon is within 30 days",
            Ages::of(authorities, now),
        ),
        (
            "client_certificates",
            "Client certificates issued here and not revoked, by when they end; soon is within 30 days",
            Ages::of(issued.map(|it| it.expires_on), now),
        ),
    ] {
        page.gauge(
            name,
            help,
            &[
                (&[("expiry", "later")], ages.sound),
                (&[("expiry", "soon")], ages.soon),
                (&[("expiry", "over")], ages.over),
            ],
        )?;
    }
    Ok(())
}

/// Revocation lists in force, by whether their time is over.
pub(super) fn write_lists(
    page: &mut Page<'_>,
    snapshot: &Snapshot,
    now: UnixSeconds,
) -> fmt::Result {
    let (mut current, mut overdue) = (0, 0);
    for list in snapshot.revocation_lists() {
        if list.is_overdue(now) { overdue += 1 } else { current += 1 }
    }
    page.gauge(
        "revocation_lists",
        "Revocation lists of certificate authorities; overdue ones were not renewed in time",
        &[(&[("state", "current")], current), (&[("state", "overdue")], overdue)],
    )
}

/// What OCSP responders said.
pub(super) fn write_ocsp(page: &mut Page<'_>, counts: OcspCounts) -> fmt::Result {
    page.counter(
        "ocsp_answers",
        "Questions to OCSP responders by what came of them; failed ones gave no answer that can be believed",
        &[
            (&[("status", "good")], counts.good),
            (&[("status", "revoked")], counts.revoked),
            (&[("status", "unknown")], counts.unknown),
            (&[("status", "failed")], counts.failed),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_is_told_by_when() {
        let now = UnixSeconds(1_000_000);
        let at = |seconds: i64| Timestamp(now.plus(seconds));
        let ends = [at(-1), at(0), at(1), at(30 * 86_400 - 1), at(30 * 86_400), at(1 << 40)];
        let ages = Ages::of(ends.into_iter(), now);
        assert_eq!((ages.over, ages.soon, ages.sound), (2, 2, 2));
    }
}
