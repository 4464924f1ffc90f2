//! What is proved and still not meant for this gateway, this browser or this moment (S8, S9, S11).

use crate::forge::{ACS, IDP, REQUEST, SUCCESS, assertion, genuine, response, unsigned};
use crate::{judge, signed};
use narthex_saml::{Refusal, Status};

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
