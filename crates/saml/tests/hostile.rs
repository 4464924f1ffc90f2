//! Hostile responses, each refused for its own reason, beside the near misses that are honest. The list follows the
//! published attacks (signature wrapping by Somorovsky and others, comment truncation, canonicalisation that fails
//! open, parser differentials) and the checklist of this project (S1 to S12).

#![allow(clippy::unwrap_used, reason = "part of the tests")]

mod forge;

use forge::{
    ACS, ENVELOPED, EXCLUSIVE, HERE, IDP, PROVIDER, Plan, REQUEST, STRANGER, SUCCESS, Scene,
    assertion, genuine, response, sign, signature, unsigned,
};
use narthex_saml::{MAX_BYTES, Refusal, Status};

type Row<'a> = (&'a str, String, Result<(), Refusal>);

fn judge(rows: Vec<Row<'_>>) {
    let scene = Scene::default();
    for (name, document, want) in rows {
        assert_eq!(scene.consume(&document).map(drop), want, "{name}:\n{document}");
    }
}

/// What the attacker wants to be read: the honest assertion about somebody else, under another name.
fn evil() -> String {
    assertion().replace("_assertion-1", "_evil-1").replace("ada@", "eve@")
}

fn honest_signature() -> String {
    signature(&assertion(), &Plan::default())
}

