//! Hostile responses, each refused for its own reason, beside the near misses that are honest. The list follows the
//! published attacks (signature wrapping by Somorovsky and others, comment truncation, canonicalisation that fails
//! open, parser differentials) and the checklist of this project (S1 to S12).

#![allow(clippy::unwrap_used, reason = "part of the tests")]

mod conditions;
mod documents;
#[path = "../forge/mod.rs"]
mod forge;
mod signatures;
mod wrapping;

use forge::{Plan, Scene, assertion, response, sign, signature, unsigned};
use narthex_saml::Refusal;

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
