//! Files that are read and files that are refused.

use super::*;
use narthex_model::CertificateFiles;
use std::path::Path;

/// Where a test's file stands, with a certificate and what else it names.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let place = Self { dir };
        for name in ["wiki", "other"] {
            let made = rcgen::generate_simple_self_signed(vec![format!("{name}.example.com")]);
            let made = made.unwrap();
            place.write(&format!("{name}.pem"), &made.cert.pem());
            place.write(&format!("{name}.key"), &made.signing_key.serialize_pem());
        }
        place.write("admin-token", "hunter2hunter2\n");
        place.write("empty", " \n");
        place.write("master", &"0f".repeat(32));
        place.write("not-a-key", "hunter2hunter2");
        place.write("country.mmdb", "not a database");
        place
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.dir.path().join(name), content).unwrap();
    }

    fn read(&self, text: &str) -> Result<Settings, ConfigFault> {
        self.write("narthex.toml", text);
        Settings::read(&self.dir.path().join("narthex.toml"))
    }
}

/// Every key of design §4, and those that came since.
const FULL: &str = r#"data_dir = "data"

[listen]
https = ["127.0.0.1:8443", "[::1]:8443"]
http = ["127.0.0.1:8080"]
metrics = "127.0.0.1:9464"
trusted_proxies = ["10.0.0.0/8", "fd00::/8"]
cores = 3

[team]
name = "acme"
domain = "access.example.com:8443"

[admin]
host = "admin.example.com"
token = { file = "admin-token" }

[account]
id = "0123456789abcdef0123456789abcdef"

[[zone]]
name = "example.com"

[[zone]]
name = "example.org"
id = "fedcba9876543210fedcba9876543210"

[[tls.certificate]]
cert = "wiki.pem"
key = "wiki.key"

[store]
url = "sqlite:narthex.db"
master_key = { file = "master" }

[mail]
from = "Narthex <no-reply@example.com>"
smtp = "smtp://postman:hunter2@127.0.0.1:2525"

[log]
requests = "all"
level = "debug"

[geo]

[[ingress]]
hostname = "wiki.example.com"
path = "^/"
service = "http://127.0.0.1:9000"
origin_request = { connect_timeout = "5s", response_timeout = "1m", http_host_header = "wiki.internal", origin_server_name = "wiki.internal", no_tls_verify = false, ca_pool = "wiki.pem", client_certificate = { cert = "other.pem", key = "other.key" }, http2_origin = false }

[[ingress]]
hostname = "*.example.org"
service = "http_status:404"

[outbound]
private_networks = ["10.1.0.0/16", "::1/128"]
"#;

#[test]
fn every_key_is_read() {
    let place = Place::new();
    let settings = place.read(FULL).unwrap();
    let dir = place.dir.path();
    assert_eq!(settings.data_dir, dir.join("data"));
    assert_eq!((settings.https.len(), settings.http.len(), settings.cores), (2, 1, 3));
    assert_eq!(settings.metrics, Some("127.0.0.1:9464".parse().unwrap()));
    assert_eq!(
        settings.trusted_proxies,
        ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]
    );
    assert_eq!(
        settings.private_networks,
        ["10.1.0.0/16".parse().unwrap(), "::1/128".parse().unwrap()]
    );
    assert_eq!(settings.team.issuer(), "https://access.example.com:8443");
    assert_eq!(settings.team_name, "acme");
    assert_eq!(settings.admin, Some("admin.example.com".parse().unwrap()));
    assert_eq!(settings.bootstrap_token.as_ref().unwrap().expose(), "hunter2hunter2");
    assert_eq!(settings.account_id, Some("0123456789abcdef0123456789abcdef".parse().unwrap()));
    let zones: Vec<_> = settings.zones.iter().map(|z| (z.name.as_str(), z.id.as_str())).collect();
    let derived = super::reader::derived_zone_id(&"example.com".parse().unwrap());
    assert_eq!(
        zones,
        [("example.com", derived.as_str()), ("example.org", "fedcba9876543210fedcba9876543210")]
    );
    assert_eq!(settings.certificates.len(), 1);
    assert_eq!(settings.store, StoreRoute::Sqlite(dir.join("data/narthex.db")));
    assert!(settings.master_key.is_some());
    assert!(matches!(&settings.mail, MailRoute::Smtp { from, .. } if from.contains("no-reply")));
    assert_eq!((settings.log_requests, settings.log_level), (LogRequests::All, LogLevel::Debug));
    let [wiki, rest] = settings.ingress.as_slice() else { panic!("two entries") };
    assert_eq!(wiki.path.as_deref(), Some("^/"));
    assert_eq!(wiki.origin_request.ca_pool, Some(dir.join("wiki.pem")));
    let shown = CertificateFiles { cert: dir.join("other.pem"), key: dir.join("other.key") };
    assert_eq!(wiki.origin_request.client_certificate, Some(shown));
    assert_eq!(wiki.host_header(), Some("wiki.internal"));
    assert_eq!(rest.service, narthex_model::OriginService::Status(404));
    let shown = format!("{settings:?}");
    assert!(!shown.contains("hunter2") && !shown.contains("0f0f0f"), "{shown}");
}

