//! What we demand of a path beyond what the library demands: that its CAs may sign certificates and its leaf a handshake,
//! strength of the leaf's key, validity of the anchor, revocation, OCSP.

use crate::trust::{Member, OcspRule};
use crate::{
    Certificate, Inquiry, OcspAnswer, OcspQuestion, OcspStatus, PresentedChain, Reason, Trusted,
    Verdict,
};
use narthex_model::UnixSeconds;
use std::sync::Arc;

/// What was found about one path.
pub(crate) struct Standing {
    pub(crate) reason: Option<Reason>,
    member: usize,
    until: UnixSeconds,
    issuer: Option<Arc<Certificate>>,
    ocsp: Vec<Inquiry>,
}

impl Standing {
    /// For a path whose parts are not ours. The library builds paths of what it was given, so this is never seen.
    pub(crate) fn lost() -> Self {
        Self {
            reason: Some(Reason::Malformed),
            member: 0,
            until: UnixSeconds(i64::MAX),
            issuer: None,
            ocsp: Vec::new(),
        }
    }

    pub(crate) fn verdict(self) -> Verdict {
        let outcome = match self.reason {
            None => Ok(Trusted { member: self.member }),
            Some(reason) => Err(reason),
        };
        let member = Some(self.member);
        Verdict { outcome, until: self.until, member, issuer: self.issuer, ocsp: self.ocsp.into() }
    }
}

/// Judges a path from the leaf to the anchor, both included. `members` are those that hold the anchor.
pub(crate) fn judge(
    member: usize,
    members: &[&Member],
    path: &[Arc<Certificate>],
    ocsp: &[Arc<OcspAnswer>],
    now: UnixSeconds,
) -> Standing {
    let leaf = &path[0];
    let issuer = path.get(1).cloned();
    let ends = path.iter().map(|certificate| certificate.not_after()).min();
    let mut standing =
        Standing { reason: None, member, until: ends.unwrap_or(now), issuer, ocsp: Vec::new() };
    standing.reason = judge_anchor(&path[path.len() - 1], now)
        .or_else(|| path.iter().any(|c| c.flaw.is_some()).then_some(Reason::Malformed))
        .or_else(|| {
            path[1..].iter().any(|c| !c.uses.signs_certificates).then_some(Reason::InvalidCa)
        })
        // A client signs the handshake (RFC 5246 §7.4.6, RFC 8446 §4.4.2.2).
        .or_else(|| (!leaf.uses.signs).then_some(Reason::Purpose))
        .or_else(|| (!leaf.key().is_strong()).then_some(Reason::WeakKey))
        .or_else(|| revoked(members, path).then_some(Reason::Revoked))
        .or_else(|| members.iter().find_map(|m| standing.judge_lists(m, leaf, now)))
        .or_else(|| members.iter().find_map(|m| standing.judge_ocsp(m, path, ocsp, now)));
    match standing.reason {
        None => {}
        Some(Reason::NotYetValid) => standing.until = now,
        // An answer or a new list ends these, and those come with another trust or another call.
        Some(_) => standing.until = UnixSeconds(i64::MAX),
    }
    standing
}

fn judge_anchor(anchor: &Certificate, now: UnixSeconds) -> Option<Reason> {
    if anchor.not_after() < now {
        return Some(Reason::Expired);
    }
    (anchor.not_before() > now).then_some(Reason::NotYetValid)
}

/// Whether the leaf or a CA between it and the anchor is revoked, by a list or through the API.
fn revoked(members: &[&Member], path: &[Arc<Certificate>]) -> bool {
    let below_anchor = &path[..path.len() - 1];
    members.iter().any(|member| {
        below_anchor.iter().any(|certificate| {
            member.revoked.contains(certificate)
                || member.lists.iter().any(|list| list.revokes(certificate))
        })
    })
}

