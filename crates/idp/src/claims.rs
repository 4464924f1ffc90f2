//! Reads what a provider says about a person (access-protocol §12.2; security rule 25, O11, O13).
//!
//! A claim of a wrong type never matches: where somebody's access hangs on it (`email`, `email_verified`) the login is refused,
//! elsewhere the claim is left out with a warning. What is too large is refused whole: a list cut short could hide the very
//! group that a policy keeps out.
//!
//! - The address is the claim that the configuration names, else `email`; there is no falling back from one to the other.
//! - `email_verified: false` beside the address is refused. Absent is accepted: many providers verify all addresses and do not
//!   say so, and who configures a provider trusts it for its addresses.
//! - Aggregated and distributed claims (`_claim_names`, OpenID Connect Core §5.6.2) are never fetched; they count as absent.

use crate::assertion::Assertion;
use crate::error::IdpError;
use narthex_model::{EmailAddress, GroupMembership, OidcConfig};
use serde_json::{Map, Value};
use tracing::warn;

/// The most groups of one person.
const GROUPS: usize = 1_000;
/// The most bytes of all groups, and of all kept claims, of one person.
const BYTES: usize = 64 * 1024;
/// The longest name for people, in characters.
const NAME: usize = 256;

/// The claims of one login.
pub(crate) struct Claims<'a> {
    pub(crate) id_token: &'a Map<String, Value>,
    pub(crate) userinfo: Option<&'a Map<String, Value>>,
}

/// Whether the userinfo endpoint has to be asked: a claim that the configuration needs is not in the ID token. The name and
/// the groups count only for an endpoint that was configured on purpose.
pub(crate) fn needs_userinfo(config: &OidcConfig, id_token: &Map<String, Value>) -> bool {
    let on_purpose = ["name", "groups"].into_iter().filter(|_| config.userinfo_url.is_some());
    let wanted = config.claims.iter().map(String::as_str);
    let mut names = wanted.chain(on_purpose).chain([email_claim(config)]);
    names.any(|name| get(id_token, name).is_none())
}

fn email_claim(config: &OidcConfig) -> &str {
    config.email_claim_name.as_deref().filter(|name| !name.is_empty()).unwrap_or("email")
}

/// A claim; `null` is the same as absent.
fn get<'a>(document: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    document.get(name).filter(|value| !value.is_null())
}

impl<'a> Claims<'a> {
    /// The whole assertion.
    ///
    /// # Errors
    /// `BadAnswer` for a missing or malformed address and for too much; `EmailNotVerified`.
    pub(crate) fn read(&self, config: &OidcConfig) -> Result<Assertion, IdpError> {
        let subject = get(self.id_token, "sub").and_then(Value::as_str).unwrap_or_default();
        self.warn_of_elsewhere(config);
        Ok(Assertion {
            subject: subject.to_owned(),
            email: self.email(email_claim(config))?,
            name: self.name(),
            amr: self.amr(),
            groups: self.groups()?,
            claims: self.kept(&config.claims)?,
            attributes: Map::new(),
        })
    }

