//! Documents that two readers could read differently, or that cost too much to read at all (S5, S6, S12).

use crate::forge::{Scene, assertion, genuine};
use crate::{judge, signed};
use narthex_saml::{MAX_BYTES, Refusal};

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