impl Standing {
    /// The rule about lists, which is about the leaf. The list that lasts longest counts.
    fn judge_lists(
        &mut self,
        member: &Member,
        leaf: &Certificate,
        now: UnixSeconds,
    ) -> Option<Reason> {
        let rule = member.list_rule;
        let covering = member.lists.iter().filter(|list| list.covers(leaf));
        let lasts = covering.map(|list| {
            list.next_update().map_or(UnixSeconds(i64::MAX), |next| next.plus(rule.grace_seconds))
        });
        match lasts.max() {
            None => rule.required.then_some(Reason::NoList),
            Some(end) if end < now => Some(Reason::ListTooOld),
            Some(end) => {
                self.until = self.until.min(end);
                None
            }
        }
    }

    /// The rules about OCSP: one for the leaf, one for the CAs between it and the anchor. A CA that names no responder leaves
    /// nobody to ask; its issuer had it in hand.
    fn judge_ocsp(
        &mut self,
        member: &Member,
        path: &[Arc<Certificate>],
        answers: &[Arc<OcspAnswer>],
        now: UnixSeconds,
    ) -> Option<Reason> {
        let (mut revoked, mut open) = (false, false);
        for (at, (certificate, issuer)) in path.iter().zip(&path[1..]).enumerate() {
            let hard = match if at == 0 { member.ocsp } else { member.ocsp_intermediates } {
                OcspRule::Off => continue,
                OcspRule::Soft => false,
                OcspRule::Hard => true,
            };
            if at > 0 && certificate.ocsp_urls().is_empty() {
                continue;
            }
            let question = OcspQuestion::new(certificate, issuer);
            let answer = answers.iter().find(|it| it.counts(now) && it.answers(&question));
            match answer.map(|answer| (answer.status(), answer.until())) {
                Some((OcspStatus::Good, until)) => self.until = self.until.min(until),
                Some((OcspStatus::Revoked, _)) => revoked = true,
                Some((OcspStatus::Unknown, _)) | None => open |= hard,
            }
            if !self.ocsp.iter().any(|known| known.question == question) {
                let (certificate, issuer) = (Arc::clone(certificate), Arc::clone(issuer));
                self.ocsp.push(Inquiry { question, certificate, issuer });
            }
        }
        if revoked { Some(Reason::Revoked) } else { open.then_some(Reason::NoOcspAnswer) }
    }
}

/// The library's finding in our words.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the library's errors, which may become more; what is left is malformed"
)]
pub(crate) fn reason(error: &webpki::Error, chain: &PresentedChain) -> Reason {
    use webpki::Error;
    match error {
        Error::UnknownIssuer => {
            let leaf = chain.leaf();
            if leaf.subject() == leaf.issuer() {
                Reason::SelfSigned
            } else if chain.linked() == 1 {
                Reason::UnverifiedLeaf
            } else {
                Reason::UnknownIssuer
            }
        }
        Error::CertExpired { .. } => Reason::Expired,
        Error::CertNotValidYet { .. } => Reason::NotYetValid,
        Error::CertRevoked => Reason::Revoked,
        Error::RequiredEkuNotFoundContext(_)
        | Error::EmptyEkuExtension
        | Error::CaUsedAsEndEntity => Reason::Purpose,
        Error::EndEntityUsedAsCa => Reason::InvalidCa,
        Error::PathLenConstraintViolated | Error::MaximumPathDepthExceeded => Reason::PathTooLong,
        Error::MaximumPathBuildCallsExceeded | Error::MaximumSignatureChecksExceeded => {
            Reason::UnknownIssuer
        }
        Error::NameConstraintViolation
        | Error::MalformedNameConstraint
        | Error::MalformedDnsIdentifier
        | Error::InvalidNetworkMaskConstraint
        | Error::MaximumNameConstraintComparisonsExceeded
        | Error::UnsupportedNameType => Reason::NameConstraint,
        Error::InvalidSignatureForPublicKey | Error::SignatureAlgorithmMismatch => {
            Reason::BadSignature
        }
        Error::UnsupportedSignatureAlgorithmContext(_) => Reason::WeakSignature,
        Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => Reason::WeakKey,
        Error::UnsupportedCriticalExtension => Reason::CriticalExtension,
        _ => Reason::Malformed,
    }
}
