//! Whose site a request is for. Everything below `/cdn-cgi/` is the gateway's on every host and reaches no origin
//! (access-protocol §1.3).

use crate::target::Target;
use narthex_model::Authority;
use narthex_snapshot::{App, Snapshot};
use std::sync::Arc;

/// Where access-protocol §2.5 puts what clients may know of an application.
pub(crate) const RESOURCE_METADATA: &str = "/.well-known/cloudflare-access-protected-resource";

/// A site.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Site<'w> {
    /// The team domain.
    Team,
    /// The admin host.
    Admin,
    /// `/cdn-cgi/access/` on any other host.
    Gateway,
    /// The rest of `/cdn-cgi/`: nothing is there.
    Reserved,
    /// What clients may know of an application.
    ResourceMetadata,
    /// An application.
    App(&'w Arc<App>),
    /// A host with ingress that no application covers.
    Unmatched,
}

impl<'w> Site<'w> {
    /// The site of a host that `snapshot` knows.
    pub(crate) fn of(snapshot: &'w Snapshot, target: &Target) -> Self {
        let premises = &snapshot.premises;
        let is = |authority: &Authority| authority.host == *target.host();
        if is(premises.team.authority()) {
            return Self::Team;
        }
        if premises.admin.as_ref().is_some_and(is) {
            return Self::Admin;
        }
        let path = target.path();
        if is_below(path, "/cdn-cgi") {
            // Other spellings of the prefix are nobody's: an origin that ignores case must not get them.
            return if path.starts_with("/cdn-cgi/access/") {
                Self::Gateway
            } else {
                Self::Reserved
            };
        }
        if let Some(described) = path.strip_prefix(RESOURCE_METADATA)
            && (described.is_empty() || described.starts_with('/'))
            && describes_an_app(snapshot, target, described)
        {
            return Self::ResourceMetadata;
        }
        match snapshot.app(target.host(), &target.canonical_path()) {
            Some(app) => Self::App(app),
            None => Self::Unmatched,
        }
    }
}

fn describes_an_app(snapshot: &Snapshot, target: &Target, described: &str) -> bool {
    let path = if described.is_empty() { "/" } else { described };
    let path = narthex_model::CanonicalPath::of(path);
    path.is_ok_and(|path| snapshot.app(target.host(), &path).is_some())
}

/// Whether `path` is `prefix` or lies below it, whatever the case of its letters.
fn is_below(path: &str, prefix: &str) -> bool {
    let Some((head, rest)) = path.split_at_checked(prefix.len()) else { return false };
    head.eq_ignore_ascii_case(prefix) && (rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p11_the_reserved_prefix_in_any_case() {
        for path in ["/cdn-cgi", "/cdn-cgi/", "/CDN-CGI/access/x", "/Cdn-Cgi/x"] {
            assert!(is_below(path, "/cdn-cgi"), "{path}");
        }
        for path in ["/", "/cdn-cgix", "/x/cdn-cgi/", "/cdn-cg"] {
            assert!(!is_below(path, "/cdn-cgi"), "{path}");
        }
    }
}