    /// The document that has the claim: the ID token before userinfo.
    fn source(&self, name: &str) -> Option<&'a Map<String, Value>> {
        [Some(self.id_token), self.userinfo]
            .into_iter()
            .flatten()
            .find(|document| get(document, name).is_some())
    }

    fn claim(&self, name: &str) -> Option<&'a Value> {
        self.source(name).and_then(|document| get(document, name))
    }

    fn email(&self, name: &str) -> Result<EmailAddress, IdpError> {
        let bad = |why: &str| IdpError::BadAnswer(format!("the claim {name} {why}"));
        let document = self.source(name).ok_or_else(|| {
            bad("is missing; ask for the scope email, or name the claim that holds the address")
        })?;
        let text =
            get(document, name).and_then(Value::as_str).ok_or_else(|| bad("is not a text"))?;
        let email = text.parse().map_err(|_| bad("is not an e-mail address"))?;
        match get(document, "email_verified") {
            None | Some(Value::Bool(true)) => Ok(email),
            Some(Value::String(yes)) if yes == "true" => Ok(email), // as AWS Cognito writes it
            Some(Value::Bool(false)) => Err(IdpError::EmailNotVerified),
            Some(Value::String(no)) if no == "false" => Err(IdpError::EmailNotVerified),
            Some(_) => Err(IdpError::BadAnswer("email_verified is not true or false".to_owned())),
        }
    }

    fn name(&self) -> String {
        let text = |name: &str| self.claim(name).and_then(Value::as_str).map(str::trim);
        let name = match (text("name"), text("given_name"), text("family_name")) {
            (Some(name), _, _) if !name.is_empty() => name.to_owned(),
            (_, Some(given), Some(family)) => format!("{given} {family}"),
            (_, Some(one), None) | (_, None, Some(one)) => one.to_owned(),
            (_, None, None) => text("preferred_username").unwrap_or_default().to_owned(),
        };
        name.chars().filter(|c| !c.is_control()).take(NAME).collect()
    }

    /// `amr` of the ID token alone: it is about this login, not about the person.
    fn amr(&self) -> Vec<String> {
        let methods = get(self.id_token, "amr").and_then(Value::as_array);
        let methods = methods.map_or(&[][..], Vec::as_slice).iter().filter_map(Value::as_str);
        methods.filter(|m| m.len() <= 64).take(50).map(str::to_owned).collect()
    }

    /// `groups`: texts, or objects with `id` and `name`.
    fn groups(&self) -> Result<Vec<GroupMembership>, IdpError> {
        let Some(claim) = self.claim("groups") else { return Ok(Vec::new()) };
        let Some(entries) = claim.as_array() else {
            warn!("the groups claim is not a list; it matches nothing");
            return Ok(Vec::new());
        };
        let groups: Vec<GroupMembership> = entries.iter().filter_map(group).collect();
        if groups.len() < entries.len() {
            let left_out = entries.len() - groups.len();
            warn!(left_out, "entries of the groups claim are not texts; they match nothing");
        }
        if entries.len() > GROUPS || claim.to_string().len() > BYTES {
            return Err(IdpError::BadAnswer(format!(
                "the groups claim has more than {GROUPS} entries or {BYTES} bytes; let the provider send only the groups that \
                 policies need"
            )));
        }
        Ok(groups)
    }

    /// The configured claims that are texts, numbers, truth values or lists of texts.
    fn kept(&self, names: &[String]) -> Result<Map<String, Value>, IdpError> {
        let mut kept = Map::new();
        for name in names {
            match self.claim(name) {
                None => {}
                Some(value) if is_kept(value) => {
                    kept.insert(name.clone(), value.clone());
                }
                Some(_) => {
                    warn!(claim = name, "a configured claim has an unknown form and is left out");
                }
            }
        }
        let bytes = serde_json::to_vec(&kept).map_or(usize::MAX, |json| json.len());
        if bytes > BYTES {
            return Err(IdpError::BadAnswer(format!(
                "the configured claims have more than {BYTES} bytes; keep fewer, or let the provider send less"
            )));
        }
        Ok(kept)
    }

    fn warn_of_elsewhere(&self, config: &OidcConfig) {
        let wanted = |name: &str| name == "groups" || config.claims.iter().any(|c| c == name);
        for document in [Some(self.id_token), self.userinfo].into_iter().flatten() {
            let elsewhere = get(document, "_claim_names").and_then(Value::as_object);
            for name in elsewhere.into_iter().flat_map(Map::keys).filter(|name| wanted(name)) {
                warn!(claim = name, "the provider keeps a claim elsewhere; it is not fetched");
            }
        }
    }
}

