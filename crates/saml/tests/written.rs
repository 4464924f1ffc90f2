//! What this gateway writes: requests that a provider can read and check, and metadata.

#![allow(clippy::unwrap_used, reason = "part of the tests")]

mod forge;

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use forge::{ACS, NOW, PROVIDER, STRANGER, Scene};
use miniz_oxide::inflate::decompress_to_vec;
use narthex_saml::{
    Endpoint, EntityId, RelayState, RequestError, RequestId, UnixSeconds, authn_request, metadata,
};
use uppsala::Document;
use url::Url;

fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(held, _)| held == name).map(|(_, value)| value.into_owned())
}

fn inflated(url: &Url) -> String {
    let packed = STANDARD.decode(parameter(url, "SAMLRequest").unwrap()).unwrap();
    String::from_utf8(decompress_to_vec(&packed).unwrap()).unwrap()
}

/// The value of an attribute of the first element of this name.
fn attribute<'a>(document: &'a Document<'_>, element: &str, name: &str) -> Option<&'a str> {
    let node = *document.get_elements_by_tag_name(element).first()?;
    document.get_attribute(node, name)
}

#[test]
fn a_request_says_who_asks_and_where_to_answer() {
    let mut scene = Scene::default();
    scene.sp.entity_id = EntityId::try_from("https://team.example.com/?a=1&b=\"2\"").unwrap();
    let id = RequestId::random();
    let state = RelayState::try_from("a&b=c d+e/é").unwrap();
    let url = authn_request(&scene.sp, &scene.idp, NOW, &id, Some(&state), None).unwrap();

    assert_eq!(url.as_str().split_once("&SAMLRequest=").unwrap().0, forge::SSO);
    assert_eq!(parameter(&url, "RelayState").as_deref(), Some(state.as_str()));
    assert_eq!(parameter(&url, "Signature"), None);
    let text = inflated(&url);
    let document = uppsala::parse(&text).unwrap();
    for (element, name, want) in [
        ("AuthnRequest", "ID", Some(id.as_str())),
        ("AuthnRequest", "Version", Some("2.0")),
        ("AuthnRequest", "IssueInstant", Some("2026-11-22T21:00:00Z")),
        ("AuthnRequest", "Destination", Some(forge::SSO)),
        ("AuthnRequest", "AssertionConsumerServiceURL", Some(ACS)),
        ("AuthnRequest", "ProtocolBinding", Some("urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST")),
        ("AuthnRequest", "ForceAuthn", None),
        ("NameIDPolicy", "AllowCreate", Some("true")),
    ] {
        assert_eq!(attribute(&document, element, name), want, "{element} {name}");
    }
    let issuer = document.get_elements_by_tag_name("Issuer")[0];
    assert_eq!(document.text_content_deep(issuer), scene.sp.entity_id.as_str());

    scene.idp.force_authn = true;
    scene.idp.sso_url = Endpoint::try_from("https://idp.example.net/sso").unwrap();
    let url = authn_request(&scene.sp, &scene.idp, NOW, &id, None, None).unwrap();
    assert!(url.as_str().starts_with("https://idp.example.net/sso?SAMLRequest="));
    assert_eq!(parameter(&url, "RelayState"), None);
    assert!(inflated(&url).contains(" ForceAuthn=\"true\""));

    let never = authn_request(&scene.sp, &scene.idp, UnixSeconds(i64::MAX), &id, None, None);
    assert_eq!(never, Err(RequestError::Clock));
}

#[test]
fn a_signed_request_can_be_checked_by_its_query() {
    let scene = Scene::default();
    let (id, state) = (RequestId::random(), RelayState::try_from("back & forth").unwrap());
    let key = PROVIDER.signing_key();
    for state in [None, Some(&state)] {
        let url = authn_request(&scene.sp, &scene.idp, NOW, &id, state, Some(&key)).unwrap();
        // What is signed starts at SAMLRequest and ends before Signature, as it is written (bindings §3.4.4.1).
        let (signed, signature) = url.query().unwrap().split_once("&Signature=").unwrap();
        let signed = signed.strip_prefix("tenant=7&").unwrap();
        let signature = STANDARD
            .decode(percent_encoding::percent_decode_str(signature).collect::<Vec<u8>>())
            .unwrap();
        assert_eq!(
            parameter(&url, "SigAlg").as_deref(),
            Some("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256")
        );
        let check = |signer: &forge::Signer, signed: &str| {
            UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, signer.public_key())
                .verify(signed.as_bytes(), &signature)
                .is_ok()
        };
        assert!(check(&PROVIDER, signed));
        assert!(!check(&STRANGER, signed));
        assert!(!check(&PROVIDER, &signed[..signed.len() - 1]));
    }
}

#[test]
fn metadata_names_address_and_keys() {
    let mut scene = Scene::default();
    let bare = metadata(&scene.sp, &[], &[]);
    let document = uppsala::parse(&bare).unwrap();
    for (element, name, want) in [
        ("EntityDescriptor", "entityID", Some(ACS)),
        ("SPSSODescriptor", "AuthnRequestsSigned", Some("false")),
        ("SPSSODescriptor", "WantAssertionsSigned", Some("true")),
        ("AssertionConsumerService", "Location", Some(ACS)),
        ("AssertionConsumerService", "index", Some("0")),
        ("KeyDescriptor", "use", None),
    ] {
        assert_eq!(attribute(&document, element, name), want, "{element} {name}");
    }

    scene.sp.entity_id = EntityId::try_from("urn:<a>&\"b\"").unwrap();
    let certificates = [PROVIDER.certificate(), STRANGER.certificate()];
    let full = metadata(&scene.sp, &certificates[..1], &certificates);
    let document = uppsala::parse(&full).unwrap();
    assert_eq!(attribute(&document, "EntityDescriptor", "entityID"), Some("urn:<a>&\"b\""));
    assert_eq!(attribute(&document, "SPSSODescriptor", "AuthnRequestsSigned"), Some("true"));
    let keys: Vec<_> = document
        .get_elements_by_tag_name("KeyDescriptor")
        .into_iter()
        .map(|node| {
            (document.get_attribute(node, "use").unwrap(), document.text_content_deep(node))
        })
        .collect();
    let want = [
        ("signing", PROVIDER.base64()),
        ("encryption", PROVIDER.base64()),
        ("encryption", STRANGER.base64()),
    ];
    assert_eq!(keys, want);
}

#[test]
fn keys_do_not_show_themselves() {
    let shown = format!("{:?} {:?}", PROVIDER.signing_key(), PROVIDER.decryption_key());
    assert!(shown.len() < 1000, "{shown}");
    assert!(shown.contains("DecryptionKey(RSA, 2048 bits)"), "{shown}");
}
