//! Who signed, where a signature stands, what it covers and how it was made (S1, S4, S7).

use crate::forge::{
    ENVELOPED, EXCLUSIVE, HERE, PROVIDER, Plan, STRANGER, assertion, genuine, response, sign,
    unsigned,
};
use crate::{honest_signature, judge};
use narthex_saml::Refusal;

#[test]
fn something_must_be_signed_and_by_the_provider() {
    let bare = unsigned(&assertion());
    let stranger = || Plan { signer: &STRANGER, ..Plan::default() };
    let certificate = |of: &str| {
        format!(
            "<ds:KeyInfo><ds:X509Data><ds:X509Certificate>{of}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>"
        )
    };
    let by = |plan: Plan| unsigned(&response(&sign(&assertion(), &plan)));
    let value = "<ds:SignatureValue>";
    judge(vec![
        ("honest", genuine(), Ok(())),
        ("unsigned", unsigned(&response(&bare)), Err(Refusal::Unsigned)),
        ("changed", genuine().replace("ada@", "eve@"), Err(Refusal::Signature)),
        (
            "value changed",
            genuine().replace(value, &format!("{value}AAAA")),
            Err(Refusal::Signature),
        ),
        ("by a stranger", by(stranger()), Err(Refusal::Signature)),
        (
            "by a stranger who brings the certificate",
            by(Plan { rest: certificate(&STRANGER.base64()), ..stranger() }),
            Err(Refusal::Signature),
        ),
        (
            "by a stranger who brings the provider's certificate",
            by(Plan { rest: certificate(&PROVIDER.base64()), ..stranger() }),
            Err(Refusal::Signature),
        ),
        (
            "by the provider, with the certificate",
            by(Plan { rest: certificate(&PROVIDER.base64()), ..Plan::default() }),
            Ok(()),
        ),
        (
            "assertion by the provider, response by a stranger",
            sign(&response(&sign(&assertion(), &Plan::default())), &stranger()),
            Err(Refusal::Signature),
        ),
        (
            "response by the provider, assertion by a stranger",
            sign(&response(&sign(&assertion(), &stranger())), &Plan::default()),
            Err(Refusal::Signature),
        ),
    ]);
}

