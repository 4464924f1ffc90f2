//! A token as a stranger may send it. The input is text in which `{J}` is a good token, `{H}`, `{P}` and `{S}` its
//! three parts, and `{O}` and `{M}` the other kinds that the team signs.

use super::team::{NOW, TEAM};
use crate::Target;
use narthex_token::{AppToken, MAX_TOKEN_BYTES};

pub(crate) const TARGET: Target = Target {
    name: "token",
    run,
    words: &[
        "{J}",
        "{H}",
        "{P}",
        "{S}",
        "{O}",
        "{M}",
        ".",
        "..",
        "=",
        "==",
        "A",
        "_",
        "-",
        "+",
        "/",
        " ",
        "\n",
        "eyJhbGciOiJub25lIn0",
        "eyJhbGciOiJIUzI1NiJ9",
        "Bearer ",
        "e30",
    ],
    rounds: 6_000,
};

fn run(data: &[u8]) {
    let Ok(template) = std::str::from_utf8(data) else { return };
    let team = &*TEAM;
    let mut parts = team.jwt.split('.');
    let mut jwt = template.replace("{J}", &team.jwt);
    for name in ["{H}", "{P}", "{S}"] {
        jwt = jwt.replace(name, parts.next().unwrap());
    }
    let jwt = jwt.replace("{O}", &team.others[0].1).replace("{M}", &team.others[1].1);

    let opened = team.ring.open_app(&jwt, &team.aud, NOW);
    match &opened {
        Ok(token) => {
            assert_eq!(jwt, team.jwt, "only the token that was minted, letter for letter");
            assert_eq!(*token, AppToken::Person(team.person.clone()));
            assert!(jwt.len() <= MAX_TOKEN_BYTES);
        }
        Err(why) => {
            assert_ne!(jwt, team.jwt, "the token that was minted is good: {why}");
            assert!(why.to_string().len() < 1_000, "an error is short");
        }
    }
    assert_eq!(team.set.open_app(&jwt, &team.aud, NOW), opened, "the origin reads as the gateway");
    assert_eq!(team.ring.open_any_app(&jwt, NOW).is_ok(), opened.is_ok());
    let (org, meta) = (&team.others[0].1, &team.others[1].1);
    assert_eq!(team.ring.open_org(&jwt, &team.aud, NOW).is_ok(), jwt == *org);
    assert_eq!(team.ring.open_meta(&jwt, &team.aud, NOW).is_ok(), jwt == *meta);
    for late in [team.person.exp, NOW.plus(-3600)] {
        assert!(team.ring.open_app(&jwt, &team.aud, late).is_err(), "over, or not begun");
    }
}