#[test]
fn the_example_in_the_repository_is_read() {
    let place = Place::new();
    let example = include_str!("../../../../narthex.example.toml");
    let text = example
        .replace("/etc/narthex/admin-token", "admin-token")
        .replace("/etc/narthex/example.com", "wiki");
    let settings = place.read(&text).unwrap();
    assert_eq!(settings.team.issuer(), "https://access.example.com");
    assert_eq!(settings.account_id, None);
    assert_eq!(settings.data_dir, Path::new("/var/lib/narthex"));
}

#[test]
fn a_mistake_is_named_with_its_line_and_what_was_expected() {
    let place = Place::new();
    // What is replaced in the full file, by what; where the fault points, and what it says.
    for (name, from, to, line, says) in [
        ("unknown section", "[listen]", "[lisetn]", 3, &["unknown field `lisetn`", "`listen`"][..]),
        ("unknown key", "cores = 3", "coers = 3", 8, &["unknown field `coers`", "`cores`"]),
        ("unknown option of an origin", "ca_pool", "ca_pol", 50, &["unknown field `ca_pol`"]),
        ("wrong type", "cores = 3", "cores = \"three\"", 8, &["\"three\"", "nonzero"]),
        ("no cores", "cores = 3", "cores = 0", 8, &["`0`", "nonzero"]),
        ("bad address", "127.0.0.1:9464", "localhost", 6, &["socket address"]),
        ("bad network", "fd00::/8", "fd00::/129", 7, &["invalid IP address syntax"]),
        (
            "no listener",
            "[\"127.0.0.1:8443\", \"[::1]:8443\"]",
            "[]",
            4,
            &["empty", "at least one"],
        ),
        (
            "bad team domain",
            "access.example.com:8443",
            "https://access.example.com",
            12,
            &["a host is", "not \"https://"],
        ),
        (
            "bad admin host",
            "host = \"admin.example.com\"",
            "host = \"admin_.example.com/\"",
            15,
            &["a host is", "admin_"],
        ),
        (
            "admin on the team domain",
            "admin.example.com",
            "access.example.com",
            15,
            &["is the team domain"],
        ),
        ("bad account id", "id = \"0123456789abcdef", "id = \"xyz", 19, &["32", "xyz"]),
        ("bad zone", "name = \"example.com\"", "name = \"exa mple.com\"", 22, &["exa mple"]),
        ("a zone twice", "name = \"example.org\"", "name = \"example.com\"", 25, &["twice"]),
        (
            "missing certificate",
            "cert = \"wiki.pem\"",
            "cert = \"wika.pem\"",
            29,
            &["wika.pem cannot be read"],
        ),
        ("missing key", "wiki.key", "wika.key", 30, &["wika.key cannot be read"]),
        (
            "no certificate in it",
            "cert = \"wiki.pem\"",
            "cert = \"empty\"",
            28,
            &["no PEM certificate"],
        ),
        ("no key in it", "wiki.key", "empty", 28, &["no private key"]),
        (
            "key of another",
            "wiki.key",
            "other.key",
            28,
            &["do not fit together", "wiki.pem with other.key"],
        ),
        (
            "postgres",
            "sqlite:narthex.db",
            "postgres://narthex:hunter2@db/narthex",
            33,
            &["not supported yet", "sqlite:narthex.db"],
        ),
        ("no store", "sqlite:narthex.db", "narthex.db", 33, &["a store is sqlite:FILE"]),
        (
            "bad master key",
            "file = \"master\"",
            "file = \"not-a-key\"",
            34,
            &["64 hexadecimal digits"],
        ),
        (
            "missing secret file",
            "file = \"admin-token\"",
            "file = \"admin-tokens\"",
            16,
            &["admin-tokens cannot be read"],
        ),
        (
            "empty secret file",
            "file = \"admin-token\"",
            "file = \"empty\"",
            16,
            &["the secret is empty"],
        ),
        (
            "missing variable",
            "file = \"admin-token\"",
            "env = \"NARTHEX_TEST_UNSET\"",
            16,
            &["NARTHEX_TEST_UNSET is not set"],
        ),
        (
            "a secret in the file",
            "{ file = \"admin-token\" }",
            "\"hunter2\"",
            16,
            &["never stands in this file", "{ file = PATH }"],
        ),
        (
            "a secret in a list",
            "{ file = \"admin-token\" }",
            "[\"hunter2\"]",
            16,
            &["expected { file"],
        ),
        (
            "a secret under a wrong name",
            "token = { file = \"admin-token\" }",
            "tokn = \"hunter2\"",
            16,
            &["unknown field `tokn`"],
        ),
        (
            "a secret from nowhere",
            "{ file = \"admin-token\" }",
            "{ fil = \"hunter2\" }",
            16,
            &["unknown field `fil`"],
        ),
        (
            "two sources",
            "{ file = \"admin-token\" }",
            "{ file = \"a\", env = \"B\" }",
            16,
            &["exactly one"],
        ),
        ("an unfinished secret", "{ file = \"admin-token\" }", "\"hunter2", 16, &["expected"]),
        (
            "bad sender",
            "Narthex <no-reply@example.com>",
            "Narthex",
            37,
            &["from", "Narthex <no-reply@example.com>"],
        ),
        ("bad smtp", "smtp://", "smpt://", 38, &["smtp or smtps"]),
        (
            "no smtp",
            "smtp = \"smtp://postman:hunter2@127.0.0.1:2525\"",
            "",
            36,
            &["missing field `smtp`"],
        ),
        ("unknown word", "requests = \"all\"", "requests = \"some\"", 41, &["`some`", "`refused`"]),
        (
            "no country database",
            "[geo]",
            "[geo]\ndatabase = \"nowhere.mmdb\"",
            45,
            &["nowhere.mmdb"],
        ),
        (
            "broken country database",
            "[geo]",
            "[geo]\ndatabase = \"country.mmdb\"",
            45,
            &["not a sound MaxMind DB"],
        ),
        (
            "bad ingress hostname",
            "hostname = \"wiki.example.com\"",
            "hostname = \"wiki example\"",
            47,
            &["wiki example"],
        ),
        (
            "bad regex",
            "path = \"^/\"",
            "path = \"^/(\"",
            48,
            &["not a regular expression", "unclosed group"],
        ),
        (
            "bad service",
            "http://127.0.0.1:9000",
            "127.0.0.1:9000",
            49,
            &["a service is", "127.0.0.1:9000"],
        ),
        ("bad time", "\"5s\"", "\"5 s\"", 50, &["5 s"]),
        ("missing pool", "ca_pool = \"wiki.pem\"", "ca_pool = \"pool.pem\"", 50, &["pool.pem"]),
        (
            "empty pool",
            "ca_pool = \"wiki.pem\"",
            "ca_pool = \"empty\"",
            50,
            &["no certificate in it"],
        ),
        ("another's key", "key = \"other.key\"", "key = \"wiki.key\"", 50, &["does not belong to"]),
        ("missing certificate", "cert = \"other.pem\"", "cert = \"o.pem\"", 50, &["o.pem"]),
        ("no data directory", "data_dir = \"data\"", "", 1, &["missing field `data_dir`"]),
        ("a key twice", "[geo]", "[team]", 44, &["duplicate key"]),
    ] {
        assert_eq!(FULL.matches(from).count().min(1), 1, "{name}: nothing to replace");
        let fault = place.read(&FULL.replacen(from, to, 1)).expect_err(name).to_string();
        let place_named = format!("narthex.toml: error at line {line}, ");
        assert!(fault.contains(&place_named), "{name}: not at line {line}\n{fault}");
        for words in says {
            assert!(fault.contains(words), "{name}: does not say {words}\n{fault}");
        }
        assert!(!fault.contains("hunter2"), "{name}: a secret is shown\n{fault}");
    }
}

