//! Names are written exactly as `openssl x509 -nameopt` writes them, whatever they hold.

use crate::support::{Attribute, Forged, has_openssl, key, name, openssl};
use narthex_cert::{Certificate, Facts, PresentedChain, Trust};
use narthex_model::{ClientAuthField as Field, UnixSeconds};
use proptest::prelude::*;

const UTF8: u8 = 0x0c;
const NUMERIC: u8 = 0x12;
const PRINTABLE: u8 = 0x13;
const T61: u8 = 0x14;
const IA5: u8 = 0x16;
const UNIVERSAL: u8 = 0x1c;
const BMP: u8 = 0x1e;

/// Signed with a key that is made once; nobody checks the signature here.
fn certificate(subject: Vec<u8>) -> Vec<u8> {
    static KEY: std::sync::LazyLock<rcgen::KeyPair> = std::sync::LazyLock::new(key);
    let issuer = crate::support::cn("Some CA");
    Forged { serial: &[1], subject, issuer, extensions: Vec::new() }.sign(&KEY, &KEY)
}

fn printed(der: &[u8], option: &str) -> String {
    let arguments = ["x509", "-inform", "DER", "-noout", "-subject", "-nameopt", option];
    let text = String::from_utf8(openssl(&arguments, der)).expect("both forms are ASCII");
    text.strip_prefix("subject=").expect("openssl reads it").trim_end_matches('\n').to_owned()
}

fn compare(subject: &[u8]) {
    let der = certificate(subject.to_vec());
    let ours = Certificate::parse(&der).expect("a certificate");
    assert_eq!(ours.subject().rfc2253(), printed(&der, "RFC2253"), "{subject:02x?}");
    assert_eq!(ours.subject().legacy(), printed(&der, "compat"), "{subject:02x?}");
}

