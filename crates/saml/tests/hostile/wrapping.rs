//! Signed elements moved, copied and hidden, and the identifiers that signatures go by (S2, S3, S4).

use crate::forge::{
    HERE, IDP, Plan, SUCCESS, assertion, genuine, response, sign, signature, unsigned,
};
use crate::{evil, honest_signature, judge, signed};
use narthex_saml::Refusal;

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