#[test]
fn a_signature_stands_in_what_it_signs_and_covers_just_that() {
    let honest = honest_signature();
    let in_response = response(&unsigned(&assertion())).replace(HERE, &honest);
    let in_subject = unsigned(&response(
        &unsigned(&assertion()).replace("</saml:Subject>", &format!("{honest}</saml:Subject>")),
    ));
    let twice = genuine().replace(&honest, &format!("{honest}{honest}"));
    let foreign = genuine().replace(
        "</saml:AttributeStatement>",
        "</saml:AttributeStatement><x:Signature xmlns:x=\"urn:x\"></x:Signature>",
    );
    let plan = |change: &dyn Fn(&mut Plan)| {
        let mut plan = Plan::default();
        change(&mut plan);
        unsigned(&response(&sign(&assertion(), &plan)))
    };
    let shape = Err(Refusal::SignatureShape);
    let uri = |uri: &str| plan(&|plan| plan.uri = Some(uri.into()));
    let transforms = |list: &str| plan(&|plan| plan.transforms = list.into());
    let xpath = "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xpath-19991116\"><ds:XPath>not(ancestor-or-self::saml:Subject)</ds:XPath></ds:Transform>";
    let xslt =
        "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xslt-19991116\"></ds:Transform>";
    let comments = "<ds:Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#WithComments\"></ds:Transform>";
    let inclusive = "<ds:Transform Algorithm=\"http://www.w3.org/TR/2001/REC-xml-c14n-20010315\"></ds:Transform>";
    let prefixes = |name: &str| {
        format!(
            "{ENVELOPED}<ds:Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\">{name}</ds:Transform>"
        )
    };
    let list = "<ec:InclusiveNamespaces xmlns:ec=\"http://www.w3.org/2001/10/xml-exc-c14n#\" PrefixList=\"xs\"></ec:InclusiveNamespaces>";
    judge(vec![
        ("the assertion's, in the response", in_response, shape),
        ("in the subject", in_subject, Err(Refusal::SignaturePlace)),
        ("two", twice, Err(Refusal::SignaturePlace)),
        ("one of another kind", foreign, Err(Refusal::Structure)),
        ("no reference's URI", uri(""), shape),
        ("only a hash sign", uri("#"), shape),
        ("the response's", uri("#_response-1"), shape),
        ("nothing there", uri("#_nobody"), shape),
        ("by XPointer", uri("#xpointer(id('_assertion-1'))"), shape),
        ("the whole by XPointer", uri("#xpointer(/)"), shape),
        ("a file", uri("/etc/passwd"), shape),
        ("another site", uri("https://example.org/_assertion-1"), shape),
        ("an attachment", uri("cid:_assertion-1"), shape),
        ("the URI left out", genuine().replace(" URI=\"#_assertion-1\"", ""), shape),
        ("a prefix list", transforms(&prefixes(list)), Ok(())),
        ("16 prefixes", transforms(&prefixes(&list.replace("xs", &"xs ".repeat(16)))), Ok(())),
        ("17 prefixes", transforms(&prefixes(&list.replace("xs", &"xs ".repeat(17)))), shape),
        ("two prefix lists", transforms(&prefixes(&list.repeat(2))), shape),
        ("no transform", transforms(""), shape),
        ("enveloped only", transforms(ENVELOPED), shape),
        ("exclusive only", transforms(EXCLUSIVE), shape),
        ("the wrong order", transforms(&format!("{EXCLUSIVE}{ENVELOPED}")), shape),
        ("with comments", transforms(&format!("{ENVELOPED}{comments}")), shape),
        ("inclusive", transforms(&format!("{ENVELOPED}{inclusive}")), shape),
        ("XPath", transforms(&format!("{ENVELOPED}{xpath}{EXCLUSIVE}")), shape),
        ("XPath for exclusive", transforms(&format!("{ENVELOPED}{xpath}")), shape),
        ("XSLT", transforms(&format!("{xslt}{ENVELOPED}{EXCLUSIVE}")), shape),
        (
            "SignedInfo inclusive",
            plan(&|plan| plan.canonicalization = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"),
            shape,
        ),
        ("an object", plan(&|plan| plan.rest = "<ds:Object></ds:Object>".into()), shape),
        (
            "two references",
            plan(&|plan| {
                plan.more = format!(
                    "<ds:Reference URI=\"#_response-1\"><ds:Transforms>{ENVELOPED}{EXCLUSIVE}</ds:Transforms></ds:Reference>"
                );
            }),
            shape,
        ),
        (
            "no reference",
            {
                let text = genuine();
                let start = text.find("<ds:Reference").unwrap();
                let end = text.find("</ds:Reference>").unwrap() + "</ds:Reference>".len();
                format!("{}{}", &text[..start], &text[end..])
            },
            shape,
        ),
        (
            "a value on lines, as Windows ends them",
            genuine().replace("<ds:SignatureValue>", "<ds:SignatureValue>&#13;\n&#xD;\n\t "),
            Ok(()),
        ),
        ("two SignedInfo, the honest first", twice_informed(false), shape),
        ("two SignedInfo, the honest last", twice_informed(true), shape),
        (
            "two values",
            genuine().replace(
                "</ds:Signature>",
                "<ds:SignatureValue>AA==</ds:SignatureValue></ds:Signature>",
            ),
            shape,
        ),
        (
            "a digest in pieces",
            genuine().replace("</ds:DigestValue>", "<![CDATA[AAAA]]></ds:DigestValue>"),
            shape,
        ),
        (
            "a value in pieces",
            genuine().replace("<ds:SignatureValue>", "<ds:SignatureValue><![CDATA[]]>"),
            shape,
        ),
    ]);
}

/// The honest response with a second `SignedInfo`, which speaks of other content, before or behind the honest one
/// (as in CVE-2025-29775 and its kin).
fn twice_informed(before: bool) -> String {
    let text = genuine();
    let start = text.find("<ds:SignedInfo>").unwrap();
    let end = text.find("</ds:SignedInfo>").unwrap() + "</ds:SignedInfo>".len();
    let other = text[start..end].replace("<ds:DigestValue>", "<ds:DigestValue>AAAA");
    let (head, tail) = text.split_at(if before { start } else { end });
    format!("{head}{other}{tail}")
}

#[test]
fn weak_and_confused_algorithms_are_not_spoken() {
    let by = |method: &'static str, digest: &'static str, hmac: bool| {
        let plan = Plan { method, digest, hmac, ..Plan::default() };
        unsigned(&response(&sign(&assertion(), &plan)))
    };
    let (rsa, sha) = (
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
        "http://www.w3.org/2001/04/xmlenc#sha256",
    );
    let refused = Err(Refusal::Algorithm);
    judge(vec![
        ("RSA-SHA256", by(rsa, sha, false), Ok(())),
        (
            "RSA-SHA512 said, SHA256 made",
            by("http://www.w3.org/2001/04/xmldsig-more#rsa-sha512", sha, false),
            Err(Refusal::Signature),
        ),
        (
            "ECDSA said, RSA made",
            by("http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256", sha, false),
            Err(Refusal::Signature),
        ),
        (
            "HMAC with the public key",
            by("http://www.w3.org/2001/04/xmldsig-more#hmac-sha256", sha, true),
            refused,
        ),
        ("HMAC-SHA1", by("http://www.w3.org/2000/09/xmldsig#hmac-sha1", sha, true), refused),
        ("RSA-SHA1", by("http://www.w3.org/2000/09/xmldsig#rsa-sha1", sha, false), refused),
        ("RSA-MD5", by("http://www.w3.org/2001/04/xmldsig-more#rsa-md5", sha, false), refused),
        ("DSA", by("http://www.w3.org/2000/09/xmldsig#dsa-sha1", sha, false), refused),
        ("none", by("", sha, false), refused),
        ("SHA-1 digest", by(rsa, "http://www.w3.org/2000/09/xmldsig#sha1", false), refused),
        ("MD5 digest", by(rsa, "http://www.w3.org/2001/04/xmldsig-more#md5", false), refused),
        (
            "an output length",
            genuine().replace(
                "rsa-sha256\">",
                "rsa-sha256\"><ds:HMACOutputLength>0</ds:HMACOutputLength>",
            ),
            Err(Refusal::SignatureShape),
        ),
    ]);
}
