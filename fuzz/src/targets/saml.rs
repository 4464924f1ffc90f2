//! A response of a SAML provider as XML. What is accepted says what the provider signed, word for word.

use crate::Target;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use narthex_saml::{
    Assertion, Certificate, Endpoint, EntityId, Expectation, IdentityProvider, MAX_BYTES, Refusal,
    RequestId, ServiceProvider, UnixSeconds, consume,
};
use std::sync::LazyLock;

pub(crate) const TARGET: Target = Target {
    name: "saml",
    run,
    words: &[
        "<saml:Assertion>",
        "</saml:Assertion>",
        "<ds:Signature>",
        "<samlp:Response>",
        "<!-- -->",
        "<?x?>",
        "<![CDATA[",
        "]]>",
        "<!DOCTYPE a [<!ENTITY b \"c\">]>",
        "&b;",
        "&amp;",
        "&#13;",
        "&#0;",
        " ID=\"_a\"",
        " xmlns=\"urn:x\"",
        " xmlns:saml=\"urn:x\"",
        "URI=\"\"",
        "URI=\"#_assertion-1\"",
        "InResponseTo=\"_request-1\"",
        "<saml:NameID>admin@example.com</saml:NameID>",
        "<saml:AudienceRestriction/>",
        "http://www.w3.org/2000/09/xmldsig#rsa-sha1",
        "http://www.w3.org/2001/04/xmlenc#",
        "\n",
        "\0",
    ],
    rounds: 1_500,
};

struct Scene {
    sp: ServiceProvider,
    idp: IdentityProvider,
    request: RequestId,
    /// What the genuine responses say.
    honest: Vec<Assertion>,
}

/// This gateway and the provider of the seeds, which are responses of `crates/saml/testdata`.
static SCENE: LazyLock<Scene> = LazyLock::new(|| {
    let here = "https://team.example.com/cdn-cgi/access/callback";
    let provider = include_str!("../../../crates/saml/testdata/provider-rsa.pem");
    let mut scene = Scene {
        sp: ServiceProvider {
            entity_id: EntityId::try_from(here).unwrap(),
            acs_url: Endpoint::try_from(here).unwrap(),
            decryption_keys: Vec::new(),
        },
        idp: IdentityProvider {
            sso_url: Endpoint::try_from("https://idp.example.net/sso?tenant=7").unwrap(),
            entity_id: Some(EntityId::try_from("https://idp.example.net/metadata").unwrap()),
            certificates: vec![Certificate::parse(provider).unwrap()],
            allow_sha1: false,
            force_authn: false,
        },
        request: RequestId::try_from("_request-1").unwrap(),
        honest: Vec::new(),
    };
    let seeds = crate::seeds::of("saml").into_iter().filter(|(name, _)| name.ends_with(".xml"));
    let read = seeds.map(|(name, xml)| {
        scene.judge(&xml).unwrap_or_else(|why| panic!("{name} is genuine: {why}"))
    });
    scene.honest = read.collect();
    scene
});

impl Scene {
    fn judge(&self, xml: &[u8]) -> Result<Assertion, Refusal> {
        let expectation = Expectation {
            sp: &self.sp,
            idp: &self.idp,
            in_response_to: Some(&self.request),
            now: UnixSeconds(1_795_381_200),
            skew_seconds: 30,
        };
        consume(&STANDARD.encode(xml), &expectation)
    }
}

fn run(data: &[u8]) {
    match SCENE.judge(data) {
        Ok(read) => {
            assert!(SCENE.honest.contains(&read), "accepted with other values");
            assert!(data.len() <= MAX_BYTES);
        }
        Err(why) => assert!(why.to_string().len() < 4_096, "an error is short"),
    }
}