fn group(entry: &Value) -> Option<GroupMembership> {
    let of = |id: &str, name: &str| {
        (!id.is_empty()).then(|| GroupMembership { id: id.to_owned(), name: name.to_owned() })
    };
    match entry {
        Value::String(name) => of(name, name),
        Value::Object(group) => {
            let text = |name: &str| get(group, name).map(|v| v.as_str().ok_or(()));
            match (text("id").transpose().ok()?, text("name").transpose().ok()?) {
                (Some(id), name) => of(id, name.unwrap_or(id)),
                (None, Some(name)) => of(name, name),
                (None, None) => None,
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
    }
}

fn is_kept(value: &Value) -> bool {
    match value {
        Value::String(_) | Value::Number(_) | Value::Bool(_) => true,
        Value::Array(entries) => entries.iter().all(Value::is_string),
        Value::Null | Value::Object(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn config(extra: Value) -> OidcConfig {
        let mut config = json!({"client_id": "c", "auth_url": "https://a/auth", "token_url": "https://a/token",
            "certs_url": "https://a/keys"});
        config.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        serde_json::from_value(config).unwrap()
    }

    fn read(config: &OidcConfig, id_token: Value, userinfo: Value) -> Result<Assertion, IdpError> {
        let [id_token, userinfo] = [id_token, userinfo].map(|v| v.as_object().cloned());
        let (id_token, userinfo) = (id_token.unwrap(), userinfo.as_ref());
        Claims { id_token: &id_token, userinfo }.read(config)
    }

    #[test]
    fn addresses() {
        let (usual, upn) = (config(json!({})), config(json!({"email_claim_name": "upn"})));
        let bad = |why: &str| Err(IdpError::BadAnswer(format!("the claim {why}")));
        let missing =
            "is missing; ask for the scope email, or name the claim that holds the address";
        let unverified = || Err(IdpError::EmailNotVerified);
        for (config, id_token, userinfo, want) in [
            (&usual, json!({"email": "a@b.c"}), json!(null), Ok("a@b.c")),
            (&usual, json!({"email": "A@B.c", "email_verified": true}), json!(null), Ok("a@b.c")),
            (&usual, json!({"email": "a@b.c", "email_verified": "true"}), json!(null), Ok("a@b.c")),
            (&usual, json!({"email": null}), json!({"email": "a@b.c"}), Ok("a@b.c")),
            (
                &usual,
                json!({"email": "a@b.c"}),
                json!({"email": "x@b.c", "email_verified": false}),
                Ok("a@b.c"),
            ),
            (&upn, json!({"email": "x@b.c", "upn": "a@b.c"}), json!(null), Ok("a@b.c")),
            (&usual, json!({"email": "a@b.c", "email_verified": false}), json!(null), unverified()),
            (
                &usual,
                json!({"email": "a@b.c", "email_verified": "false"}),
                json!(null),
                unverified(),
            ),
            (&usual, json!({}), json!({"email": "a@b.c", "email_verified": false}), unverified()),
            (&upn, json!({"upn": "a@b.c", "email_verified": false}), json!(null), unverified()),
            (&usual, json!({}), json!({}), bad(&format!("email {missing}"))),
            (&upn, json!({"email": "a@b.c"}), json!(null), bad(&format!("upn {missing}"))),
            (
                &usual,
                json!({"email": ["a@b.c"]}),
                json!({"email": "a@b.c"}),
                bad("email is not a text"),
            ),
            (&usual, json!({"email": 1}), json!(null), bad("email is not a text")),
            (&usual, json!({"email": ""}), json!(null), bad("email is not an e-mail address")),
            (
                &usual,
                json!({"email": "\"a b\"@c.d"}),
                json!(null),
                bad("email is not an e-mail address"),
            ),
            (
                &usual,
                json!({"email": " a@b.c"}),
                json!(null),
                bad("email is not an e-mail address"),
            ),
            (&usual, json!({"email": "b.c"}), json!(null), bad("email is not an e-mail address")),
        ] {
            let what = format!("{id_token} {userinfo}");
            let found = read(config, id_token, userinfo).map(|a| a.email.to_string());
            assert_eq!(found, want.map(str::to_owned), "{what}");
        }
        let odd = read(&usual, json!({"email": "a@b.c", "email_verified": 1}), json!(null));
        assert!(matches!(odd, Err(IdpError::BadAnswer(_))));
    }

    #[test]
    fn groups() {
        let plain = |n: &str| GroupMembership { id: n.to_owned(), name: n.to_owned() };
        let with = |groups: Value| {
            let claims = json!({"email": "a@b.c", "groups": groups});
            read(&config(json!({})), claims, json!(null)).map(|a| a.groups)
        };
        let named = GroupMembership { id: "1".to_owned(), name: "staff".to_owned() };
        for (groups, want) in [
            (json!(["staff", "admins"]), vec![plain("staff"), plain("admins")]),
            (
                json!([{"id": "1", "name": "staff"}, {"name": "x"}, {"id": "y"}]),
                vec![named, plain("x"), plain("y")],
            ),
            (json!(["a", 1, null, ["b"], "", {"id": 1, "name": "b"}]), vec![plain("a")]),
            (json!("staff"), vec![]),
            (json!({"staff": true}), vec![]),
            (json!(null), vec![]),
            (json!([]), vec![]),
        ] {
            assert_eq!(with(groups.clone()), Ok(want), "{groups}");
        }
        let many = |n: usize, size: usize| json!(vec!["g".repeat(size); n]);
        assert_eq!(with(many(1_000, 62)).map(|g| g.len()), Ok(1_000));
        assert!(with(many(1_001, 1)).is_err());
        assert!(with(many(5_000, 1)).is_err());
        assert!(with(many(1_000, 63)).is_err(), "more than 64 KiB");
        assert!(with(many(1, 1024 * 1024)).is_err());
        let elsewhere = json!({"email": "a@b.c", "_claim_names": {"groups": "src1"},
            "_claim_sources": {"src1": {"endpoint": "http://169.254.169.254/"}}});
        assert_eq!(read(&config(json!({})), elsewhere, json!(null)).map(|a| a.groups), Ok(vec![]));
    }

    #[test]
    fn only_configured_claims_of_a_known_form_are_kept() {
        let config = config(json!({"claims": ["s", "n", "b", "l", "o", "m", "z", "absent", "u"]}));
        let id_token = json!({"email": "a@b.c", "s": "x", "n": 1.5, "b": false, "l": ["p", "q"], "o": {"a": 1},
            "m": ["p", 1], "z": null, "secret": "other"});
        let userinfo = json!({"s": "from userinfo", "u": "v", "z": 7});
        let found = read(&config, id_token, userinfo).unwrap().claims;
        let want = json!({"s": "x", "n": 1.5, "b": false, "l": ["p", "q"], "u": "v", "z": 7});
        assert_eq!(Value::Object(found), want);
        let big = json!({"email": "a@b.c", "s": "x".repeat(BYTES)});
        assert!(read(&config, big, json!(null)).is_err());
    }

    #[test]
    fn names_and_methods() {
        let with = |claims: Value| {
            let mut all = json!({"email": "a@b.c"});
            all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
            read(&config(json!({})), all, json!({"name": "Userinfo"})).unwrap()
        };
        assert_eq!(with(json!({"name": " Ann "})).name, "Ann");
        assert_eq!(with(json!({})).name, "Userinfo");
        assert_eq!(with(json!({"name": "A\u{0}\r\nnn"})).name, "Ann");
        assert_eq!(with(json!({"name": "x".repeat(999)})).name.len(), NAME);
        let only = |claims: Value| {
            let mut all = json!({"email": "a@b.c"});
            all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
            read(&config(json!({})), all, json!(null)).unwrap().name
        };
        assert_eq!(only(json!({"given_name": "Ann", "family_name": "Lee"})), "Ann Lee");
        assert_eq!(only(json!({"name": 5, "given_name": "Ann"})), "Ann");
        assert_eq!(only(json!({"preferred_username": "ann"})), "ann");
        assert_eq!(only(json!({})), "");
        assert_eq!(with(json!({"amr": ["pwd", 1, "otp"]})).amr, ["pwd", "otp"]);
        assert!(with(json!({"amr": "pwd"})).amr.is_empty());
        assert_eq!(with(json!({"amr": vec!["x"; 500]})).amr.len(), 50);
    }

    #[test]
    fn userinfo_is_asked_for_what_is_missing_only() {
        let needs = |config: Value, claims: Value| {
            needs_userinfo(&self::config(config), claims.as_object().unwrap())
        };
        let on_purpose = || json!({"userinfo_url": "https://a/userinfo"});
        assert!(!needs(json!({}), json!({"email": "a@b.c"})));
        assert!(needs(json!({}), json!({})));
        assert!(needs(json!({"claims": ["team"]}), json!({"email": "a@b.c"})));
        assert!(!needs(json!({"claims": ["team"]}), json!({"email": "a@b.c", "team": "x"})));
        assert!(needs(json!({"email_claim_name": "upn"}), json!({"email": "a@b.c"})));
        assert!(needs(on_purpose(), json!({"email": "a@b.c", "name": "Ann"})));
        assert!(!needs(on_purpose(), json!({"email": "a@b.c", "name": "Ann", "groups": []})));
    }
}