#[test]
fn what_needs_a_restart_is_told_from_what_does_not() {
    let place = Place::new();
    place.write("another-master", &"0e".repeat(32));
    place.write("copied-master", &format!("{}\n", "0f".repeat(32)));
    let running = place.read(FULL).unwrap();
    for (from, to, want) in [
        ("sqlite:narthex.db", "sqlite:other.db", &["[store] url"][..]),
        ("127.0.0.1:8080", "127.0.0.1:8081", &["[listen] http"]),
        ("cores = 3", "cores = 2", &["[listen] cores"]),
        ("hunter2@", "hunter3@", &["[mail]"]),
        ("{ file = \"master\" }", "{ file = \"another-master\" }", &["[store] master_key"]),
        ("master_key = { file = \"master\" }", "", &["[store] master_key"]),
        ("{ file = \"master\" }", "{ file = \"copied-master\" }", &[]),
        ("name = \"acme\"", "name = \"Acme\"", &[]),
        ("hostname = \"wiki.example.com\"", "hostname = \"wiki2.example.com\"", &[]),
        ("[[zone]]\nname = \"example.com\"\n", "", &[]),
    ] {
        let changed = place.read(&FULL.replacen(from, to, 1)).unwrap();
        assert_eq!(changed.need_restart(&running), want, "{to}");
    }
}

