//! What an origin is told about the client certificate, and a client with it: forwarding, the managed set, and the rules
//! of a hostname (access-protocol §7.6 to §7.8).

use super::names;
use http::{HeaderMap, HeaderName, HeaderValue};
use narthex_cert::{Facts, HeaderValue as Sized, MAX_LEAF_VALUE, PresentedChain};
use narthex_model::ClientAuthField as Field;
use narthex_model::{ForwardedRequests, HeaderRules, HeaderSource, HostnameSetting};
use std::sync::LazyLock;

const DER: HeaderName = HeaderName::from_static("cf-client-cert-der-base64");
const SHA256: HeaderName = HeaderName::from_static("cf-client-cert-sha256");
const LEAF: HeaderName = HeaderName::from_static("client-cert");
const CHAIN: HeaderName = HeaderName::from_static("client-cert-chain");

/// Bytes of one fact in a header. A name of a certificate may be far larger, escaped; then it is left out, for an origin
/// that refuses large heads would refuse them all.
const LONGEST_FACT: usize = 8 * 1024;

/// The managed set (access-protocol §7.7): the newer names, and the older two beside them.
static MANAGED: LazyLock<[(HeaderName, Field); 19]> = LazyLock::new(|| {
    [
        ("cf-cert-presented", Field::CertPresented),
        ("cf-cert-verified", Field::CertVerified),
        ("cf-cert-revoked", Field::CertRevoked),
        ("cf-cert-issuer-dn", Field::CertIssuerDn),
        ("cf-cert-subject-dn", Field::CertSubjectDn),
        ("cf-cert-issuer-dn-rfc2253", Field::CertIssuerDnRfc2253),
        ("cf-cert-subject-dn-rfc2253", Field::CertSubjectDnRfc2253),
        ("cf-cert-issuer-dn-legacy", Field::CertIssuerDnLegacy),
        ("cf-cert-subject-dn-legacy", Field::CertSubjectDnLegacy),
        ("cf-cert-serial", Field::CertSerial),
        ("cf-cert-issuer-serial", Field::CertIssuerSerial),
        ("cf-cert-sha256", Field::CertFingerprintSha256),
        ("cf-cert-sha1", Field::CertFingerprintSha1),
        ("cf-cert-fingerprint-sha256", Field::CertFingerprintSha256),
        ("cf-cert-fingerprint-sha1", Field::CertFingerprintSha1),
        ("cf-cert-not-before", Field::CertNotBefore),
        ("cf-cert-not-after", Field::CertNotAfter),
        ("cf-cert-ski", Field::CertSki),
        ("cf-cert-issuer-ski", Field::CertIssuerSki),
    ]
    .map(|(name, field)| (HeaderName::from_static(name), field))
});

/// A client certificate as it was judged for one host.
pub trait JudgedCertificate {
    /// The fields of `tlsClientAuth` (access-protocol §7.8).
    fn facts(&self) -> &Facts;
    /// The chain, if one was presented and could be read.
    fn chain(&self) -> Option<&PresentedChain>;
    /// What the host's origin wants to be told of it.
    fn setting(&self) -> Option<&HostnameSetting>;
}

/// What one request's origin is told about the client certificate.
#[derive(Clone, Copy, Default)]
pub struct Certified<'a> {
    /// None where no certificate is asked for.
    pub judged: Option<&'a dyn JudgedCertificate>,
    /// Whether this is the first request that the connection brings to the origin's host.
    pub first: bool,
    /// Whether the managed set is written.
    pub managed: bool,
}

impl Certified<'_> {
    /// Writes it. The client's own copies of `cf-*` and `client-cert*` have been removed before; those of the names that
    /// the hostname's rules write are removed here, in any spelling.
    pub(super) fn tell(&self, headers: &mut HeaderMap) {
        if self.managed {
            write_managed(headers, self.judged.map(JudgedCertificate::facts));
        }
        let Some(judged) = self.judged else { return };
        let Some(setting) = judged.setting() else { return };
        if setting.client_certificate_forwarding {
            self.forward(headers, judged, setting);
        }
        write_rules(headers, &setting.request_headers, judged.facts());
    }

    fn forward(
        &self,
        headers: &mut HeaderMap,
        judged: &dyn JudgedCertificate,
        setting: &HostnameSetting,
    ) {
        let due = match setting.forwarded_requests {
            ForwardedRequests::First => self.first,
            ForwardedRequests::Every => true,
        };
        let Some(chain) = judged.chain().filter(|_| due) else { return };
        let mut write = |name, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        if setting.forwarded_form.has_cloudflare() {
            let der = chain.leaf().der_base64();
            if der.len() <= MAX_LEAF_VALUE {
                write(DER, &der);
            }
            write(SHA256, &chain.leaf().sha256_hex());
        }
        if setting.forwarded_form.has_rfc9440() {
            for (name, value) in
                [(LEAF, Some(chain.client_cert())), (CHAIN, chain.client_cert_chain())]
            {
                match value {
                    Some(Sized::Value(value)) => write(name, &value),
                    Some(Sized::TooLarge) | None => {}
                }
            }
        }
    }
}

/// Writes the managed set; facts that are absent are left out. `None` stands for a host that asks for no certificate.
pub fn write_managed(headers: &mut HeaderMap, facts: Option<&Facts>) {
    let nothing = Facts::none();
    let facts = facts.unwrap_or(&nothing);
    for (name, field) in &*MANAGED {
        let fact = facts.get(*field);
        // access-protocol §16 row 16: these three are said as `true` and `false`.
        let is_a_yes_or_no =
            [Field::CertPresented, Field::CertVerified, Field::CertRevoked].contains(field);
        let value = if is_a_yes_or_no { truth(fact == "1" || fact == "SUCCESS") } else { fact };
        headers.remove(name);
        if let Ok(value) = HeaderValue::from_str(value)
            && (1..=LONGEST_FACT).contains(&value.len())
        {
            headers.insert(name, value);
        }
    }
}

fn truth(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

fn write_rules(headers: &mut HeaderMap, rules: &HeaderRules, facts: &Facts) {
    if rules.is_empty() {
        return;
    }
    names::remove_where(headers, |name| {
        rules.iter().any(|(rule, _)| names::are_one(rule.as_lower(), name))
    });
    for (name, source) in rules.iter() {
        let value = match source {
            HeaderSource::Value(value) => value,
            HeaderSource::Field(field) => match facts.get(*field) {
                "" => continue,
                // These two have bounds of their own.
                fact if *field == Field::CertRfc9440 || *field == Field::CertChainRfc9440 => fact,
                fact if fact.len() > LONGEST_FACT => continue,
                fact => fact,
            },
        };
        let pair =
            (HeaderName::from_bytes(name.as_lower().as_bytes()), HeaderValue::from_str(value));
        if let (Ok(name), Ok(value)) = pair {
            headers.insert(name, value);
        }
    }
}
