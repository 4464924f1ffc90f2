//! Reads what a SAML provider says about a person (access-protocol §12.3; security rule 25, S16).
//!
//! - An attribute is found by its `Name` alone: a friendly name "must not be used as a basis for formally identifying"
//!   one (SAML core §2.7.3.1).
//! - An attribute that is needed and stands in the assertion twice is refused: nobody can say which of the two counts.
//! - The address is the attribute that the configuration names, else the name of the subject; there is no falling back
//!   from one to the other.
//! - Only the chosen attributes are kept, under names of their own in `custom`. One that is called `email` or `sub` is
//!   never the person's address or id.
//! - What is too large is refused whole: a list cut short could hide the very group that a policy keeps out.

use crate::assertion::Assertion;
use crate::error::IdpError;
use narthex_model::{EmailAddress, GroupMembership, SamlConfig};
use serde_json::{Map, Value};

/// The most groups of one person.
const GROUPS: usize = 1_000;
/// The most bytes of all groups, and of all kept attributes, of one person.
const BYTES: usize = 64 * 1024;
/// The longest name for people, in characters.
const NAME: usize = 256;
/// The longest name of a subject, in bytes (SAML core §8.3.7 asks for 256 characters at most).
const SUBJECT: usize = 256;

/// Formats of a subject's name in which an address may stand (SAML core §8.3). Others say what else it is.
const ADDRESS_FORMATS: [&str; 2] = [
    "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress",
    "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified",
];
/// A name that is another at each login.
const TRANSIENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient";

/// Attributes that hold groups, the first that is there counts: plain, of Entra ID, of AD FS.
const GROUP_ATTRIBUTES: [&str; 3] = [
    "groups",
    "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups",
    "http://schemas.xmlsoap.org/claims/Group",
];
/// Attributes that hold a name for people: plain, of Entra ID, of LDAP.
const NAME_ATTRIBUTES: [&str; 4] = [
    "name",
    "displayName",
    "http://schemas.microsoft.com/identity/claims/displayname",
    "urn:oid:2.16.840.1.113730.3.1.241",
];

/// How somebody was authenticated (SAML authentication context §3.4, REFEDS, Entra ID), as RFC 8176 calls it.
const METHODS: [(&str, &str); 10] = [
    ("urn:oasis:names:tc:SAML:2.0:ac:classes:Password", "pwd"),
    ("urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport", "pwd"),
    ("urn:oasis:names:tc:SAML:2.0:ac:classes:Kerberos", "wia"),
    ("urn:oasis:names:tc:SAML:2.0:ac:classes:Smartcard", "sc"),
    ("urn:oasis:names:tc:SAML:2.0:ac:classes:SmartcardPKI", "sc"),
    ("urn:oasis:names:tc:SAML:2.0:ac:classes:TimeSyncToken", "otp"),
    ("urn:oasis:names:tc:SAML:2.0:ac:classes:MobileTwoFactorContract", "mfa"),
    ("urn:oasis:names:tc:SAML:2.0:ac:classes:MobileTwoFactorUnregistered", "mfa"),
    ("https://refeds.org/profile/mfa", "mfa"),
    ("http://schemas.microsoft.com/claims/multipleauthn", "mfa"),
];

/// What an assertion says, as far as it matters here.
pub(super) struct Told<'a> {
    /// The subject's name and its format.
    pub(super) subject: &'a str,
    pub(super) format: Option<&'a str>,
    /// How the person was authenticated, a URI.
    pub(super) context: Option<&'a str>,
    /// Names and values, in the order of the document.
    pub(super) attributes: Vec<(&'a str, &'a [String])>,
}

impl<'a> Told<'a> {
    /// Who it is about.
    ///
    /// # Errors
    /// `BadAnswer` for a missing or malformed address, for an attribute that stands there twice, and for too much.
    pub(super) fn read(&self, config: &SamlConfig) -> Result<Assertion, IdpError> {
        let email = self.email(config)?;
        Ok(Assertion {
            subject: self.subject(&email)?,
            email,
            name: self.name(),
            amr: self.method().map(str::to_owned).into_iter().collect(),
            groups: self.groups()?,
            claims: Map::new(),
            attributes: self.kept(&config.attributes)?,
        })
    }