#[test]
fn records_are_kept_half_a_year_or_as_long_as_the_file_says() {
    let place = Place::new();
    let usual = place.read(FULL).unwrap();
    assert_eq!(usual.keep_records_days, 180);
    let given = place.read(&format!("{FULL}\n[records]\nkeep_days = 30\n")).unwrap();
    assert_eq!(given.keep_records_days, 30);
    assert_eq!(given.need_restart(&usual), ["[records] keep_days"]);
    for bad in ["0", "36501", "-1", "\"30d\"", "1.5"] {
        let fault = place.read(&format!("{FULL}\n[records]\nkeep_days = {bad}\n")).unwrap_err();
        assert!(fault.to_string().contains("keep_days"), "{fault}");
    }
    let fault = place.read(&format!("{FULL}\n[records]\nkeep_days = 0\n")).unwrap_err();
    assert!(fault.to_string().contains("from 1 to 36500"), "{fault}");
}

#[test]
fn limits_are_read_and_wait_for_a_restart() {
    let place = Place::new();
    let usual = place.read(FULL).unwrap();
    assert_eq!(usual.limits, Limits::default());
    let text = format!("{FULL}\n[limits]\nconnections = 500\nconnections_per_address = 50\n");
    let given = place.read(&text).unwrap();
    let mut want = Limits::default();
    (want.road.connections, want.road.connections_per_address) = (500, 50);
    assert_eq!(given.limits, want);
    assert_eq!(given.need_restart(&usual), ["[limits]"]);
    for (line, says) in [
        ("handshakes = 0", "handshakes may be 1 to 1000000; for the default, 4096, leave it out"),
        ("drain = \"2h\"", "drain may be 1s to 1h; for the default, 30s, leave it out"),
        ("head = \"64KB\"", "head is a number of bytes, as in 65536 or \"64KiB\""),
        ("head_time = 10", "head_time is a time with its unit, as in \"10s\""),
        ("handshake = 5", "unknown field `handshake`, expected one of `connections`"),
    ] {
        let fault = place.read(&format!("{FULL}\n[limits]\nstreams = 9\n{line}\n")).unwrap_err();
        let (fault, number) = (fault.to_string(), FULL.lines().count() + 4);
        assert!(fault.contains(says) && fault.contains(&format!("{number} | {line}")), "{fault}");
    }
}

#[test]
fn renewed_files_of_an_origin_are_another_way_to_it() {
    let place = Place::new();
    let rule = |place: &Place| place.read(FULL).unwrap().ingress.remove(0).origin_request;
    let before = rule(&place);
    assert_eq!(rule(&place), before);
    let made = rcgen::generate_simple_self_signed(vec!["other.example.com".to_owned()]).unwrap();
    place.write("other.pem", &made.cert.pem());
    place.write("other.key", &made.signing_key.serialize_pem());
    assert_ne!(rule(&place), before);
}
