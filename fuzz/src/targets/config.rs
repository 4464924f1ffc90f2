//! The configuration file.

use crate::Target;
use narthex_server::config::Settings;
use std::path::Path;

pub(crate) const TARGET: Target = Target {
    name: "config",
    run,
    words: &[
        "[",
        "]",
        "[[",
        "]]",
        "=",
        "\"",
        "'",
        "\"\"\"",
        "#",
        "{",
        "}",
        ",",
        "\n",
        "[listen]",
        "[team]",
        "[[ingress]]",
        "[[zone]]",
        "[admin]",
        "[limits]",
        "[log]",
        "[mail]",
        "[store]",
        "[outbound]",
        "[account]",
        "https = ",
        "domain = ",
        "name = ",
        "127.0.0.1:0",
        "[::]:8443",
        "example.com",
        "*.example.com",
        "true",
        "-1",
        "9223372036854775808",
        "1e400",
        "nan",
        "5s",
        "{ env = \"NARTHEX_UNSET\" }",
        "{ file = \"absent\" }",
        "1979-05-27T07:32:00Z",
        "\\u0000",
        "\\U0010ffff",
        "é",
        "\u{feff}",
    ],
    rounds: 6_000,
};

fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // The file names other files; a fuzzer is not to open devices.
    if ["/dev", "/proc", "/sys"].iter().any(|root| text.contains(root)) {
        return;
    }
    match Settings::parse(text, Path::new("/nonexistent/narthex.toml")) {
        Ok(settings) => {
            let again = Settings::parse(text, Path::new("/nonexistent/narthex.toml")).unwrap();
            assert_eq!(settings.need_restart(&again), Vec::<&str>::new(), "one file, one meaning");
            assert_eq!(format!("{settings:?}"), format!("{again:?}"));
            let premises = settings.premises("0123456789abcdef0123456789abcdef".parse().unwrap());
            assert_eq!(premises.team, settings.team);
            assert!(!settings.https.is_empty(), "a gateway that listens nowhere is of no use");
        }
        Err(fault) => {
            let said = fault.to_string();
            assert!(!said.is_empty());
            assert!(said.len() <= 4 * text.len() + 4_096, "{} bytes are no message", said.len());
        }
    }
}