    /// The header fields that the configuration asks for, one for each value.
    ///
    /// # Errors
    /// `BadAnswer` for an attribute that stands there twice.
    pub(super) fn headers(&self, config: &SamlConfig) -> Result<Vec<(String, String)>, IdpError> {
        let mut fields = Vec::new();
        for wanted in &config.header_attributes {
            for value in self.values(&wanted.attribute_name)?.unwrap_or_default() {
                fields.push((wanted.header_name.clone(), value.clone()));
            }
        }
        Ok(fields)
    }

    /// The values of the attribute `name`.
    fn values(&self, name: &str) -> Result<Option<&'a [String]>, IdpError> {
        let mut found = self.attributes.iter().filter(|(known, _)| *known == name);
        let first = found.next().map(|(_, values)| *values);
        if found.next().is_some() {
            return Err(bad(name, "stands in the assertion twice"));
        }
        Ok(first)
    }

    fn email(&self, config: &SamlConfig) -> Result<EmailAddress, IdpError> {
        let (what, text) = match config.email_attribute_name.as_deref() {
            Some(name) => match self.values(name)? {
                Some([one]) => (name, one.as_str()),
                None | Some([]) => {
                    return Err(bad(
                        name,
                        "is missing; let the provider send it, or name the attribute that holds the address",
                    ));
                }
                Some(_) => return Err(bad(name, "has several values, so it is no one's address")),
            },
            None if self.format.is_none_or(|format| ADDRESS_FORMATS.contains(&format)) => {
                ("NameID", self.subject)
            }
            None => {
                return Err(bad(
                    "NameID",
                    "is not an e-mail address by its format; name the attribute that holds the address in \
                     email_attribute_name",
                ));
            }
        };
        text.trim().parse().map_err(|_| bad(what, "is not an e-mail address"))
    }

    /// The name of the subject; where that is another each time, the address.
    fn subject(&self, email: &EmailAddress) -> Result<String, IdpError> {
        if self.format == Some(TRANSIENT) {
            return Ok(email.to_string());
        }
        match self.subject.len() {
            1..=SUBJECT => Ok(self.subject.to_owned()),
            _ => Err(IdpError::BadAnswer(format!(
                "the NameID is empty or longer than {SUBJECT} bytes"
            ))),
        }
    }

    fn method(&self) -> Option<&'static str> {
        let known = METHODS.iter().find(|(context, _)| Some(*context) == self.context);
        known.map(|(_, method)| *method)
    }

    /// Nothing hangs on it, so the first that is there will do.
    fn name(&self) -> String {
        let named = |name: &str| self.attributes.iter().find(|(known, _)| *known == name);
        let found = NAME_ATTRIBUTES.iter().find_map(|name| named(name)?.1.first());
        let name = found.map_or("", |name| name.trim());
        name.chars().filter(|c| !c.is_control()).take(NAME).collect()
    }

    fn groups(&self) -> Result<Vec<GroupMembership>, IdpError> {
        for name in GROUP_ATTRIBUTES {
            let Some(values) = self.values(name)? else { continue };
            let bytes: usize = values.iter().map(String::len).sum();
            if values.len() > GROUPS || bytes > BYTES {
                return Err(bad(
                    name,
                    &format!(
                        "has more than {GROUPS} entries or {BYTES} bytes; let the provider send only the groups that \
                         policies need"
                    ),
                ));
            }
            let named = values.iter().filter(|value| !value.is_empty());
            return Ok(named
                .map(|name| GroupMembership { id: name.clone(), name: name.clone() })
                .collect());
        }
        Ok(Vec::new())
    }

    /// The chosen attributes: a text, or a list of texts where there are several values.
    fn kept(&self, names: &[String]) -> Result<Map<String, Value>, IdpError> {
        let mut kept = Map::new();
        for name in names {
            match self.values(name)? {
                None | Some([]) => {}
                Some([one]) => drop(kept.insert(name.clone(), one.clone().into())),
                Some(several) => drop(kept.insert(name.clone(), several.to_vec().into())),
            }
        }
        let bytes = serde_json::to_vec(&kept).map_or(usize::MAX, |json| json.len());
        if bytes > BYTES {
            return Err(IdpError::BadAnswer(format!(
                "the chosen attributes have more than {BYTES} bytes; choose fewer, or let the provider send less"
            )));
        }
        Ok(kept)
    }
}