/// A response around an assertion that its provider signed as it stands.
fn signed(assertion: &str) -> String {
    unsigned(&response(&sign(assertion, &Plan::default())))
}

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
fn wrapping_moves_nothing_past_the_signature() {
    let (honest, bare, evil) = (assertion(), unsigned(&assertion()), evil());
    let (signature_a, signed_a) = (honest_signature(), sign(&honest, &Plan::default()));
    let evil_bare = unsigned(&evil);
    let whole = response(&bare);
    let signature_r = signature(&whole, &Plan::default());
    let whole_bare = unsigned(&whole);
    let evil_response = response(&bare).replace("_response-1", "_evil-1").replace("ada@", "eve@");
    let inside = |signature: &str, what: &str| {
        signature.replace("</ds:Signature>", &format!("{what}</ds:Signature>"))
    };
    let object = |what: &str| inside(&signature_a, &format!("<ds:Object>{what}</ds:Object>"));
    let extensions = |what: &str| {
        unsigned(&response(&signed_a))
            .replace(SUCCESS, &format!("<samlp:Extensions>{what}</samlp:Extensions>{SUCCESS}"))
    };
    let wrap = |payload: &str| unsigned(&response(payload));
    let assertions = Err(Refusal::Assertions);
    judge(vec![
        // XSW 1 and 2: the signed response moved into, or beside, its own signature.
        ("XSW 1", evil_response.replace(HERE, &inside(&signature_r, &whole_bare)), Err(Refusal::Identifiers)),
        (
            "XSW 1, names told apart",
            evil_response
                .replace("_assertion-1", "_evil-2")
                .replace(HERE, &inside(&signature_r, &whole_bare)),
            assertions,
        ),
        (
            "XSW 2",
            evil_response.replace("_assertion-1", "_evil-2").replace(HERE, &format!("{whole_bare}{signature_r}")),
            assertions,
        ),
        // XSW 3 and 4: the forged assertion before, and around, the signed one.
        ("XSW 3", wrap(&format!("{evil_bare}{signed_a}")), assertions),
        ("XSW 3, behind", wrap(&format!("{signed_a}{evil_bare}")), assertions),
        ("XSW 4", wrap(&evil.replace(HERE, &signed_a)), assertions),
        // XSW 5 and 6: the forged assertion takes the signature; the signed one stands behind it, or in it.
        ("XSW 5", wrap(&format!("{}{bare}", evil.replace(HERE, &signature_a))), assertions),
        ("XSW 6", wrap(&evil.replace(HERE, &inside(&signature_a, &bare))), assertions),
        // XSW 7 and 8: one of the two hidden where the schema allows anything.
        ("XSW 7", extensions(&evil_bare), assertions),
        ("XSW 8", wrap(&evil.replace(HERE, &object(&bare))), assertions),
        (
            "Advice",
            wrap(&evil.replace(HERE, &format!("{signature_a}<saml:Advice>{bare}</saml:Advice>"))),
            assertions,
        ),
        (
            "Advice in the signed one",
            signed(&honest.replace("<saml:AuthnStatement", &format!("<saml:Advice>{evil_bare}</saml:Advice><saml:AuthnStatement"))),
            assertions,
        ),
        ("in the status", unsigned(&response(&signed_a)).replace("</samlp:Status>", &format!("<samlp:StatusDetail>{evil_bare}</samlp:StatusDetail></samlp:Status>")), assertions),
        ("Extensions", extensions(""), Ok(())),
        (
            "Extensions with an object",
            extensions("<ds:Object xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"></ds:Object>"),
            Err(Refusal::SignatureShape),
        ),
        (
            "Extensions with a signature",
            extensions(&signature_a),
            Err(Refusal::SignaturePlace),
        ),
        ("Extensions with something", extensions("<x:y xmlns:x=\"urn:x\">z</x:y>"), Ok(())),
        ("in an attribute's value", signed(&honest.replace("<saml:AttributeValue>staff", &format!("<saml:AttributeValue>{evil_bare}staff"))), assertions),
        ("a nested response", wrap(&format!("{signed_a}{}", unsigned(&response("")))), Err(Refusal::Identifiers)),
        ("a nested response of another kind", extensions("<x:Response xmlns:x=\"urn:x\"></x:Response>"), assertions),
        ("one in a foreign namespace", extensions("<x:Assertion xmlns:x=\"urn:x\"></x:Assertion>"), assertions),
        ("only one in a foreign namespace", wrap("<x:Assertion xmlns:x=\"urn:x\" ID=\"a\" Version=\"2.0\"></x:Assertion>"), assertions),
        ("an encrypted one beside it", wrap(&format!("{signed_a}<saml:EncryptedAssertion xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\"></saml:EncryptedAssertion>")), assertions),
        ("none", wrap(""), assertions),
        ("the assertion alone", signed_a.clone(), Err(Refusal::NotAResponse)),
        ("a stranger below the response", wrap(&format!("{signed_a}<x:y xmlns:x=\"urn:x\"></x:y>")), Err(Refusal::Structure)),
        ("two issuers", unsigned(&response(&signed_a)).replace(SUCCESS, &format!("<saml:Issuer xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\">{IDP}</saml:Issuer>{SUCCESS}")), Err(Refusal::Structure)),
        ("two subjects", signed(&honest.replace("<saml:Conditions", "<saml:Subject><saml:NameID>eve@example.com</saml:NameID></saml:Subject><saml:Conditions")), Err(Refusal::Structure)),
        ("two names", signed(&honest.replace("<saml:SubjectConfirmation ", "<saml:NameID>eve@example.com</saml:NameID><saml:SubjectConfirmation ")), Err(Refusal::Structure)),
    ]);
}

#[test]
fn identifiers_are_unique_and_of_one_kind() {
    let value = "<saml:AttributeValue>";
    let with = |attribute: &str| {
        signed(&assertion().replacen(value, &format!("<saml:AttributeValue {attribute}>"), 1))
    };
    let own = |from: &str, to: &str| {
        unsigned(&response(&sign(&assertion(), &Plan::default()).replacen(from, to, 1)))
    };
    let refused = Err(Refusal::Identifiers);
    judge(vec![
        ("another", with("ID=\"_other\""), Ok(())),
        ("the assertion's again", with("ID=\"_assertion-1\""), refused),
        ("the response's again", with("ID=\"_response-1\""), refused),
        ("again as Id", with("Id=\"_assertion-1\""), refused),
        ("again as id", with("id=\"_assertion-1\""), refused),
        ("again as AssertionID", with("AssertionID=\"_assertion-1\""), refused),
        ("as xml:id", with("xml:id=\"_other\""), refused),
        ("in a namespace", with("xmlns:u=\"urn:u\" u:Id=\"_other\""), refused),
        (
            "the response's beside another in a namespace",
            genuine().replacen(" ID=\"_response-1\"", " ID=\"_response-1\" samlp:ID=\"_other\"", 1),
            refused,
        ),
        ("two kinds in one tag", with("ID=\"_other\" Id=\"_more\""), refused),
        ("empty", with("ID=\"\""), refused),
        (
            "the assertion's by another name",
            own(" ID=\"_assertion-1\"", " Id=\"_assertion-1\""),
            refused,
        ),
        ("the assertion's left out", own(" ID=\"_assertion-1\"", ""), refused),
        (
            "the assertion's twice",
            own(" ID=\"_assertion-1\"", " ID=\"_assertion-1\" Id=\"_evil\""),
            refused,
        ),
    ]);
}

#[test]
fn markup_cannot_cut_or_carry_anything() {
    let longer = assertion()
        .replace("ada@example.com</saml:NameID>", "ada@example.com.evil.org</saml:NameID>");
    let comment = signed(&longer).replace("ada@example.com.evil", "ada@example.com<!-- -->.evil");
    let instruction = signed(&longer).replace("ada@example.com.evil", "ada@example.com<?x?>.evil");
    let pieces =
        signed(&longer).replace("ada@example.com.evil.org", "ada@example.com<![CDATA[.evil.org]]>");
    let doctype = |subset: &str| format!("<!DOCTYPE samlp:Response [{subset}]>{}", genuine());
    let laughs: String = (1..9)
        .map(|n| format!("<!ENTITY l{n} \"{}\">", format!("&l{};", n - 1).repeat(10)))
        .collect();
    judge(vec![
        ("a comment in the name", comment, Err(Refusal::Markup)),
        (
            "a comment in the digest",
            genuine().replace("<ds:DigestValue>", "<ds:DigestValue><!-- AAAA -->"),
            Err(Refusal::Markup),
        ),
        ("an instruction in the name", instruction, Err(Refusal::Markup)),
        ("a comment before all", format!("<!-- -->{}", genuine()), Err(Refusal::Markup)),
        ("a comment after all", format!("{}<!-- -->", genuine()), Err(Refusal::Markup)),
        (
            "an XML declaration",
            format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}", genuine()),
            Ok(()),
        ),
        ("a document type", doctype(""), Err(Refusal::Markup)),
        (
            "an entity",
            doctype("<!ENTITY who \"eve\">").replace("ada@", "&who;@"),
            Err(Refusal::Markup),
        ),
        (
            "a file",
            doctype("<!ENTITY who SYSTEM \"file:///etc/passwd\">").replace("ada@", "&who;@"),
            Err(Refusal::Markup),
        ),
        (
            "a thousand million laughs",
            doctype(&format!("<!ENTITY l0 \"ha\">{laughs}")).replace("ada@", "&l8;@"),
            Err(Refusal::Markup),
        ),
        (
            "an identifier by declaration",
            doctype("<!ATTLIST saml:Assertion ID ID #IMPLIED>"),
            Err(Refusal::Markup),
        ),
        ("an entity nobody declared", genuine().replace("ada@", "&who;@"), Err(Refusal::NotXml)),
    ]);
    // Character data is text like any other, and is read whole.
    let read = Scene::default().consume(&pieces).map(|read| read.name_id);
    assert_eq!(read.as_deref(), Ok("ada@example.com.evil.org"));
}

