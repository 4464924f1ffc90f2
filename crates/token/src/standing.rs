//! The claims that every token has: what kind it is, who issued it, for whom, and when.

use crate::TokenError;
use crate::members::Members;
use narthex_model::{AudTag, UnixSeconds};

/// Clocks of two nodes may differ by this many seconds (security rule 36). Nothing is added to `exp`.
const SKEW_SECONDS: i64 = 60;

/// What a token must say to be of use here.
pub(crate) struct Expected<'a> {
    /// Its `type`.
    pub(crate) kind: &'static str,
    /// Its `iss`; `None` for the kinds that have none.
    pub(crate) issuer: Option<&'a str>,
    /// Its `aud`; `None` for any.
    pub(crate) aud: Option<&'a AudTag>,
    /// The instant it is judged at.
    pub(crate) now: UnixSeconds,
}

/// What it says.
pub(crate) struct Standing {
    pub(crate) aud: AudTag,
    pub(crate) iat: UnixSeconds,
    pub(crate) nbf: Option<UnixSeconds>,
    pub(crate) exp: UnixSeconds,
}

impl Standing {
    /// Takes `type`, `iss`, `aud`, `iat`, `nbf` and `exp` out of `members` and compares them.
    pub(crate) fn of(members: &mut Members, expected: &Expected<'_>) -> Result<Self, TokenError> {
        if members.text("type")? != expected.kind {
            return Err(TokenError::Type);
        }
        match expected.issuer {
            Some(issuer) if members.text("iss")? != issuer => return Err(TokenError::Issuer),
            None if members.has("iss") => return Err(TokenError::Issuer),
            Some(_) | None => {}
        }
        let aud = members.audience()?;
        if expected.aud.is_some_and(|expected| *expected != aud) {
            return Err(TokenError::Audience);
        }
        let iat = members.seconds("iat")?;
        let nbf = if members.has("nbf") { Some(members.seconds("nbf")?) } else { None };
        let exp = members.seconds("exp")?;
        let standing = Self { aud, iat, nbf, exp };
        standing.is_in_force(expected.now).map(|()| standing)
    }

    fn is_in_force(&self, now: UnixSeconds) -> Result<(), TokenError> {
        if now >= self.exp {
            return Err(TokenError::Expired { exp: self.exp, now });
        }
        let from = self.nbf.map_or(self.iat, |nbf| nbf.max(self.iat));
        if from > now.plus(SKEW_SECONDS) {
            return Err(TokenError::NotYetValid { from, now });
        }
        Ok(())
    }

    /// For the kinds that always have `nbf`.
    pub(crate) fn with_nbf(self) -> Result<Self, TokenError> {
        if self.nbf.is_none() { Err(TokenError::Claim("nbf")) } else { Ok(self) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const AUD: &str = "32eafc7626e974616deaf0dc3ce63d7bcbed58a2731e84d06bc3cdf1b53c4228"; // seed 003
    const ISSUER: &str = "https://yourteam.cloudflareaccess.com"; // seed 003

    fn judge(claims: &Value, now: i64) -> Result<(), TokenError> {
        let mut members: Members = serde_json::from_value(claims.clone()).unwrap();
        let aud = AUD.parse().unwrap();
        let now = UnixSeconds(now);
        let expected = Expected { kind: "app", issuer: Some(ISSUER), aud: Some(&aud), now };
        Standing::of(&mut members, &expected).map(drop)
    }

    fn seed() -> Value {
        json!({"type": "app", "iss": ISSUER, "aud": [AUD],
            "exp": 1_659_474_457, "iat": 1_659_474_397, "nbf": 1_659_474_397})
    }

    #[test]
    fn expiry_is_strict_and_the_future_has_a_minute() {
        let (exp, iat) = (UnixSeconds(1_659_474_457), UnixSeconds(1_659_474_397));
        for (now, want) in [
            (iat.0, Ok(())),
            (exp.0 - 1, Ok(())),
            (exp.0, Err(TokenError::Expired { exp, now: exp })),
            (exp.0 + 1, Err(TokenError::Expired { exp, now: exp.plus(1) })),
            (iat.0 - 60, Ok(())),
            (iat.0 - 61, Err(TokenError::NotYetValid { from: iat, now: iat.plus(-61) })),
        ] {
            assert_eq!(judge(&seed(), now), want, "at {now}");
        }
    }

    #[test]
    fn near_misses() {
        for (name, member, value, want) in [
            ("aud as a string", "aud", json!(AUD), Ok(())),
            ("no nbf", "nbf", Value::Null, Err(TokenError::Claim("nbf"))),
            ("org token", "type", json!("org"), Err(TokenError::Type)),
            ("type in capitals", "type", json!("App"), Err(TokenError::Type)),
            ("type in an array", "type", json!(["app"]), Err(TokenError::Claim("type"))),
            (
                "another team",
                "iss",
                json!("https://other.cloudflareaccess.com"),
                Err(TokenError::Issuer),
            ),
            ("iss with a slash", "iss", json!(format!("{ISSUER}/")), Err(TokenError::Issuer)),
            ("iss in capitals", "iss", json!(ISSUER.to_uppercase()), Err(TokenError::Issuer)),
            (
                "iss with http",
                "iss",
                json!(ISSUER.replace("https", "http")),
                Err(TokenError::Issuer),
            ),
            ("iss in an array", "iss", json!([ISSUER]), Err(TokenError::Claim("iss"))),
            ("another app", "aud", json!([AUD.replace('3', "4")]), Err(TokenError::Audience)),
            ("a prefix", "aud", json!([&AUD[..63]]), Err(TokenError::Claim("aud"))),
            ("two", "aud", json!([AUD, AUD]), Err(TokenError::Claim("aud"))),
            ("none", "aud", json!([]), Err(TokenError::Claim("aud"))),
            ("nested", "aud", json!([[AUD]]), Err(TokenError::Claim("aud"))),
            ("exp as text", "exp", json!("1659474457"), Err(TokenError::Claim("exp"))),
            ("exp as a float", "exp", json!(1_659_474_457.5), Err(TokenError::Claim("exp"))),
            ("exp 1e300", "exp", json!(1e300), Err(TokenError::Claim("exp"))),
            ("exp 2^63", "exp", json!(1_u64 << 63), Err(TokenError::Claim("exp"))),
            ("exp negative", "exp", json!(-1), Err(TokenError::Claim("exp"))),
            ("exp null", "exp", Value::Null, Err(TokenError::Claim("exp"))),
            ("nbf as text", "nbf", json!("0"), Err(TokenError::Claim("nbf"))),
            ("iat as text", "iat", json!("0"), Err(TokenError::Claim("iat"))),
            ("iat null", "iat", Value::Null, Err(TokenError::Claim("iat"))),
        ] {
            let mut claims = seed();
            claims[member] = value;
            assert_eq!(judge(&claims, 1_659_474_400), want, "{name}");
        }
        for absent in ["type", "iss", "aud", "iat", "exp"] {
            let mut claims = seed();
            claims.as_object_mut().unwrap().remove(absent);
            assert_eq!(judge(&claims, 1_659_474_400), Err(TokenError::Claim(absent)));
        }
        let mut future = seed();
        future["nbf"] = json!(1_659_474_450);
        let from = UnixSeconds(1_659_474_450);
        let now = UnixSeconds(1_659_474_380);
        future["iat"] = json!(0);
        assert_eq!(judge(&future, now.0), Err(TokenError::NotYetValid { from, now }));
    }
}
