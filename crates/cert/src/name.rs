//! Distinguished names: read once, written in the forms that OpenSSL writes.
//!
//! The formatter is our own because a name is chosen by whoever asks for a certificate: without exact escaping one
//! attribute could pretend to be several, and origins compare these texts with what `openssl x509` printed for them.

mod attributes;
mod legacy;
mod rfc2253;

use crate::der;

/// A distinguished name (X.501), kept as its DER, which is also how two names are compared (RFC 5280 §7.1 allows
/// more; path building, revocation lists and the hints of a handshake all compare bytes).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Box<[u8]>);

/// One attribute of a name.
#[derive(Clone, Copy)]
struct Attribute<'a> {
    /// Counts the relative distinguished names; attributes of one multi-valued name share it.
    set: usize,
    /// The type, as the content octets of an OBJECT IDENTIFIER.
    oid: &'a [u8],
    /// The value's tag octet.
    tag: u8,
    /// The value's content octets.
    value: &'a [u8],
    /// The value with tag and length.
    whole: &'a [u8],
}

impl Name {
    /// Reads the DER of a `Name`; `None` unless it is a sequence of sets of type and value, with nothing behind.
    pub(crate) fn parse(raw: &[u8]) -> Option<Self> {
        attributes(raw)?;
        Some(Self(raw.into()))
    }

    /// The DER: the hint that a server sends for a CA (RFC 8446 §4.2.4), and a key for comparing.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.0
    }

    /// Whether it has no attribute.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.attributes().is_empty()
    }

    /// RFC 2253 text, the last attribute first: `CN=Robot,O=Acme,C=US`. Equal to `openssl x509 -nameopt RFC2253`, and to
    /// nginx's `$ssl_client_s_dn`: non-ASCII characters as `\C3\A9`, the value of a type that has no short name as
    /// `#` and the hex of its DER.
    #[must_use]
    pub fn rfc2253(&self) -> String {
        rfc2253::text(&self.attributes())
    }

    /// The legacy text in the order of the certificate: `/C=US/O=Acme/CN=Robot`. Equal to `openssl x509 -nameopt compat`
    /// (`X509_NAME_oneline`): every octet outside printable ASCII as `\xC3`.
    #[must_use]
    pub fn legacy(&self) -> String {
        legacy::text(&self.attributes())
    }

    /// The common name, if there is exactly one and it is a UTF8String, PrintableString or IA5String of text without
    /// control characters. Anything else (none, several, a BMPString, a NUL) is no common name, so that it matches no
    /// rule (security.md T21). It is compared exactly: case and spaces count.
    #[must_use]
    pub fn common_name(&self) -> Option<&str> {
        let attributes = self.attributes();
        let mut names = attributes.iter().filter(|a| a.oid == attributes::COMMON_NAME);
        let name = names.next().filter(|_| names.next().is_none())?;
        if ![attributes::UTF8_STRING, attributes::PRINTABLE_STRING, attributes::IA5_STRING]
            .contains(&name.tag)
        {
            return None;
        }
        let text = std::str::from_utf8(name.value).ok()?;
        (!text.is_empty() && !text.chars().any(char::is_control)).then_some(text)
    }

    fn attributes(&self) -> Vec<Attribute<'_>> {
        attributes(&self.0).expect("the constructor has read these bytes")
    }
}

impl std::fmt::Debug for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Name({})", self.rfc2253())
    }
}

fn attributes(raw: &[u8]) -> Option<Vec<Attribute<'_>>> {
    let mut rest = der::only(raw, der::SEQUENCE)?.content;
    let mut found = Vec::new();
    let mut set = 0;
    while !rest.is_empty() {
        let mut members = der::take_tagged(&mut rest, der::SET)?.content;
        while !members.is_empty() {
            let mut pair = der::take_tagged(&mut members, der::SEQUENCE)?.content;
            let oid = der::take_tagged(&mut pair, der::OID)?.content;
            let value = der::take(&mut pair)?;
            let whole_oid = oid.last().is_some_and(|last| last & 0x80 == 0);
            if !pair.is_empty() || !whole_oid {
                return None;
            }
            found.push(Attribute {
                set,
                oid,
                tag: value.tag,
                value: value.content,
                whole: value.whole,
            });
        }
        set += 1;
    }
    Some(found)
}