fn bad(attribute: &str, why: &str) -> IdpError {
    IdpError::BadAnswer(format!("{attribute} {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use narthex_model::IdpConfig;
    use serde_json::json;

    const EMAIL: &str = ADDRESS_FORMATS[0];

    fn config(extra: Value) -> SamlConfig {
        let mut config = json!({"issuer_url": "urn:x", "sso_target_url": "https://a/", "idp_public_certs": ["MAA="]});
        config.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let IdpConfig::Saml(config) = IdpConfig::parse("saml", config).unwrap() else {
            panic!("it is of another type");
        };
        *config
    }

    /// Reads an assertion with these attributes, each a name and its values.
    fn read(
        config: &SamlConfig,
        (subject, format): (&str, Option<&str>),
        attributes: &[(&str, &[&str])],
    ) -> Result<Assertion, IdpError> {
        let owned: Vec<(&str, Vec<String>)> = attributes
            .iter()
            .map(|(name, values)| (*name, values.iter().map(|v| (*v).to_owned()).collect()))
            .collect();
        let attributes = owned.iter().map(|(name, values)| (*name, values.as_slice())).collect();
        Told { subject, format, context: None, attributes }.read(config)
    }

    #[test]
    fn addresses() {
        let (usual, mail) = (config(json!({})), config(json!({"email_attribute_name": "mail"})));
        let (ann, many) = ("ann@example.com", [("mail", &["a@b.c", "x@y.z"][..])]);
        let persistent = Some("urn:oasis:names:tc:SAML:2.0:nameid-format:persistent");
        for (what, config, subject, attributes, want) in [
            ("a name of the format", &usual, ("Ann@Example.com", Some(EMAIL)), &[][..], Some(ann)),
            ("no format", &usual, ("ann@example.com", None), &[], Some(ann)),
            ("unspecified", &usual, (ann, Some(ADDRESS_FORMATS[1])), &[], Some(ann)),
            ("another format", &usual, (ann, persistent), &[], None),
            ("no address", &usual, ("ann", Some(EMAIL)), &[], None),
            ("two addresses", &usual, ("ann@example.com,x@y.z", Some(EMAIL)), &[], None),
            (
                "an attribute nobody named",
                &usual,
                ("ann", None),
                &[("email", &["a@b.c"][..])],
                None,
            ),
            ("it is not looked at", &usual, (ann, None), &[("email", &["a@b.c"])], Some(ann)),
            (
                "the attribute",
                &mail,
                ("7", persistent),
                &[("mail", &["Ann@example.com "])],
                Some(ann),
            ),
            ("the attribute, not the name", &mail, ("x@y.z", None), &[("mail", &[ann])], Some(ann)),
            ("no falling back", &mail, (ann, Some(EMAIL)), &[], None),
            ("an attribute without a value", &mail, (ann, Some(EMAIL)), &[("mail", &[])], None),
            ("two values", &mail, (ann, Some(EMAIL)), &many, None),
            ("twice", &mail, (ann, None), &[("mail", &[ann]), ("mail", &[ann])], None),
            ("another case of the name", &mail, (ann, None), &[("Mail", &[ann])], None),
        ] {
            let found = read(config, subject, attributes);
            assert_eq!(found.as_ref().ok().map(|a| a.email.as_str()), want, "{what}: {found:?}");
        }
    }

    #[test]
    fn the_chosen_attributes_are_kept_and_no_others() {
        let config =
            config(json!({"attributes": ["dept", "member", "absent", "empty", "email", "sub"]}));
        let subject = ("ann@example.com", Some(EMAIL));
        let attributes: &[(&str, &[&str])] = &[
            ("dept", &["it"]),
            ("member", &["a", "b"]),
            ("empty", &[]),
            ("email", &["boss@example.com"]),
            ("sub", &["1"]),
            ("secret", &["x"]),
        ];
        let found = read(&config, subject, attributes).unwrap();
        let want =
            json!({"dept": "it", "member": ["a", "b"], "email": "boss@example.com", "sub": "1"});
        assert_eq!(Value::Object(found.attributes), want);
        assert_eq!((found.email.as_str(), &*found.subject), (subject.0, subject.0), "S16");
        assert!(found.claims.is_empty());

        let twice = [("dept", &["it"][..]), ("dept", &["boss"])];
        assert!(read(&config, subject, &twice).is_err(), "S16");
        assert!(read(&super::tests::config(json!({})), subject, &twice).is_ok(), "not needed");
        let big = "x".repeat(BYTES);
        assert!(read(&config, subject, &[("dept", &[&big])]).is_err());
    }

    #[test]
    fn groups_come_from_one_attribute() {
        let names = |attributes: &[(&str, &[&str])]| {
            let found = read(&config(json!({})), ("a@b.c", None), attributes);
            found.map(|a| a.groups.into_iter().map(|g| g.name).collect::<Vec<_>>())
        };
        let [plain, entra, adfs] = GROUP_ATTRIBUTES;
        assert_eq!(names(&[(entra, &["e"]), (plain, &["p", "", "q"])]).unwrap(), ["p", "q"]);
        assert_eq!(names(&[(adfs, &["a"]), (entra, &["e"])]).unwrap(), ["e"]);
        assert_eq!(names(&[(adfs, &["a"])]).unwrap(), ["a"]);
        assert!(names(&[("Groups", &["a"])]).unwrap().is_empty());
        assert!(names(&[(plain, &["a"]), (plain, &["admins"])]).is_err(), "S16: never merged");
        assert!(names(&[(plain, &["g"; 1_001])]).is_err());
        assert_eq!(names(&[(plain, &["g"; 1_000])]).unwrap().len(), 1_000);
    }

    #[test]
    fn subjects_and_names() {
        let long = "x".repeat(999);
        let one = |subject, attributes: &[(&str, &[&str])]| {
            let config = config(json!({"email_attribute_name": "mail"}));
            let mut all: Vec<(&str, &[&str])> = vec![("mail", &["a@b.c"])];
            all.extend(attributes);
            read(&config, subject, &all)
        };
        assert_eq!(one(("_7", Some(TRANSIENT)), &[]).unwrap().subject, "a@b.c");
        assert_eq!(one(("_7", None), &[]).unwrap().subject, "_7");
        assert!(one(("", None), &[]).is_err());
        assert!(one((&long[..257], None), &[]).is_err());
        let name = |attributes: &[(&str, &[&str])]| one(("1", None), attributes).unwrap().name;
        assert_eq!(name(&[("displayName", &[" Ann\r\n "])]), "Ann");
        assert_eq!(name(&[("displayName", &["B"]), ("name", &["A"])]), "A");
        assert_eq!(name(&[("name", &[&long])]).len(), NAME);
        assert_eq!(name(&[]), "");
    }

    #[test]
    fn methods_are_those_of_rfc_8176() {
        let mfa = Some("https://refeds.org/profile/mfa");
        let unknown = Some("urn:oasis:names:tc:SAML:2.0:ac:classes:unspecified");
        for (context, want) in [(mfa, &["mfa"][..]), (unknown, &[]), (None, &[])] {
            let told = Told { subject: "a@b.c", format: None, context, attributes: Vec::new() };
            assert_eq!(told.read(&config(json!({}))).unwrap().amr, want, "{context:?}");
        }
    }

    #[test]
    fn headers_are_those_that_were_asked_for() {
        let config = config(json!({"header_attributes": [
            {"attribute_name": "member", "header_name": "X-Member"}, {"attribute_name": "absent", "header_name": "X-A"},
        ]}));
        let values = ["a".to_owned(), "b".to_owned()];
        let field = |value: &str| ("X-Member".to_owned(), value.to_owned());
        let one = vec![("member", &values[..]), ("other", &values[..])];
        let told = |attributes| Told { subject: "x", format: None, context: None, attributes };
        assert_eq!(told(one.clone()).headers(&config), Ok(vec![field("a"), field("b")]));
        assert!(told([one.clone(), one].concat()).headers(&config).is_err());
    }
}