#[test]
fn namespaces_are_what_they_say() {
    let saml = "xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\"";
    let elsewhere = |from: &str, to: &str| signed(&assertion().replace(from, to));
    judge(vec![
        (
            "relative",
            elsewhere(saml, &format!("{saml} xmlns:x=\"relative/name\"")),
            Err(Refusal::RelativeNamespace),
        ),
        (
            "relative around",
            genuine().replace("<samlp:Response ", "<samlp:Response xmlns:x=\"x\" "),
            Err(Refusal::RelativeNamespace),
        ),
        (
            "another prefix",
            genuine().replace("samlp:", "p:").replace("xmlns:samlp", "xmlns:p"),
            Ok(()),
        ),
        (
            "a rebound prefix",
            elsewhere("<saml:Subject>", "<saml:Subject xmlns:saml=\"urn:evil\">"),
            Err(Refusal::Structure),
        ),
        (
            "SAML 1.1",
            genuine().replace("SAML:2.0:protocol", "SAML:1.1:protocol"),
            Err(Refusal::NotAResponse),
        ),
        (
            "no namespace",
            genuine().replace("samlp:Response", "Response"),
            Err(Refusal::NotAResponse),
        ),
        (
            "a condition of another kind",
            elsewhere("<saml:Audience>", "<x:Audience xmlns:x=\"urn:x\">")
                .replace("</saml:Audience>", "</x:Audience>"),
            Err(Refusal::Signature),
        ),
    ]);
}

