//! A token has one spelling: whatever is changed, by a bit or by a letter, is refused (security J8, J14).

use crate::forge::{NOW, Team, aud, decode, encode, machine, person};
use narthex_token::{AppToken, CertificateThumbprint, MachineToken, TokenError};

#[test]
fn what_is_minted_opens_as_it_was() {
    let team = Team::new();
    let mut token = person();
    token.custom.insert("groups".to_owned(), serde_json::json!(["a", "ü", {"x": null}]));
    token.binding = Some("0123456789abcdef".repeat(4));
    let jwt = team.ring.mint(&token);
    assert_eq!(team.ring.open_app(&jwt, &aud(), NOW), Ok(AppToken::Person(token.clone())));
    assert_eq!(team.ring.open_any_app(&jwt, NOW), Ok(AppToken::Person(token)));
    let jwt = team.ring.mint(&machine());
    assert_eq!(team.ring.open_app(&jwt, &aud(), NOW), Ok(AppToken::Machine(machine())));
    let certificate = Some(CertificateThumbprint::of_sha256([7; 32]));
    let bound = MachineToken { common_name: "robot".to_owned(), certificate, ..machine() };
    let jwt = team.ring.mint(&bound);
    assert_eq!(team.ring.open_app(&jwt, &aud(), NOW), Ok(AppToken::Machine(bound)));
}

#[test]
fn every_flipped_bit_of_the_text_is_refused() {
    let team = Team::new();
    let jwt = team.ring.mint(&person()).into_bytes();
    for at in 0..jwt.len() {
        for bit in 0..8 {
            let mut flipped = jwt.clone();
            flipped[at] ^= 1 << bit;
            // What is not UTF-8 is no `&str`; a header field or cookie with it never comes here.
            let Ok(flipped) = std::str::from_utf8(&flipped) else { continue };
            let opened = team.ring.open_app(flipped, &aud(), NOW);
            assert!(opened.is_err(), "byte {at}, bit {bit}");
        }
    }
}

#[test]
fn every_flipped_bit_of_the_parts_is_refused() {
    let team = Team::new();
    let jwt = team.ring.mint(&person());
    let parts: Vec<Vec<u8>> = jwt.split('.').map(decode).collect();
    for part in 0..3 {
        for at in 0..parts[part].len() {
            for bit in 0..8 {
                let mut flipped = parts.clone();
                flipped[part][at] ^= 1 << bit;
                let flipped: Vec<String> = flipped.iter().map(encode).collect();
                let opened = team.ring.open_app(&flipped.join("."), &aud(), NOW);
                assert!(opened.is_err(), "part {part}, byte {at}, bit {bit}");
            }
        }
    }
}

#[test]
fn every_shorter_or_longer_text_is_refused() {
    let team = Team::new();
    let jwt = team.ring.mint(&person());
    for end in 0..jwt.len() {
        assert!(team.ring.open_app(&jwt[..end], &aud(), NOW).is_err(), "cut at {end}");
        assert!(team.ring.open_app(&jwt[end + 1..], &aud(), NOW).is_err(), "cut to {end}");
    }
    for more in ["=", "==", ".", ".e30", "A", "AA", "AAAA", " ", "\n", "\0", "\u{feff}"] {
        for longer in [
            format!("{jwt}{more}"),
            format!("{more}{jwt}"),
            jwt.replacen('.', &format!("{more}."), 1),
        ] {
            assert!(team.ring.open_app(&longer, &aud(), NOW).is_err(), "{more:?}");
        }
    }
}

#[test]
fn another_alphabet_is_refused() {
    let team = Team::new();
    let (from, to) = (["-", "_"], ["+", "/"]);
    let jwt = std::iter::repeat_with(|| {
        let mut token = person();
        token.identity_nonce = narthex_model::IdentityNonce::random();
        team.ring.mint(&token)
    });
    let jwt = jwt.into_iter().find(|jwt| from.iter().all(|c| jwt.contains(c))).unwrap();
    for (from, to) in from.iter().zip(to) {
        let other = jwt.replace(from, to);
        let want = Err(TokenError::Malformed("a part is not canonical base64url"));
        let got = team.ring.open_app(&other, &aud(), NOW);
        assert!(got == want || got == Err(TokenError::Signature), "{got:?}");
    }
}
