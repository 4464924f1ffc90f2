//! Honest responses are accepted, and what they say arrives unchanged.

#![allow(clippy::unwrap_used, reason = "part of the tests")]

mod forge;

use forge::{NOW, Plan, Scene, assertion, genuine, response, sign, unsigned};
use narthex_saml::{Refusal, RequestId, UnixSeconds};

#[test]
fn a_response_is_read_when_the_assertion_the_response_or_both_are_signed() {
    let plan = Plan::default();
    let both = sign(&response(&sign(&assertion(), &plan)), &plan);
    let around = sign(&response(&unsigned(&assertion())), &plan);
    for (name, document) in [("assertion", genuine()), ("response", around), ("both", both)] {
        let read =
            Scene::default().consume(&document).unwrap_or_else(|why| panic!("{name}: {why}"));
        assert_eq!(read.id, "_assertion-1", "{name}");
        assert_eq!(read.issuer, forge::IDP, "{name}");
        assert_eq!(read.name_id, "ada@example.com", "{name}");
        assert_eq!(
            read.name_id_format.as_deref(),
            Some("urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"),
            "{name}"
        );
        let attributes: Vec<_> = read
            .attributes
            .iter()
            .map(|held| (held.name.as_str(), held.friendly_name.as_deref(), held.values.join(",")))
            .collect();
        let want = [
            ("email", Some("mail"), "ada@example.com".to_owned()),
            ("groups", None, "staff,chess".to_owned()),
        ];
        assert_eq!(attributes, want, "{name}");
        assert_eq!(read.attribute("groups").map(<[String]>::len), Some(2), "{name}");
        assert_eq!(read.session_index.as_deref(), Some("_session-1"), "{name}");
        assert_eq!(
            read.authn_context.as_deref(),
            Some("urn:oasis:names:tc:SAML:2.0:ac:classes:Password"),
            "{name}"
        );
        assert_eq!(read.authn_instant, UnixSeconds(NOW.0 - 120), "{name}");
        // Four minutes by the confirmation, the earlier end, and half a minute for the clocks.
        assert_eq!(read.not_on_or_after, UnixSeconds(NOW.0 + 240 + 30), "{name}");
        assert!(!format!("{read:?}").contains("ada"), "{name}: a person shows in {read:?}");
    }
}

#[test]
fn an_assertion_is_good_until_the_instant_that_it_names() {
    let end = Scene::default().consume(&genuine()).unwrap().not_on_or_after;
    for (now, want) in [
        (UnixSeconds(NOW.0 - 60 - 30), Ok(())),
        (UnixSeconds(NOW.0 - 60 - 31), Err(Refusal::NotYetValid)),
        (UnixSeconds(end.0 - 1), Ok(())),
        (end, Err(Refusal::Expired)),
    ] {
        let scene = Scene { now, ..Scene::default() };
        assert_eq!(scene.consume(&genuine()).map(drop), want, "{now:?}");
    }
}

#[test]
fn a_login_may_begin_at_the_provider_where_that_is_allowed() {
    let unasked = assertion().replace(" InResponseTo=\"_request-1\"", "");
    let unasked = unsigned(&response(&sign(&unasked, &Plan::default())))
        .replace(" InResponseTo=\"_request-1\"", "");
    let allowed = Scene { in_response_to: None, ..Scene::default() };
    assert_eq!(allowed.consume(&unasked).map(drop), Ok(()));
    assert_eq!(allowed.consume(&genuine()), Err(Refusal::Unsolicited));
    assert_eq!(Scene::default().consume(&unasked), Err(Refusal::InResponseTo));
    let other = RequestId::try_from("_request-2").ok();
    let other = Scene { in_response_to: other, ..Scene::default() };
    assert_eq!(other.consume(&genuine()), Err(Refusal::InResponseTo));
}