#[test]
fn no_two_documents_have_one_canonical_form() {
    // Signed as text or value, then written as what it looks like.
    let text = signed(&assertion().replace(
        ">staff</saml:AttributeValue>",
        ">staff&lt;/saml:AttributeValue&gt;&lt;saml:AttributeValue&gt;admins</saml:AttributeValue>",
    ));
    let value = signed(
        &assertion()
            .replace(
                "FriendlyName=\"mail\" Name",
                "FriendlyName=\"a&quot; Name=&quot;groups\" NameFormat=\"b\" Name",
            )
            .replace("NameFormat=\"b\" Name=\"email\"", "Name=\"email\" NameFormat=\"b\""),
    );
    let line = signed(&assertion().replace(">staff<", ">sta&#xD;ff<"));
    let markup = text.replace(
        "&lt;/saml:AttributeValue&gt;&lt;saml:AttributeValue&gt;",
        "</saml:AttributeValue><saml:AttributeValue>",
    );
    let attributes = value.replace("a&quot; Name=&quot;groups", "a\" X=\"groups");
    assert!(markup != text && attributes != value);
    judge(vec![
        ("text that looks like markup", text, Ok(())),
        ("that text as markup", markup, Err(Refusal::Signature)),
        ("a value that looks like attributes", value, Ok(())),
        ("that value as attributes", attributes, Err(Refusal::Signature)),
        ("a return in text", line.clone(), Ok(())),
        ("that return as a line's end", line.replace("&#xD;", "\n"), Err(Refusal::Signature)),
        ("an entity for an entity", genuine().replace("ada@example", "&#97;da@example"), Ok(())),
        (
            "an entity twice",
            genuine().replace("ada@example", "&amp;#97;da@example"),
            Err(Refusal::Signature),
        ),
        (
            "an empty element in a text",
            genuine().replace(">staff", "><x xmlns=\"urn:x\"/>staff"),
            Err(Refusal::Signature),
        ),
        (
            "another default namespace",
            genuine().replace("<saml:Subject>", "<saml:Subject xmlns=\"urn:x\">"),
            Ok(()),
        ),
        (
            "an attribute more",
            genuine().replace("<saml:Subject>", "<saml:Subject x=\"1\">"),
            Err(Refusal::Signature),
        ),
        (
            "attributes in another order",
            genuine().replace(
                "FriendlyName=\"mail\" Name=\"email\"",
                "Name='email'  FriendlyName='mail'",
            ),
            Ok(()),
        ),
    ]);
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

#[test]
fn every_condition_must_be_there_and_hold() {
    // Each edit is made before the provider signs, so that only the condition itself is wrong.
    let with = |from: &str, to: &str| {
        let edited = assertion().replacen(from, to, 1);
        assert_ne!(edited, assertion(), "{from:?} is not in the assertion");
        signed(&edited)
    };
    let around = |from: &str, to: &str| {
        let edited = genuine().replacen(from, to, 1);
        assert_ne!(edited, genuine(), "{from:?} is not in the response");
        edited
    };
    let other = "https://other.example.com/cdn-cgi/access/callback";
    let destination = format!(" Destination=\"{ACS}\"");
    let recipient = format!(" Recipient=\"{ACS}\"");
    let audience = format!("<saml:Audience>{ACS}</saml:Audience>");
    let restriction = format!("<saml:AudienceRestriction>{audience}</saml:AudienceRestriction>");
    let another = format!(
        "<saml:AudienceRestriction><saml:Audience>{other}</saml:Audience></saml:AudienceRestriction>"
    );
    let issuer = format!("<saml:Issuer>{IDP}</saml:Issuer>");
    let request = format!(" InResponseTo=\"{REQUEST}\"");
    let bearer = "Method=\"urn:oasis:names:tc:SAML:2.0:cm:bearer\"";
    let (data_end, end) =
        ("NotOnOrAfter=\"2026-11-22T21:04:00Z\"", "NotOnOrAfter=\"2026-11-22T21:05:00Z\"");
    let start = " NotBefore=\"2026-11-22T20:59:00Z\"";
    let data = format!(
        "<saml:SubjectConfirmationData{request} {data_end}{recipient}></saml:SubjectConfirmationData>"
    );
    let confirmation =
        format!("<saml:SubjectConfirmation {bearer}>{data}</saml:SubjectConfirmation>");
    let hopeless = "<saml:SubjectConfirmation Method=\"urn:oasis:names:tc:SAML:2.0:cm:sender-vouches\"></saml:SubjectConfirmation>";
    let conditions = format!("<saml:Conditions{start} {end}>{restriction}</saml:Conditions>");
    let statement_start =
        "<saml:AuthnStatement AuthnInstant=\"2026-11-22T20:58:00Z\" SessionIndex=\"_session-1\">";
    judge(vec![
        (
            "Destination elsewhere",
            around(&destination, &format!(" Destination=\"{other}\"")),
            Err(Refusal::Destination),
        ),
        (
            "Destination with a slash more",
            around(&destination, &format!(" Destination=\"{ACS}/\"")),
            Err(Refusal::Destination),
        ),
        (
            "Destination in capitals",
            around(&destination, &destination.to_uppercase().replace("DESTINATION", "Destination")),
            Err(Refusal::Destination),
        ),
        ("Destination empty", around(&destination, " Destination=\"\""), Err(Refusal::Destination)),
        ("Destination missing", around(&destination, ""), Err(Refusal::Destination)),
        (
            "Recipient elsewhere",
            with(&recipient, &format!(" Recipient=\"{other}\"")),
            Err(Refusal::Recipient),
        ),
        ("Recipient empty", with(&recipient, " Recipient=\"\""), Err(Refusal::Recipient)),
        ("Recipient missing", with(&recipient, ""), Err(Refusal::Recipient)),
        (
            "Audience of another",
            with(&audience, &format!("<saml:Audience>{other}</saml:Audience>")),
            Err(Refusal::Audience),
        ),
        (
            "Audience longer",
            with(&audience, &format!("<saml:Audience>{ACS}2</saml:Audience>")),
            Err(Refusal::Audience),
        ),
        (
            "Audience of both",
            with(&audience, &format!("<saml:Audience>{other}</saml:Audience>{audience}")),
            Ok(()),
        ),
        (
            "Audience empty",
            with(&audience, "<saml:Audience></saml:Audience>"),
            Err(Refusal::Audience),
        ),
        ("Audience missing", with(&audience, ""), Err(Refusal::Audience)),
        ("restriction missing", with(&restriction, ""), Err(Refusal::Audience)),
        (
            "a second restriction to another",
            with(&restriction, &format!("{restriction}{another}")),
            Err(Refusal::Audience),
        ),
        (
            "used once",
            with(&restriction, &format!("{restriction}<saml:OneTimeUse></saml:OneTimeUse>")),
            Ok(()),
        ),
        (
            "a condition nobody knows",
            with(&restriction, &format!("{restriction}<x:Moon xmlns:x=\"urn:x\"></x:Moon>")),
            Err(Refusal::Conditions),
        ),
        ("conditions missing", with(&conditions, ""), Err(Refusal::Conditions)),
        ("conditions twice", with(&conditions, &conditions.repeat(2)), Err(Refusal::Structure)),
        (
            "issuer another",
            with(&issuer, "<saml:Issuer>https://evil.example</saml:Issuer>"),
            Err(Refusal::Issuer),
        ),
        ("issuer empty", with(&issuer, "<saml:Issuer></saml:Issuer>"), Err(Refusal::Issuer)),
        ("issuer missing", with(&issuer, ""), Err(Refusal::Issuer)),
        (
            "issuer a person",
            with(
                "<saml:Issuer>",
                "<saml:Issuer Format=\"urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress\">",
            ),
            Err(Refusal::Issuer),
        ),
        (
            "issuer an entity",
            with(
                "<saml:Issuer>",
                "<saml:Issuer Format=\"urn:oasis:names:tc:SAML:2.0:nameid-format:entity\">",
            ),
            Ok(()),
        ),
        (
            "the response's issuer another",
            around(&format!("{IDP}</saml:Issuer>"), "https://evil.example</saml:Issuer>"),
            Err(Refusal::Issuer),
        ),
        (
            "the response's issuer missing",
            around(
                &format!(
                    "<saml:Issuer xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\">{IDP}</saml:Issuer>"
                ),
                "",
            ),
            Ok(()),
        ),
        (
            "answers another",
            with(&request, " InResponseTo=\"_request-2\""),
            Err(Refusal::InResponseTo),
        ),
        ("answers nobody", with(&request, " InResponseTo=\"\""), Err(Refusal::InResponseTo)),
        ("answers nothing", with(&request, ""), Err(Refusal::InResponseTo)),
        (
            "the response answers another",
            around(&request, " InResponseTo=\"_request-2\""),
            Err(Refusal::InResponseTo),
        ),
        ("the response answers nothing", around(&request, ""), Err(Refusal::InResponseTo)),
        (
            "not before later",
            with(start, " NotBefore=\"2026-11-22T21:00:31Z\""),
            Err(Refusal::NotYetValid),
        ),
        ("not before soon", with(start, " NotBefore=\"2026-11-22T21:00:30Z\""), Ok(())),
        ("not before empty", with(start, " NotBefore=\"\""), Err(Refusal::Time)),
        ("not before missing", with(start, ""), Err(Refusal::Time)),
        ("over", with(end, "NotOnOrAfter=\"2026-11-22T20:59:30Z\""), Err(Refusal::Expired)),
        ("almost over", with(end, "NotOnOrAfter=\"2026-11-22T20:59:31Z\""), Ok(())),
        ("end empty", with(end, "NotOnOrAfter=\"\""), Err(Refusal::Time)),
        (
            "end without a zone",
            with(end, "NotOnOrAfter=\"2026-11-22T21:05:00\""),
            Err(Refusal::Time),
        ),
        ("end missing", with(&format!(" {end}"), ""), Err(Refusal::Time)),
        (
            "confirmed no longer",
            with(data_end, "NotOnOrAfter=\"2026-11-22T20:59:30Z\""),
            Err(Refusal::Expired),
        ),
        ("confirmed for ever", with(&format!(" {data_end}"), ""), Err(Refusal::Time)),
        (
            "confirmed later",
            with(data_end, &format!("NotBefore=\"2026-11-22T21:00:31Z\" {data_end}")),
            Err(Refusal::NotYetValid),
        ),
        (
            "issued tomorrow",
            with("IssueInstant=\"2026-11-22T20:59:00Z\"", "IssueInstant=\"2026-11-23T20:59:00Z\""),
            Err(Refusal::NotYetValid),
        ),
        ("issued never", with(" IssueInstant=\"2026-11-22T20:59:00Z\"", ""), Err(Refusal::Time)),
        (
            "confirmed by the sender",
            with(bearer, "Method=\"urn:oasis:names:tc:SAML:2.0:cm:sender-vouches\""),
            Err(Refusal::ConfirmationMethod),
        ),
        (
            "confirmed by a key",
            with(bearer, "Method=\"urn:oasis:names:tc:SAML:2.0:cm:holder-of-key\""),
            Err(Refusal::ConfirmationMethod),
        ),
        ("confirmed somehow", with(&format!(" {bearer}"), ""), Err(Refusal::ConfirmationMethod)),
        ("not confirmed", with(&confirmation, ""), Err(Refusal::ConfirmationMethod)),
        ("confirmed without data", with(&data, ""), Err(Refusal::Recipient)),
        ("confirmed twice", with(&confirmation, &format!("{hopeless}{confirmation}")), Ok(())),
        (
            "confirmed for two",
            with(&confirmation, &format!("{}{confirmation}", confirmation.replace(ACS, other))),
            Ok(()),
        ),
        (
            "no name",
            with(">ada@example.com</saml:NameID>", "></saml:NameID>"),
            Err(Refusal::Subject),
        ),
        (
            "a name in parts",
            with(
                ">ada@example.com</saml:NameID>",
                "><x:y xmlns:x=\"urn:x\">ada</x:y>@example.com</saml:NameID>",
            ),
            Err(Refusal::Subject),
        ),
        (
            "an encrypted name",
            with(
                "saml:NameID Format=\"urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress\">ada@example.com</saml:NameID>",
                "saml:EncryptedID></saml:EncryptedID>",
            ),
            Err(Refusal::Subject),
        ),
        (
            "an encrypted attribute",
            with(
                "</saml:AttributeStatement>",
                "<saml:EncryptedAttribute></saml:EncryptedAttribute></saml:AttributeStatement>",
            ),
            Err(Refusal::Structure),
        ),
        ("an attribute without a name", with(" Name=\"groups\"", ""), Err(Refusal::Structure)),
        (
            "nobody authenticated",
            with(statement_start, "<saml:AuthnStatement>"),
            Err(Refusal::Time),
        ),
        (
            "authenticated tomorrow",
            with("20:58:00Z\" SessionIndex", "22:58:00Z\" SessionIndex"),
            Err(Refusal::NotYetValid),
        ),
        (
            "a session that is over",
            with(
                statement_start,
                &statement_start.replace('>', " SessionNotOnOrAfter=\"2026-11-22T20:59:00Z\">"),
            ),
            Err(Refusal::Expired),
        ),
        (
            "the assertion of SAML 1.1",
            with("Version=\"2.0\"", "Version=\"1.1\""),
            Err(Refusal::Assertions),
        ),
        (
            "the response of SAML 1.1",
            around("Version=\"2.0\"", "Version=\"1.1\""),
            Err(Refusal::NotAResponse),
        ),
    ]);
}

#[test]
fn an_assertion_says_that_somebody_was_authenticated() {
    let text = assertion();
    let start = text.find("<saml:AuthnStatement").unwrap();
    let end = text.find("</saml:AuthnStatement>").unwrap() + "</saml:AuthnStatement>".len();
    let without = format!("{}{}", &text[..start], &text[end..]);
    judge(vec![("no statement", signed(&without), Err(Refusal::NoAuthentication))]);
}

#[test]
fn the_providers_own_errors_are_named_without_its_words() {
    let status = |code: &str| {
        let text = unsigned(&response(""));
        text.replace(SUCCESS, &format!("<samlp:Status>{code}<samlp:StatusMessage>ada is locked</samlp:StatusMessage></samlp:Status>"))
    };
    let code = |name: &str, below: &str| {
        format!(
            "<samlp:StatusCode Value=\"urn:oasis:names:tc:SAML:2.0:status:{name}\">{below}</samlp:StatusCode>"
        )
    };
    let refused = |status| Err(Refusal::Status(status));
    judge(vec![
        (
            "denied",
            status(&code("Responder", &code("RequestDenied", ""))),
            refused(Status::RequestDenied),
        ),
        (
            "failed",
            status(&code("Responder", &code("AuthnFailed", ""))),
            refused(Status::AuthnFailed),
        ),
        ("at fault", status(&code("Requester", "")), refused(Status::Requester)),
        (
            "a word of its own below",
            status(&code("Requester", &code("Odd", ""))),
            refused(Status::Requester),
        ),
        ("a word of its own", status(&code("Odd", "")), refused(Status::Other)),
        (
            "success below",
            status(&code("Responder", &code("Success", ""))),
            refused(Status::Responder),
        ),
        ("no code", status(""), Err(Refusal::Structure)),
        ("no status", genuine().replace(SUCCESS, ""), Err(Refusal::Structure)),
        ("two", genuine().replace(SUCCESS, &SUCCESS.repeat(2)), Err(Refusal::Structure)),
    ]);
    assert!(!Refusal::Status(Status::Other).to_string().contains("ada"));
}

#[test]
fn what_would_cost_much_is_refused_before_it_does() {
    let attributes: String = (0..60_000).map(|n| format!(" a{n}=\"\"")).collect();
    let attributes =
        genuine().replacen("<samlp:Status>", &format!("<samlp:Status{attributes}>"), 1);
    let nested = "<x>".repeat(10_000) + &"</x>".repeat(10_000);
    let nested = genuine().replacen("staff", &nested, 1);
    let many = genuine().replacen("staff", &"<x/>".repeat(100_000), 1);
    let groups: String = (0..5_000)
        .map(|n| format!("<saml:AttributeValue>group {n}</saml:AttributeValue>"))
        .collect();
    let groups =
        assertion().replacen("<saml:AttributeValue>staff</saml:AttributeValue>", &groups, 1);
    let prefixes: String = (0..65).map(|n| format!(" xmlns:p{n}=\"urn:p\"")).collect();
    judge(vec![
        ("five thousand groups", signed(&groups), Ok(())),
        ("sixty thousand attributes", attributes, Err(Refusal::TooMany)),
        (
            "65 declarations",
            genuine().replacen("<samlp:Status>", &format!("<samlp:Status{prefixes}>"), 1),
            Err(Refusal::TooMany),
        ),
        ("ten thousand deep", nested, Err(Refusal::NotXml)),
        ("a hundred thousand elements", many, Err(Refusal::TooMany)),
        ("not XML", "\u{feff}{\"saml\":true}".to_owned(), Err(Refusal::NotXml)),
        ("empty", String::new(), Err(Refusal::NotXml)),
    ]);
    let scene = Scene::default();
    assert_eq!(scene.consume_field(&"A".repeat(10 << 20)), Err(Refusal::TooLarge));
    assert_eq!(scene.consume_field(&"A".repeat(MAX_BYTES)), Err(Refusal::NotXml));
    assert_eq!(scene.consume_field("%%%"), Err(Refusal::NotBase64));
}