#[test]
fn hostile_names_read_as_openssl_writes_them() {
    if !has_openssl() {
        return;
    }
    let (c, o, ou, cn) = ("2.5.4.6", "2.5.4.10", "2.5.4.11", "2.5.4.3");
    let table: &[&[&[Attribute<'_>]]] = &[
        &[],
        &[&[(c, PRINTABLE, b"US")], &[(o, UTF8, b"Acme, Inc.")], &[(cn, UTF8, b"Robot")]],
        &[&[(cn, UTF8, "Zoë 東京 🗝".as_bytes())]],
        &[&[(cn, UTF8, b",+\"\\<>;=/#")]],
        &[&[(cn, UTF8, b" leading and trailing ")]],
        &[&[(cn, UTF8, b" ")]],
        &[&[(cn, UTF8, b"#")], &[(o, UTF8, b"a#b")]],
        &[&[(cn, UTF8, b"")]],
        &[&[(cn, UTF8, b"nul\0inside\x7f\x1f\n")]],
        &[&[(cn, UTF8, b"x/CN=admin,CN=admin+CN=admin")]],
        &[&[(cn, UTF8, b"one"), (o, UTF8, b"two"), (ou, UTF8, b"three")], &[(c, PRINTABLE, b"DE")]],
        &[&[(c, PRINTABLE, b"DE")], &[(cn, UTF8, b"a"), ("0.9.2342.19200300.100.1.1", UTF8, b"b")]],
        &[&[(cn, BMP, &[0, b'R', 0x00, 0xe9, 0x67, 0x71])]],
        &[&[(cn, BMP, &[0, b' ', 0, b'#', 0, b',', 0, 0, 0, b' '])]],
        &[&[(cn, T61, b"caf\xe9 /+")]],
        &[&[(cn, UNIVERSAL, &[0, 1, 0xf5, 0x11, 0, 0, 0, b'x'])]],
        &[&[(cn, IA5, b"plain\x80")], &[(cn, NUMERIC, b"12 34")]],
        &[&[("1.2.3.4.5", UTF8, b"unknown")], &[("2.999.18446744073709551615", PRINTABLE, b"x")]],
        &[&[("1.2.840.113549.1.9.1", IA5, b"a@example.com")], &[("2.5.4.5", PRINTABLE, b"42")]],
        &[&[("0.9.2342.19200300.100.1.25", IA5, b"example")], &[("2.5.4.97", UTF8, b"NTRUS-1")]],
        &[
            &[("2.5.4.12", UTF8, b"Dr")],
            &[("2.5.4.9", UTF8, b"1 Main St")],
            &[("2.5.4.4", UTF8, b"B")],
        ],
        &[&[("1.3.6.1.4.1.311.60.2.1.3", PRINTABLE, b"US")], &[("2.5.4.46", PRINTABLE, b"q")]],
    ];
    for rdns in table {
        compare(&name(rdns));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_names_read_as_openssl_writes_them(rdns in random_name()) {
        if !has_openssl() {
            return Ok(());
        }
        let rdns: Vec<Vec<Attribute<'_>>> = rdns
            .iter()
            .map(|rdn| rdn.iter().map(|(kind, tag, value)| (*kind, *tag, value.as_slice())).collect())
            .collect();
        let rdns: Vec<&[Attribute<'_>]> = rdns.iter().map(Vec::as_slice).collect();
        compare(&name(&rdns));
    }

    #[test]
    fn mutated_certificates_never_panic(at in 0usize..400, octet: u8, cut in 0usize..40) {
        let mut der = certificate(name(&[&[("2.5.4.3", UTF8, b"Robot"), ("2.5.4.10", BMP, b"\0A")]]));
        let at = at % der.len();
        der[at] = octet;
        der.truncate(der.len() - cut % 3 * cut);
        if let Ok(chain) = PresentedChain::parse(&[der.as_slice().into()]) {
            let verdict = Trust::compile(Vec::new()).unwrap().verify(&chain, &[], UnixSeconds(0));
            prop_assert!(verdict.outcome.is_err());
            let facts = Facts::of(&chain, &verdict);
            // What an origin gets to see is a header value.
            for &field in Field::ALL {
                prop_assert!(facts.get(field).bytes().all(|octet| (b' '..=b'~').contains(&octet)));
            }
        }
    }
}

fn random_name() -> impl Strategy<Value = Vec<Vec<(&'static str, u8, Vec<u8>)>>> {
    let kind = prop::sample::select(vec![
        "2.5.4.3",
        "2.5.4.6",
        "2.5.4.10",
        "2.5.4.11",
        "2.5.4.5",
        "2.5.4.17",
        "2.5.4.65",
        "0.9.2342.19200300.100.1.25",
        "1.2.840.113549.1.9.1",
        "1.2.840.113549.1.9.2",
        "1.2.3.4",
        "1.3.6.1.4.1.99999.1",
    ]);
    let octets = prop::collection::vec(
        prop_oneof![4 => b' '..=b'~', 1 => any::<u8>(), 2 => prop::sample::select(b" #+,/\\=\"<>;\0".to_vec())],
        0..12,
    );
    let narrow = (prop::sample::select(vec![NUMERIC, PRINTABLE, T61, IA5]), octets);
    // OpenSSL reads no certificate whose UTF8String is none.
    let text = ("\\PC{0,8}", prop::sample::select(vec!["", " ", "#", "\0", "é", "\\"]))
        .prop_map(|(text, end)| (UTF8, format!("{end}{text}{end}").into_bytes()));
    // Two octets a character; no halves of pairs, which each version of OpenSSL treats in its own way.
    let wide = prop::collection::vec(
        any::<char>().prop_filter("one unit", |c| (*c as u32) < 0x1_0000),
        0..6,
    )
    .prop_map(|text| {
        (BMP, text.iter().flat_map(|c| (*c as u32 as u16).to_be_bytes()).collect::<Vec<u8>>())
    });
    let widest = prop::collection::vec(any::<char>(), 0..4).prop_map(|text| {
        (UNIVERSAL, text.iter().flat_map(|c| (*c as u32).to_be_bytes()).collect::<Vec<u8>>())
    });
    let attribute = (kind, prop_oneof![3 => narrow, 3 => text, 1 => wide, 1 => widest])
        .prop_map(|(kind, (tag, value))| (kind, tag, value));
    prop::collection::vec(prop::collection::vec(attribute, 1..4), 0..5)
}

#[test]
fn a_common_name_is_one_text_or_none() {
    let cn = "2.5.4.3";
    type Case<'a> = (&'a str, &'a [&'a [Attribute<'a>]], Option<&'a str>);
    let table: &[Case<'_>] = &[
        ("one", &[&[(cn, UTF8, b"Robot")]], Some("Robot")),
        ("printable", &[&[(cn, PRINTABLE, b"Robot")]], Some("Robot")),
        ("case and spaces are part of it", &[&[(cn, UTF8, b" robot ")]], Some(" robot ")),
        ("other scripts", &[&[(cn, UTF8, "機械".as_bytes())]], Some("機械")),
        ("beside others", &[&[("2.5.4.10", UTF8, b"Acme"), (cn, UTF8, b"Robot")]], Some("Robot")),
        ("none", &[&[("2.5.4.10", UTF8, b"Robot")]], None),
        ("two", &[&[(cn, UTF8, b"Robot")], &[(cn, UTF8, b"Robot")]], None),
        ("two in one set", &[&[(cn, UTF8, b"Robot"), (cn, UTF8, b"admin")]], None),
        ("a NUL", &[&[(cn, UTF8, b"Robot\0.evil")]], None),
        ("a line break", &[&[(cn, UTF8, b"Robot\n")]], None),
        ("UTF-16", &[&[(cn, BMP, b"\0R\0o\0b\0o\0t")]], None),
        ("T.61", &[&[(cn, T61, b"Robot")]], None),
        ("broken UTF-8", &[&[(cn, UTF8, b"Robot\xff")]], None),
        ("empty", &[&[(cn, UTF8, b"")]], None),
    ];
    for (case, rdns, want) in table {
        let read = Certificate::parse(&certificate(name(rdns))).unwrap();
        assert_eq!(read.common_name(), *want, "{case}");
    }
}
