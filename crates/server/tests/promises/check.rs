//! `narthexd check`, and what the program says about itself.

use crate::daemon::{Place, narthexd};

#[test]
fn check_says_fine_or_where_the_mistake_is() {
    let place =
        Place::new("[[ingress]]\nhostname = \"a.localhost\"\nservice = \"http_status:404\"");
    let fine = place.run(&["check", "--config", "narthex.toml"]);
    let said = String::from_utf8(fine.stdout).unwrap();
    assert_eq!(fine.status.code(), Some(0), "{said}");
    assert!(said.contains("fine") && said.contains("1 ingress rule(s)"), "{said}");
    assert!(!place.file("data").exists(), "checking makes nothing");

    place.write(&place.usual("lisetn = 1", ""));
    let broken = place.run(&["check", "--config", "narthex.toml"]);
    let said = String::from_utf8(broken.stderr).unwrap();
    assert_eq!(broken.status.code(), Some(1), "{said}");
    for words in
        ["narthex.toml: error at line 6", "lisetn = 1", "unknown field `lisetn`", "`https`"]
    {
        assert!(said.contains(words), "{words} in {said}");
    }

    let absent = place.run(&["check", "--config", "nowhere.toml"]);
    let said = String::from_utf8(absent.stderr).unwrap();
    assert_eq!(absent.status.code(), Some(1), "{said}");
    assert!(said.contains("nowhere.toml") && said.contains("No such file"), "{said}");
}

#[test]
fn every_command_explains_itself() {
    for (command, says) in [
        (&[][..], &["serve", "check", "demo", "admin", "identity-aware"][..]),
        (&["serve"], &["--config <FILE>", "SIGTERM", "SIGHUP", "NARTHEX_CONFIG", "narthex.toml"]),
        (&["check"], &["--config <FILE>", "exit"]),
        (&["demo"], &["--data-dir", "--https", "--http", "--metrics", "127.0.0.1:8443"]),
        (&["admin"], &["token"]),
        (&["admin", "token"], &["create"]),
        (&["admin", "token", "create"], &["--name <NAME>", "--config <FILE>", "shown this once"]),
    ] {
        let help = narthexd().args(command).arg("--help").output().unwrap();
        let said = String::from_utf8(help.stdout).unwrap();
        assert!(help.status.success(), "{command:?}");
        for words in says {
            assert!(said.contains(words), "{command:?} does not say {words}:\n{said}");
        }
    }
    let version = narthexd().arg("--version").output().unwrap();
    assert!(String::from_utf8(version.stdout).unwrap().starts_with("narthexd "));
    assert_eq!(narthexd().arg("sevre").output().unwrap().status.code(), Some(2));
}
